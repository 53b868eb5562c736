"""Tables of the case ledger: ops, what waits, chains, views, receipts, documents, files.

For: one description of the tables that edge and hub share; their schema version.
May not: hold a rule of its own, open an engine, commit. Edge-only and hub-only tables live in edge/ and hub/.
Change a table only together with a new migration and a higher SCHEMA_VERSION (docs/operating/storage.md).
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.schema import SchemaItem

from conflict.ledger.versions import Component

SCHEMA_VERSION = 1  # of the tables below
OLDEST_CODE = 1  # the oldest program (by its SCHEMA_VERSION) that may work with a store of this version

metadata = MetaData()
Int = BigInteger().with_variant(Integer(), "sqlite")  # 64 bits on both; INTEGER is what SQLite's STRICT tables allow


def table(name: str, *items: SchemaItem, of: MetaData = metadata) -> Table:
    """A table in our common form: STRICT on SQLite, so that a value of a wrong type is refused."""
    return Table(name, of, *items, sqlite_strict=True)


ops = table(
    "ops",
    Column("pos", Int, primary_key=True, autoincrement=True),  # order of arrival in this store
    Column("id", LargeBinary, nullable=False),
    Column("case_id", LargeBinary, nullable=False),
    Column("device", LargeBinary, nullable=False),
    Column("seq", Int, nullable=False),
    Column("waiting", Integer, nullable=False),  # 1 while an ancestor is not here
    Column("arrived_ms", Int, nullable=False),
    Column("via", Text, nullable=False),
    Column("blob", LargeBinary, nullable=False),  # the exact bytes that were signed, and the signature
    Index("ops_id", "id", unique=True),
    Index("ops_case", "case_id"),
    Index("ops_device", "device", "seq"),
)

# One row per parent that a stored op waits for; the op is ready when its last row is gone.
waits = table(
    "waits",
    Column("parent_id", LargeBinary, primary_key=True),
    Column("op_id", LargeBinary, primary_key=True),
    Column("case_id", LargeBinary, nullable=False),
    Column("since_ms", Int, nullable=False),
    Index("waits_op", "op_id"),
    Index("waits_case", "case_id"),
)

# Per device: how far its chain is complete here, and the highest number seen.
chains = table(
    "chains",
    Column("device", LargeBinary, primary_key=True),
    Column("seq", Int, nullable=False),  # contiguous from 1 to this number; 0 if op 1 is missing
    Column("op_id", LargeBinary, nullable=False),  # of op `seq`; empty bytes at 0
    Column("top", Int, nullable=False),
)

# Evidence of a clone or of a rewritten history: ops that do not fit the chain of their device.
forks = table(
    "forks",
    Column("device", LargeBinary, primary_key=True),
    Column("seq", Int, primary_key=True),
    Column("op_id", LargeBinary, primary_key=True),
    Column("other_id", LargeBinary, nullable=False),  # the op of the same number, or the one that `prev` denies
    Column("found_ms", Int, nullable=False),
)

views = table(
    "views",
    Column("case_id", LargeBinary, primary_key=True),
    Column("number", Text, nullable=False),
    Column("number_key", Text, nullable=False),  # normal form for lookups
    Column("status", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("opened_by", Text, nullable=False),
    Column("opened_ms", Int, nullable=False),
    Column("updated_ms", Int, nullable=False),
    Column("urgent", Integer, nullable=False),
    Column("due_ms", Int),  # filled by whoever knows the calendar; None until then
    Column("open_conflicts", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),  # ops of this case that wait for a parent
    Column("rules", Integer, nullable=False),
    Column("heads", LargeBinary, nullable=False),  # 32 bytes each
    Column("digest", LargeBinary, nullable=False),
    Column(
        "record", LargeBinary, nullable=False
    ),  # MessagePack of CaseView.record(); the digest is over the canonical form
    Index("views_number", "number_key"),
    Index("views_updated", "updated_ms"),
    Index("views_status", "status", "updated_ms"),
    Index("views_holder", "holder", "updated_ms"),
)

# Which offices take part in a case: scope queries and routing.
case_offices = table(
    "case_offices",
    Column("office", Text, primary_key=True),
    Column("case_id", LargeBinary, primary_key=True),
    Index("case_offices_case", "case_id"),
)

receipts = table(
    "receipts",
    Column("id", LargeBinary, primary_key=True),  # SHA-256 of the signed bytes
    Column("author", LargeBinary, nullable=False),
    Column("hub_ms", Int, nullable=False),
    Column("arrived_ms", Int, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Index("receipts_author", "author", "hub_ms"),
)

op_outcomes = table(
    "op_outcomes",
    Column("op_id", LargeBinary, primary_key=True),
    Column("outcome", Text, nullable=False),  # accepted, refused, waiting
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("hub_ms", Int, nullable=False),
    Index("op_outcomes_outcome", "outcome", "hub_ms"),
)

documents = table(
    "documents",
    Column("kind", Text, primary_key=True),
    Column("version", Int, primary_key=True),
    Column("base_version", Int, nullable=False),
    Column("issued_ms", Int, nullable=False),
    Column("arrived_ms", Int, nullable=False),
    Column("blob", LargeBinary, nullable=False),
)

# A file is named by hash and size together, so that a false size in one op cannot block the true file.
files = table(
    "files",
    Column("id", Int, primary_key=True, autoincrement=True),
    Column("sha256", LargeBinary, nullable=False),
    Column("size", Int, nullable=False),
    Column("complete", Integer, nullable=False),
    Column("declared_ms", Int, nullable=False),
    Index("files_name", "sha256", "size", unique=True),
    Index("files_complete", "complete", "id"),
)

file_chunks = table(
    "file_chunks",
    Column("id", Int, primary_key=True, autoincrement=True),
    Column("file_id", Int, ForeignKey("files.id", name="file_chunks_file"), nullable=False),
    Column("number", Int, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Index("file_chunks_name", "file_id", "number", unique=True),
)

meta = table(
    "meta",
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),  # canonical bytes
)

COMPONENT = Component(
    name="ledger",
    metadata=metadata,
    version=SCHEMA_VERSION,
    oldest_code=OLDEST_CODE,
    migrations=Path(__file__).parent / "migrations",
)
