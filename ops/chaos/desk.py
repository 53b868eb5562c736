"""A desk: one real process that runs `liandong` commands one after another, as fast as a busy office types.

For: a workload of several acts a second; an interpreter that starts anew for each act would leave the machine no time
for anything else. Each command opens the store, acts, closes it and answers, as it does in a process of its own.
May not: be killed by the plan: the run kills whole commands elsewhere (boundaries.py).
Manual: docs/operating/chaos.md.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from typing import Any

from ops.demo.processes import COMMAND_SECONDS_MAX, STOP_SECONDS_MAX, Answer, DemoFailed

CHILD = (sys.executable, "-X", "utf8", "-P", "-m", "ops.chaos.desk")


class Desk:
    """The process, started with the first command. Calls may come from several threads; they take turns."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def run(self, *words: str) -> Answer:
        """One command with `--json` to its end. Raises DemoFailed if it gives no JSON document or does not end."""
        with self._turn:
            process = self._process = self._process or _start()
            assert process.stdin is not None and process.stdout is not None
            watch = threading.Timer(COMMAND_SECONDS_MAX, process.kill)
            watch.start()
            try:
                process.stdin.write(json.dumps([*words, "--json"]) + "\n")
                process.stdin.flush()
                code, out, err = json.loads(process.stdout.readline())
                return Answer(code, json.loads(out), err.strip())
            except (ValueError, OSError) as error:
                raise DemoFailed(f"`liandong {' '.join(words)}` gave no JSON document, or did not end") from error
            finally:
                watch.cancel()

    def must(self, *words: str) -> dict[str, Any]:
        """As `run`, but the command must succeed. Raises DemoFailed with its sentence."""
        answer = self.run(*words)
        if answer.code != 0:
            raise DemoFailed(f"`liandong {' '.join(words)}` failed: {answer.sentence}")
        return answer.document

    def close(self) -> None:
        """End the process; nothing if there is none."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(STOP_SECONDS_MAX)
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # an unsent command of a process that is gone
                    assert pipe is not None
                    pipe.close()


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        CHILD,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
        start_new_session=os.name != "nt",
    )


def serve() -> None:
    """The process itself: a command a line on stdin, `[exit code, stdout, stderr]` a line on stdout, until stdin ends."""
    from ops import logs
    from ops.cli import run

    logs.quiet()
    answers = sys.stdout
    for line in sys.stdin:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(json.loads(line))
        answers.write(json.dumps([code, out.getvalue(), err.getvalue()]) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
