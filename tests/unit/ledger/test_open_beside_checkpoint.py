"""Opening a store while another process writes its log back: a first page that is ahead of the file is no damage.

Found by a story test under load: `node status` beside a running daemon said `store_damaged`.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from conflict.ledger.errors import StoreDamaged
from conflict.ledger.locks import WriteTurn
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


def test_a_file_that_stays_short_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    open_store(path, create=True).close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - PAGE)
    with pytest.raises(StoreDamaged):
        open_store(path)
