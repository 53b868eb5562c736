"""Receipts as they were signed, and what they say of each op: accepted, refused with a reason, or waiting.

For: proof of delivery kept for years; the answer to "what became of this op". At the hub an op without a row here is
accepted by being stored; refusals and waits have rows.
May not: open or believe a receipt (protocol/receipt.py does, before it is saved here).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Row, func, select, update

from conflict.ledger.schema import op_outcomes
from conflict.ledger.schema import ops as ops_table
from conflict.ledger.schema import receipts as receipts_table
from conflict.ledger.statements import insert_new, put, steps

State = Literal["accepted", "refused", "waiting"]


@dataclass(frozen=True, slots=True)
class OpOutcome:
    """The hub's word about one op, at `hub_ms` by its clock. code and reason are empty for an accepted one."""

    op_id: bytes
    outcome: State
    code: str = ""
    reason: str = ""
    hub_ms: int = 0


def save_receipt(tx: Connection, blob: bytes, *, author: bytes, hub_ms: int, arrived_ms: int) -> bytes:
    """Keep a verified receipt; returns its id (SHA-256 of the bytes). A second copy changes nothing."""
    receipt_id = hashlib.sha256(blob).digest()
    row = {"id": receipt_id, "author": author, "hub_ms": hub_ms, "arrived_ms": arrived_ms, "blob": blob}
    insert_new(tx, receipts_table, [row])
    return receipt_id


def receipt(tx: Connection, receipt_id: bytes) -> bytes | None:
    """The signed bytes of a receipt."""
    return tx.execute(select(receipts_table.c.blob).where(receipts_table.c.id == receipt_id)).scalar()


def receipts_of(tx: Connection, author: bytes, *, limit: int = 100) -> list[bytes]:
    """Signed receipts about a device's ops, newest first by the hub's clock."""
    query = select(receipts_table.c.blob).where(receipts_table.c.author == author)
    return list(tx.execute(query.order_by(receipts_table.c.hub_ms.desc(), receipts_table.c.id).limit(limit)).scalars())


def last_hub_ms(tx: Connection) -> int:
    """The latest signed hub time that we hold, 0 if none: evidence for claimed times."""
    return tx.execute(select(func.max(receipts_table.c.hub_ms))).scalar() or 0


def save_outcomes(tx: Connection, outcomes: Sequence[OpOutcome]) -> None:
    """Keep what is said of ops. A later word by the hub's clock replaces an earlier one, never the other way."""
    known = outcomes_of(tx, [one.op_id for one in outcomes])
    newest: dict[bytes, OpOutcome] = {}
    for one in outcomes:
        earlier = newest.get(one.op_id) or known.get(one.op_id)
        if earlier is None or one.hub_ms >= earlier.hub_ms:
            newest[one.op_id] = one
    put(
        tx,
        op_outcomes,
        [
            {"op_id": one.op_id, "outcome": one.outcome, "code": one.code, "reason": one.reason, "hub_ms": one.hub_ms}
            for one in newest.values()
        ],
    )


def let_any_word_replace(tx: Connection) -> None:
    """The times of all words so far mean nothing any more: whatever comes next counts, as from a hub put back from a
    backup, whose history may be older than words that it has lost."""
    tx.execute(update(op_outcomes).where(op_outcomes.c.hub_ms != 0).values(hub_ms=0))


def outcomes_of(tx: Connection, op_ids: Iterable[bytes]) -> dict[bytes, OpOutcome]:
    """What was said of these ops; those without a word are left out."""
    found: dict[bytes, OpOutcome] = {}
    for part in steps(op_ids):
        for row in tx.execute(select(op_outcomes).where(op_outcomes.c.op_id.in_(part))):
            found[row.op_id] = _outcome(row)
    return found


def with_outcome(tx: Connection, outcome: State, *, limit: int = 1000) -> list[OpOutcome]:
    """Ops of which this was said last, newest word first."""
    query = select(op_outcomes).where(op_outcomes.c.outcome == outcome)
    return [
        _outcome(row)
        for row in tx.execute(query.order_by(op_outcomes.c.hub_ms.desc(), op_outcomes.c.op_id).limit(limit))
    ]


def ops_in_run(tx: Connection, device: bytes, first_seq: int, last_seq: int) -> list[tuple[int, bytes]]:
    """(number, id) of a device's stored ops in a run that a receipt names, in order."""
    query = select(ops_table.c.seq, ops_table.c.id).where(
        ops_table.c.device == device, ops_table.c.seq.between(first_seq, last_seq)
    )
    return [(seq, op_id) for seq, op_id in tx.execute(query.order_by(ops_table.c.seq, ops_table.c.pos))]


def _outcome(row: Row) -> OpOutcome:
    return OpOutcome(row.op_id, row.outcome, row.code, row.reason, row.hub_ms)
