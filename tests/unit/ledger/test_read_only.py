"""A disk that turns read-only under an open store: refused by one code, readable, closed in peace, whole afterwards.

The real thing, where mounting is allowed (root). A running daemon on such a disk: tests/story/test_drills_storage.py.
"""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conflict.ledger import errors, sqlite_store
from conflict.ledger.meta import get_meta, put_meta
from conflict.ledger.store import Store, open_store


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Nothing in `disk` can be opened for writing until the block ends."""
    if subprocess.run(["mount", "--bind", "-o", "ro", disk, disk], capture_output=True).returncode:
        pytest.skip("cannot mount here (needs root)")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", disk], check=True)  # connections made meanwhile keep it busy


def save(store: Store, key: str) -> None:
    with store.write() as tx:
        put_meta(tx, key, 1)


def test_an_open_store_refuses_reads_on_and_goes_on(tmp_path: Path) -> None:
    with open_store(tmp_path / "node.db", create=True) as store:
        save(store, "before")
        with read_only(tmp_path):
            with pytest.raises(errors.StoreReadOnly):
                save(store, "refused")
            with store.read() as first, store.read() as second:  # the second is a connection made now
                assert get_meta(first, "before") == get_meta(second, "before") == 1
        save(store, "after")
        with store.read() as tx:
            assert [get_meta(tx, key) for key in ("before", "refused", "after")] == [1, None, 1]


def test_a_store_closes_on_a_disk_that_turned_read_only(tmp_path: Path) -> None:
    """It raised `store_read_only`, and a daemon that was told to end ended with exit code 1."""
    store = open_store(tmp_path / "node.db", create=True)
    save(store, "before")
    with read_only(tmp_path):
        store.close()
    with open_store(tmp_path / "node.db", check=True) as again, again.read() as tx:
        assert get_meta(tx, "before") == 1


def test_an_error_in_the_midst_of_a_write_is_told_from_a_disk_that_cannot_be_written(tmp_path: Path) -> None:
    """SQLite says "I/O error" when the disk turns read-only while the log is open. Looking for the reason raised an
    OSError of its own, which no daemon's loop waits out: the hub ended."""
    failed = sqlite3.OperationalError("disk I/O error")
    failed.sqlite_errorname = "SQLITE_IOERR_WRITE"
    with read_only(tmp_path), pytest.raises(errors.StoreReadOnly), sqlite_store._translated(tmp_path / "node.db"):
        raise failed
    with pytest.raises(errors.StoreFailed), sqlite_store._translated(tmp_path / "node.db"):
        raise failed
