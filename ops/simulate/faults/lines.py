"""Faults of lines: loss, repeats, order, delay, every shape of partition, lines that flap or only look alive.

For: weather on some machines' lines, and traffic under it.
May not: touch stores or machines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ops.simulate.faults.fault import End, Fault, busy, one_edge, some_edges
from ops.simulate.network import Line, Weather
from ops.simulate.world import DAY, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from ops.simulate.edge_node import EdgeMachine
    from ops.simulate.simulation import Simulation

FLAP_MS = 2 * SECOND


def on_lines(lines: list[Line], make: Callable[[], Weather]) -> End:
    """Weather on these lines, each its own; what is given back lifts it."""
    laid = [(line, make()) for line in lines]
    for line, weather in laid:
        line.put(weather)

    def end() -> None:
        for line, weather in laid:
            line.lift(weather)

    return end


def _bad(make: Callable[[Simulation], Weather]) -> Callable[[Simulation, int], End]:
    """Weather of one kind on some offices' lines, and sometimes on the hub's."""

    def begin(sim: Simulation, span_ms: int) -> End:
        victims = some_edges(sim)
        lines = [machine.line for machine in victims]
        if sim.world.chance(0.3):
            lines.append(sim.hub.line)
        busy(sim, victims, span_ms)
        return on_lines(lines, lambda: make(sim))

    return begin


def _one(make: Callable[[Simulation], Weather]) -> Callable[[Simulation, int], End]:
    def begin(sim: Simulation, span_ms: int) -> End:
        victim = one_edge(sim)
        busy(sim, [victim], span_ms)
        return on_lines([victim.line], lambda: make(sim))

    return begin


def _branch(sim: Simulation, span_ms: int) -> End:
    town = sim.world.rng.choice(sim.tree.towns)
    offices = set(sim.tree.branch(town))
    victims: list[EdgeMachine] = [machine for machine in sim.working() if machine.office in offices]
    busy(sim, victims, span_ms, acts=1)
    return on_lines([machine.line for machine in victims], lambda: Weather(cut=True))


def _hub_alone(sim: Simulation, span_ms: int) -> End:
    busy(sim, some_edges(sim), span_ms)
    return on_lines([sim.hub.line], lambda: Weather(cut=True))


def _flapping(sim: Simulation, span_ms: int) -> End:
    """2 s up, 2 s down."""
    victim = one_edge(sim)
    busy(sim, [victim], span_ms)
    weather = Weather(cut=True)
    line, ended = victim.line, [False]

    def flip(down: bool) -> None:
        if down:
            line.put(weather)
        else:
            line.lift(weather)
        if not ended[0]:
            sim.world.at(FLAP_MS, flip, not down)

    flip(True)

    def end() -> None:
        ended[0] = True
        line.lift(weather)

    return end


MONTHS = (20 * DAY, 90 * DAY)
LINES = (
    Fault(
        "drop",
        "a share of messages vanishes although the broker acknowledged them",
        (10 * MINUTE, 3 * HOUR),
        _bad(lambda sim: Weather(loss=sim.world.rng.uniform(0.05, 0.6))),
    ),
    Fault(
        "duplicate",
        "messages come twice or three times",
        (10 * MINUTE, 3 * HOUR),
        _bad(lambda sim: Weather(double=sim.world.rng.uniform(0.1, 0.8))),
    ),
    Fault(
        "reorder",
        "messages overtake each other",
        (10 * MINUTE, 3 * HOUR),
        _bad(lambda sim: Weather(jitter_ms=sim.world.between(SECOND, 20 * SECOND))),
    ),
    Fault(
        "delay",
        "messages take seconds to hours",
        (10 * MINUTE, 6 * HOUR),
        _bad(lambda sim: Weather(jitter_ms=5 * SECOND, held_share=0.2, held_ms=(MINUTE, 5 * HOUR))),
    ),
    Fault(
        "delay_months",
        "some messages come weeks or months later",
        (10 * MINUTE, 3 * HOUR),
        _bad(lambda sim: Weather(held_share=0.3, held_ms=MONTHS)),
    ),
    Fault("partition_office", "one office has no line", (HOUR, 3 * DAY), _one(lambda sim: Weather(cut=True))),
    Fault("partition_branch", "a township and its villages have no line", (HOUR, 2 * DAY), _branch),
    Fault("partition_hub", "the hub alone has no line", (20 * MINUTE, 12 * HOUR), _hub_alone),
    Fault(
        "one_way_up",
        "an office hears and is not heard",
        (10 * MINUTE, 4 * HOUR),
        _one(lambda sim: Weather(mute_up=True)),
    ),
    Fault(
        "one_way_down",
        "an office is heard and does not hear",
        (10 * MINUTE, 4 * HOUR),
        _one(lambda sim: Weather(mute_down=True)),
    ),
    Fault("flapping", "a line is up for two seconds and down for two", (MINUTE, 10 * MINUTE), _flapping),
    Fault(
        "half_open",
        "connections look alive and nothing passes",
        (5 * MINUTE, 2 * HOUR),
        _bad(lambda sim: Weather(half_open=True)),
    ),
)
