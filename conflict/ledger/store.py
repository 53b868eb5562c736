"""The store: the one place where a database of Liandong is opened, with safe settings and one writer at a time.

For: `open_store`, and on the store `read`, `write`, `check`, `backup_to`, `data_version`, `short_of_room`,
`ensure`.
May not: know what the tables mean. append.py, views.py and the others take the `tx` given here and never commit.
Manual: docs/operating/storage.md.  Decisions: docs/decisions/0040 to 0044.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from sqlalchemy import Connection

from conflict.ledger.locks import WRITE_WAIT_S, daemon_lock
from conflict.ledger.versions import Component

__all__ = ["Component", "Store", "daemon_lock", "open_store"]


class Store(ABC):
    """An open store. Made by `open_store`; may be shared between threads; not across a fork."""

    kind: ClassVar[str]  # "sqlite" or "postgresql"

    @abstractmethod
    def read(self) -> AbstractContextManager[Connection]:
        """A block that sees one unchanging snapshot. Writing in it is refused by the database."""

    @abstractmethod
    def write(self, *, reserve: bool = False, wait_s: float = WRITE_WAIT_S) -> AbstractContextManager[Connection]:
        """A block that commits at its end, or keeps nothing if it raises.

        On SQLite one block runs at a time over all threads and processes; keep it short and do no network in it.
        Args:    reserve: this block records a refusal or ends something begun, and may use the disk reserve.
                 wait_s: longest wait for the turn, seconds.
        Raises:  NestedWrite inside another write block of this thread; StoreLocked, StoreFull, StoreReadOnly,
                 StoreDamaged, StoreFailed, StoreUnreachable. After any of them the store goes on to work.
        """

    @abstractmethod
    def ensure(self, component: Component) -> None:
        """Have the component's tables here in this program's version: create or migrate them if they are not.

        Raises:  StoreTooNew.
        """

    @abstractmethod
    def check(self, *, full: bool = False) -> list[str]:
        """What the database's own integrity check finds, in its words; empty when all is well."""

    @abstractmethod
    def backup_to(self, target: Path) -> None:
        """A consistent copy of the live store as one file, whole and synced before it has its name.

        Raises:  InputError on PostgreSQL, whose operator uses pg_dump; StoreFull, StoreDamaged.
        """

    @abstractmethod
    def short_of_room(self) -> bool:
        """Whether the disk under the store has no room for ordinary work: the next write is refused, or one soon. 20 µs."""

    @abstractmethod
    def data_version(self) -> int:
        """A number that differs from this store's earlier answer if any process may have committed since. 10-300 µs."""

    @abstractmethod
    def close(self) -> None:
        """Give up all connections. Blocks of other threads must have ended."""

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(url_or_path: str | Path, *, create: bool = False, check: bool = False) -> Store:
    """Open the store at a path, or behind a `postgresql://` URL, with the ledger's tables in this program's version.

    Args:    create: make it if it is not there. check: also run the quick integrity check (reads the whole file);
             on PostgreSQL ask whether the server syncs at all.
    Raises:  StoreMissing, StoreReadOnly, StoreForeign, StoreDamaged, StoreTooNew, StoreUnsafe, StoreLocked,
             StoreUnreachable. A store that cannot be opened safely is not opened.
    """
    text = str(url_or_path)
    if text.startswith(("postgresql://", "postgresql+psycopg://")):
        from conflict.ledger.postgres_store import PostgresStore

        return PostgresStore(text, create=create, check=check)
    from conflict.ledger.sqlite_store import SqliteStore

    return SqliteStore(Path(text.removeprefix("sqlite:///")), create=create, check=check)
