"""Faults of the city's platform: it takes a case and the line is cut, or it is down for days.

For: the way up.
May not: have the city forget what it acknowledged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.simulate.faults.fault import End, Fault, busy, some_edges
from ops.simulate.world import DAY, HOUR

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation


def _cut(sim: Simulation, span_ms: int) -> End:
    sim.city.cut_share = 0.7
    sim.hand_something_up()
    busy(sim, some_edges(sim), span_ms)

    def end() -> None:
        sim.city.cut_share = 0.0

    return end


def _down(sim: Simulation, span_ms: int) -> End:
    sim.city.down = True
    sim.hand_something_up()

    def end() -> None:
        sim.city.down = False

    return end


CITIES = (
    Fault("city_cut", "the city takes a case and its answer is cut off", (HOUR, DAY), _cut),
    Fault("city_down", "the city's platform is down", (6 * HOUR, 4 * DAY), _down),
)
