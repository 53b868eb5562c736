"""Tables that only an office's device has, beside the ledger's in the same store.

For: staff accounts, the outbox, what was set aside.
May not: hold facts about cases (ops, in the ledger's tables) or the hub's words about ops (the ledger's too); small
remembered values are in the ledger's `meta` (edge/memory.py).
Change a table only together with a migration and a higher SCHEMA_VERSION (docs/operating/storage.md).
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, MetaData, Text

from conflict.ledger.schema import Int, table
from conflict.ledger.versions import Component

SCHEMA_VERSION = 1  # of the tables below
OLDEST_CODE = 1  # the oldest program (by its SCHEMA_VERSION) that may work with a store of this version

metadata = MetaData()

OUTBOX_STATES = ("pending", "offered", "accepted", "refused", "waiting")

staff = table(
    "edge_staff",
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("hash", Text, nullable=False),  # argon2id in its own text form with salt and cost; "" while none is set
    Column("disabled", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until_ms", Int, nullable=False),
    Column("created_ms", Int, nullable=False),
    of=metadata,
)

outbox = table(
    "edge_outbox",
    Column("seq", Int, primary_key=True, autoincrement=False),  # the op's number in this device's chain
    Column("op_id", LargeBinary, nullable=False),
    Column("case_id", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("since_ms", Int, nullable=False),  # wall clock when this state began
    Column("offers", Integer, nullable=False),
    CheckConstraint("state in ('pending','offered','accepted','refused','waiting')", name="edge_outbox_state"),
    Index("edge_outbox_op", "op_id", unique=True),
    Index("edge_outbox_open", "state", "seq"),
    Index("edge_outbox_case", "case_id"),
    of=metadata,
)

# What could not be handled, with its evidence: it stops nothing else and is tried again on demand or with a new roster.
aside = table(
    "edge_aside",
    Column("id", LargeBinary, primary_key=True),  # SHA-256 of the bytes
    Column("what", Text, nullable=False),  # op, receipt, document, message, envelope
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("author", LargeBinary, nullable=False),  # incarnation if known, else empty
    Column("since_ms", Int, nullable=False),
    Column("tries", Integer, nullable=False),
    of=metadata,
)

# Concluded cases that were deleted here and are held by the hub (edge/purge.py).
purged = table(
    "edge_purged",
    Column("case_id", LargeBinary, primary_key=True),
    Column("number_key", Text, nullable=False),
    Column("state", Text, nullable=False),  # gone, told (to the hub), wanted (back)
    Column("since_ms", Int, nullable=False),
    of=metadata,
)

COMPONENT = Component(
    name="edge",
    metadata=metadata,
    version=SCHEMA_VERSION,
    oldest_code=OLDEST_CODE,
    migrations=Path(__file__).parent / "migrations",
)
