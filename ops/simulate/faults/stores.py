"""Disks that lie, are full, or cannot be written.

For: stores that fall back to an earlier commit after a power cut, and stores that refuse.
May not: count as lost what was never said to be saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.simulate.faults.fault import End, Fault, busy, edge_or_hub, one_edge, some_edges
from ops.simulate.machine import Machine
from ops.simulate.world import HOUR, MINUTE

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation


def _lying_edge(sim: Simulation, span_ms: int) -> None:
    """What the disk said it had synced in this span is not there after the power cut."""
    victim = one_edge(sim)
    kept = victim.copy_store("lying")
    busy(sim, [victim], span_ms, acts=3)

    def cut() -> None:
        if victim.gone or sim.healing:
            return
        sim.book.look_at(victim, told=False)
        victim.stop()
        victim.clock.boot()
        victim.put_store_back(kept)
        lost = sim.book.fell_back(victim)
        sim.world.note("fell back", victim.name, lost)
        sim.world.at(sim.world.between(MINUTE, HOUR), victim.start)

    sim.world.at(span_ms, cut)


def _lying_hub(sim: Simulation, span_ms: int) -> None:
    kept = sim.hub.copy_store("lying")
    busy(sim, some_edges(sim), span_ms, acts=1)

    def cut() -> None:
        if sim.healing:
            return
        sim.hub_falls_back(lambda: sim.hub.put_store_back(kept))

    sim.world.at(span_ms, cut)


def _full(sim: Simulation, victim: Machine) -> End:
    victim.disk.full = True

    def end() -> None:
        victim.disk.full = False

    return end


def _full_edge(sim: Simulation, span_ms: int) -> End:
    victim = one_edge(sim)
    busy(sim, [victim], span_ms, acts=4)
    return _full(sim, victim)


def _full_hub(sim: Simulation, span_ms: int) -> End:
    busy(sim, some_edges(sim), span_ms)
    return _full(sim, sim.hub)


def _read_only(sim: Simulation, span_ms: int) -> End:
    victim = edge_or_hub(sim)
    busy(sim, some_edges(sim), span_ms)
    victim.disk.read_only = True

    def end() -> None:
        victim.disk.read_only = False

    return end


STORES = (
    Fault(
        "lying_disk_edge", "an edge's disk loses commits that it had confirmed", (20 * MINUTE, 8 * HOUR), _lying_edge
    ),
    Fault("lying_disk_hub", "the hub's disk loses commits that it had confirmed", (5 * MINUTE, HOUR), _lying_hub),
    Fault("disk_full_edge", "an edge's disk is full", (20 * MINUTE, 8 * HOUR), _full_edge),
    Fault("disk_full_hub", "the hub's disk is full", (10 * MINUTE, 2 * HOUR), _full_hub),
    Fault("read_only", "a store cannot be written", (10 * MINUTE, 2 * HOUR), _read_only),
)
