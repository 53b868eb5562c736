"""Real processes in tests: start, wait for a sign of life, stop politely or not at all politely, read what they said.

For: brokers, daemons and commands under test.
May not: hide a process that dies early: every wait ends with its output in the failure.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0  # a start that takes longer than this on a loaded machine is a failure
PORTS = Path(tempfile.gettempdir()) / "liandong-test-ports"
_random = random.SystemRandom()
_claims: list[BaseFileLock] = []


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on and no other test of this machine is given.

    Below the range that Linux gives to outgoing connections, so that a broker can come back on its own port.
    """
    PORTS.mkdir(exist_ok=True)
    for _ in range(1_000):
        port = _random.randrange(12_000, 32_000)
        claim = FileLock(PORTS / str(port), blocking=False)
        try:
            claim.acquire()
        except Timeout:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _claims.append(claim)  # held until this process ends
        return port
    raise RuntimeError("no free port")


def python_env(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a Python process of ours: the tree importable, text as UTF-8, output at once."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", **(extra or {})}


class Proc:
    """One process, restartable. Standard output and errors go to one log file, in the order they came."""

    def __init__(
        self, command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        self._env = python_env(env)
        self._cwd = cwd
        self._from = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Proc:
        """Start it (again). What it says from now on is what `output` and `wait_line` look at."""
        self._from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self.command,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        """What it said since its last start."""
        with self.log.open("rb") as said:
            said.seek(self._from)
            return said.read().decode("utf-8", "replace")

    def wait_line(self, text: str, timeout: float = PATIENCE_S) -> str:
        """The first line that contains `text`."""
        end = time.monotonic() + timeout
        while True:
            alive = self.alive
            for line in self.output().splitlines():
                if text in line:
                    return line
            if not alive or time.monotonic() > end:
                state = "runs" if alive else f"ended with {self._process and self._process.returncode}"
                raise AssertionError(f"{self.command} never said {text!r} and {state}:\n{self.output()}")
            time.sleep(0.02)

    def wait_port(self, port: int, timeout: float = PATIENCE_S) -> None:
        """Until the port of the loopback address accepts a connection."""
        end = time.monotonic() + timeout
        while True:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if not self.alive or time.monotonic() > end:
                raise AssertionError(f"{self.command} does not listen on {port}:\n{self.output()}")
            time.sleep(0.02)

    def wait_end(self, timeout: float = PATIENCE_S) -> int:
        """Its exit status, once it ended by itself (negative: the signal that ended it)."""
        assert self._process is not None, "not started"
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.command} does not end:\n{self.output()}") from None

    def terminate(self, timeout: float = PATIENCE_S) -> int:
        """SIGTERM, then wait. The exit status."""
        if self.alive:
            assert self._process is not None
            self._process.terminate()
        return self.wait_end(timeout)

    def kill(self) -> None:
        """SIGKILL to it and to the processes it started; nothing if it already ended."""
        if self._process is None:
            return
        if os.name == "nt":
            self._process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE_S)

    def signal(self, number: int) -> None:
        """Any other signal, for example SIGSTOP and SIGCONT."""
        os.kill(self.pid, number)
