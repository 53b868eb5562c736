"""Tables that only the county's machine has, beside the ledger's in the same store.

For: enrolment codes, devices' places in their streams, the streams, refusals, held ops, notices, duplicates.
May not: hold facts about cases (those are ops, in the ledger's tables); hold a plain identity number.
Change together: docs/operating/hub.md, "Store"; a migration in conflict/ledger/migrations for a released table.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text

from conflict.ledger.schema import Int, table
from conflict.ledger.versions import Component

SCHEMA_VERSION = 1  # of the tables below
OLDEST_CODE = 1  # the oldest program (by its SCHEMA_VERSION) that may work with a store of this version

metadata = MetaData()

code = table(
    "hub_code",
    Column("hash", LargeBinary, primary_key=True),  # of the secret; the secret itself is nowhere
    Column("office", Text, nullable=False),
    Column("made_ms", Int, nullable=False),
    Column("expires_ms", Int, nullable=False),
    Column("used_ms", Int, nullable=False),  # 0 while unused
    Column("device", LargeBinary, nullable=False),  # who used it, else empty
    Column("staff", Text, nullable=False),
    Column("account", Text, nullable=False),  # broker user of the joining machine; "" once the account is gone
    of=metadata,
)

device = table(
    "hub_device",
    Column("incarnation", LargeBinary, primary_key=True),
    Column("office", Text, nullable=False),
    Column("epoch", LargeBinary, nullable=False),  # of the stream that `pos` counts in
    Column("pos", Int, nullable=False),  # acknowledged cumulatively
    Column("contact_ms", Int, nullable=False),  # 0 if never heard
    Column("software", Text, nullable=False),
    Column("documents", LargeBinary, nullable=False),  # versions it holds by kind, canonical
    Column("counts", LargeBinary, nullable=False),  # what it said of its own backlog, canonical
    Column("head_seq", Int, nullable=False),  # its own last op, as it said
    Index("hub_device_by_office", "office"),
    of=metadata,
)

stream = Table(
    "hub_stream",
    metadata,
    Column("office", Text, primary_key=True),
    Column("pos", Int, primary_key=True),  # contiguous from 1
    Column("what", Integer, nullable=False),  # protocol.messages.STREAM_…
    Column("author", LargeBinary, nullable=False),  # of the op; empty for receipts and notices
    Column("ref", LargeBinary, nullable=False),  # op id, or the bytes of the receipt or notice
    sqlite_strict=True,
    sqlite_with_rowid=False,  # read and written by key only
)

head = Table(
    "hub_stream_head",
    metadata,
    Column("office", Text, primary_key=True),
    Column("pos", Int, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,  # read and written by key only
)

scope = Table(
    "hub_scope",
    metadata,
    Column("case_id", LargeBinary, primary_key=True),
    Column("office", Text, primary_key=True),
    Index("hub_scope_by_office", "office"),
    sqlite_strict=True,
    sqlite_with_rowid=False,  # read and written by key only
)

refusal = table(
    "hub_refusal",
    Column("id", Int, primary_key=True, autoincrement=True),
    Column("at_ms", Int, nullable=False),
    Column("what", Text, nullable=False),
    Column("device", LargeBinary, nullable=False),  # who is to blame: author if known, else sender, else empty
    Column("office", Text, nullable=False),
    Column("op", LargeBinary, nullable=False),  # op id, or envelope id
    Column("seq", Int, nullable=False),
    Column("case_id", LargeBinary, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", LargeBinary, nullable=False),  # the bytes, where they are not in the ledger
    Column("times", Integer, nullable=False),
    Index("hub_refusal_once", "op", "code", unique=True),
    Index("hub_refusal_by_device", "device", "id"),
    of=metadata,
)

held = table(
    "hub_held",
    Column("op", LargeBinary, primary_key=True),
    Column("at_ms", Int, nullable=False),
    Column("device", LargeBinary, nullable=False),
    Column("office", Text, nullable=False),
    Column("seq", Int, nullable=False),
    Column("code", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("decision", Text, nullable=False),  # "" while open, then released or refused
    Column("staff", Text, nullable=False),
    Column("decided_ms", Int, nullable=False),
    of=metadata,
)

notice = table(
    "hub_notice",
    Column("id", Int, primary_key=True, autoincrement=True),
    Column("at_ms", Int, nullable=False),
    Column("code", Text, nullable=False),
    Column("about", Text, nullable=False),  # device, case or document in hex or text: one open notice each
    Column("office", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("text_zh", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Column("closed_ms", Int, nullable=False),  # 0 while open
    Column("closed_by", Text, nullable=False),
    Index("hub_notice_open", "closed_ms", "code", "about"),
    of=metadata,
)

# Which device can be asked for the bytes of a file, and which case names it.
file_source = table(
    "hub_file_source",
    Column("sha256", LargeBinary, primary_key=True),
    Column("device", LargeBinary, primary_key=True),
    Column("case_id", LargeBinary, primary_key=True),
    Column("size", Int, nullable=False),
    Index("hub_file_source_by_device", "device"),
    of=metadata,
)

# Cases that a device no longer stores, by its own word (hub/purges.py).
purged = table(
    "hub_purged",
    Column("device", LargeBinary, primary_key=True),
    Column("case_id", LargeBinary, primary_key=True),
    Column("since_ms", Int, nullable=False),
    of=metadata,
)

item_version = table(
    "hub_item_version",
    Column("code", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("item", LargeBinary, nullable=False),  # canonical
    Column("since_ms", Int, nullable=False),
    of=metadata,
)

blind = Table(
    "hub_blind",
    metadata,
    Column(
        "token", LargeBinary, primary_key=True
    ),  # keyed hash about applicant and item; tells nothing without the key
    Column("case_id", LargeBinary, primary_key=True),
    Index("hub_blind_by_case", "case_id"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# Cases whose applicant is new or changed and that were not looked at yet.
blind_due = table(
    "hub_blind_due",
    Column("case_id", LargeBinary, primary_key=True),
    Column("since_ms", Int, nullable=False),
    of=metadata,
)

duplicate = table(
    "hub_duplicate",
    Column("id", Int, primary_key=True, autoincrement=True),
    Column("one", LargeBinary, nullable=False),  # the two case ids, smaller first
    Column("other", LargeBinary, nullable=False),
    Column("certain", Integer, nullable=False),
    Column("at_ms", Int, nullable=False),
    Column("decision", Text, nullable=False),  # "" while open, then linked or distinct
    Column("staff", Text, nullable=False),
    Column("decided_ms", Int, nullable=False),
    Index("hub_duplicate_once", "one", "other", unique=True),
    of=metadata,
)

COMPONENT = Component(
    name="hub",
    metadata=metadata,
    version=SCHEMA_VERSION,
    oldest_code=OLDEST_CODE,
    migrations=Path(__file__).parent / "migrations",
)
