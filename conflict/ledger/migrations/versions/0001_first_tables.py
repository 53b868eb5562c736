"""Version 1: the first tables of the ledger.

For: stores that were made before there was a newer version. May not: be edited; add a new revision instead.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Int = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table of version 1."""
    _ops_and_chains()
    _views()
    _hubs_word()
    _files_and_meta()


def _ops_and_chains() -> None:
    op.create_table(
        "ops",
        sa.Column("pos", Int, primary_key=True, autoincrement=True),
        sa.Column("id", sa.LargeBinary, nullable=False),
        sa.Column("case_id", sa.LargeBinary, nullable=False),
        sa.Column("device", sa.LargeBinary, nullable=False),
        sa.Column("seq", Int, nullable=False),
        sa.Column("waiting", sa.Integer, nullable=False),
        sa.Column("arrived_ms", Int, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("blob", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("ops_case", "ops", ["case_id"])
    op.create_index("ops_device", "ops", ["device", "seq"])
    op.create_index("ops_id", "ops", ["id"], unique=True)
    op.create_table(
        "waits",
        sa.Column("parent_id", sa.LargeBinary, primary_key=True),
        sa.Column("op_id", sa.LargeBinary, primary_key=True),
        sa.Column("case_id", sa.LargeBinary, nullable=False),
        sa.Column("since_ms", Int, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("waits_case", "waits", ["case_id"])
    op.create_index("waits_op", "waits", ["op_id"])
    op.create_table(
        "chains",
        sa.Column("device", sa.LargeBinary, primary_key=True),
        sa.Column("seq", Int, nullable=False),
        sa.Column("op_id", sa.LargeBinary, nullable=False),
        sa.Column("top", Int, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "forks",
        sa.Column("device", sa.LargeBinary, primary_key=True),
        sa.Column("seq", Int, primary_key=True),
        sa.Column("op_id", sa.LargeBinary, primary_key=True),
        sa.Column("other_id", sa.LargeBinary, nullable=False),
        sa.Column("found_ms", Int, nullable=False),
        sqlite_strict=True,
    )


def _views() -> None:
    op.create_table(
        "views",
        sa.Column("case_id", sa.LargeBinary, primary_key=True),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("number_key", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("opened_by", sa.Text, nullable=False),
        sa.Column("opened_ms", Int, nullable=False),
        sa.Column("updated_ms", Int, nullable=False),
        sa.Column("urgent", sa.Integer, nullable=False),
        sa.Column("due_ms", Int),
        sa.Column("open_conflicts", sa.Integer, nullable=False),
        sa.Column("waiting", sa.Integer, nullable=False),
        sa.Column("rules", sa.Integer, nullable=False),
        sa.Column("heads", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("views_holder", "views", ["holder", "updated_ms"])
    op.create_index("views_number", "views", ["number_key"])
    op.create_index("views_status", "views", ["status", "updated_ms"])
    op.create_index("views_updated", "views", ["updated_ms"])
    op.create_table(
        "case_offices",
        sa.Column("office", sa.Text, primary_key=True),
        sa.Column("case_id", sa.LargeBinary, primary_key=True),
        sqlite_strict=True,
    )
    op.create_index("case_offices_case", "case_offices", ["case_id"])


def _hubs_word() -> None:
    op.create_table(
        "receipts",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("author", sa.LargeBinary, nullable=False),
        sa.Column("hub_ms", Int, nullable=False),
        sa.Column("arrived_ms", Int, nullable=False),
        sa.Column("blob", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("receipts_author", "receipts", ["author", "hub_ms"])
    op.create_table(
        "op_outcomes",
        sa.Column("op_id", sa.LargeBinary, primary_key=True),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("hub_ms", Int, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("op_outcomes_outcome", "op_outcomes", ["outcome", "hub_ms"])
    op.create_table(
        "documents",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("version", Int, primary_key=True),
        sa.Column("base_version", Int, nullable=False),
        sa.Column("issued_ms", Int, nullable=False),
        sa.Column("arrived_ms", Int, nullable=False),
        sa.Column("blob", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )


def _files_and_meta() -> None:
    op.create_table(
        "files",
        sa.Column("id", Int, primary_key=True, autoincrement=True),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("size", Int, nullable=False),
        sa.Column("complete", sa.Integer, nullable=False),
        sa.Column("declared_ms", Int, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("files_complete", "files", ["complete", "id"])
    op.create_index("files_name", "files", ["sha256", "size"], unique=True)
    op.create_table(
        "file_chunks",
        sa.Column("id", Int, primary_key=True, autoincrement=True),
        sa.Column("file_id", Int, sa.ForeignKey("files.id", name="file_chunks_file"), nullable=False),
        sa.Column("number", Int, nullable=False),
        sa.Column("blob", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("file_chunks_name", "file_chunks", ["file_id", "number"], unique=True)
    op.create_table(
        "meta",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
