"""The demo's processes: started with their output in a file each, watched, and ended cleanly.

For: daemons (broker, hub, edges, city) and the single commands of people, all as real processes of `liandong`.
May not: know the day that is played.
Manual: docs/operating/demo.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-X", "utf8", "-P", "-m", "ops.cli")
COMMAND_SECONDS_MAX = 120.0  # one command on a loaded machine; far beyond what any needs
START_SECONDS_MAX = 90.0
STOP_SECONDS_MAX = 20.0
LOOK_SECONDS = 0.2  # between two looks at something that is waited for


class DemoFailed(Exception):
    """An expectation of the demo does not hold; the text says which, in a plain sentence."""


def free_port() -> int:
    """A TCP port of this machine that nobody listens on.

    Below the range that systems give to outgoing connections, so that the broker can come back on its own port.
    """
    chance = random.SystemRandom()
    for _ in range(1_000):
        port = chance.randrange(12_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise DemoFailed("this machine has no free port")


def wait_until(what: str, check: Callable[[], bool], *, seconds: float) -> None:
    """Look until `check` is true. Raises DemoFailed naming `what` when the time is over."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise DemoFailed(f"waited {seconds:.0f} seconds in vain: {what}")
        time.sleep(LOOK_SECONDS)


@dataclass
class Daemon:
    """One long-running process. `ready` is a text that its output contains once it serves."""

    name: str
    command: Sequence[str]
    log: Path
    ready: str = "ready"
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: int = 0

    def start(self) -> None:
        """Start it and wait until it says that it is ready. Raises DemoFailed with the end of its output."""
        self.started += 1
        begin = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUTF8": "1", **self.environment},
                start_new_session=os.name != "nt",
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while self.ready not in self.said(begin):
            if not self.alive() or time.monotonic() > deadline:
                raise DemoFailed(f"{self.name} did not start; the end of {self.log}:\n{self.said(begin)[-1500:]}")
            time.sleep(LOOK_SECONDS / 2)

    def said(self, begin: int = 0) -> str:
        """Its output from byte `begin` of the log on."""
        with self.log.open("rb") as log:
            log.seek(begin)
            return log.read().decode("utf-8", errors="replace")

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """End it without a word of warning, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_SECONDS_MAX)

    def stop(self) -> int | None:
        """Ask it to end (SIGTERM), wait, and kill it if it does not. Returns its exit code."""
        if self.process is None:
            return None
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode


@dataclass(frozen=True)
class Answer:
    """What one command said: exit code, its JSON document, the sentence on stderr."""

    code: int
    document: dict[str, Any]
    sentence: str


def liandong(*words: str, environment: Mapping[str, str] | None = None) -> Answer:
    """Run one command with `--json` to its end.

    Raises:  DemoFailed if it says no JSON document or does not end.
    """
    try:
        done = subprocess.run(
            [*COMMAND, *words, "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONUTF8": "1", **(environment or {})},
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
        return Answer(done.returncode, json.loads(done.stdout), done.stderr.strip())
    except subprocess.TimeoutExpired as error:
        raise DemoFailed(f"`liandong {' '.join(words)}` did not end in {COMMAND_SECONDS_MAX:.0f} seconds") from error
    except ValueError as error:
        raise DemoFailed(f"`liandong {' '.join(words)}` gave no JSON document: {done.stderr[-1500:]}") from error


def must(*words: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """As `liandong`, but the command must succeed. Raises DemoFailed with its sentence."""
    answer = liandong(*words, environment=environment)
    if answer.code != 0:
        raise DemoFailed(f"`liandong {' '.join(words)}` failed: {answer.sentence}")
    return answer.document
