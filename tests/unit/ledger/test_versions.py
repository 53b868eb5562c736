"""Schema versions: made and migrated stores are alike, too old programs refuse, nothing is half migrated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Index, MetaData, Text, inspect, text
from sqlalchemy.exc import DBAPIError

from conflict.ledger import errors, schema, versions
from conflict.ledger.schema import Int, table
from conflict.ledger.store import Component, Store, open_store

REVISION = """
import sqlalchemy as sa
from alembic import op
revision = "{number}"
down_revision = {before}
def upgrade():
    {change}
"""


def component(path: Path, *, version: int, oldest_code: int = 1, columns: int = 1) -> Component:
    """A component "shelf" with one table, as a program of some version knows it."""
    metadata = MetaData()
    extra = [Column("colour", Text), Column("height", Int)][: columns - 1]
    table("shelf", Column("id", Int, primary_key=True), *extra, Index("shelf_id", "id"), of=metadata)
    return Component("shelf", metadata, version, oldest_code, path)


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """Revisions 0001 to 0003 of "shelf"; the third one fails after it has changed something."""
    changes = (
        ("0001", None, "pass"),
        ("0002", '"0001"', 'op.add_column("shelf", sa.Column("colour", sa.Text))'),
        ("0003", '"0002"', 'op.add_column("shelf", sa.Column("height", sa.Integer)); raise RuntimeError("power cut")'),
    )
    (tmp_path / "revisions" / "versions").mkdir(parents=True)
    for number, before, change in changes:
        body = REVISION.format(number=number, before=before, change=change)
        (tmp_path / "revisions" / "versions" / f"{number}_x.py").write_text(body)
    return tmp_path / "revisions"


def described(tx: Connection) -> dict[str, object]:
    """Everything that the database says about its tables."""
    seen = inspect(tx)
    facts: dict[str, object] = {}
    for name in seen.get_table_names():
        facts[name] = (
            [(column["name"], str(column["type"]), column["nullable"]) for column in seen.get_columns(name)],
            seen.get_pk_constraint(name)["constrained_columns"],
            sorted(
                (index["name"], tuple(index["column_names"]), bool(index["unique"])) for index in seen.get_indexes(name)
            ),
            [key["name"] for key in seen.get_foreign_keys(name)],
        )
    if tx.dialect.name == "sqlite":
        facts["master"] = sorted(tx.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master")).all(), key=str)
    return facts


def test_migrated_store_is_like_a_created_one(store: Store) -> None:
    """From nothing by the revisions, and from nothing at once: the same schema, to the letter on SQLite."""
    with store.write() as tx:
        created = described(tx)
        schema.metadata.drop_all(tx)
        versions._migrate(tx, schema.COMPONENT, 0)
        assert described(tx) == created
    assert {name for name in created if name != "master"} == {*schema.metadata.tables, "schema_versions"}


def test_there_is_a_revision_for_every_version() -> None:
    revisions = sorted((schema.COMPONENT.migrations / "versions").glob("*.py"))
    assert [entry.name[:4] for entry in revisions] == [f"{n:04d}" for n in range(1, schema.SCHEMA_VERSION + 1)]


def test_components_have_versions_of_their_own(store: Store, migrations: Path) -> None:
    store.ensure(component(migrations, version=1))
    with store.read() as tx:
        assert versions.stored_versions(tx) == {"ledger": (schema.SCHEMA_VERSION, schema.OLDEST_CODE), "shelf": (1, 1)}
    store.ensure(component(migrations, version=2, columns=2))
    with store.read() as tx:
        assert versions.stored_versions(tx)["shelf"] == (2, 1)
        assert [column["name"] for column in inspect(tx).get_columns("shelf")] == ["id", "colour"]


def test_failed_migration_leaves_the_old_store(store: Store, migrations: Path) -> None:
    store.ensure(component(migrations, version=1))
    with pytest.raises(RuntimeError, match="power cut"):
        store.ensure(component(migrations, version=3, columns=3))
    with store.read() as tx:
        assert versions.stored_versions(tx)["shelf"] == (1, 1)
        assert [column["name"] for column in inspect(tx).get_columns("shelf")] == ["id"]


def test_older_program_is_let_in_or_kept_out_by_what_the_store_says(store: Store, migrations: Path) -> None:
    store.ensure(component(migrations, version=2, oldest_code=1, columns=2))
    store.ensure(component(migrations, version=1))
    with store.write() as tx:
        tx.execute(text("UPDATE schema_versions SET oldest_code = 2 WHERE component = 'shelf'"))
    with pytest.raises(errors.StoreTooNew) as caught:
        store.ensure(component(migrations, version=1))
    assert caught.value.facts == {"component": "shelf", "version": 2, "oldest_code": 2, "this_code": 1}


def test_too_new_ledger_is_not_opened(url: str) -> None:
    with open_store(url, create=True) as store, store.write() as tx:
        tx.execute(text("UPDATE schema_versions SET version = 99, oldest_code = 98"))
    with pytest.raises(errors.StoreTooNew):
        open_store(url)


def test_opening_does_not_import_alembic(tmp_path: Path) -> None:
    program = (
        "import sys; from conflict.ledger.store import open_store; "
        f"open_store({str(tmp_path / 'node.db')!r}, create=True).close(); "
        f"open_store({str(tmp_path / 'node.db')!r}).close(); print('alembic' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_strict_tables_refuse_a_wrong_type(tmp_path: Path) -> None:
    with (
        open_store(tmp_path / "node.db", create=True) as store,
        pytest.raises(DBAPIError, match="cannot store TEXT value in INTEGER column"),
        store.write() as tx,
    ):
        tx.execute(text("INSERT INTO chains VALUES (x'00', 'many', x'00', 1)"))
