"""Stores to test with: SQLite always, PostgreSQL where there is one (a server named by LIANDONG_TEST_PG, or a private cluster)."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from conflict.ledger.store import Store, open_store


@pytest.fixture(scope="session")
def postgres_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """One database for all tests of this process: making one for each test writes 8 MB every time."""
    given = os.environ.get("LIANDONG_TEST_PG")
    if not given:
        yield request.getfixturevalue("postgres_cluster").new_database()
        return
    import psycopg

    name = f"ledger_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(given, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    yield given.rsplit("/", 1)[0] + "/" + name
    with psycopg.connect(given, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def empty_postgres(postgres_database: str) -> str:
    """That database without any table."""
    import psycopg

    with psycopg.connect(postgres_database, autocommit=True) as admin:
        admin.execute("DROP SCHEMA public CASCADE")
        admin.execute("CREATE SCHEMA public")
    return postgres_database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be made: a path, then a PostgreSQL database."""
    if request.param == "sqlite":
        return str(tmp_path / "node.db")
    return str(request.getfixturevalue("empty_postgres"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store of either kind."""
    with open_store(url, create=True) as made:
        yield made
