"""PostgreSQL behind the same store: engines, settings read back, change detection.

For: everything that is particular to a store in a PostgreSQL database, where several hub workers write side by side.
May not: know any table.
Manual: docs/operating/storage.md, "PostgreSQL".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from sqlalchemy import Connection, Engine, create_engine, text

from conflict.ledger.sqlite import unsafe

STRIPES = 1024  # cases and devices are locked by stripes, so that a large batch does not fill the server's lock table
_SESSION = "-c lock_timeout=30s -c synchronous_commit=on"  # stronger than what the database or the role is set to


def engine(url: str) -> Engine:
    """An engine for writing: READ COMMITTED, so that what a lock waited for is seen after it."""
    return create_engine(
        _driver_url(url),
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={"options": _SESSION},
    )


def reader(writer: Engine) -> Engine:
    """The same pool for reading: one snapshot per block, and writing is refused."""
    return writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def verify(tx: Connection, *, durable: bool) -> None:
    """Raises StoreUnsafe unless a commit waits for the disk, and text is UTF-8.

    Args:    durable: also unless the server syncs at all; those settings are the whole server's.
    """
    settings = [("synchronous_commit", "on"), ("server_encoding", "UTF8")]
    if durable:
        settings += [("fsync", "on"), ("full_page_writes", "on")]
    for name, wanted in settings:
        found = tx.execute(text(f"SHOW {name}")).scalar_one()
        if found != wanted:
            raise unsafe(name, found, wanted)


def lock_keys(tx: Connection, keys: Iterable[bytes]) -> None:
    """Until the end of the transaction, keep other workers away from these cases and devices.

    Sorted, so that two workers cannot wait for each other within one call; a caller that appends twice in one
    transaction may still meet a deadlock, which the server breaks (StoreLocked: repeat the transaction).
    """
    stripes = sorted({zlib.crc32(key) % STRIPES for key in keys})
    tx.execute(
        text(
            "SELECT count(pg_advisory_xact_lock(1279546196, s)) FROM unnest(CAST(:stripes AS int[])) WITH ORDINALITY AS t(s, n)"
        ),
        {"stripes": stripes},
    )


def data_version(tx: Connection) -> int:
    """A number that differs from the earlier one whenever something may have been committed since."""
    return zlib.crc32(tx.execute(text("SELECT pg_current_snapshot()::text")).scalar_one().encode())


def _driver_url(url: str) -> str:
    return url if url.startswith("postgresql+") else "postgresql+psycopg://" + url.split("://", 1)[1]
