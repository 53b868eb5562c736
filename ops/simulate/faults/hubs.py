"""The hub's own troubles: a clock that is dead, leaps or stands years ahead; a newer program than the offices have.

For: what the county's machine says of the time, and messages that only a later version knows.
May not: touch the counter since boot, which nobody can set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.sync_loop import listens_to
from ops.simulate.faults.fault import End, Fault, busy, one_edge, some_edges
from ops.simulate.faults.poison import Telepathy
from ops.simulate.world import DAY, HOUR, MINUTE
from protocol.envelope import seal_envelope
from protocol.messages import Message

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

YEAR = 365 * DAY
TIMES = 4


def _right_again(sim: Simulation) -> End:
    return lambda: sim.hub.clock.set_to(sim.world.now_ms)


def _restart(sim: Simulation) -> None:
    """The hub's machine is switched off and on."""
    if sim.hub.up and not sim.healing:
        sim.hub.stop()
        sim.hub.clock.boot()
        sim.hub.start()


def _dead_battery(sim: Simulation, span_ms: int) -> End:
    """The hub's machine was off, its clock begins in 1970, and nobody looks at it for a while."""
    busy(sim, some_edges(sim, 0.8), span_ms)
    sim.hub.clock.set_to(sim.world.between(0, HOUR))
    _restart(sim)
    return _right_again(sim)


def _ahead(sim: Simulation, span_ms: int) -> End:
    """Somebody types a wrong year; later the machine is switched off and on."""
    busy(sim, some_edges(sim, 0.8), span_ms)
    sim.hub.clock.offset_ms = sim.world.between(2 * YEAR, 10 * YEAR)
    sim.world.at(span_ms / 2, _restart, sim)
    return _right_again(sim)


def _jumps(sim: Simulation, span_ms: int) -> End:
    busy(sim, some_edges(sim, 0.8), span_ms)

    def jump() -> None:
        if not sim.healing:
            sim.hub.clock.offset_ms += sim.world.between(-30 * DAY, 30 * DAY)

    for _ in range(TIMES):
        sim.world.at(sim.world.between(0, span_ms), jump)
    if sim.world.chance(0.3):
        sim.world.at(sim.world.between(0, span_ms), _restart, sim)
    return _right_again(sim)


def _newer(sim: Simulation, span_ms: int) -> None:
    """The hub sends messages of a version to come, between those that the offices know."""
    victim = one_edge(sim)
    sim.open_line(victim, span_ms)
    busy(sim, [victim], span_ms)

    def once() -> None:
        county, node = sim.hub.county, victim.node
        if county is None or node is None or sim.healing or sim.hub.line.state != "online":
            return
        device = county.shelf.roster.device(node.keys.incarnation)
        if device is None:
            return
        envelope = seal_envelope(list[Message]([Telepathy("未来的消息", [3])]), keys=county.keys, recipient=device)  # type: ignore[list-item]
        topic = listens_to(node.keys, node.reference.trust)[0]
        sim.hub.do(lambda: sim.hub.line.publish(topic, envelope))

    for _ in range(TIMES):
        sim.world.at(sim.world.between(0, span_ms), once)


HUBS = (
    Fault("hub_clock_1970", "the hub's clock stands at 1970", (HOUR, 12 * HOUR), _dead_battery),
    Fault("hub_clock_ahead", "the hub's clock is years ahead", (HOUR, 12 * HOUR), _ahead),
    Fault("hub_clock_jumps", "the hub's clock jumps while it runs", (HOUR, 12 * HOUR), _jumps),
    Fault("newer_hub", "the hub says what only a later version knows", (10 * MINUTE, 2 * HOUR), _newer),
)
