"""Killed processes and several processes: what was called saved is there, nothing is half there, nobody is locked out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from conflict.ledger import sqlite
from conflict.ledger.chains import chain
from conflict.ledger.meta import get_meta, put_meta
from conflict.ledger.schema import ops as ops_table
from conflict.ledger.store import open_store

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("LIANDONG_EXAMPLES", "3"))
BATCH = 3


def start(path: Path, number: int, rounds: int, batch: int = BATCH) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.unit.ledger.writer", str(path), str(number), str(rounds), str(batch)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.parametrize("lines", [1 + 7 * kill for kill in range(KILLS)])
def test_killed_in_the_middle_of_commits(tmp_path: Path, lines: int) -> None:
    """SIGKILL after some commits, at whatever the process was doing; the next start finds all that was called saved."""
    path = tmp_path / "node.db"
    child = start(path, 1, 100_000)
    assert child.stdout is not None
    for _ in range(lines):
        last = child.stdout.readline()
    child.kill()
    rest = child.stdout.read().splitlines(keepends=True)
    child.wait()
    said = [line for line in [last, *rest] if line.endswith("\n")]
    saved = int(said[-1].split()[1])
    with open_store(path, check=True) as store, store.read() as tx:
        assert store.check(full=True) == []
        stored = tx.execute(select(func.count()).select_from(ops_table)).scalar_one()
        assert stored in (saved, saved + BATCH)  # the last commit may have ended before it could be told
        assert stored == BATCH * get_meta(tx, "batches")
        assert chain(tx, (1).to_bytes(8, "big"))[0] == stored
    with open_store(path) as store, store.write() as tx:
        put_meta(tx, "after", True)


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    """No "database is locked", no lost count, no damage, though both write and check in turn."""
    path = tmp_path / "node.db"
    open_store(path, create=True).close()
    rounds = 60
    children = [start(path, number, rounds) for number in (1, 2, 3)]
    with open_store(path) as store:
        for number in range(20):
            with store.write() as tx:
                put_meta(tx, "mine", number)
            with store.read() as tx:
                assert get_meta(tx, "mine") == number
    for child in children:
        _out, err = child.communicate()
        assert (child.returncode, err) == (0, "")
    with open_store(path) as store, store.read() as tx:
        assert store.check(full=True) == []
        assert get_meta(tx, "batches") == 3 * rounds
        assert [chain(tx, number.to_bytes(8, "big"))[0] for number in (1, 2, 3)] == [BATCH * rounds] * 3


def test_first_opening_by_several_processes(tmp_path: Path) -> None:
    """All of them may be told to create it; one does."""
    children = [start(tmp_path / "node.db", number, 2) for number in (1, 2, 3)]
    for child in children:
        _out, err = child.communicate()
        assert (child.returncode, err) == (0, "")
    with open_store(tmp_path / "node.db") as store, store.read() as tx:
        assert get_meta(tx, "batches") == 6


def test_write_backs_of_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many short logs, written back by whoever has the turn, while others write: SQLite's checkpoint fault is not met."""
    path = tmp_path / "node.db"
    open_store(path, create=True).close()
    monkeypatch.setattr(sqlite, "WAL_BYTES_TARGET", 20_000)
    child = start(path, 1, 40)
    with open_store(path) as store:
        for number in range(80):
            with store.write() as tx:
                put_meta(tx, f"mine {number}", os.urandom(5000))
    _out, err = child.communicate()
    assert (child.returncode, err) == (0, "")
    with open_store(path) as store, store.read() as tx:
        assert store.check(full=True) == []
        assert get_meta(tx, "batches") == 40
        assert all(len(get_meta(tx, f"mine {number}")) == 5000 for number in range(80))


def test_a_second_store_in_one_process_does_not_give_up_the_locks_of_the_first(tmp_path: Path) -> None:
    """Reading the header of an open store dropped its POSIX locks: a command beside the daemon then deleted the log.

    Found by driving the commands beside a daemon that opens its store twice: the daemon went on writing into a deleted
    file, and what it had receipted was gone.
    """
    path = tmp_path / "store.db"
    first = open_store(path, create=True)
    second = open_store(path)
    second.close()
    with first.write() as tx:
        put_meta(tx, "kept", b"1")
    code = f"from conflict.ledger.store import open_store; open_store({str(path)!r}).close()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert path.with_name("store.db-wal").exists()
    with first.write() as tx:
        put_meta(tx, "kept", b"2")
    first.close()
    with open_store(path) as again, again.read() as tx:
        assert get_meta(tx, "kept") == b"2"
