"""A damaged store is rebuilt: what can be read is there again, signed anew is only under new keys, the file is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from conflict.ledger.chains import found_forks
from conflict.ledger.check import check_contents
from conflict.ledger.errors import StoreDamaged, StoreForeign
from conflict.ledger.meta import document
from conflict.ledger.schema import ops
from conflict.ledger.store import daemon_lock
from edge import aside, incarnation, outbox
from edge.config import read_config
from edge.forms import Application
from edge.main import Node, open_node
from edge.salvage import _row, _rows, is_half_done
from edge.schema import outbox as outbox_table
from edge.sync.intake import Intake
from protocol.errors import StoreError
from tests.unit.edge.county import GOOD_ID, Hands, carry

CASES = 12


def filled(node: Node, paper: Path) -> list[str]:
    actor = node.staff.check()
    paper.write_bytes(b"photo" * 20_000)
    papers = [[paper], *([[]] * (CASES - 1))]
    numbers = [
        node.service.accept(actor, Application("DF-1", f"申请人{at}", GOOD_ID, attachments=files)).number
        for at, files in enumerate(papers)
    ]
    node.staff.add(actor, "小李", "agent")
    return numbers


def flattened(store: Path) -> None:
    """All in one file, as after a clean end."""
    with closing(sqlite3.connect(store)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def spoil_views(store: Path) -> None:
    """Overwrite a page of the views: all ops can still be read."""
    with closing(sqlite3.connect(store)) as database:
        page = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'views'").fetchone()[0]
        size = database.execute("PRAGMA page_size").fetchone()[0]
    with store.open("rb+") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def spoil_head(store: Path) -> None:
    with store.open("rb+") as file:
        file.write(b"\0" * 100)


def cut(store: Path) -> None:
    with store.open("rb+") as file:
        file.truncate(store.stat().st_size // 2)


@pytest.mark.parametrize(("spoil", "all_there"), [(spoil_views, True), (spoil_head, False), (cut, False)])
def test_work_goes_on_in_a_rebuilt_store(
    village: Node, hands: Hands, tmp_path: Path, spoil: Callable[[Path], None], all_there: bool
) -> None:
    numbers = filled(village, tmp_path / "photo.txt")
    old = village.keys.incarnation
    village.close()
    store = village.directory / "edge.db"
    flattened(store)
    spoil(store)
    spoiled = store.read_bytes()
    with pytest.raises(StoreError) as caught, open_node(village.directory, hands.clock()) as plain:
        plain.service.list_cases()
    assert isinstance(caught.value, StoreDamaged | StoreForeign)
    with open_node(village.directory, hands.clock(), check=True) as node:
        assert node.keys.incarnation != old
        assert read_config(node.directory).state == "renewing"
        assert "renewing" in {one["code"] for one in node.status()["banners"]}
        if all_there:
            assert {row["number"] for row in node.service.list_cases()} == set(numbers)
            assert {one["name"] for one in node.staff.list()} == {"chief", "小李"}
            with node.store.read() as tx:
                assert outbox.counts(tx)["pending"] == CASES + 1
                assert check_contents(tx) == []
            assert node.status()["attachments"]["complete"] == 1
            node.service.accept(node.staff.check(), Application("DF-1", "新申请", GOOD_ID))
    (kept,) = village.directory.glob("damaged-*/edge.db")
    assert kept.read_bytes()[: len(spoiled)] == spoiled


def forget_documents(store: Path) -> None:
    """The page of the documents is gone: nothing says who anybody is. One of the views too, for the check to see it."""
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("DELETE FROM documents")
    flattened(store)
    spoil_views(store)


def test_own_work_is_whole_although_no_roster_can_be_read(
    village: Node, town: Node, hands: Hands, tmp_path: Path
) -> None:
    """Own ops are proven by the keys beside the store; those of others wait, set aside, for the roster to come again."""
    numbers = filled(village, tmp_path / "photo.txt")
    town.service.accept(town.staff.check(), Application("DF-1", "他处", GOOD_ID))
    carry(town, village)
    with village.store.read() as tx:
        roster = document(tx, "roster")
    assert roster is not None
    village.close()
    store = village.directory / "edge.db"
    flattened(store)
    forget_documents(store)
    with open_node(village.directory, hands.clock(), check=True) as node:
        assert {row["number"] for row in node.service.list_cases()} == set(numbers)
        with node.store.read() as tx:
            assert outbox.counts(tx)["pending"] == CASES + 1
            assert aside.counts(tx)["unknown_sender"] == 1
        Intake(node.store, node.keys, node.reference, node.clock).document(roster.blob)
        assert len(node.service.list_cases()) == CASES + 1
        with node.store.read() as tx:
            assert not aside.counts(tx)


def test_a_file_that_cannot_be_read_is_asked_for_again(village: Node, hands: Hands, tmp_path: Path) -> None:
    """Found by the simulator, `--faults page_damaged`: nobody asked for what a rebuilt store had lost of its files."""
    filled(village, tmp_path / "photo.txt")
    village.close()
    store = village.directory / "edge.db"
    flattened(store)
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("DELETE FROM file_chunks")
        database.execute("DELETE FROM files")
    flattened(store)
    spoil_views(store)
    with open_node(village.directory, hands.clock(), check=True) as node:
        assert [one["size"] for one in node.status()["attachments"]["missing_here"]] == [100_000]


def test_places_of_all_names_are_told_apart_in_a_rebuilt_store(village: Node, hands: Hands, tmp_path: Path) -> None:
    """Found by the simulator, 75 kinds, seed 1: a disk had forgotten the outbox of an earlier name, whose ops the stream had
    brought back; after a rebuild, while the county did not know the new name yet, no case could be entered any more."""
    filled(village, tmp_path / "photo.txt")
    with village.store.write() as tx:
        tx.execute(delete(outbox_table))
    incarnation.renew(
        village.directory, village.store, village.reference, why=incarnation.RESTORED, now_ms=village.clock.now_ms()
    )
    village.close()
    with open_node(village.directory, hands.clock()) as node:
        for _ in range(2):
            node.service.accept(node.staff.check(), Application("DF-1", "新名所写", GOOD_ID))
    store = village.directory / "edge.db"
    flattened(store)
    spoil_views(store)
    with open_node(village.directory, hands.clock(), check=True) as node:
        node.service.accept(node.staff.check(), Application("DF-1", "重建之后", GOOD_ID))
        with node.store.read() as tx:
            assert outbox.counts(tx)["pending"] == CASES + 1 + 3


def test_an_op_that_a_rebuilt_store_has_lost_is_no_place_for_another(village: Node, hands: Hands) -> None:
    """Found by the simulator, 75 kinds, seed 3: a device that waited for the county under new keys kept them through the
    rebuild and wrote the numbers behind the lost op a second time."""
    incarnation.renew(
        village.directory, village.store, village.reference, why=incarnation.RESTORED, now_ms=village.clock.now_ms()
    )
    village.close()
    store = village.directory / "edge.db"
    with open_node(village.directory, hands.clock()) as node:
        for _ in range(4):
            node.service.accept(node.staff.check(), Application("DF-1", "等待之中", GOOD_ID))
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("DELETE FROM ops WHERE seq = 2")
    flattened(store)
    spoil_views(store)
    with open_node(village.directory, hands.clock(), check=True) as node:
        for _ in range(3):
            node.service.accept(node.staff.check(), Application("DF-1", "重建之后", GOOD_ID))
        with node.store.read() as tx:
            held = tx.execute(select(ops.c.seq, ops.c.device).order_by(ops.c.seq)).all()
            assert [row.seq for row in held] == [1, 3, 4, 5, 6, 7] and {row.device for row in held} == {
                node.keys.incarnation
            }
            assert found_forks(tx) == []


def test_no_row_beside_a_page_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    """Found by the simulator, `--faults page_damaged`: the first row behind a page of zeros was found by its number alone,
    and the rebuild looked for the next one behind the last. Method: each page of a table zeroed in turn."""
    sound = tmp_path / "sound.db"
    with closing(sqlite3.connect(sound)) as database, database:
        database.execute("CREATE TABLE ops (pos INTEGER PRIMARY KEY, blob BLOB)")
        database.executemany("INSERT INTO ops VALUES (?, ?)", [(at, bytes(700)) for at in range(1, 61)])
    content = sound.read_bytes()
    size, missed = int.from_bytes(content[16:18], "big"), 0
    for page in range(2, len(content) // size):
        hurt = tmp_path / f"hurt-{page}.db"
        hurt.write_bytes(content[: page * size] + bytes(size) + content[(page + 1) * size :])
        with closing(sqlite3.connect(f"file:{hurt}?mode=ro", uri=True)) as damaged:
            one_by_one = [at for at in range(1, 61) if _row(damaged, "SELECT pos FROM ops WHERE pos = ?", at)]
            assert [at for (at,) in _rows(damaged, "ops", "pos", "pos")] == one_by_one
        missed += 60 - len(one_by_one)
    assert missed >= 50, "the pages that were zeroed held rows"


def test_a_rebuild_that_a_crash_broke_off_is_finished(village: Node, hands: Hands, tmp_path: Path) -> None:
    numbers = filled(village, tmp_path / "photo.txt")
    village.close()
    store = village.directory / "edge.db"
    flattened(store)
    spoil_views(store)
    real, calls = Path.replace, []

    def dying(self: Path, target: Path) -> Path:
        calls.append(self.name)
        if self.name == "edge.db.rebuilt":
            raise KeyboardInterrupt
        return real(self, target)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            open_node(village.directory, hands.clock(), check=True)
    assert is_half_done(village.directory)
    with open_node(village.directory, hands.clock()) as node:
        assert {row["number"] for row in node.service.list_cases()} == set(numbers)


def test_nothing_is_rebuilt_under_a_running_daemon(village: Node, hands: Hands) -> None:
    village.close()
    flattened(village.directory / "edge.db")
    spoil_views(village.directory / "edge.db")
    with daemon_lock(village.directory), pytest.raises(StoreError) as caught:
        open_node(village.directory, hands.clock(), check=True)
    assert caught.value.code == "already_running"
