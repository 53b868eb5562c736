"""Kills at every write of the hub's daemon, of an office's daemon, and of sticks: one trial is one kill.

For: a trial on copies of the ground with a broker of its own: it is killed at one call, looked at, started again, and
all must become equal; and the run without a kill that says which calls there are.
May not: open a store's file beside SQLite; look at a store in place before it was started again (a look writes the log back).
Manual: docs/operating/chaos.md, "System calls".  Decision: docs/decisions/0146-daemons-at-every-write.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from conflict.ledger.check import check_contents
from conflict.ledger.store import open_store
from conflict.ledger.views import digests
from edge.config import STORE_NAME
from hub.config import STORE_NAME as HUB_STORE_NAME
from ops.chaos.boundaries import KILLED, Boundary, Outcome, boundaries
from ops.chaos.ground import Ground, broker_of, dial, edge_words, hub_words, offices_ops, settled
from ops.chaos.order import check_stick
from ops.chaos.syscalls import killing, read_trace, recording
from ops.demo.processes import COMMAND, COMMAND_SECONDS_MAX, Daemon, DemoFailed, free_port, liandong
from ops.simulate.raw import all_ops, outbox, views
from protocol.errors import LiandongError

HUB_INTAKE, EDGE_STREAM = "hub-intake", "edge-stream"
BUNDLE_EXPORT, BUNDLE_IMPORT, ANSWER_IMPORT = "bundle-export", "bundle-import", "answer-import"
SUBJECTS = (HUB_INTAKE, EDGE_STREAM, BUNDLE_EXPORT, BUNDLE_IMPORT, ANSWER_IMPORT)
UP, ANSWER = "up.ldb", "answer.ldb"
WRITES_STICK = {BUNDLE_EXPORT: UP, BUNDLE_IMPORT: ANSWER}
SETTLE_SECONDS_MAX = 90.0
LOOK_S = 0.05
IN_FLIGHT_S = 0.3  # for receipts that left before the hub was killed

Wrap = Callable[[Sequence[str]], list[str]]


def calls_of(ground: Ground, subject: str, room: Path) -> tuple[list[Boundary], Outcome]:
    """The boundaries of one run of `subject` that nobody kills, and what came of it, the order of a stick's writing too."""
    room.mkdir()
    trace = room / "trace"
    done = _Trial(ground, room, lambda command: recording(trace, command)).play(subject, Boundary("none", 0))
    calls = read_trace(trace)
    if subject in WRITES_STICK:
        done = replace(done, findings=(*done.findings, *check_stick(calls, room / WRITES_STICK[subject])))
    homes = {HUB_INTAKE: room / "hub", EDGE_STREAM: room / "village"}
    return boundaries(calls, homes.get(subject, room)), done  # what goes on a stick lies in the room itself


def trial(ground: Ground, subject: str, boundary: Boundary, room: Path) -> Outcome:
    """Kill `subject` at one call. `room` is made, and taken away if nothing was found."""
    room.mkdir()
    outcome = _Trial(ground, room, lambda command: killing(boundary.name, boundary.nth, command)).play(
        subject, boundary
    )
    if not outcome.findings:
        shutil.rmtree(room, ignore_errors=True)
    return outcome


