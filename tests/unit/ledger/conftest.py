"""Stores to test with: SQLite always, PostgreSQL where there is one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from conflict.ledger.store import Store, open_store


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be made: a path, then a PostgreSQL database of its own."""
    if request.param == "sqlite":
        return str(tmp_path / "node.db")
    given = os.environ.get("LIANDONG_TEST_PG")
    if not given:
        return str(request.getfixturevalue("postgres_url"))
    import psycopg

    name = f"ledger_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(given, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    request.addfinalizer(lambda: _drop(given, name))
    return given.rsplit("/", 1)[0] + "/" + name


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store of either kind."""
    with open_store(url, create=True) as made:
        yield made


def _drop(given: str, name: str) -> None:
    import psycopg

    with psycopg.connect(given, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
