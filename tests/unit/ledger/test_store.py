"""Opening a store: settings read back, refusals with their reason, versions, blocks, copies."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from conflict.ledger import errors, locks, postgres, sqlite, sqlite_store
from conflict.ledger.meta import get_meta, put_meta
from conflict.ledger.store import Store, daemon_lock, open_store
from protocol.errors import InputError, StoreError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store that exists and is closed."""
    open_store(tmp_path / "node.db", create=True).close()
    return tmp_path / "node.db"


def test_settings_of_both_kinds_of_connection(path: Path) -> None:
    with open_store(path) as store:
        for block, query_only in ((store.write, 0), (store.read, 1)):
            with block() as tx:
                found = {
                    name: tx.execute(text(f"PRAGMA {name}")).scalar()
                    for name in ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint", "query_only")
                }
            assert found == {
                "journal_mode": "wal",
                "synchronous": 2,
                "foreign_keys": 1,
                "wal_autocheckpoint": 0,
                "query_only": query_only,
            }


def test_path_with_characters_that_a_url_would_not_like(tmp_path: Path) -> None:
    path = tmp_path / "白沙 #1?%20&a=b.db"
    open_store(path, create=True).close()
    with open_store(f"sqlite:///{path}") as store, store.write() as tx:
        put_meta(tx, "a", 1)
    assert path.exists()


def test_only_the_owner_can_read_it(path: Path) -> None:
    with open_store(path) as store:
        with store.write() as tx:
            put_meta(tx, "a", 1)
        assert {entry.name: oct(entry.stat().st_mode & 0o077) for entry in path.parent.iterdir()} == dict.fromkeys(
            ("node.db", "node.db-wal", "node.db-shm", "node.db.lock", "node.db.ballast"), "0o0"
        )


