"""Faults of the broker: away, killed with everything it kept, replaced by an empty one.

For: what a broker does that must not matter.
May not: touch machines other than through their connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.simulate.faults.fault import End, Fault, busy, short, some_edges
from ops.simulate.world import HOUR, MINUTE

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation


def _down(sim: Simulation, span_ms: int) -> End:
    busy(sim, some_edges(sim), span_ms)
    sim.broker.stop()
    return sim.broker.start


def _forgets(sim: Simulation, span_ms: int) -> None:
    """Killed several times; each time what it had acknowledged is gone."""
    busy(sim, some_edges(sim, 0.8), span_ms)
    for _ in range(3):
        sim.world.at(sim.world.between(0, span_ms), _killed, sim)


def _killed(sim: Simulation) -> None:
    if sim.healing:
        return
    sim.broker.stop()
    sim.broker.forget()
    sim.world.at(short(sim), sim.broker.start)


def _replaced(sim: Simulation, span_ms: int) -> None:
    """Another broker under the same address: it knows nobody, and those who are connected must come again."""
    busy(sim, some_edges(sim, 0.8), span_ms)

    def change() -> None:
        sim.broker.stop()
        sim.broker.forget()
        sim.broker.start()

    sim.world.at(span_ms / 2, change)


BROKERS = (
    Fault("broker_down", "the broker does not run", (5 * MINUTE, 6 * HOUR), _down),
    Fault("broker_forgets", "the broker is killed and forgets what it acknowledged", (10 * MINUTE, HOUR), _forgets),
    Fault("broker_replaced", "an empty broker takes the place of the old one", (10 * MINUTE, HOUR), _replaced),
)
