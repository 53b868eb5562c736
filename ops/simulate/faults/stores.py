"""Disks that lie, are full, or cannot be written.

For: stores that fall back to an earlier commit after a power cut, and stores that refuse.
May not: count as lost what was never said to be saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.simulate.edge_node import EdgeMachine
from ops.simulate.faults.fault import End, Fault, busy, edge_or_hub, one_edge, some_edges
from ops.simulate.machine import Machine
from ops.simulate.world import HOUR, MINUTE
from protocol.errors import StoreError

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

SYNC_FULL = 2  # of SQLite's PRAGMA synchronous


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


def _power_cut(sim: Simulation, span_ms: int) -> None:
    """The power fails. What the store had asked the disk to sync is there; a store that does not ask for it at each
    commit loses all that was written in this span, which is no fault of the disk."""
    victim = edge_or_hub(sim)
    kept = victim.copy_store("unsynced")
    edges = [victim] if isinstance(victim, EdgeMachine) else some_edges(sim)
    busy(sim, edges, span_ms, acts=2)

    def cut() -> None:
        if victim.gone or sim.healing or not victim.up:
            return
        synced = victim.do(lambda: _syncs_at_commit(victim))
        victim.stop()
        victim.clock.boot()
        if not synced:
            victim.put_store_back(kept)
        sim.world.note("power cut", victim.name)
        sim.world.at(sim.world.between(MINUTE, HOUR), victim.start)

    sim.world.at(span_ms, cut)


def _syncs_at_commit(victim: Machine) -> bool:
    """What SQLite itself says of the connection that writes; a store that refuses to be asked has written nothing."""
    store = victim.node.store if isinstance(victim, EdgeMachine) else victim.county.store  # type: ignore[union-attr,attr-defined]
    try:
        with store.write(reserve=True) as tx:
            return bool(tx.exec_driver_sql("pragma synchronous").scalar_one() >= SYNC_FULL)
    except StoreError:
        return True


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
    Fault("power_cut", "the power fails; only what was synced is on the disk", (20 * MINUTE, 4 * HOUR), _power_cut),
    Fault("disk_full_edge", "an edge's disk is full", (20 * MINUTE, 8 * HOUR), _full_edge),
    Fault("disk_full_hub", "the hub's disk is full", (10 * MINUTE, 2 * HOUR), _full_hub),
    Fault("read_only", "a store cannot be written", (10 * MINUTE, 2 * HOUR), _read_only),
)