class _Trial:
    """Copies of hub and village in `room`; `wrap` puts strace before the command that is to be killed."""

    def __init__(self, ground: Ground, room: Path, wrap: Wrap) -> None:
        self.ground, self.room, self.wrap, self.port = ground, room, wrap, free_port()
        self.hub, self.village = room / "hub", room / "village"
        self.findings: list[str] = []
        self.killed = self.saved = False
        shutil.copytree(ground.hub, self.hub)
        shutil.copytree(ground.village, self.village)
        dial(self.village, self.port)

    def play(self, subject: str, boundary: Boundary) -> Outcome:
        try:
            if subject == BUNDLE_EXPORT:
                self._export()
            elif subject in (BUNDLE_IMPORT, ANSWER_IMPORT):
                self._import(subject)
            else:
                self._by_the_line(subject)
        except DemoFailed as error:
            self.findings.append(str(error))
        self._compare()
        return Outcome(boundary, self.killed, self.saved, self.saved, tuple(self.findings))

    def _by_the_line(self, subject: str) -> None:
        url = f"mqtt://127.0.0.1:{self.port}"
        broker = broker_of(self.room, self.hub, self.port)
        plain = {"hub": hub_words(self.hub, url), "village": edge_words(self.village)}
        victim = "hub" if subject == HUB_INTAKE else "village"
        words = {**plain, victim: self.wrap(plain[victim])}
        daemons = {name: Daemon(name, words[name], self.room / f"{name}.log") for name in plain}
        try:
            broker.start()
            ended = not _start(daemons["hub"]) or not _start(daemons["village"])
            until = time.monotonic() + SETTLE_SECONDS_MAX
            while not self._equal() or ended:
                if ended or not daemons[victim].alive():
                    self._after_kill(victim, daemons[victim])
                    daemons[victim].command = plain[victim]
                    daemons["village"].kill()  # it greets at its start; else it would wait for the silence
                    if victim == "hub":
                        daemons["hub"].start()
                    daemons["village"].start()
                    ended = False
                if time.monotonic() > until:
                    raise DemoFailed(f"not equal within {SETTLE_SECONDS_MAX:.0f} s")
                time.sleep(LOOK_S)
            for name in ("village", "hub"):  # the last writes are those of an orderly end
                code = daemons[name].stop()
                if code == KILLED and name == victim and not self.killed:
                    self._after_kill(victim, daemons[victim])
                elif code != 0:
                    self.findings.append(f"{name}: exit code {code} at SIGTERM")
        finally:
            for daemon in (*daemons.values(), broker):
                daemon.kill()

    def _after_kill(self, victim: str, daemon: Daemon) -> None:
        """What a killed process left, on copies; and no office has a receipt for what the hub does not hold."""
        code = daemon.process.returncode if daemon.process else None
        if code != KILLED:
            raise DemoFailed(f"{victim} ended with {code}: {daemon.said()[-300:]}")
        self.killed = True
        self._look_at(self.hub if victim == "hub" else self.village)
        if victim == "hub":
            at_hub = {row for row, _waits, _blob in all_ops(self._copy(self.hub) / HUB_STORE_NAME)}
            time.sleep(IN_FLIGHT_S)
            self._receipts_are_true(at_hub)
            self.saved = self.ground.expected <= at_hub
        else:
            self.saved = self.ground.expected <= offices_ops(self._copy(self.village) / STORE_NAME)

    def _export(self) -> None:
        """The export is killed. What it left on the stick, and what a next export adds, is all: nothing counts as carried
        that is on no stick."""
        sticks = [self.room / UP, self.room / "second.ldb"]
        words = ("bundle", "export", "--dir", str(self.village))
        self._kill(*words, "--to", str(sticks[0]))
        self._look_at(self.village)
        self.saved = sticks[0].exists()
        _must(*words, "--since-last", "--to", str(sticks[1]))
        for stick in sticks:
            if stick.exists():  # it has its name: it must be whole
                answer = stick.with_suffix(".answer")
                _must("bundle", "import", "--dir", str(self.hub), str(stick), "--answer", str(answer))
                _must("bundle", "import", "--dir", str(self.village), str(answer))

    def _import(self, subject: str) -> None:
        """The village's ops by a stick and its answer back; either import is killed, looked at and repeated."""
        bundle, answer = self.room / UP, self.room / ANSWER
        _must("bundle", "export", "--dir", str(self.village), "--to", str(bundle))
        up = ("bundle", "import", "--dir", str(self.hub), str(bundle), "--answer", str(answer))
        back = ("bundle", "import", "--dir", str(self.village), str(answer))
        if subject == ANSWER_IMPORT:
            _must(*up)
            self._kill(*back)
            self._look_at(self.village)
            self.saved = self.ground.expected <= offices_ops(self._copy(self.village) / STORE_NAME)
            _must(*back)
            return
        self._kill(*up)
        self._look_at(self.hub)
        at_hub = {row for row, _waits, _blob in all_ops(self._copy(self.hub) / HUB_STORE_NAME)}
        self.saved = self.ground.expected <= at_hub
        if answer.exists():  # it has its name: whatever it says must be true already
            _must(*back)
            self._receipts_are_true(at_hub)
            answer.rename(self.room / "first-answer.ldb")
        _must(*up)
        _must(*back)

    def _kill(self, *words: str) -> None:
        """Run one command and kill it at the call. Raises DemoFailed if it ends in any other way than well."""
        done = subprocess.run(
            self.wrap([*COMMAND, *words, "--json"]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "PYTHONUTF8": "1"},
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
        self.killed = done.returncode == KILLED
        if done.returncode not in (0, KILLED):
            said = done.stderr.decode(errors="replace")[-300:]
            raise DemoFailed(f"{' '.join(words[:2])} ended with {done.returncode}: {said}")

    def _receipts_are_true(self, at_hub: set[bytes]) -> None:
        said = {op for op, (state, _code, _reason) in outbox(self.village / STORE_NAME).items() if state == "accepted"}
        self.findings += [f"op {op.hex()[:16]} has a receipt and is not at the hub" for op in sorted(said - at_hub)]

    def _copy(self, directory: Path) -> Path:
        copy = self.room / f"{directory.name}-look"
        if not copy.exists():
            shutil.copytree(directory, copy)
        return copy

    def _look_at(self, directory: Path) -> None:
        """Open a copy of the store as the next start would, with all checks."""
        store = self._copy(directory) / (HUB_STORE_NAME if directory == self.hub else STORE_NAME)
        self.findings += _checked(store)

    def _equal(self) -> bool:
        """By plain SQL, beside the daemons: every op on both sides, every op of the village answered."""
        if not settled(self.village):
            return False
        wanted = len(self.ground.expected)
        sides = (self.hub / HUB_STORE_NAME, self.village / STORE_NAME)
        return all(len(offices_ops(store)) >= wanted for store in sides) and _same_views(*sides)

    def _compare(self) -> None:
        """The end: both stores whole, exactly the expected ops on both sides, each answered, digests equal."""
        hub, village = self.hub / HUB_STORE_NAME, self.village / STORE_NAME
        for name, store in (("hub", hub), ("village", village)):
            self.findings += [f"{name} at the end: {problem}" for problem in _checked(store)]
            there = offices_ops(store)
            self.findings += [f"op {op.hex()[:16]} is lost at the {name}" for op in self.ground.expected - there]
            self.findings += [f"op {op.hex()[:16]} at the {name} is nobody's" for op in there - self.ground.expected]
            if len(all_ops(store)) != len({row for row, _waits, _blob in all_ops(store)}):
                self.findings.append(f"an op is stored twice at the {name}")
        if not settled(self.village):
            self.findings.append("an op of the village has no receipt at the end")
        if any("does not open" in found for found in self.findings):
            return
        if not _digests(village).items() <= _digests(hub).items():
            self.findings.append("digests differ at the end")


def _same_views(hub: Path, village: Path) -> bool:
    there = {case: view[0] for case, view in views(hub).items()}
    return all(there.get(case) == view[0] for case, view in views(village).items())


def _digests(store: Path) -> dict[bytes, bytes]:
    """Of every case, reckoned where intake kept the view in brief."""
    with open_store(store) as opened, opened.read() as tx:
        return digests(tx)


def _checked(store: Path) -> list[str]:
    try:
        with open_store(store, check=True) as opened, opened.read() as tx:
            return [f"{problem.what} {problem.detail}" for problem in check_contents(tx)]
    except LiandongError as error:
        return [f"the store does not open: {error.code}"]


def _start(daemon: Daemon) -> bool:
    """False if it was killed before it was ready. Raises DemoFailed if it failed by itself."""
    try:
        daemon.start()
    except DemoFailed:
        if daemon.process is None or daemon.process.poll() != KILLED:
            raise
        return False
    return True


def _must(*words: str) -> None:
    answer = liandong(*words)
    if answer.code:
        raise DemoFailed(f"`liandong {' '.join(words[:2])}` failed: {answer.sentence}")
