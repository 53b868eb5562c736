"""Kills at every write that a command makes to its directory: the store is whole and holds what was answered.

For: finding the boundaries in a trace, one command killed at one of them on a copy of a device, and what is left then.
May not: let the copies meet a hub (they have one device's keys); open a store's file beside SQLite.
Manual: docs/operating/chaos.md, "System calls".  Decision: docs/decisions/0141-at-every-write.md.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conflict.ledger.check import check_contents
from conflict.ledger.store import open_store
from edge.config import STORE_NAME
from ops.chaos.syscalls import Call, killing
from ops.demo.processes import COMMAND_SECONDS_MAX
from ops.simulate.raw import op_ids, outbox, views
from protocol.errors import LiandongError

WRITES = ("pwrite64", "write", "fsync", "fdatasync", "ftruncate", "rename", "unlink")
KILLED = -9


@dataclass(frozen=True, slots=True)
class Boundary:
    """A thread's nth call of `name`."""

    name: str
    nth: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one kill left. saved: the act is in the store. findings: what should not be."""

    boundary: Boundary
    killed: bool
    answered: bool
    saved: bool
    findings: tuple[str, ...]


def boundaries(calls: Sequence[Call], directory: Path) -> list[Boundary]:
    """Every write, sync, truncation, renaming and deletion of a trace that touches the directory, in order."""
    home = str(directory)
    return [
        Boundary(call.name, call.nth)
        for call in calls
        if call.name in WRITES and (call.path.startswith(home) or home.encode() in call.data)
    ]


def kill_at(boundary: Boundary, command: Sequence[str], template: Path, copy: Path, env: dict[str, str]) -> Outcome:
    """Run `command` on `copy`, made new from `template`, kill it when it begins the call, and look at what is left.

    The number of calls differs a little from run to run, so the last boundaries may not be reached: then the
    command ends by itself and has to have done everything.
    """
    shutil.copytree(template, copy)
    before = op_ids(copy / STORE_NAME)
    done = subprocess.run(
        killing(boundary.name, boundary.nth, command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=env,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    said = answered_op(done.stdout)
    findings: list[str] = []
    if done.returncode not in (0, KILLED):
        findings.append(f"exit code {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    if done.returncode == 0 and said is None:
        findings.append("it ended well and answered nothing")
    new = look(copy / STORE_NAME, before, said, findings)
    shutil.rmtree(copy, ignore_errors=True)
    return Outcome(boundary, done.returncode == KILLED, said is not None, new, tuple(findings))


def look(store: Path, before: set[bytes], said: str | None, findings: list[str]) -> bool:
    """Open the store as the next command would; add what is wrong to `findings`. Returns whether the act is in it."""
    try:
        with open_store(store, check=True) as opened, opened.read() as tx:
            findings += [f"{problem.what} {problem.detail}" for problem in check_contents(tx)]
    except LiandongError as error:
        findings.append(f"the store does not open: {error.code}")
        return False
    new = op_ids(store) - before
    if len(new) > 1:
        findings.append(f"one command saved {len(new)} ops")
    if not new <= set(outbox(store)):
        findings.append("an op is in the store and not in the outbox")
    if not set(outbox(store)) <= before | new:
        findings.append("the outbox names an op that is not in the store")
    if not new <= set(views(store)):  # the command opens a case, so the op's id is the case's
        findings.append("an op is in the store and its case has no view")
    if said is not None and bytes.fromhex(said) not in new:
        findings.append(f"op {said[:16]} was answered and is not in the store")
    return bool(new)


def answered_op(stdout: bytes) -> str | None:
    """The op id of a whole answer on stdout, hex; None for none or a cut one."""
    try:
        answer = json.loads(stdout)
    except ValueError:
        return None
    op = answer.get("op")
    return op if isinstance(op, str) else None
