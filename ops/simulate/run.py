"""One run from seed to summary.

For: `simulate`, which the command, the tests and nightly loops call.
May not: print; keep anything on disk afterwards; leave the process changed.
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

import logging
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from edge import incarnation
from ops.simulate import branches, checks, equality, meaning, outcomes, raw, times
from ops.simulate.faults.catalogue import NAMES
from ops.simulate.findings import Findings
from ops.simulate.heal import heal
from ops.simulate.mutants.catalogue import MUTANTS
from ops.simulate.options import HEAL, Options
from ops.simulate.simulation import Simulation
from ops.simulate.world import DAY, MINUTE, START_MS

LOOKS_MIN, LOOK_MS_MIN = 12, 5 * MINUTE  # how often everything is looked at in a run of less than that many days
MEMORY_DISK = Path("/dev/shm")  # syncing costs nothing there; the stores keep all their safe settings
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """What one run was and what it found."""

    options: Options
    node_days: float
    acts: int
    refused_at_desk: int
    ops: int
    lost_with_disk: int
    faults: dict[str, int]
    crashes: int
    store_refusals: int
    city_cases: int
    rounds_ms: tuple[int, ...]
    findings: Findings
    trace: str
    events: int

    @property
    def clean(self) -> bool:
        return self.findings.clean

    def as_json(self) -> dict[str, Any]:
        """Everything, with the command that plays it again."""
        options = self.options
        return {
            "seed": options.seed,
            "offices": options.offices,
            "days": options.days,
            "mode": options.mode,
            "mutant": options.mutant,
            "clean": self.clean,
            "node_days": round(self.node_days, 2),
            "acts": self.acts,
            "refused_at_desk": self.refused_at_desk,
            "ops": self.ops,
            **self.findings.counts(),
            "lost_with_disk": self.lost_with_disk,
            "faults": self.faults,
            "fault_kinds": len(self.faults),
            "crashes": self.crashes,
            "store_refusals": self.store_refusals,
            "city_cases": self.city_cases,
            "rounds_min": [round(span / 60_000, 1) for span in self.rounds_ms],
            "problems": self.findings.sentences(),
            "trace": self.trace,
            "events": self.events,
            "replay": options.replay(),
        }


def simulate(options: Options, *, until: str = "", progress: Progress = lambda _text: None) -> Summary:
    """Play a county through its days and, in the mode `heal`, through the rounds after them; then check everything.

    Args:    until: a kind of finding at which the days may end, because nothing more is asked; "" for never.
    """
    found = Findings()
    planted = MUTANTS[options.mutant].planted() if options.mutant else nullcontext()
    with _room() as room, _own_chance(options.seed), _watching(found), planted:
        sim = Simulation(options, room)
        with sim.built():
            rounds: list[int] = []
            if not _live(sim, found, until, progress) and options.mode == HEAL:
                progress("the faults stop")
                rounds = heal(sim)
                found.lost_with_disk.clear()
                checks.nothing_lost(sim, found)
                checks.places_are_true(sim, found)
                checks.files_are_whole(sim, found)
                hub = equality.Hub(sim)
                equality.everything_equal(sim, hub, found)
                outcomes.nothing_doubled(sim, hub, found)
                outcomes.nothing_silent(sim, hub, found)
                branches.carried_well(sim, hub, found)
                times.times_are_plausible(sim, hub, found)
                outcomes.order_does_not_matter(sim, hub, found)
                meaning.cases_mean_what_was_said(sim, hub, found)
            checks.bytes_unchanged(sim, found)
            return _summary(sim, found, rounds)


def _live(sim: Simulation, found: Findings, until: str, progress: Progress) -> bool:
    """The days, with a look at everything once a day, and in short runs more often; True if what was awaited is found."""
    sim.begin()
    step = min(DAY, max(LOOK_MS_MIN, (sim.end_ms - sim.world.now_ms) // LOOKS_MIN))
    while sim.world.now_ms < sim.end_ms:
        sim.world.run_until(min(sim.end_ms, sim.world.now_ms + step))
        checks.nothing_lost(sim, found)
        checks.places_are_true(sim, found)
        checks.files_are_whole(sim, found)
        lived = (sim.world.now_ms - START_MS) / DAY
        progress(f"day {lived:.3g}: {len(sim.book.entries)} ops, {sum(sim.plan.counts.values())} faults")
        _note_problems(sim, found)
        if until and found.counts()[until]:
            return True
    return False


def _note_problems(sim: Simulation, found: Findings) -> None:
    """What had to be seen at its moment."""
    for problem in sim.problems:
        found.add(*problem.split(": ", 1))


def _summary(sim: Simulation, found: Findings, rounds: list[int]) -> Summary:
    _note_problems(sim, found)
    machines = (sim.hub, *sim.edges, *sim.old_hubs)
    for machine in machines:
        for error in machine.errors:
            found.add("errors", error)
    for case, (digest, *_rest) in sorted(raw.views(sim.hub.store_path).items()):
        sim.world.note("view", case, digest)
    lived = sum((machine.ended_ms or sim.world.now_ms) - machine.born_ms for machine in machines)
    return Summary(
        options=sim.options,
        node_days=lived / DAY,
        acts=sim.book.acts,
        refused_at_desk=sim.book.refused_at_desk,
        ops=len(sim.book.entries),
        lost_with_disk=len(found.lost_with_disk),
        faults={name: sim.plan.counts[name] for name in NAMES if sim.plan.counts[name]},
        crashes=sum(machine.crashes for machine in machines),
        store_refusals=sum(machine.store_refusals for machine in machines),
        city_cases=len(sim.city.store.cases()),
        rounds_ms=tuple(rounds),
        findings=found,
        trace=sim.world.trace.digest(),
        events=sim.world.trace.events,
    )


@contextmanager
def _room() -> Iterator[Path]:
    where = MEMORY_DISK if MEMORY_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="liandong-sim-", dir=where) as name:
        yield Path(name)


@contextmanager
def _own_chance(seed: int) -> Iterator[None]:
    """What the product draws by itself comes from the seed too: jitter of the way up (tenacity uses the module `random`),
    new keys of a device that goes on after a restore."""
    before, drawn = random.getstate(), random.Random(f"keys {seed}")
    random.seed(seed)
    try:
        keys = mock.patch.dict(incarnation.renew.__kwdefaults__, random_bytes=drawn.randbytes)  # bound when it was read
        with mock.patch.object(os, "urandom", drawn.randbytes), keys:
            yield
    finally:
        random.setstate(before)


class _Unforeseen(logging.Handler):
    """Exceptions that the product caught at its outermost wall: it goes on, but somebody must know."""

    def __init__(self, found: Findings) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            self._found.add("errors", f"{record.name}: {type(error).__name__}: {error}")


@contextmanager
def _watching(found: Findings) -> Iterator[None]:
    """No log lines of simulated machines on the screen; exceptions among them become findings."""
    logger = logging.getLogger("liandong")
    handler, before = _Unforeseen(found), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(handler)
