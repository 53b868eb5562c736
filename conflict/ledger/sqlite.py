"""SQLite with safe settings: connections, the proof of their settings, header check, checkpoint, copy.

For: everything that is particular to a store in a SQLite file. One writer connection, which alone checkpoints, because
SQLite before 3.51.3 can damage its log when two connections write and checkpoint at once.
May not: know any table; take the write turn (store.py does, and calls checkpoint only inside it).
Manual: docs/operating/storage.md.  Decision: docs/decisions/0040-one-writer-and-settings-read-back.md.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, QueuePool, create_engine, event

from conflict.ledger.errors import StoreUnsafe, damaged, foreign, read_only
from protocol.carriers.durable import sync_directory

APPLICATION_ID = 0x4C445354  # "LDST", in the file header
WAL_BYTES_TARGET = 8 * 2**20  # a log larger than this is written back into the database at the end of a commit
CHECKPOINT_WAIT_MS = 200  # how long a checkpoint waits for readers before it leaves the rest for the next time
BUSY_MS = 10_000  # for programs that do not know our lock file (the sqlite3 shell)
READERS = 5  # pooled reading connections; more are opened when needed
READERS_MORE = 20
_OPEN: Counter[tuple[int, int]] = Counter()  # (device, inode) -> stores that this process has open
_OPEN_LOCK = threading.Lock()
_HEADER_BYTES = 100
_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_MAGIC = b"SQLite format 3\x00"
_SETTINGS = (
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("wal_autocheckpoint", "0", 0),
    ("cell_size_check", "ON", 1),
    ("trusted_schema", "OFF", 0),
)


def connect(path: Path, *, writer: bool) -> sqlite3.Connection:
    """A connection whose settings were read back and found as we want them.

    Raises:  StoreUnsafe if a setting did not hold; sqlite3 errors.
    """
    connection = sqlite3.connect(
        path.absolute().as_uri() + "?mode=rw",
        uri=True,
        timeout=BUSY_MS / 1000,
        isolation_level=None,  # SQLAlchemy sends BEGIN itself, see `engine`
        check_same_thread=False,  # the pool hands a connection to one thread at a time
    )
    try:
        if (mode := _ask(connection, "journal_mode")) != "wal":
            raise unsafe("journal_mode", mode, "wal")
        for name, value, expected in _SETTINGS:
            connection.execute(f"PRAGMA {name}={value}")
            if _ask(connection, name) != expected:
                raise unsafe(name, _ask(connection, name), value)
        if not writer:
            connection.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def engine(path: Path, *, writer: bool) -> Engine:
    """An engine over `connect`: the writer's begins IMMEDIATE on its one connection, the readers' begin DEFERRED."""
    made = create_engine(
        "sqlite://",
        creator=lambda: connect(path, writer=writer),
        poolclass=QueuePool,
        pool_size=1 if writer else READERS,
        max_overflow=0 if writer else READERS_MORE,
    )
    begin = "BEGIN IMMEDIATE" if writer else "BEGIN"

    @event.listens_for(made, "begin")
    def _begin(tx: object) -> None:
        tx.exec_driver_sql(begin)  # type: ignore[attr-defined]

    return made


def create_file(path: Path) -> None:
    """Make an empty database file that only its owner can read, and make its name durable. Write turn held."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    sync_directory(path.parent)


