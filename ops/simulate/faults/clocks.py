"""Clocks that are wrong: a dead battery, years ahead, jumps while the machine runs.

For: wall clocks of offices' machines; the county's machine keeps time.
May not: touch the counter since boot, which nobody can set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.simulate.faults.fault import End, Fault, busy, one_edge
from ops.simulate.world import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

YEAR = 365 * DAY


def _dead_battery(sim: Simulation, span_ms: int) -> End:
    """The machine was off, its clock begins in 1970, and nobody looks at it for a while."""
    victim = one_edge(sim)
    victim.stop()
    victim.clock.boot()
    victim.clock.set_to(sim.world.between(0, HOUR))
    victim.start()
    busy(sim, [victim], span_ms, acts=4)
    return lambda: victim.clock.set_to(sim.world.now_ms)


def _ahead(sim: Simulation, span_ms: int) -> End:
    victim = one_edge(sim)
    victim.clock.offset_ms = sim.world.between(YEAR, 10 * YEAR)
    busy(sim, [victim], span_ms, acts=4)
    return lambda: victim.clock.set_to(sim.world.now_ms)


def _jumps(sim: Simulation, span_ms: int) -> End:
    victim = one_edge(sim)
    busy(sim, [victim], span_ms, acts=5)

    def jump() -> None:
        if not sim.healing:
            victim.clock.offset_ms += sim.world.between(-30 * DAY, 30 * DAY)

    for _ in range(5):
        sim.world.at(sim.world.between(0, span_ms), jump)
    return lambda: victim.clock.set_to(sim.world.now_ms)


CLOCKS = (
    Fault("clock_1970", "a machine's clock stands at 1970", (2 * HOUR, 2 * DAY), _dead_battery),
    Fault("clock_ahead", "a machine's clock is years ahead", (2 * HOUR, 2 * DAY), _ahead),
    Fault("clock_jumps", "a machine's clock jumps while it runs", (30 * MINUTE, DAY), _jumps),
)
