"""Crashes: the process dies at a statement, before or after a commit, or when it is about to say something.

For: traps on the disks of edges and of the hub, set again and again while the fault lasts.
May not: wait for the product to agree: it dies where it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ops.simulate.disk import Disk
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.faults.fault import Fault, busy, edge_or_hub, some_edges
from ops.simulate.world import HOUR, MINUTE

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

TRAPS = 4  # in one fault
STATEMENTS_MAX = 80  # a hub's batch has about as many


def _traps(set_trap: Callable[[Simulation, Disk], None]) -> Callable[[Simulation, int], None]:
    def begin(sim: Simulation, span_ms: int) -> None:
        victim = edge_or_hub(sim)
        others = [victim] if isinstance(victim, EdgeMachine) else some_edges(sim)
        busy(sim, others, span_ms, acts=3)  # type: ignore[arg-type]

        def arm() -> None:
            if victim.up and not sim.healing:
                set_trap(sim, victim.disk)

        for _ in range(TRAPS):
            sim.world.at(sim.world.between(0, span_ms), arm)

    return begin


def _before_commit(sim: Simulation, disk: Disk) -> None:
    disk.crash_before_commit = True


def _after_commit(sim: Simulation, disk: Disk) -> None:
    disk.crash_after_commit = True


def _before_ack(sim: Simulation, disk: Disk) -> None:
    disk.crash_at_publish = sim.world.rng.randint(1, 3)


def _any_statement(sim: Simulation, disk: Disk) -> None:
    disk.crash_at = sim.world.rng.randint(1, STATEMENTS_MAX)


SPAN = (20 * MINUTE, 3 * HOUR)
CRASHES = (
    Fault("crash_before_commit", "a process dies before a commit", SPAN, _traps(_before_commit)),
    Fault("crash_after_commit", "a process dies after a commit, before anything leaves", SPAN, _traps(_after_commit)),
    Fault(
        "crash_before_ack",
        "a process dies when a receipt or an acknowledgement is about to leave",
        SPAN,
        _traps(_before_ack),
    ),
    Fault("crash_any_statement", "a process dies at any statement of a transaction", SPAN, _traps(_any_statement)),
)
