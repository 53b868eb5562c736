"""The full check of a store's contents: every op is what its id says, every view is the fold of its ops.

For: finding what the database's own check cannot see (a changed byte that still is a sound page; a view that a fault of
ours left behind). On demand and at night, not at start: about 0.2 ms per op.
May not: repair. `repair_views` folds anew what is wrong; a changed op is fetched again from a peer.
Manual: docs/operating/storage.md, "Checking".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, func, select

from conflict.fold import fold
from conflict.ledger.schema import chains, views, waits
from conflict.ledger.schema import ops as ops_table
from conflict.ledger.statements import steps
from conflict.ledger.views import ops_of, refold
from protocol.errors import LiandongError
from protocol.op import parse_op

_BATCH = 200  # cases checked at once


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. what: "op" changed bytes; "waiting" a wait without reason or a reason without wait;
    "view" not the fold of its ops; "chain" an end that is not stored. id: of the op, case or device."""

    what: Literal["op", "waiting", "view", "chain"]
    id: bytes
    detail: str


def check_contents(tx: Connection) -> list[Problem]:
    """Everything that is wrong with ops, waits, chains and views; empty when all is well."""
    return [*_ops(tx), *_waiting(tx), *_chains(tx), *_views(tx)]


def repair_views(tx: Connection, problems: list[Problem]) -> int:
    """Fold anew the cases whose view is wrong; returns how many. Needs a write block."""
    return len(refold(tx, [problem.id for problem in problems if problem.what == "view"]))


def _ops(tx: Connection) -> Iterator[Problem]:
    for row in tx.execute(select(ops_table).order_by(ops_table.c.pos).execution_options(yield_per=500)):
        try:
            op = parse_op(row.blob)
        except LiandongError as error:
            yield Problem("op", row.id, f"cannot be read: {error.code}")
            continue
        if (op.id, op.case, op.device, op.seq) != (row.id, row.case_id, row.device, row.seq):
            yield Problem("op", row.id, "the bytes are those of another op")


def _waiting(tx: Connection) -> Iterator[Problem]:
    marked = set(tx.execute(select(ops_table.c.id).where(ops_table.c.waiting == 1)).scalars())
    reasons = set(tx.execute(select(waits.c.op_id).distinct()).scalars())
    for op_id in sorted(marked ^ reasons):
        yield Problem("waiting", op_id, "waits for nothing" if op_id in marked else "is not marked as waiting")
    parent = ops_table.alias()
    arrived = (
        select(waits.c.op_id)
        .distinct()
        .join(parent, parent.c.id == waits.c.parent_id)
        .where(parent.c.waiting == 0, parent.c.case_id == waits.c.case_id)
    )
    for op_id in tx.execute(arrived).scalars():
        yield Problem("waiting", op_id, "waits for an op that is ready")


def _chains(tx: Connection) -> Iterator[Problem]:
    query = (
        select(chains.c.device, chains.c.seq)
        .outerjoin(ops_table, ops_table.c.id == chains.c.op_id)
        .where(chains.c.seq > 0, ops_table.c.id.is_(None))
    )
    for device, seq in tx.execute(query):
        yield Problem("chain", device, f"op {seq}, the end of the chain, is not stored")
    tops = select(ops_table.c.device, func.max(ops_table.c.seq).label("top")).group_by(ops_table.c.device).subquery()
    late = select(tops.c.device, tops.c.top).outerjoin(chains, chains.c.device == tops.c.device)
    for device, top in tx.execute(late.where((chains.c.top.is_(None)) | (chains.c.top < tops.c.top))):
        yield Problem("chain", device, f"op {top} is stored, the chain does not know it")


def _views(tx: Connection) -> Iterator[Problem]:
    kept = dict(tx.execute(select(views.c.case_id, views.c.digest)).all())
    ready = set(tx.execute(select(ops_table.c.case_id).where(ops_table.c.waiting == 0).distinct()).scalars())
    for case in sorted(set(kept) ^ ready):
        yield Problem("view", case, "has no view" if case in ready else "has a view and no op")
    for part in steps(sorted(set(kept) & ready), _BATCH):
        for case in part:
            if kept[case] and fold(ops_of(tx, case)).digest() != kept[case]:
                yield Problem("view", case, "is not the fold of its ops")
