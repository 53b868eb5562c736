"""`python -m ops.chaos`: the command line of a chaos run. The seed is said first; the exit code is 0 only if all held."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

from ops import output
from ops.chaos.run import Options, kill_at_boundaries, run_chaos
from ops.chaos.saved_first import SUBJECTS
from ops.demo.processes import DemoFailed


def main(words: Sequence[str] | None = None) -> int:
    """Parse, run, report. Returns the exit code."""
    output.prepare_streams()
    parser = argparse.ArgumentParser(prog="run.py chaos", description="Real processes, killed and cut off at random.")
    parser.add_argument(
        "what", nargs="?", choices=("weather", "boundaries"), default="weather",
        help="weather (the default), or only kills at every write of what --of names",
    )  # fmt: skip
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the bad weather (60)")
    parser.add_argument("--seed", type=int, help="replay one plan; a new one is drawn unless named")
    parser.add_argument("--broker", choices=("embedded", "mosquitto"), default="embedded")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite", help="of the hub")
    parser.add_argument("--of", choices=SUBJECTS, action="append", help="for boundaries; repeat; all unless named")
    parser.add_argument("--every", type=int, default=1, help="for boundaries: only every N-th (1: all)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, progress on stderr")
    chosen = parser.parse_args(words)
    seed = secrets.randbelow(2**31) if chosen.seed is None else chosen.seed
    begin = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - begin:5.1f}s] {line}", file=sys.stderr if chosen.json else sys.stdout, flush=True)

    signal.signal(signal.SIGTERM, _end)
    say(f"seed {seed}")
    try:
        if chosen.what == "boundaries":
            kills = kill_at_boundaries(seed, chosen.of or SUBJECTS, max(1, chosen.every), say)
            output.show(kills, as_json=chosen.json, text=lambda: as_text(kills))
            return 0 if kills["ok"] else 1
        report = run_chaos(Options(seed, chosen.seconds, chosen.broker, chosen.database), say)
    except DemoFailed as error:
        return output.say_failure("chaos_failed", str(error), as_json=chosen.json)
    output.show(report.as_json(), as_json=chosen.json, text=lambda: as_text(report.as_json()))
    return 0 if report.ok else 1


def _end(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the run as Ctrl-C does: every process it started is killed first."""
    raise SystemExit(128 + number)


def as_text(report: dict[str, Any]) -> str:
    """A report as a table and a line per finding."""
    rows = [[name, _words(value)] for name, value in report.items() if name != "findings"]
    return "\n".join([output.table(["what", "value"], rows), *(f"! {line}" for line in report["findings"])])


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(count)}" for name, count in value.items()) or "none"
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
