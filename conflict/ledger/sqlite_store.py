"""A store in a SQLite file: the write turn, the reserve, checkpoints, and what happens after a failed write.

For: the life of a store; sqlite.py has the particulars of one connection.
May not: know any table but the schema versions.
Manual: docs/operating/storage.md.  Decisions: docs/decisions/0040, 0041.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from conflict.ledger import errors, sqlite
from conflict.ledger.ballast import Ballast, is_read_only, room_is_short
from conflict.ledger.locks import WRITE_WAIT_S, WriteTurn, prove_locks
from conflict.ledger.schema import COMPONENT
from conflict.ledger.store import Store
from conflict.ledger.versions import Component, bring_up, is_current, stored_versions
from protocol.errors import StoreError

_CLOSE_WAIT_S = 1.0  # a reading command beside a busy daemon must not hang at its end
_log = logging.getLogger("liandong.store")


class SqliteStore(Store):
    """See `Store`. Beside the database `edge.db` stand `edge.db.lock`, `edge.db.ballast` and SQLite's -wal and -shm."""

    kind = "sqlite"

    def __init__(self, path: Path, *, create: bool, check: bool) -> None:
        self.path = path
        if not path.exists() and not create:
            raise errors.StoreMissing(
                f"There is no store at {path}. Set it up first.", f"{path} 没有数据库，请先初始化。", name=path.name
            )
        lock = path.with_name(path.name + ".lock")
        prove_locks(lock)
        self._turn = WriteTurn(lock)
        self._ballast = Ballast(path.with_name(path.name + ".ballast"))
        self._checkpoint_above = sqlite.WAL_BYTES_TARGET
        self._writer = sqlite.engine(path, writer=True)
        self._reader = sqlite.engine(path, writer=False)
        self._watch_lock = threading.Lock()
        self._mark: tuple[int, int] | None = None  # in the process's list of open files
        try:
            self._watch = self._prepared(create)
        except errors.StoreFull:
            self._ballast.release()  # even opening takes some blocks, and refusals must be shown on a full disk too
            self._watch = self._prepared(create)
        try:
            self.ensure(COMPONENT)
            if check and (found := self.check()):
                raise errors.damaged(found[0])
        except BaseException:
            self.close()
            raise

    def _checked(self) -> bool:
        """As `sqlite.check_file`; damage must also show inside the turn, when nobody is writing the log back.

        While another process does, the first page already counts pages that the file gets a moment later.
        """
        try:
            return sqlite.check_file(self.path)
        except errors.StoreDamaged:
            with self._turn.hold():
                return sqlite.check_file(self.path)

    def _prepared(self, create: bool) -> sqlite3.Connection:
        """Have a sound file in the right mode, and the connection that watches for changes."""
        with _translated(self.path):
            if create:
                with self._turn.hold():
                    if not self.path.exists() or self.path.stat().st_size == 0:
                        sqlite.create_file(self.path)
            if not self._checked():
                with self._turn.hold():
                    sqlite.use_log(self.path)
            watch = sqlite.connect(self.path, writer=False)
        self._mark = sqlite.note_open(self.path)
        return watch

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with _translated(self.path), self._reader.begin() as tx:
            yield tx

    @contextmanager
    def write(self, *, reserve: bool = False, wait_s: float = WRITE_WAIT_S) -> Iterator[Connection]:
        with self._turn.hold(wait_s=wait_s):
            self._need_room(reserve)
            try:
                with _translated(self.path), self._writer.begin() as tx:
                    yield tx
            except StoreError as error:
                self._after_failure(error)
                raise
            self._write_back()

    def ensure(self, component: Component) -> None:
        with self.read() as tx:
            current = is_current(stored_versions(tx), component)
        if not current:
            with self.write() as tx:
                bring_up(tx, component)

    def check(self, *, full: bool = False) -> list[str]:
        try:
            with _translated(self.path), closing(sqlite.connect(self.path, writer=False)) as connection:
                return sqlite.problems(connection, full=full)
        except errors.StoreDamaged as error:
            return [str(error.facts.get("detail", error.text))]

    def backup_to(self, target: Path) -> None:
        with _translated(target), closing(sqlite.connect(self.path, writer=False)) as connection:
            sqlite.copy(connection, target)

    def short_of_room(self) -> bool:
        return self._ballast.lacks_room()

    def data_version(self) -> int:
        with _translated(self.path), self._watch_lock:
            return int(self._watch.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """The last connection of all writes the log back, so it goes inside the turn. Whoever keeps the turn from us
        has connections of his own: then ours are not the last, and may go without it. On a disk that has turned
        read-only there is no turn and nothing to write back: the log stays, as after a power cut."""
        with suppress(errors.StoreLocked, errors.StoreReadOnly), self._turn.hold(wait_s=_CLOSE_WAIT_S):
            self._drop_connections()
            return
        self._drop_connections()

    def _drop_connections(self) -> None:
        self._watch.close()
        self._reader.dispose()
        self._writer.dispose()
        if self._mark is not None:
            sqlite.note_closed(self._mark)
            self._mark = None

    def _need_room(self, reserve: bool) -> None:
        """Refuse ordinary writes while the reserve is gone and cannot be made again."""
        if reserve or self._ballast.present() or self._ballast.restore():
            return
        raise errors.full()

    def _after_failure(self, error: StoreError) -> None:
        """Leave a store that works: a fresh writer connection, and room for a refusal if the disk is full."""
        if isinstance(error, errors.StoreFull):
            self._ballast.release()
        self._writer.dispose()

    def _write_back(self) -> None:
        """Move a long log into the database. A failure here loses nothing: the commit is in the log."""
        size = sqlite.wal_bytes(self.path)
        if size <= self._checkpoint_above:
            return
        try:
            with closing(sqlite.connect(self.path, writer=True)) as connection:
                whole = sqlite.checkpoint(connection)
        except (sqlite3.Error, StoreError) as error:
            _log.warning("checkpoint failed, the log stays longer: %s", error)
            whole = False
        # Readers of an old snapshot keep the log; look again when it has grown once more, not at every commit.
        self._checkpoint_above = sqlite.WAL_BYTES_TARGET if whole else size + sqlite.WAL_BYTES_TARGET


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what the driver raises about the store's health into our errors; all else passes unchanged."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        known = errors.store_error(error)
        if known is None:
            raise
        if isinstance(known, errors.StoreFailed) and room_is_short(path.parent):
            known = errors.full()
        elif isinstance(known, errors.StoreFailed) and is_read_only(path.parent):
            known = errors.read_only(path.name)
        raise known from error
