"""Opening a store whose log is being written back, or was until a power cut: a first page that is ahead of the file is
no damage while the log still has the rest.

Found by a story test under load (`node status` beside a running daemon said `store_damaged`) and by killing a hub at every
write of its orderly end (it did not start again).
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from conflict.ledger.errors import StoreDamaged
from conflict.ledger.locks import WriteTurn
from conflict.ledger.meta import get_meta, put_meta
from conflict.ledger.store import open_store

PAGE = 4_096


def test_a_file_that_is_just_growing_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    open_store(path, create=True).close()
    whole = path.read_bytes()
    shortened = threading.Event()

    def write_back() -> None:
        with WriteTurn(path.with_name("edge.db.lock")).hold():
            with path.open("r+b") as file:
                file.truncate(len(whole) - PAGE)
            shortened.set()
            threading.Event().wait(0.3)
            path.write_bytes(whole)

    other = threading.Thread(target=write_back)
    other.start()
    assert shortened.wait(30)
    open_store(path).close()
    other.join()


def grown(path: Path) -> tuple[bytes, bytes, bytes]:
    """A store's file before its log was written back, the log, and the file afterwards, with more pages."""
    open_store(path, create=True).close()
    before = path.read_bytes()
    with open_store(path) as store:
        with store.write() as tx:
            put_meta(tx, "long", bytes(20 * PAGE))
        log = path.with_name("edge.db-wal").read_bytes()
    after = path.read_bytes()
    assert len(after) > len(before)
    return before, log, after


@pytest.mark.parametrize("pages_written", [1, 5, -1])
def test_a_power_cut_while_the_log_was_written_back_is_no_damage(tmp_path: Path, pages_written: int) -> None:
    """Pages go back in the order of their numbers, so the first one already counts those that the file lacks."""
    path = tmp_path / "edge.db"
    before, log, after = grown(path)
    back = len(after) - PAGE if pages_written < 0 else pages_written * PAGE
    path.write_bytes(after[:back] + before[back:])
    path.with_name("edge.db-wal").write_bytes(log)
    with open_store(path, check=True) as store, store.read() as tx:
        assert len(get_meta(tx, "long")) == 20 * PAGE
        assert store.check(full=True) == []


def test_a_short_file_whose_log_lacks_the_rest_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    before, log, after = grown(path)
    path.write_bytes(after[: len(before)])
    path.with_name("edge.db-wal").write_bytes(log[: len(log) // 2])
    with pytest.raises(StoreDamaged):
        open_store(path)


def test_a_file_that_stays_short_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    open_store(path, create=True).close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - PAGE)
    with pytest.raises(StoreDamaged):
        open_store(path)
