"""The part of a chaos run that looks at system calls: the order of sync and answer, and kills at every write.

For: a small county of its own (ground.py), one traced command, and many killed commands and daemons on copies of it.
May not: run where strace cannot (it says why and is skipped).
Manual: docs/operating/chaos.md, "System calls".  Decisions: docs/decisions/0141-at-every-write.md, 0146.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ops.chaos import trials
from ops.chaos.boundaries import Boundary, Outcome, answered_op, boundaries, kill_at
from ops.chaos.ground import Ground, applicant, prepare
from ops.chaos.order import check_command
from ops.chaos.syscalls import read_trace, recording, why_not
from ops.demo.processes import COMMAND, COMMAND_SECONDS_MAX, DemoFailed

WORKERS = 2
SAY_EVERY = 20  # trials: a whole set takes a quarter of an hour and more
CASE_ACCEPT = "case-accept"
SUBJECTS = (CASE_ACCEPT, *trials.SUBJECTS)
ALL = 1_000  # more than any of them makes; keeps a broken trace from running for days
SAMPLE = {CASE_ACCEPT: ALL, **dict.fromkeys(trials.SUBJECTS, 6)}  # in a run of bad weather


@dataclass
class Kills:
    """at: boundaries of one subject; tried, of which it was killed, and of which the kill came after the commit."""

    at: int = 0
    tried: int = 0
    killed: int = 0
    saved: int = 0

    def as_json(self) -> dict[str, int]:
        return {"boundaries": self.at, "tried": self.tried, "killed": self.killed, "saved": self.saved}


@dataclass
class SyscallReport:
    """skipped: why nothing was looked at, or "". kills: by subject."""

    skipped: str = ""
    kills: dict[str, Kills] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        if self.skipped:
            return {"skipped": self.skipped}
        return {subject: kills.as_json() for subject, kills in self.kills.items()}


def look_at_syscalls(
    room: Path, seed: int, say: Callable[[str], None], *, most: dict[str, int] | None = None, every: int = 1
) -> SyscallReport:
    """All of it in the empty directory `room`.

    Args:    most: subjects, and how many boundaries of each at most, drawn from the seed; SAMPLE unless named.
             every: of the boundaries only every so many-th.
    Raises:  DemoFailed if the small county cannot be set up.
    """
    reason = why_not()
    if reason is not None:
        say(f"system calls are not looked at: {reason}")
        return SyscallReport(skipped=reason)
    report = SyscallReport()
    (room / "ground").mkdir()
    ground = prepare(room / "ground")
    report.findings += ground.findings
    say("order of sync and answer at hub and office: " + ("; ".join(ground.findings) or "right"))
    for subject, limit in (SAMPLE if most is None else most).items():
        found, kill = _calls(room, ground, subject, report)
        chosen = _chosen(len(found), random.Random(f"boundaries {subject} {seed}"), limit, every)
        say(f"{subject} makes {len(found)} writes, syncs and renamings; killing it at {len(chosen)} of them")
        outcomes: list[Outcome] = []
        with ThreadPoolExecutor(WORKERS) as pool:
            for outcome in pool.map(lambda at: kill(at, found[at]), chosen):  # noqa: B023 - consumed in this turn
                outcomes.append(outcome)
                if outcome.findings or len(outcomes) % SAY_EVERY == 0:
                    say(f"{subject}: {len(outcomes)} of {len(chosen)} tried. {'; '.join(outcome.findings)}")
        report.kills[subject] = _count(subject, len(found), outcomes, report.findings)
    return report


def _chosen(number: int, rng: random.Random, limit: int, every: int) -> list[int]:
    places = range(rng.randrange(every), number, every)
    return sorted(rng.sample(places, min(limit, len(places))))


def _count(subject: str, at: int, outcomes: Sequence[Outcome], findings: list[str]) -> Kills:
    for outcome in outcomes:
        where = f"{subject} killed at {outcome.boundary.name} {outcome.boundary.nth}"
        findings += [f"{where}: {text}" for text in outcome.findings]
    killed = [outcome for outcome in outcomes if outcome.killed]
    return Kills(at, len(outcomes), len(killed), sum(outcome.saved for outcome in killed))


def _calls(
    room: Path, ground: Ground, subject: str, report: SyscallReport
) -> tuple[list[Boundary], Callable[[int, Boundary], Outcome]]:
    """The boundaries of one subject, and the function that kills it at one."""
    if subject == CASE_ACCEPT:
        env = {**os.environ, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        found = _boundaries_of_a_command(room, ground.village, report, env)
        return found, partial(_kill_command, room, ground.village, env)
    found, plain = trials.calls_of(ground, subject, room / f"{subject}-calls")
    report.findings += [f"{subject}, not killed: {text}" for text in plain.findings]
    return found, partial(_kill_daemon, room, ground, subject)


def _kill_command(room: Path, office: Path, env: dict[str, str], at: int, boundary: Boundary) -> Outcome:
    copy = room / f"killed-{at:03d}"
    return kill_at(boundary, accept_words(copy), office, copy, env)


def _kill_daemon(room: Path, ground: Ground, subject: str, at: int, boundary: Boundary) -> Outcome:
    return trials.trial(ground, subject, boundary, room / f"{subject}-{at:03d}")


def accept_words(directory: Path) -> list[str]:
    """One `case accept` at the device in `directory`."""
    return [*COMMAND, "case", "accept", "--dir", str(directory), *applicant(4), "--json"]


def _boundaries_of_a_command(room: Path, office: Path, report: SyscallReport, env: dict[str, str]) -> list[Boundary]:
    """Trace one command on a copy, check its order, and list its boundaries."""
    copy, trace = room / "traced", room / "case.trace"
    shutil.copytree(office, copy)
    done = subprocess.run(
        recording(trace, accept_words(copy)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=env,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    op = answered_op(done.stdout)
    if done.returncode != 0 or op is None:
        raise DemoFailed(f"the traced command failed: {done.stderr.decode(errors='replace')[-500:]}")
    calls = read_trace(trace)
    report.findings += [f"case accept: {text}" for text in check_command(calls, op)]
    return boundaries(calls, copy)
