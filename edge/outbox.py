"""The outbox: every op of this device and how far the hub's word about it has come.

For: the row beside each op, written in the op's own transaction; what is to be offered; what a receipt settles.
May not: send anything; commit; take an op out before a receipt settles it (law 2).
Manual: docs/operating/edge.md, "Backlog".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select, true, update

from conflict.ledger.receipts import OpOutcome
from conflict.ledger.schema import op_outcomes
from conflict.ledger.schema import ops as ops_table
from conflict.ledger.statements import steps
from edge.schema import OUTBOX_STATES, outbox
from protocol.op import Op

Which = ColumnElement[bool]
EVERY: Which = true()
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


def unsettled(tx: Connection, *, after: int = 0, limit: int, where: Which = EVERY) -> list[tuple[int, bytes]]:
    """(number, signed bytes) of ops that the hub has said nothing about, oldest first, above number `after`.

    Args:    where: a further condition on the outbox, of `of_cases` or `not_of`.
    """
    query = (
        select(outbox.c.seq, ops_table.c.blob)
        .join(ops_table, ops_table.c.id == outbox.c.op_id)
        .where(outbox.c.state.in_(UNSETTLED), outbox.c.seq > after, where)
    )
    return [(row.seq, row.blob) for row in tx.execute(query.order_by(outbox.c.seq).limit(limit))]


def lowest_unsettled(tx: Connection, *, after: int = 0, where: Which = EVERY) -> int | None:
    """The number of the oldest op without the hub's word above number `after`, or None."""
    found: list[int] = []
    for state in UNSETTLED:  # one after the other, so that the index gives the first without reading the others
        query = select(outbox.c.seq).where(outbox.c.state == state, outbox.c.seq > after, where)
        found += tx.execute(query.order_by(outbox.c.seq).limit(1)).scalars()
    return min(found, default=None)


def of_cases(cases: Collection[bytes]) -> Which:
    """Entries of these cases."""
    return outbox.c.case_id.in_(cases)


def not_of(cases: Collection[bytes]) -> Which:
    """Entries of other cases than these."""
    return outbox.c.case_id.not_in(cases) if cases else EVERY


def offered(tx: Connection, numbers: Iterable[int], *, now_ms: int) -> None:
    """Note that the ops with these numbers were handed to a carrier. They stay unsettled."""
    for part in steps(numbers):
        these = outbox.c.seq.in_(part) & outbox.c.state.in_(UNSETTLED)
        tx.execute(update(outbox).where(these, outbox.c.state == "pending").values(state="offered", since_ms=now_ms))
        tx.execute(update(outbox).where(these).values(offers=outbox.c.offers + 1))


def settle(tx: Connection, outcomes: Iterable[OpOutcome], *, now_ms: int) -> None:
    """Take over the hub's words; ops of other devices, and a word that is in place already, change nothing."""
    rows = [{"op": one.op_id, "new": one.outcome} for one in outcomes]
    if rows:
        moved = (outbox.c.op_id == bindparam("op")) & (outbox.c.state != bindparam("new"))
        tx.execute(update(outbox).where(moved).values(state=bindparam("new"), since_ms=now_ms), rows)


def reopen(tx: Connection, above: int, *, anew: bool, now_ms: int) -> int:
    """The hub holds our chain without a gap up to number `above`: if it had accepted the next, it lost that and maybe
    more: what was settled above is offered again. What urgent cases had overtake others lies beyond a gap rightly, and
    what a rebuilt store has lost is a gap for good.

    Args:    anew: the hub began a new epoch, so whatever it had accepted above may be lost.
    Returns: how many ops are offered again.
    """
    beyond = outbox.c.seq > above
    query = select(outbox.c.seq).where(beyond, outbox.c.state == "accepted")
    first = tx.execute(query.order_by(outbox.c.seq).limit(1)).scalar()
    if first is None:
        return 0
    if first != above + 1 and not anew:
        return 0
    lost = beyond & outbox.c.state.not_in(UNSETTLED)
    return tx.execute(update(outbox).where(lost).values(state="pending", since_ms=now_ms)).rowcount


def reopen_earlier(tx: Connection, up_to: int, *, now_ms: int) -> None:
    """The hub began anew, and nothing says what it still holds of this device's earlier names, whose places end at
    `up_to`: all of that is offered again, which is harmless."""
    settled = (outbox.c.seq <= up_to) & outbox.c.state.not_in(UNSETTLED)
    tx.execute(update(outbox).where(settled).values(state="pending", since_ms=now_ms))


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
