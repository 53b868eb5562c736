"""The hub's turn: on PostgreSQL, where writers run side by side, one hub transaction after the other.

For: what several processes and threads of the hub count up together: stream positions, the hub's own chain, versions of
documents, codes. On SQLite the store itself lets one writer in at a time.
May not: be held longer than a transaction; be taken after a lock of the ledger (it comes first, so nobody waits in a circle).
Decision: docs/decisions/0083-one-transaction-per-batch.md.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

_KEY = 1279546197  # of the advisory lock; the ledger's stripes use 1279546196


def take_turn(tx: Connection) -> None:
    """Wait until no other hub transaction is under way, and keep others out until this one ends. Taking it twice is fine."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("SELECT pg_advisory_xact_lock(:key, 0)"), {"key": _KEY})
