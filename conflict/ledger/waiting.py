"""Ops whose ancestors are not here yet: who waits for what, and who is ready when it comes.

For: deciding for arriving ops whether all their ancestors are here, and waking what waited for them.
An op is ready when every parent is stored, ready and of the same case. Rows of `waits` name what an op lacks.
May not: look at an op's meaning; scan more than the ops that arrive and those that they wake.
Spec: docs/operating/storage.md, "Waiting".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import BindParameter, Connection, bindparam, delete, func, select, update

from conflict.ledger.schema import ops as ops_table
from conflict.ledger.schema import waits
from conflict.ledger.statements import insert_new, steps
from protocol.op import Op


@dataclass(frozen=True, slots=True)
class Lack:
    """What keeps an op waiting. missing: parents not stored here. foreign: parents that belong to another case,
    so that the op can never be ready. Both may be empty: a parent is here and waits itself."""

    missing: tuple[bytes, ...]
    foreign: tuple[bytes, ...]


def lacks(tx: Connection, fresh: Mapping[bytes, Op]) -> tuple[dict[bytes, Lack], list[tuple[bytes, bytes]]]:
    """Which of the arriving ops must wait, and the (parent, op) pairs that they wait for.

    Args:    fresh: ops not stored yet, by id; they may depend on each other in any order.
    """
    outside = {parent for op in fresh.values() for parent in op.parents if parent not in fresh}
    stored = _stored(tx, outside)
    blockers: dict[bytes, set[bytes]] = {}
    children: dict[bytes, list[bytes]] = {}
    ready: list[bytes] = []
    for op in fresh.values():
        blocking = {parent for parent in op.parents if stored.get(parent) != (op.case, False)}
        if not blocking:
            ready.append(op.id)
            continue
        blockers[op.id] = blocking
        for parent in blocking:
            if parent in fresh:
                children.setdefault(parent, []).append(op.id)
    while ready:
        parent = ready.pop()
        for child in children.get(parent, ()):
            if fresh[child].case == fresh[parent].case:
                blockers[child].discard(parent)
                if not blockers[child]:
                    del blockers[child]
                    ready.append(child)
    lacking: dict[bytes, Lack] = {}
    pairs: list[tuple[bytes, bytes]] = []
    for op_id, blocking in blockers.items():
        case = fresh[op_id].case
        cases = {
            parent: fresh[parent].case if parent in fresh else stored[parent][0]
            for parent in blocking
            if parent in fresh or parent in stored
        }
        lacking[op_id] = Lack(
            tuple(sorted(parent for parent in blocking if parent not in cases)),
            tuple(sorted(parent for parent, owner in cases.items() if owner != case)),
        )
        pairs += [(parent, op_id) for parent in blocking]
    return lacking, pairs


def note(tx: Connection, fresh: Mapping[bytes, Op], pairs: Sequence[tuple[bytes, bytes]], *, now_ms: int) -> None:
    """Record what waits for what."""
    insert_new(
        tx,
        waits,
        [
            {"parent_id": parent, "op_id": op_id, "case_id": fresh[op_id].case, "since_ms": now_ms}
            for parent, op_id in pairs
        ],
    )


def wake(tx: Connection, ready: Iterable[Op]) -> dict[bytes, list[bytes]]:
    """Make ready what waited only for these ops, and what waited for that, and so on: case id to op ids in order.

    Work grows with the ops woken and not with those that go on waiting.
    """
    woken: dict[bytes, list[bytes]] = {}
    if tx.execute(_ANY).first() is None:
        return woken  # most of the time nothing waits at all
    frontier = {op.id: op.case for op in ready}
    while frontier:
        freed: dict[bytes, bytes] = {}
        done: list[dict[str, bytes]] = []
        for part in steps(frontier):
            for row in tx.execute(_WAIT_FOR, {"ids": part}):
                if row.case_id == frontier[row.parent_id]:
                    freed[row.op_id] = row.case_id
                    done.append({"p": row.parent_id, "o": row.op_id})
        if not done:
            break
        tx.execute(_FORGET, done)
        for part in steps(freed):
            for op_id in tx.execute(_STILL_WAIT, {"ids": part}).scalars():
                del freed[op_id]
        for part in steps(freed):
            tx.execute(_READY, {"ids": part})
        for op_id, case in freed.items():
            woken.setdefault(case, []).append(op_id)
        frontier = freed
    return woken


def missing_parents(tx: Connection, *, limit: int = 1000) -> list[tuple[bytes, bytes, int]]:
    """(op that waits, parent that is not stored here, waiting since ms), oldest first: what to ask a peer for."""
    query = (
        select(waits.c.op_id, waits.c.parent_id, waits.c.since_ms)
        .outerjoin(ops_table, ops_table.c.id == waits.c.parent_id)
        .where(ops_table.c.id.is_(None))
        .order_by(waits.c.since_ms, waits.c.op_id)
        .limit(limit)
    )
    return [(row.op_id, row.parent_id, row.since_ms) for row in tx.execute(query)]


def waiting_of(tx: Connection, cases: Iterable[bytes]) -> dict[bytes, int]:
    """How many ops of each case wait; cases without any are left out."""
    counts: dict[bytes, int] = {}
    if tx.execute(_ANY).first() is None:
        return counts
    for part in steps(cases):
        counts.update(tx.execute(_WAITING_OF, {"ids": part}).all())
    return counts


_IDS: BindParameter[bytes] = bindparam(
    "ids", expanding=True
)  # statements of the hot path are built once: building costs as much as running
_ANY = select(waits.c.op_id).limit(1)
_WAIT_FOR = select(waits).where(waits.c.parent_id.in_(_IDS))
_STILL_WAIT = select(waits.c.op_id).where(waits.c.op_id.in_(_IDS)).distinct()
_READY = update(ops_table).where(ops_table.c.id.in_(_IDS)).values(waiting=0)
_STORED = select(ops_table.c.id, ops_table.c.case_id, ops_table.c.waiting).where(ops_table.c.id.in_(_IDS))
_WAITING_OF = (
    select(waits.c.case_id, func.count(waits.c.op_id.distinct()))
    .where(waits.c.case_id.in_(_IDS))
    .group_by(waits.c.case_id)
)
_FORGET = delete(waits).where(waits.c.parent_id == bindparam("p"), waits.c.op_id == bindparam("o"))


def _stored(tx: Connection, ids: Iterable[bytes]) -> dict[bytes, tuple[bytes, bool]]:
    """Id to (case, waits?) of those that are stored."""
    found: dict[bytes, tuple[bytes, bool]] = {}
    for part in steps(ids):
        found.update({row.id: (row.case_id, bool(row.waiting)) for row in tx.execute(_STORED, {"ids": part})})
    return found
