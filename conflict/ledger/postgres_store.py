"""A store in a PostgreSQL database: many workers may write at once, the server keeps them apart.

For: the life of a store; postgres.py has the particulars.
May not: know any table but the schema versions.
Manual: docs/operating/storage.md, "PostgreSQL".  Decision: docs/decisions/0043.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from conflict.ledger import errors, postgres
from conflict.ledger.locks import WRITE_WAIT_S
from conflict.ledger.schema import COMPONENT
from conflict.ledger.store import Store
from conflict.ledger.versions import Component, bring_up, is_current, stored_versions
from protocol.errors import InputError

_SCHEMA_LOCK = 0x4C44_5343  # one process at a time creates or migrates tables


class PostgresStore(Store):
    """See `Store`. `reserve` and `wait_s` of `write` have no meaning here: the server has its own."""

    kind = "postgresql"

    def __init__(self, url: str, *, create: bool, check: bool = False) -> None:
        self._engine = postgres.engine(url)
        self._reader = postgres.reader(self._engine)
        self._writing = threading.local()
        try:
            with self.read() as tx:
                postgres.verify(tx, durable=check)
                found = COMPONENT.name in stored_versions(tx)
            if not found and not create:
                raise errors.StoreMissing(
                    "The database holds no store of Liandong. Set it up first.",
                    "该数据库中没有联动系统的数据，请先初始化。",
                )
            self.ensure(COMPONENT)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with _translated(), self._reader.begin() as tx:
            yield tx

    @contextmanager
    def write(self, *, reserve: bool = False, wait_s: float = WRITE_WAIT_S) -> Iterator[Connection]:
        if getattr(self._writing, "now", False):
            raise errors.NestedWrite("a write block was opened inside a write block of the same thread")
        self._writing.now = True
        try:
            with _translated(), self._engine.begin() as tx:
                yield tx
        finally:
            self._writing.now = False

    def ensure(self, component: Component) -> None:
        with self.read() as tx:
            current = is_current(stored_versions(tx), component)
        if not current:
            with self.write() as tx:
                tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
                bring_up(tx, component)

    def check(self, *, full: bool = False) -> list[str]:
        """PostgreSQL checks pages as it reads them (with data checksums); reading every row is our part."""
        try:
            with self.read() as tx:
                for table in COMPONENT.metadata.sorted_tables:
                    tx.execute(text(f"SELECT count(t.*) FROM {table.name} AS t"))
        except errors.StoreDamaged as error:
            return [str(error.facts.get("detail", error.text))]
        return []

    def backup_to(self, target: Path) -> None:
        raise InputError(
            "A PostgreSQL store is backed up with pg_dump (docs/operating/storage.md).",
            "PostgreSQL 数据库请使用 pg_dump 备份，见存储手册。",
        )

    def short_of_room(self) -> bool:
        """The server's disk is its own; a full one shows as StoreFull."""
        return False

    def data_version(self) -> int:
        with self.read() as tx:
            return postgres.data_version(tx)

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        known = errors.store_error(error)
        if known is None:
            raise
        raise known from error
