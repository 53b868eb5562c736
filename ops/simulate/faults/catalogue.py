"""The catalogue of faults, and how a run applies them: in pairs that overlap, every kind at least once where time allows.

For: looking faults up by name; planning a run.
May not: know what a fault does.
Manual: docs/testing.md, "Faults".
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ops.simulate.faults.brokers import BROKERS
from ops.simulate.faults.cities import CITIES
from ops.simulate.faults.clocks import CLOCKS
from ops.simulate.faults.counties import COUNTIES
from ops.simulate.faults.crashes import CRASHES
from ops.simulate.faults.damage import DAMAGE
from ops.simulate.faults.fault import Fault
from ops.simulate.faults.hubs import HUBS
from ops.simulate.faults.identities import IDENTITIES
from ops.simulate.faults.lanes import LANES, SILENCES
from ops.simulate.faults.lines import LINES
from ops.simulate.faults.poison import POISON
from ops.simulate.faults.stores import STORES
from ops.simulate.faults.townships import TOWNSHIP_MACHINES, TOWNSHIPS
from ops.simulate.faults.upkeep import UPKEEP
from ops.simulate.world import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.simulate.simulation import Simulation

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        *LINES,
        *BROKERS,
        *CRASHES,
        *STORES,
        *CLOCKS,
        *IDENTITIES,
        *POISON,
        *COUNTIES,
        *CITIES,
        *TOWNSHIPS,
        *TOWNSHIP_MACHINES,
        *HUBS,
        *LANES,
        *SILENCES,
        *UPKEEP,
        *DAMAGE,
    )
}
NAMES = tuple(FAULTS)
NEED_HALLS = {fault.name for fault in (*TOWNSHIPS, *TOWNSHIP_MACHINES)}  # a county in which townships serve
FIRST_MS = HOUR  # nothing goes wrong in the first hour, or there would be nothing to lose
PACE_MS_MAX = DAY // 4  # a pair of faults at least so often


class Plan:
    """The faults of one run: what began when, what is still on."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self.counts: Counter[str] = Counter()
        self._on: dict[int, tuple[str, Callable[[], None]]] = {}
        self._left: list[str] = []
        self._number = 0

    def begin(self) -> None:
        """Have pairs begin from now on, in an order that is drawn, until the run ends."""
        if not self._sim.options.faults:
            return
        pairs = (len(self._sim.options.faults) + 1) // 2
        room_ms = self._sim.end_ms - self._sim.world.now_ms - FIRST_MS
        self._pace_ms = min(PACE_MS_MAX, int(room_ms * 0.85 / pairs))
        self._sim.world.at(FIRST_MS, self._pair)

    def end_all(self) -> None:
        """Everything that is wrong with lines, disks, clocks, broker and city ends now."""
        for _name, end in list(self._on.values()):
            end()
        self._on.clear()

    def _pair(self) -> None:
        sim, world = self._sim, self._sim.world
        if sim.healing or world.now_ms >= sim.end_ms:
            return
        if world.now_ms < sim.quiet_until_ms:
            world.at(sim.quiet_until_ms - world.now_ms, self._pair)
            return
        span = self._one(self._next())
        world.at(world.between(0, span * 0.8), self._second)
        world.at(self._pace_ms, self._pair)

    def _second(self) -> None:
        if not self._sim.healing:
            self._one(self._next())

    def _next(self) -> str:
        if not self._left:
            self._left = list(self._sim.options.faults)
            self._sim.world.rng.shuffle(self._left)
        return self._left.pop()

    def _one(self, name: str) -> int:
        """Begin one fault; returns how long it lasts, ms."""
        sim, fault = self._sim, FAULTS[name]
        left_ms = max(1, sim.end_ms - sim.world.now_ms)
        span = min(sim.world.between(*fault.span_ms), max(fault.span_ms[0], left_ms // 2))
        self.counts[name] += 1
        sim.world.note("fault", name, span)
        end = fault.begin(sim, span)
        if end is not None:
            self._number += 1
            self._on[self._number] = (name, end)
            sim.world.at(span, self._over, self._number)
        return span

    def _over(self, number: int) -> None:
        found = self._on.pop(number, None)
        if found is not None:
            self._sim.world.note("fault over", found[0])
            found[1]()