def test_missing_store(tmp_path: Path) -> None:
    with pytest.raises(errors.StoreMissing):
        open_store(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


def test_missing_postgres_store(empty_postgres: str) -> None:
    with pytest.raises(errors.StoreMissing):
        open_store(empty_postgres)
    open_store(empty_postgres, create=True).close()
    with open_store(empty_postgres) as store:
        assert (store.kind, store.check(full=True)) == ("postgresql", [])
        with pytest.raises(InputError, match="pg_dump"):
            store.backup_to(Path("never"))


def test_database_told_not_to_wait_for_the_disk_is_overruled(empty_postgres: str) -> None:
    name = empty_postgres.rsplit("/", 1)[1]
    psycopg = pytest.importorskip("psycopg")
    try:
        with psycopg.connect(empty_postgres, autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        with open_store(empty_postgres, create=True) as store, store.write() as tx:
            assert tx.execute(text("SHOW synchronous_commit")).scalar() == "on"
    finally:
        with psycopg.connect(empty_postgres, autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {name} RESET synchronous_commit")


def test_setting_of_the_server_that_does_not_hold(empty_postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_SESSION", "-c synchronous_commit=off")
    with pytest.raises(errors.StoreUnsafe, match="synchronous_commit is off"):
        open_store(empty_postgres, create=True)


def test_unreachable_server() -> None:
    with pytest.raises(errors.StoreUnreachable):
        open_store("postgresql://nobody@127.0.0.1:1/none")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", errors.StoreDamaged),
        (b"PK\x03\x04 something else" + bytes(200), errors.StoreForeign),
        (b"SQLite format 3\x00", errors.StoreForeign),
    ],
)
def test_a_file_that_is_no_store(tmp_path: Path, content: bytes, expected: type[StoreError]) -> None:
    path = tmp_path / "node.db"
    path.write_bytes(content)
    with pytest.raises(expected):
        open_store(path)
    assert path.read_bytes() == content


def test_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (a)")
        other.commit()
    for create in (False, True):
        with pytest.raises(errors.StoreForeign):
            open_store(path, create=create)


def test_cut_file_is_found_at_start(path: Path) -> None:
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size - 4096)
    with pytest.raises(errors.StoreDamaged) as caught:
        open_store(path)
    assert caught.value.text_zh != caught.value.text


def test_damaged_page_is_found_by_the_check(path: Path) -> None:
    with open_store(path) as store:
        assert store.check() == store.check(full=True) == []
        with store.write() as tx:
            tx.execute(
                text(
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
                    "INSERT INTO meta SELECT 'key ' || i, x'00' FROM n"
                )
            )
    blank = bytearray(path.read_bytes())
    blank[-8192:-4096] = b"\xff" * 4096
    path.write_bytes(bytes(blank))
    with open_store(path) as store:
        assert store.check(full=True) != []
    with pytest.raises(errors.StoreDamaged):
        open_store(path, check=True)


def test_read_only_place(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer of access(2) is replaced because root, as whom tests may run, is always let in."""
    monkeypatch.setattr(sqlite.os, "access", lambda _place, mode: not mode & os.W_OK)
    with pytest.raises(errors.StoreReadOnly):
        open_store(path)


def test_read_only_disk(path: Path) -> None:
    """The real thing, where mounting is allowed: it keeps out root too."""
    disk = path.parent
    if subprocess.run(["mount", "--bind", "-o", "ro", disk, disk], capture_output=True).returncode:
        pytest.skip("cannot mount here (needs root)")
    try:
        with pytest.raises(errors.StoreReadOnly):
            open_store(path)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_reader_ends_beside_a_busy_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "_CLOSE_WAIT_S", 0.02)
    with open_store(path) as daemon:
        with daemon.write() as tx:
            put_meta(tx, "a", 1)
            with open_store(path) as command, command.read() as reading:
                assert get_meta(reading, "a") is None
        with daemon.write() as tx:
            assert get_meta(tx, "a") == 1


def test_setting_that_does_not_hold(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_SETTINGS", (("synchronous", "FULL", 3),))
    with pytest.raises(errors.StoreUnsafe, match="synchronous is 2"):
        open_store(path)


def test_journal_that_cannot_be_a_log(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = sqlite._ask
    monkeypatch.setattr(sqlite, "_ask", lambda db, name: "delete" if "journal" in name else asked(db, name))
    with pytest.raises(errors.StoreUnsafe, match="journal_mode is delete"):
        open_store(path)


def test_disk_without_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Granted:
        def acquire(self, **_options: object) -> None: ...
        def release(self) -> None: ...

    monkeypatch.setattr(locks, "_file_lock", lambda _path: Granted())
    with pytest.raises(errors.StoreUnsafe, match="does not support file locks"):
        open_store(path)


def test_disk_that_refuses_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused:
        def acquire(self, **_options: object) -> None:
            raise OSError(38, "Function not implemented")

    monkeypatch.setattr(locks, "_file_lock", lambda _path: Refused())
    with pytest.raises(errors.StoreUnsafe, match="does not support file locks"):
        open_store(path)


def test_reading_block_cannot_write_and_sees_one_moment(store: Store) -> None:
    with pytest.raises(StoreError), store.read() as tx:
        put_meta(tx, "a", 1)
    with store.read() as early:
        assert get_meta(early, "a") is None
        with store.write() as tx:
            put_meta(tx, "a", 1)
        assert get_meta(early, "a") is None
    with store.read() as later:
        assert get_meta(later, "a") == 1


def test_nested_write_is_a_clear_error_and_harmless(store: Store) -> None:
    with store.write() as tx:
        put_meta(tx, "a", 1)
        with pytest.raises(errors.NestedWrite), store.write():
            pass
    with store.write() as tx:
        assert get_meta(tx, "a") == 1


def test_faults_of_the_program_pass_unchanged(store: Store) -> None:
    with pytest.raises(IntegrityError) as caught, store.write() as tx:
        tx.execute(text("INSERT INTO meta (key, value) VALUES ('a', NULL)"))
    assert isinstance(caught.value, DBAPIError)
    with store.write() as tx:
        put_meta(tx, "a", 1)


def test_threads_take_turns(store: Store) -> None:
    def work() -> None:
        for _ in range(10):
            with store.write() as tx:
                put_meta(tx, "count", get_meta(tx, "count", 0) + 1)

    if store.kind == "postgresql":
        pytest.skip("PostgreSQL lets writers run side by side; cases and devices are locked by append")
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        assert get_meta(tx, "count") == 80


def test_waiting_for_the_turn_ends(path: Path) -> None:
    with open_store(path) as one, open_store(path) as two:
        with one.write(), pytest.raises(errors.StoreLocked), two.write(wait_s=0.02):
            pass
        with two.write() as tx:
            put_meta(tx, "a", 1)


def test_foreign_writer_is_reported_as_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody with the sqlite3 shell does not know our lock file."""
    monkeypatch.setattr(sqlite, "BUSY_MS", 20)
    with open_store(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(errors.StoreLocked), store.write():
            pass
        shell.execute("ROLLBACK")
        with store.write() as tx:
            put_meta(tx, "a", 1)


def test_change_is_seen_by_others(url: str) -> None:
    with open_store(url, create=True) as one, open_store(url) as two:
        before = two.data_version()
        with one.write() as tx:
            put_meta(tx, "a", 1)
        assert two.data_version() != before
        before = two.data_version()
        with two.write() as tx:
            put_meta(tx, "a", 2)
        assert two.data_version() != before
        before = two.data_version()
        with two.read() as tx:
            assert get_meta(tx, "a") == 2
        assert two.data_version() == before


def test_log_is_written_back_when_it_has_grown(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WAL_BYTES_TARGET", 100_000)
    with open_store(path) as store:
        for number in range(40):
            with store.write() as tx:
                put_meta(tx, f"k{number}", os.urandom(10_000))
            assert sqlite.wal_bytes(path) < 150_000
        with store.read() as reader:
            get_meta(reader, "k1")
            with store.write() as tx:
                put_meta(tx, "big", bytes(200_000))
            assert sqlite.wal_bytes(path) > 100_000  # a reader needs the log: it stays, nobody is disturbed
            assert get_meta(reader, "big") is None
        for number in range(40):
            with store.write() as tx:
                put_meta(tx, f"k{number}", os.urandom(10_000))
        assert sqlite.wal_bytes(path) < 150_000
        with store.read() as tx:
            assert get_meta(tx, "big") == bytes(200_000)


def test_failed_write_back_does_not_fail_the_commit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_connection: object) -> bool:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sqlite, "WAL_BYTES_TARGET", 1000)
    monkeypatch.setattr(sqlite_store.sqlite, "checkpoint", fails)
    with open_store(path) as store:
        with store.write() as tx:
            put_meta(tx, "a", bytes(5000))
        with store.read() as tx:
            assert get_meta(tx, "a") == bytes(5000)


def test_copy_of_a_live_store(path: Path, tmp_path: Path) -> None:
    with open_store(path) as store:
        with store.write() as tx:
            put_meta(tx, "a", 1)
        with store.write() as tx:
            put_meta(tx, "a", 2)
            store.backup_to(tmp_path / "copy.db")  # a writer is at work: the copy holds what was committed
        store.backup_to(tmp_path / "second.db")
    assert sorted(entry.name for entry in tmp_path.glob("copy*")) == ["copy.db"]
    for name, expected in (("copy.db", 1), ("second.db", 2)):
        with open_store(tmp_path / name) as copied, copied.read() as tx:
            assert get_meta(tx, "a") == expected


def test_one_daemon_per_directory(tmp_path: Path) -> None:
    with daemon_lock(tmp_path):
        with pytest.raises(errors.AlreadyRunning) as caught, daemon_lock(tmp_path):
            pass
        assert caught.value.code == "already_running"
    with daemon_lock(tmp_path):
        pass


def test_a_server_that_does_not_sync_is_refused_by_whoever_checks(postgres_url: str) -> None:
    """The tests' own server has fsync off: commands may open it, a daemon may not (decision 0149)."""
    open_store(postgres_url, create=True).close()
    with pytest.raises(errors.StoreUnsafe) as caught:
        open_store(postgres_url, check=True)
    assert caught.value.facts["setting"] == "fsync"
