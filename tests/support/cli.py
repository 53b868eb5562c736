"""The command line as a person or a script meets it: a real process, its exit status, its two outputs.

For: story tests.
May not: import what it tests.
"""

from __future__ import annotations

import json as json_format
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.process import ROOT, Proc, python_env

TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Answer:
    """What a command left behind. `data` is the JSON document on standard output, None if there was none."""

    command: tuple[str, ...]
    status: int
    out: str
    err: str
    data: Any

    def __getitem__(self, key: str) -> Any:
        return self.data[key]


def liandong(
    *args: str | Path | int,
    json: bool = True,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float = TIMEOUT_S,
    stdin: str | None = None,
) -> Answer:
    """Run one command to its end.

    Args:    json: add `--json` and read the document.  check: fail the test if the exit status is not 0
             (False for commands that are expected to refuse; look at `.status` and `.data["error"]["code"]`).
    """
    parts = [str(arg) for arg in args] + (["--json"] if json else [])
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", *parts],
        capture_output=True,
        env=python_env(env),
        cwd=ROOT,
        timeout=timeout,
        input=(stdin or "").encode(),
    )
    out, err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    if check and done.returncode != 0:
        raise AssertionError(f"liandong {' '.join(parts)} ended with {done.returncode}\n{err}\n{out}")
    data = json_format.loads(out) if json and out.strip() else None
    return Answer(tuple(parts), done.returncode, out, err, data)


def daemon(*args: str | Path, log: Path, env: Mapping[str, str] | None = None) -> Proc:
    """A command that stays, not started yet: `daemon("hub", "run", "--dir", d, log=tmp_path / "hub.log").start()`."""
    return Proc([sys.executable, "-m", "ops.cli", *args], log=log, env=env, cwd=ROOT)