def use_log(path: Path) -> None:
    """Switch a new file, or a copy made by `copy`, to the write-ahead log for good. Write turn held.

    Where that cannot be (a disk without shared memory) the mode stays as it is, and `connect` refuses it.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        _ask(connection, "journal_mode=wal")


def check_file(path: Path) -> bool:
    """Cheap checks before anything is opened: permissions, kind of file, length.

    A file that this process has open already was checked then and is not read again: closing any handle of it would
    drop SQLite's POSIX locks for the whole process, and the next program to close the store would take itself for the
    last one and delete the log under us (sqlite.org/howtocorrupt.html, 2.2).

    Returns: whether the file uses the write-ahead log.
    Raises:  StoreReadOnly, StoreForeign, StoreDamaged.
    """
    if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK):
        raise read_only(path.name)
    if is_open_here(path):
        return True
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header:
        raise damaged("the file is empty")
    if not header.startswith(_MAGIC) or len(header) < _HEADER_BYTES:
        raise foreign("not an SQLite file")
    page = int.from_bytes(header[16:18], "big")
    page_bytes = 65_536 if page == 1 else page
    pages = int.from_bytes(header[28:32], "big")
    here = path.stat().st_size // page_bytes
    if header[24:28] == header[92:96] and here < pages and not _log_has(path, range(here + 1, pages + 1), page_bytes):
        raise damaged("the file is shorter than its header says")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise foreign("an SQLite file of another program")
    return header[18:20] == b"\x02\x02"


def _log_has(path: Path, pages: range, page_bytes: int) -> bool:
    """Whether the log holds all these pages: then a write-back was broken off (a power cut), and SQLite takes them from there.

    Source: sqlite.org/fileformat2.html, 4.1: a header of 32 bytes, frames of 24 bytes and a page; frames with other
    salts than the header's are left over from an earlier log.
    """
    missing = set(pages)
    try:
        with path.with_name(path.name + "-wal").open("rb") as log:
            salts = log.read(_LOG_HEADER_BYTES)[16:24]
            while missing and len(frame := log.read(_FRAME_HEADER_BYTES)) == _FRAME_HEADER_BYTES:
                if frame[8:16] != salts or len(log.read(page_bytes)) < page_bytes:
                    break
                missing.discard(int.from_bytes(frame[:4], "big"))
    except FileNotFoundError:
        return False
    return not missing


def note_open(path: Path) -> tuple[int, int]:
    """Remember that this process has connections to the file; returns what `note_closed` takes."""
    found = path.stat()
    with _OPEN_LOCK:
        _OPEN[(found.st_dev, found.st_ino)] += 1
    return found.st_dev, found.st_ino


def note_closed(mark: tuple[int, int]) -> None:
    """One opener fewer."""
    with _OPEN_LOCK:
        _OPEN[mark] -= 1
        if _OPEN[mark] <= 0:
            del _OPEN[mark]


def is_open_here(path: Path) -> bool:
    """Whether this process has connections to the file."""
    found = path.stat()
    with _OPEN_LOCK:
        return _OPEN[(found.st_dev, found.st_ino)] > 0


def checkpoint(connection: sqlite3.Connection) -> bool:
    """Write the log back into the database and empty it; False if readers kept part of it. Write turn held."""
    connection.execute(f"PRAGMA busy_timeout={CHECKPOINT_WAIT_MS}")
    try:
        busy, _frames, _moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    return not busy


def wal_bytes(path: Path) -> int:
    """The length of the write-ahead log now."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def problems(connection: sqlite3.Connection, *, full: bool) -> list[str]:
    """What SQLite's own check finds; empty when all is well. Quick: pages and order; full: indexes too."""
    rows = connection.execute("PRAGMA integrity_check" if full else "PRAGMA quick_check").fetchall()
    found = [str(row[0]) for row in rows if row[0] != "ok"]
    found += [
        f"{row[0]}: a row points to a missing row of {row[2]}" for row in connection.execute("PRAGMA foreign_key_check")
    ]
    return found


def copy(source: sqlite3.Connection, target: Path) -> None:
    """A consistent copy of a live database as one file, synced, under its final name only when whole.

    Raises:  StoreDamaged if the copy does not pass the quick check; OSError, sqlite3 errors.
    """
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with closing(sqlite3.connect(part, isolation_level=None)) as into:
            source.backup(into)  # all pages in one step: one snapshot, and writers go on
            _ask(into, "journal_mode=delete")  # no side files; open_store sets the log again
            found = problems(into, full=False)
        if found:
            raise damaged(f"copy: {found[0]}")
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    sync_directory(target.parent)


def unsafe(name: str, found: object, wanted: object) -> StoreUnsafe:
    """The error for a setting that did not hold."""
    return StoreUnsafe(
        f"The store is not safe here: {name} is {found}, it must be {wanted}. See docs/operating/storage.md.",
        f"数据库设置不安全：{name} 为 {found}，应为 {wanted}，请见存储手册。",
        setting=name,
        found=str(found),
        wanted=str(wanted),
    )


def _ask(connection: sqlite3.Connection, pragma: str) -> object:
    row = connection.execute(f"PRAGMA {pragma}").fetchone()
    return row[0] if row else None
