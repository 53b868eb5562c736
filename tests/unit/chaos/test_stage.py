"""The stage strikes a process down while it starts: that is a kill, and only an end by itself is a finding."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from ops.chaos.stage import Stage
from ops.demo.processes import Daemon, DemoFailed


class SlowToDie(Daemon):
    """As PostgreSQL: the kill waits for backends after the server itself is gone, so a start has failed before."""

    def kill(self) -> None:
        super().kill()
        if threading.current_thread() is not threading.main_thread():
            threading.Event().wait(0.5)


def stage_of(room: Path, program: str) -> Stage:
    stage = Stage(room, broker="embedded", cluster=None)
    stage.daemons["hub"] = SlowToDie("hub", [sys.executable, "-c", program], room / "log")
    return stage


def test_a_start_that_was_killed_is_started_again(tmp_path: Path) -> None:
    """Found by the first long run on PostgreSQL: the failed start was blamed on the server while its kill went on."""
    program = f"""
import pathlib, time
room = pathlib.Path({str(tmp_path)!r})
if (room / "second").exists():
    print("ready", flush=True)
(room / "second").write_text("")
time.sleep(60)
"""
    stage = stage_of(tmp_path, program)
    assert stage.strike_down("hub", down_s=0.0, again_s=0.4) == 2
    assert stage.daemons["hub"].alive()
    stage.abandon()


def test_a_start_that_fails_by_itself_is_not_taken_for_a_kill(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, "raise SystemExit(3)")
    with pytest.raises(DemoFailed):
        stage.strike_down("hub", down_s=0.0, again_s=5.0)
