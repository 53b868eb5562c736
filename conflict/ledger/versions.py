"""Schema versions: which tables a store holds, which programs may open it, and how an old store becomes new.

For: one row per component (ledger, edge, hub) with its version and the oldest program that may use it; creating tables
of a new component; running migrations of an old one inside one transaction.
May not: import alembic unless something must change (it costs 0.1 s and more of every start).
Manual: docs/operating/storage.md, "Schema versions".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, inspect, select, update

from conflict.ledger.errors import StoreTooNew

_metadata = MetaData()
schema_versions = Table(
    "schema_versions",
    _metadata,
    Column("component", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("oldest_code", Integer, nullable=False),
    sqlite_strict=True,
)


@dataclass(frozen=True, slots=True)
class Component:
    """A set of tables with a version of its own.

    name: "ledger", "edge" or "hub". version: of these tables in this program, from 1.
    oldest_code: the lowest `version` of a program that may still work with a store of this version.
    migrations: an alembic script directory whose revisions are "0001", "0002" …; revision N makes version N.
    """

    name: str
    metadata: MetaData
    version: int
    oldest_code: int
    migrations: Path


def stored_versions(tx: Connection) -> dict[str, tuple[int, int]]:
    """Component name to (version, oldest program); empty for a database without our tables."""
    if not inspect(tx).has_table(schema_versions.name):
        return {}
    rows = tx.execute(select(schema_versions)).all()
    return {row.component: (row.version, row.oldest_code) for row in rows}


def is_current(stored: dict[str, tuple[int, int]], component: Component) -> bool:
    """Whether the tables can be used as they are.

    Raises:  StoreTooNew if a newer program made them and excludes this one.
    """
    if component.name not in stored:
        return False
    version, oldest_code = stored[component.name]
    if oldest_code > component.version:
        raise StoreTooNew(
            f"A newer program wrote this store ({component.name} version {version}). Update this program.",
            f"该数据库由更新版本的程序写入（{component.name} 版本 {version}），请先升级本程序。",
            component=component.name,
            version=version,
            oldest_code=oldest_code,
            this_code=component.version,
        )
    return version >= component.version


def bring_up(tx: Connection, component: Component) -> None:
    """Create the component's tables, or migrate them to this program's version. Does not commit.

    Raises:  StoreTooNew.
    """
    _metadata.create_all(tx)
    stored = stored_versions(tx)
    if is_current(stored, component):
        return
    row = {"version": component.version, "oldest_code": component.oldest_code}
    if component.name not in stored:
        component.metadata.create_all(tx)
        tx.execute(insert(schema_versions).values(component=component.name, **row))
        return
    _migrate(tx, component, stored[component.name][0])
    tx.execute(update(schema_versions).where(schema_versions.c.component == component.name).values(**row))


def _migrate(tx: Connection, component: Component, version: int) -> None:
    """Run the revisions above `version` in order, all in the caller's transaction."""
    from alembic.config import Config
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(component.migrations).replace("%", "%%"))
    revisions = ScriptDirectory.from_config(config).walk_revisions("base", "head")
    ordered = sorted(revisions, key=lambda script: int(script.revision))
    context = MigrationContext.configure(tx)
    with Operations.context(context):
        for script in ordered:
            if version < int(script.revision) <= component.version:
                script.module.upgrade()
