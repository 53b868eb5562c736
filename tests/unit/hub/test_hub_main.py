"""Goal: the daemon starts without a broker, is alone on its directory, and ends cleanly. Method: the real thing in a thread."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from conflict.ledger.errors import AlreadyRunning, StoreUnreachable
from hub import main
from hub.config import RESTORED_NAME
from hub.errors import NotACounty
from hub.init import County, open_county
from hub.main import run_hub
from protocol.carriers import BadBrokerUrl
from tests.unit.hub.hub_support import Clock

NOBODY = "mqtt://127.0.0.1:9"  # the discard port: nothing listens there


def mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def test_daemon_starts_alone_and_ends(county: County) -> None:
    (county.directory / RESTORED_NAME).write_text("{}")
    stop, ready = threading.Event(), threading.Event()
    worker = threading.Thread(
        target=run_hub,
        args=(county.directory, stop),
        kwargs={"now_ms": Clock(), "mono_ms": mono_ms, "broker": NOBODY, "ready": ready.set},
    )
    worker.start()
    assert ready.wait(30)
    assert not (county.directory / RESTORED_NAME).exists()
    with pytest.raises(AlreadyRunning):
        run_hub(county.directory, threading.Event(), now_ms=Clock(), mono_ms=mono_ms, broker=NOBODY)
    stop.set()
    worker.join(30)
    assert not worker.is_alive()


def test_what_keeps_it_from_starting(county: County, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(NotACounty):
        run_hub(empty, threading.Event(), now_ms=Clock(), mono_ms=mono_ms)
    with pytest.raises(BadBrokerUrl):
        run_hub(county.directory, threading.Event(), now_ms=Clock(), mono_ms=mono_ms, broker="http://x")


def test_daemon_waits_for_a_database_server_that_comes_up_later(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by killing PostgreSQL under a hub that was starting: it ended instead of waiting."""
    looks: list[Path] = []

    def open_later(directory: Path, *, check: bool) -> County:
        looks.append(directory)
        if len(looks) < 3:
            raise StoreUnreachable("The database server does not answer.", "数据库服务器没有响应。")
        return open_county(directory, check=check)

    monkeypatch.setattr(main, "open_county", open_later)
    monkeypatch.setattr(main, "DATABASE_LOOK_S", 0.01)
    stop, ready = threading.Event(), threading.Event()
    worker = threading.Thread(
        target=run_hub,
        args=(county.directory, stop),
        kwargs={"now_ms": Clock(), "mono_ms": mono_ms, "broker": NOBODY, "ready": ready.set},
    )
    worker.start()
    came_up = ready.wait(30)
    stop.set()
    worker.join(30)
    assert came_up and len(looks) == 3 and not worker.is_alive()
