"""Prepared statements that SQLite and PostgreSQL spell alike but SQLAlchemy keeps apart.

For: insert-if-new and insert-or-replace, built once per dialect and table; lookups by many ids in bounded steps.
May not: execute anything of its own accord.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Executable

IN_MAX = 500  # ids named in one statement
T = TypeVar("T")


def insert_new(tx: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> int:
    """Insert `rows`; those whose key is there already change nothing. Returns how many were new."""
    return tx.execute(_new(tx.dialect.name, table), rows).rowcount if rows else 0


def put(tx: Connection, table: Table, rows: Sequence[dict[str, Any]], *, keep: tuple[str, ...] = ()) -> None:
    """Insert `rows`, or replace those with the same primary key, except for their columns named in `keep`."""
    if rows:
        tx.execute(_put(tx.dialect.name, table, tuple(rows[0]), keep), rows)


def steps(items: Iterable[T], size: int = IN_MAX) -> Iterator[list[T]]:
    """`items` in lists of at most `size`."""
    everything = list(items)
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


@lru_cache(maxsize=64)
def _new(dialect: str, table: Table) -> Executable:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


@lru_cache(maxsize=64)
def _put(dialect: str, table: Table, columns: tuple[str, ...], keep: tuple[str, ...]) -> Executable:
    key = [column.name for column in table.primary_key]
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    values = {name: insert.excluded[name] for name in columns if name not in key and name not in keep}
    return insert.on_conflict_do_update(index_elements=key, set_=values)
