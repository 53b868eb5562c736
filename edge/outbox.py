"""The outbox: every op of this device and how far the hub's word about it has come.

For: the row beside each op, written in the op's own transaction; what is to be offered; what a receipt settles.
May not: send anything; commit; take an op out before a receipt settles it (law 2).
Manual: docs/operating/edge.md, "Backlog".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, insert, select, update

from conflict.ledger.receipts import OpOutcome
from conflict.ledger.schema import op_outcomes, views
from conflict.ledger.schema import ops as ops_table
from conflict.ledger.statements import steps
from edge.schema import OUTBOX_STATES, outbox
from protocol.op import Op

UNSETTLED = ("pending", "offered")  # without the hub's word: to be offered again and again


@dataclass(frozen=True, slots=True)
class Entry:
    """One op of this device. `code` and `reason` are the hub's words where it refused or waits, else empty.

    state: pending (never offered), offered (handed to a carrier, which proves nothing), accepted, refused, or waiting
    (the hub holds it and cannot apply it yet).
    """

    seq: int
    op: bytes
    case: bytes
    state: str
    code: str
    reason: str
    since_ms: int
    offers: int


def add(tx: Connection, ops: Sequence[Op], *, now_ms: int, base: int = 0) -> None:
    """Queue ops of this device, in the transaction that appends them to the ledger.

    Args:    base: added to their numbers to have their places (edge/incarnation.py: a device with an earlier name).
    """
    rows = [
        {"seq": base + op.seq, "op_id": op.id, "case_id": op.case, "state": "pending", "since_ms": now_ms, "offers": 0}
        for op in ops
    ]
    tx.execute(insert(outbox), rows)


def unsettled(tx: Connection, *, after: int = 0, limit: int) -> list[tuple[int, bytes]]:
    """(number, signed bytes) of ops that the hub has said nothing about, oldest first, above number `after`."""
    query = (
        select(outbox.c.seq, ops_table.c.blob)
        .join(ops_table, ops_table.c.id == outbox.c.op_id)
        .where(outbox.c.state.in_(UNSETTLED), outbox.c.seq > after)
    )
    return [(row.seq, row.blob) for row in tx.execute(query.order_by(outbox.c.seq).limit(limit))]


def lowest_unsettled(tx: Connection) -> int | None:
    """The number of the oldest op without the hub's word, or None."""
    query = select(func.min(outbox.c.seq)).where(outbox.c.state.in_(UNSETTLED))
    found: int | None = tx.execute(query).scalar()
    return found


def offered(tx: Connection, first: int, last: int, *, now_ms: int) -> None:
    """Note that ops `first` to `last` were handed to a carrier. They stay unsettled."""
    span = outbox.c.seq.between(first, last) & outbox.c.state.in_(UNSETTLED)
    tx.execute(update(outbox).where(span, outbox.c.state == "pending").values(state="offered", since_ms=now_ms))
    tx.execute(update(outbox).where(span).values(offers=outbox.c.offers + 1))


def settle(tx: Connection, outcomes: Iterable[OpOutcome], *, now_ms: int) -> None:
    """Take over the hub's words; ops of other devices, and a word that is in place already, change nothing."""
    rows = [{"op": one.op_id, "new": one.outcome} for one in outcomes]
    if rows:
        moved = (outbox.c.op_id == bindparam("op")) & (outbox.c.state != bindparam("new"))
        tx.execute(update(outbox).where(moved).values(state=bindparam("new"), since_ms=now_ms), rows)


def holds_urgent(tx: Connection) -> bool:
    """Whether an unsettled op belongs to an urgent case: the hub serves such devices first after an outage."""
    query = (
        select(outbox.c.seq)
        .join(views, views.c.case_id == outbox.c.case_id)
        .where(outbox.c.state.in_(UNSETTLED), views.c.urgent == 1)
        .limit(1)
    )
    return tx.execute(query).first() is not None


def reopen(tx: Connection, above: int, *, now_ms: int) -> int:
    """The hub holds our chain up to number `above`: if it had accepted more, it lost that; offer it again.

    Returns: how many ops are offered again.
    """
    beyond = outbox.c.seq > above
    if tx.execute(select(outbox.c.seq).where(beyond, outbox.c.state == "accepted").limit(1)).first() is None:
        return 0
    lost = beyond & outbox.c.state.not_in(UNSETTLED)
    return tx.execute(update(outbox).where(lost).values(state="pending", since_ms=now_ms)).rowcount


def reopen_ops(tx: Connection, op_ids: Iterable[bytes], *, now_ms: int) -> None:
    """Offer these ops again, if they are ours: a comparison showed that the hub does not store them."""
    for part in steps(op_ids):
        ours = outbox.c.op_id.in_(part) & outbox.c.state.not_in(UNSETTLED)
        tx.execute(update(outbox).where(ours).values(state="pending", since_ms=now_ms))


def unsettled_by_case(tx: Connection) -> dict[bytes, int]:
    """How many ops without the hub's word each case has; cases without any are left out."""
    query = select(outbox.c.case_id, func.count()).where(outbox.c.state.in_(UNSETTLED)).group_by(outbox.c.case_id)
    return {row[0]: row[1] for row in tx.execute(query)}


def counts(tx: Connection) -> dict[str, int]:
    """How many ops are in each state; every state is named, with 0 if none."""
    rows = tx.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state))
    found = {row[0]: row[1] for row in rows}
    return {name: found.get(name, 0) for name in OUTBOX_STATES}


def entries(tx: Connection, states: Iterable[str], *, case: bytes | None = None, limit: int = 1_000) -> list[Entry]:
    """Entries in these states (of one case, if named), oldest first."""
    query = (
        select(outbox, op_outcomes.c.code, op_outcomes.c.reason)
        .outerjoin(op_outcomes, op_outcomes.c.op_id == outbox.c.op_id)
        .where(outbox.c.state.in_(list(states)))
    )
    if case is not None:
        query = query.where(outbox.c.case_id == case)
    rows = tx.execute(query.order_by(outbox.c.seq).limit(limit))
    return [
        Entry(row.seq, row.op_id, row.case_id, row.state, row.code or "", row.reason or "", row.since_ms, row.offers)
        for row in rows
    ]
