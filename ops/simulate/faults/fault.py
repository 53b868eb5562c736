"""What a fault is, and the tools that many faults need.

For: the shape of one fault; choosing victims, having something happen on a line while the fault lasts.
May not: know single faults.
Manual: docs/testing.md, "Faults".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.simulate.world import MINUTE, SECOND

if TYPE_CHECKING:
    from ops.simulate.edge_node import EdgeMachine
    from ops.simulate.machine import Machine
    from ops.simulate.simulation import Simulation

End = Callable[[], None]
Begin = Callable[["Simulation", int], End | None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can go wrong.

    about: one sentence for people. span_ms: shortest and longest time that it lasts. begin: called with the simulation
    and the span; returns what ends it early or at its end, or None if it ends by itself.
    """

    name: str
    about: str
    span_ms: tuple[int, int]
    begin: Begin


def some_edges(sim: Simulation, share: float = 0.5) -> list[EdgeMachine]:
    """A few devices in use, at least one."""
    working = sim.working()
    chosen = [machine for machine in working if sim.world.chance(share)]
    return chosen or [sim.world.rng.choice(working)]


def one_edge(sim: Simulation) -> EdgeMachine:
    """A device in use; rather one that runs."""
    running = [machine for machine in sim.working() if machine.up]
    return sim.world.rng.choice(running or sim.working())


def edge_or_hub(sim: Simulation) -> Machine:
    return sim.hub if sim.world.chance(0.4) else one_edge(sim)


def busy(sim: Simulation, machines: list[EdgeMachine], span_ms: int, *, acts: int = 2) -> None:
    """Have these devices connect and their people act while the fault lasts, or it would hit nothing."""
    world = sim.world
    for machine in machines:
        start = world.between(0, span_ms * 0.3)
        world.at(start, sim.open_line, machine, max(3 * MINUTE, min(span_ms, 20 * MINUTE)))
        for _ in range(acts):
            world.at(world.between(0, span_ms), sim.somebody_acts, machine)


def short(sim: Simulation) -> int:
    """A short wait, ms."""
    return sim.world.between(SECOND, 30 * SECOND)
