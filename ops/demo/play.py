"""Playing the demonstration from end to end, on a stage of its own that is taken down afterwards.

For: `liandong demo [--keep]`: progress lines, the final table, the exit code.
May not: leave a process or a directory behind unless asked to, or after a failure (then the logs are kept and named).
Manual: docs/operating/demo.md.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ops import output
from ops.demo.cast import OFFICES
from ops.demo.day import Day
from ops.demo.processes import DemoFailed
from ops.demo.scene import Scene

HEADERS = ("编号", "办件", "类型", "受理机构", "状态", "承办", "期限")


def play(*, keep: bool, as_json: bool, room: Path | None = None) -> int:
    """Play the day. Returns the exit code: 0 only if every expectation held.

    Args:    keep: stay up afterwards until Ctrl-C or SIGTERM. room: an empty directory; a temporary one unless named.
    """
    begin = time.monotonic()
    place = room or Path(tempfile.mkdtemp(prefix="liandong-demo-"))

    def say(line: str) -> None:
        if not as_json:
            print(f"[{time.monotonic() - begin:5.1f}s] {line}", flush=True)

    signal.signal(signal.SIGTERM, _end)
    scene = Scene(place, say)
    try:
        report, rows = _play(scene)
        seconds = time.monotonic() - begin
        data = {
            "ok": True,
            "seconds": round(seconds, 1),
            "cases": [dict(zip(HEADERS, row, strict=True)) for row in rows],
        }
        if keep:
            _stay_up(scene, say)
        scene.strike()
    except DemoFailed as error:
        scene.abandon()
        return output.say_failure("demo_failed", f"{error} (logs: {scene.logs})", as_json=as_json)
    except BaseException:
        scene.abandon()
        raise
    output.show(
        {**data, "reconcile": report},
        as_json=as_json,
        text=lambda: (
            f"\n{output.table(HEADERS, rows)}\n\n{seconds:.0f} s, all expectations held. 演示完成,全部符合预期。"
        ),
    )
    if room is None:
        shutil.rmtree(place, ignore_errors=True)
    return output.OK


def _play(scene: Scene) -> tuple[dict[str, Any], list[list[str]]]:
    scene.build()
    day = Day(scene)
    day.morning_without_a_line()
    day.line_opens()
    day.at_the_hall()
    day.at_the_county()
    day.results_come_home()
    report = day.evening()
    return report, day.outcome()


def _end(*_: object) -> None:
    """SIGTERM: leave by the way that takes the daemons along."""
    raise SystemExit(128 + signal.SIGTERM)


def _stay_up(scene: Scene, say: Any) -> None:
    """Keep the daemons running until somebody asks to stop."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    say(f"所有进程保持运行。县级中心目录:{scene.hub}")
    for office in OFFICES:
        say(f"  liandong case list --dir {scene.desks[office].directory}")
    say("按 Ctrl-C 结束。")
    stop.wait()
