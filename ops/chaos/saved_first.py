"""The part of a chaos run that looks at system calls: the order of sync and answer, and a kill at every write.

For: a small county of its own (embedded broker, SQLite, one village), one traced command, one traced hub, many killed commands.
May not: run where strace cannot (it says why and is skipped).
Manual: docs/operating/chaos.md, "System calls".  Decision: docs/decisions/0141-at-every-write.md.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.config import read_config
from ops.chaos.boundaries import Boundary, Outcome, answered_op, boundaries, kill_at
from ops.chaos.order import check_command, check_hub
from ops.chaos.staff import ITEM
from ops.chaos.syscalls import read_trace, recording, why_not
from ops.demo import cast
from ops.demo.processes import COMMAND, COMMAND_SECONDS_MAX, Daemon, DemoFailed, free_port, must
from protocol import topics

WORKERS = 2
BOUNDARIES_MAX = 400  # more than any command makes; keeps a broken trace from running for hours


@dataclass
class SyscallReport:
    """skipped: why nothing was looked at, or "". at: boundaries of the command; tried, of which killed and saved whole."""

    skipped: str = ""
    at: int = 0
    tried: int = 0
    killed: int = 0
    saved: int = 0
    findings: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        counts = {"boundaries": self.at, "tried": self.tried, "killed": self.killed, "saved": self.saved}
        return {"skipped": self.skipped} if self.skipped else counts


def look_at_syscalls(room: Path, seed: int, say: Callable[[str], None], *, most: int = BOUNDARIES_MAX) -> SyscallReport:
    """All of it in the empty directory `room`. most: a sample of so many boundaries, drawn from the seed.

    Raises:  DemoFailed if the small county cannot be set up.
    """
    reason = why_not()
    if reason is not None:
        say(f"system calls are not looked at: {reason}")
        return SyscallReport(skipped=reason)
    report = SyscallReport()
    office = _small_county(room, report)
    say("order of sync and receipt at the hub: " + ("; ".join(report.findings) or "right"))
    env = {**os.environ, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    found = _boundaries_of_a_command(room, office, report, env)
    report.at = len(found)
    chosen = sorted(random.Random(f"boundaries {seed}").sample(range(len(found)), min(most, len(found))))
    say(f"one `case accept` makes {len(found)} writes, syncs and renamings; killing it at {len(chosen)} of them")
    with ThreadPoolExecutor(WORKERS) as pool:
        outcomes = list(pool.map(lambda at: _kill(room, office, at, found[at], env), chosen))
    for outcome in outcomes:
        where = f"killed at {outcome.boundary.name} {outcome.boundary.nth}"
        report.findings += [f"{where}: {text}" for text in outcome.findings]
    report.tried, report.killed = len(outcomes), sum(outcome.killed for outcome in outcomes)
    report.saved = sum(outcome.saved for outcome in outcomes)
    return report


def accept_words(directory: Path) -> list[str]:
    """One `case accept` at the device in `directory`."""
    applicant = ("--applicant", "申请人", "--id-number", cast.identity("19490312", "004"))
    return [*COMMAND, "case", "accept", "--dir", str(directory), "--item", ITEM, *applicant, "--json"]


def _small_county(room: Path, report: SyscallReport) -> Path:
    """A county whose hub is traced while it takes one op; returns the village's directory, nothing running."""
    hub, office = room / "hub", room / "village"
    cast.write_items(room / "items.csv")
    must("county", "init", "--dir", str(hub), "--county", cast.COUNTY, "--broker", f"mqtt://127.0.0.1:{free_port()}",
         "--areas", str(cast.DATA / "areas.csv"), "--items", str(room / "items.csv"))  # fmt: skip
    broker = Daemon("broker", [*COMMAND, "broker", "run", "--dir", str(hub)], room / "broker.log")
    command = [*COMMAND, "hub", "run", "--dir", str(hub)]
    plain = Daemon("hub", command, room / "hub.log")
    traced = Daemon("hub", recording(room / "hub.trace", command), room / "hub.log")
    try:
        broker.start()
        plain.start()
        code = must("county", "enrol", "--dir", str(hub), "--office", cast.PU)["code"]
        must("edge", "join", "--dir", str(office), "--code", code)
        must("edge", "sync", "--dir", str(office))
        plain.stop()
        traced.start()
        must("edge", "sync", "--dir", str(office))  # greetings are over before the op is sent
        op = must(*accept_words(office)[len(COMMAND) : -1])["op"]
        must("edge", "sync", "--dir", str(office))
        if traced.stop() != 0:
            report.findings.append("the traced hub did not end cleanly")
    finally:
        for daemon in (traced, plain, broker):
            daemon.kill()
    mailbox = topics.mailbox(bytes.fromhex(read_config(office).incarnation))
    report.findings += [f"hub: {text}" for text in check_hub(read_trace(room / "hub.trace"), op, mailbox)]
    return office


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


def _kill(room: Path, office: Path, at: int, boundary: Boundary, env: dict[str, str]) -> Outcome:
    copy = room / f"killed-{at:03d}"
    return kill_at(boundary, accept_words(copy), office, copy, env)
