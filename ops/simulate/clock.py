"""Clocks of simulated machines: a wall clock that may be wrong, a counter since boot that is never set.

For: the `Clock` that edge code gets, and the two functions that hub code gets.
May not: know the true time other than through the world.
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

from edge.clock import Clock
from ops.simulate.world import World

BOOT_TAKES_MS = 20_000  # the counter of a machine that was just switched on


class MachineClock:
    """One machine's clocks. offset_ms: how far its wall clock is off."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._boot_ms = world.now_ms
        self._boots = 0
        self.offset_ms = 0

    def now_ms(self) -> int:
        return max(0, self._world.now_ms + self.offset_ms)

    def mono_ms(self) -> int:
        return self._world.now_ms - self._boot_ms + BOOT_TAKES_MS

    def boot(self) -> None:
        """The machine was switched on anew: the counter begins again."""
        self._boot_ms = self._world.now_ms
        self._boots += 1

    def set_to(self, wall_ms: int) -> None:
        """Have the wall clock show this time now and go on from there."""
        self.offset_ms = wall_ms - self._world.now_ms

    def as_edge_clock(self) -> Clock:
        """For one boot; ask again after the next."""
        return Clock(self.now_ms, self.mono_ms, f"boot-{self._boots}")
