"""Tables of the branch: what a township carries for its villages, and what it sends down to them.

For: the queue of carried ops, receipts to pass on, one stream per village office, files that ops name.
May not: hold facts about cases (the ledger does); hold anything that cannot be made again from the ledger and the peers.
Change a table only together with a migration and a higher version (docs/operating/storage.md).
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, MetaData, Text

from conflict.ledger.schema import Int, table
from conflict.ledger.versions import Component

metadata = MetaData()

# Ops of offices below ours that were handed in here and whose receipt we have not seen, and those settled since.
relay = table(
    "branch_relay",
    Column("pos", Int, primary_key=True, autoincrement=True),
    Column("op_id", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("since_ms", Int, nullable=False),
    CheckConstraint("state in ('pending','settled')", name="branch_relay_state"),
    Index("branch_relay_op", "op_id", unique=True),
    Index("branch_relay_open", "state", "pos"),
    of=metadata,
)

# Receipts about ops of other devices, in order of arrival: to be passed down.
receipt = table(
    "branch_receipt",
    Column("pos", Int, primary_key=True, autoincrement=True),
    Column("receipt_id", LargeBinary, nullable=False),
    Column("author", LargeBinary, nullable=False),
    Index("branch_receipt_id", "receipt_id", unique=True),
    of=metadata,
)

# One row per served office: the end of its stream, and how far the ledger was looked through for it.
head = table(
    "branch_head",
    Column("office", Text, primary_key=True),
    Column("pos", Int, nullable=False),
    Column("ops_seen", Int, nullable=False),
    Column("receipts_seen", Int, nullable=False),
    of=metadata,
)

stream = table(
    "branch_stream",
    Column("office", Text, primary_key=True),
    Column("pos", Int, primary_key=True, autoincrement=False),
    Column("what", Integer, nullable=False),  # STREAM_OP or STREAM_RECEIPT
    Column("author", LargeBinary, nullable=False),
    Column("ref", LargeBinary, nullable=False),  # id of the op or of the receipt
    of=metadata,
)

scope = table(
    "branch_scope",
    Column("office", Text, primary_key=True),
    Column("case_id", LargeBinary, primary_key=True),
    of=metadata,
)

# Which device's op names a file, and in which case: whom to ask for it, and who may have it.
file = table(
    "branch_file",
    Column("sha256", LargeBinary, primary_key=True),
    Column("device", LargeBinary, primary_key=True),
    Column("case_id", LargeBinary, primary_key=True),
    Column("size", Int, nullable=False),
    Index("branch_file_device", "device"),
    of=metadata,
)

COMPONENT = Component(
    name="branch",
    metadata=metadata,
    version=1,
    oldest_code=1,
    migrations=Path(__file__).parent / "migrations",
)
