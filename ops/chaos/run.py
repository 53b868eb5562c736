"""One chaos run from end to end: set up, bad weather while people work, heal, wait, judge, reconcile, report.

For: `python3 run.py chaos` and its short form in the tests.
May not: leave a process or a directory behind (after a failure the directory is kept and named).
Manual: docs/operating/chaos.md.  Decision: docs/decisions/0140-chaos-with-real-processes.md.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.chaos.book import Book
from ops.chaos.judge import Verdict, everything_arrived, judge
from ops.chaos.plan import make_plan
from ops.chaos.postgres import private_cluster
from ops.chaos.saved_first import ALL, SAMPLE, SyscallReport, look_at_syscalls
from ops.chaos.server_order import look_at_server
from ops.chaos.staff import Clerk
from ops.chaos.stage import COUNTY, OFFICES, Stage
from ops.chaos.weather import Weather
from ops.demo.processes import COMMAND_SECONDS_MAX, DemoFailed, wait_until

HEAL_SECONDS_MAX = 180.0
RECONCILE_TRIES = 2


@dataclass(frozen=True, slots=True)
class Options:
    """seconds: length of the bad weather. database: "sqlite" or "postgresql". broker: "embedded" or "mosquitto".

    boundaries: what is killed at how many of its writes at most; if it is empty, system calls are not looked at.
    """

    seed: int
    seconds: float = 60.0
    broker: str = "embedded"
    database: str = "sqlite"
    boundaries: dict[str, int] = field(default_factory=SAMPLE.copy)


@dataclass
class Report:
    """What one run came to; `as_json` has the shape of the manual."""

    options: Options
    verdict: Verdict = field(default_factory=Verdict)
    kills: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    ops: int = 0
    crossings: int = 0  # sticks to the county and back
    refused: dict[str, int] = field(default_factory=dict)
    healed_s: float = 0.0
    reconcile_equal: bool = False
    syscalls: SyscallReport = field(default_factory=lambda: SyscallReport(skipped="not asked for"))
    findings: list[str] = field(default_factory=list)  # whatever else should not have been

    @property
    def ok(self) -> bool:
        return self.reconcile_equal and not self.all_findings and self.ops > 0

    @property
    def all_findings(self) -> list[str]:
        found = self.verdict
        return [*found.lost, *found.doubled, *found.diverged, *found.pending, *self.syscalls.findings, *self.findings]

    def as_json(self) -> dict[str, Any]:
        found = self.verdict
        return {
            "ok": self.ok,
            "seed": self.options.seed,
            "seconds": self.options.seconds,
            "broker": self.options.broker,
            "database": self.options.database,
            "kills": self.kills,
            "faults": self.faults,
            "ops": self.ops,
            "crossings": self.crossings,
            "refused": self.refused,
            "lost": len(found.lost),
            "doubled": len(found.doubled),
            "diverged": len(found.diverged),
            "pending": len(found.pending),
            "healed_s": self.healed_s,
            "reconcile_equal": self.reconcile_equal,
            "syscalls": self.syscalls.as_json(),
            "findings": self.all_findings,
        }


def run_chaos(options: Options, say: Callable[[str], None]) -> Report:
    """Play one seed. Raises DemoFailed if the county cannot even be set up; the directory is then kept and named."""
    room = Path(tempfile.mkdtemp(prefix="liandong-chaos-"))
    try:
        report = _in_room(room, options, say)
    except DemoFailed as error:
        raise DemoFailed(f"{error} (seed {options.seed}, everything is kept in {room})") from error
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(room, ignore_errors=True)
        raise
    if report.ok:
        shutil.rmtree(room, ignore_errors=True)
    else:
        report.findings.append(f"stores and logs are kept in {room}")
    return report


def kill_at_boundaries(seed: int, subjects: Sequence[str], every: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Only the kills at writes of these subjects: ok, seed, syscalls, findings. Raises DemoFailed as `run_chaos` does."""
    room = Path(tempfile.mkdtemp(prefix="liandong-chaos-"))
    report = look_at_syscalls(room, seed, say, most=dict.fromkeys(subjects, ALL), every=every)
    findings = [report.skipped] if report.skipped else report.findings
    if findings:
        findings = [*findings, f"stores and logs are kept in {room}"]
    else:
        shutil.rmtree(room, ignore_errors=True)
    return {"ok": not findings, "seed": seed, "syscalls": report.as_json(), "findings": findings}


def _in_room(room: Path, options: Options, say: Callable[[str], None]) -> Report:
    """The run; whatever ends it, no process is left."""
    with ExitStack() as held:
        cluster = held.enter_context(private_cluster()) if options.database == "postgresql" else None
        stage = Stage(room, broker=options.broker, cluster=cluster)
        held.callback(stage.abandon)
        report = _play(stage, options, say)
        if options.boundaries:
            (room / "syscalls").mkdir()
            report.syscalls = look_at_syscalls(room / "syscalls", options.seed, say, most=options.boundaries)
            if cluster:
                (room / "server").mkdir()
                report.syscalls.findings += look_at_server(room / "server", say)
    return report


def _play(stage: Stage, options: Options, say: Callable[[str], None]) -> Report:
    stage.build()
    say(f"the county stands: hub, {options.broker} broker, {len(OFFICES)} offices")
    book, report, weather = Book(), Report(options), Weather(stage, say)
    _bad_weather(stage, options, book, weather)
    stage.heal()
    say(f"all lines good, all processes up; {len(book.entries)} ops were called saved")
    begin = time.monotonic()
    try:
        wait_until("equal", lambda: everything_arrived(stage, book), seconds=HEAL_SECONDS_MAX)
    except DemoFailed:
        report.findings.append(f"not equal within {HEAL_SECONDS_MAX:.0f} s of the end of all faults")
    report.healed_s = round(time.monotonic() - begin, 1)
    report.verdict = judge(stage, book)
    report.reconcile_equal = _reconcile(stage, report)
    report.kills = {name: weather.kills[name] for name in stage.processes}
    report.faults = dict(sorted(weather.faults.items()))
    report.ops, report.crossings, report.refused = len(book.entries), book.crossings, dict(book.refused)
    report.findings += [*book.broken, *weather.failed, *stage.died, *stage.end()]
    return report


def _bad_weather(stage: Stage, options: Options, book: Book, weather: Weather) -> None:
    over = threading.Event()
    clerks = [Clerk(office, stage, book, random.Random(f"clerk {office} {options.seed}"), over) for office in OFFICES]
    for clerk in clerks:
        clerk.start()
    try:
        weather.play(make_plan(options.seed, options.seconds, stage.processes, OFFICES, servers=stage.servers))
    finally:
        over.set()
    for clerk in clerks:
        clerk.join(COMMAND_SECONDS_MAX)


def _reconcile(stage: Stage, report: Report) -> bool:
    """The county's own nightly comparison must agree with ours."""
    for _ in range(RECONCILE_TRIES):
        answer = stage.desks[COUNTY].run("reconcile", "--dir", str(stage.hub))
        if answer.code == 0 and answer.document.get("equal") is True:
            return True
    report.findings.append(f"reconcile: exit code {answer.code}: {answer.sentence or answer.document}")
    return False
