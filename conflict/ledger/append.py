"""Appending ops: what is new is stored once, what lacks its ancestors waits, what does not fit its chain is told.

For: `append` of one op and `append_many` of a batch, in the caller's transaction. Ops are authentic: the caller has
checked signature and author. A second copy changes nothing.
May not: judge an op's meaning, fold, commit. After it the caller folds the cases touched (`views.refold`).
Spec: docs/operating/storage.md, "Appending".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import Connection, bindparam, func, select

from conflict.ledger import chains, waiting
from conflict.ledger.chains import Fork
from conflict.ledger.postgres import lock_keys
from conflict.ledger.schema import ops as ops_table
from conflict.ledger.statements import insert_new, steps
from protocol.op import Op


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one op.

    state: "new" stored and ready; "waiting" stored, an ancestor is not here; "repeat" was stored before;
           "fork" stored now, and it does not fit the chain of its device (`fork` has the evidence).
    ready: all its ancestors are here, so the fold sees it; tells the two cases of "repeat" and of "fork" apart.
    missing: parents that are not stored here: ask for them. foreign: parents that belong to another case; such an op
           is never ready (refuse it).
    gap:   (first, last) numbers of its device between the unbroken chain and this op, some of which are missing.
    woken: ids of ops of its case that waited and are ready now; told once per case, with the last op that did it.
    """

    op_id: bytes
    case: bytes
    state: Literal["new", "waiting", "repeat", "fork"]
    ready: bool
    missing: tuple[bytes, ...] = ()
    foreign: tuple[bytes, ...] = ()
    gap: tuple[int, int] | None = None
    fork: Fork | None = None
    woken: tuple[bytes, ...] = field(default=())


def append(tx: Connection, op: Op, *, arrived_ms: int, via: str) -> Outcome:
    """Store one op. See `append_many`."""
    return append_many(tx, [op], arrived_ms=arrived_ms, via=via)[0]


def append_many(tx: Connection, ops: Sequence[Op], *, arrived_ms: int, via: str) -> list[Outcome]:
    """Store a batch of authentic ops; one outcome per op, in the order given.

    Args:    arrived_ms: wall clock of this machine. via: where they came from, for people ("local", "mqtt", "bundle:…").
    """
    fresh = {op.id: op for op in ops}
    if not fresh:
        return []
    if tx.dialect.name == "postgresql":
        lock_keys(tx, {op.case for op in fresh.values()} | {op.device for op in fresh.values()})
    lacking, pairs = waiting.lacks(tx, fresh)
    held = _insert(tx, [_row(op, op.id in lacking, arrived_ms, via) for op in fresh.values()])
    for op_id in held:
        del fresh[op_id]
    if not fresh:
        return [Outcome(op.id, op.case, "repeat", held[op.id]) for op in ops]
    waiting.note(tx, fresh, [pair for pair in pairs if pair[1] in fresh], now_ms=arrived_ms)
    ready = [op for op in fresh.values() if op.id not in lacking]
    woken = waiting.wake(tx, ready)
    for op_id in (op_id for ids in woken.values() for op_id in ids):
        lacking.pop(op_id, None)
        held[op_id] = True
    after, evidence = chains.follow(tx, list(fresh.values()), now_ms=arrived_ms)
    last_of_case = {op.case: op.id for op in ready}
    outcomes = []
    for op in ops:
        lack = lacking.get(op.id)
        if fresh.pop(op.id, None) is None:
            outcomes.append(Outcome(op.id, op.case, "repeat", held.get(op.id, lack is None)))
            continue
        fork = evidence.get(op.id)
        end = after[op.device].seq
        outcomes.append(
            Outcome(
                op.id,
                op.case,
                "fork" if fork else "waiting" if lack else "new",
                lack is None,
                lack.missing if lack else (),
                lack.foreign if lack else (),
                (end + 1, op.seq - 1) if op.seq > end + 1 else None,
                fork,
                tuple(woken.get(op.case, ())) if last_of_case.get(op.case) == op.id else (),
            )
        )
    return outcomes


def known(tx: Connection, ids: Iterable[bytes]) -> dict[bytes, bool]:
    """Which of these op ids are stored: id to whether the op is ready. Ask before checking signatures."""
    found: dict[bytes, bool] = {}
    for part in steps(ids):
        found.update({op_id: not waits for op_id, waits in tx.execute(_KNOWN, {"ids": part})})
    return found


def touched(outcomes: Iterable[Outcome]) -> list[bytes]:
    """The cases whose view may have changed, each once, in order."""
    return list(dict.fromkeys(outcome.case for outcome in outcomes if outcome.state != "repeat"))


_KNOWN = select(ops_table.c.id, ops_table.c.waiting).where(ops_table.c.id.in_(bindparam("ids", expanding=True)))


_LAST = select(func.max(ops_table.c.pos))
_HELD = (
    select(ops_table.c.id, ops_table.c.waiting)
    .where(ops_table.c.id.in_(bindparam("ids", expanding=True)))
    .where(ops_table.c.pos <= bindparam("last"))
)


def _insert(tx: Connection, rows: list[dict[str, object]]) -> dict[bytes, bool]:
    """Insert what is new; returns what was there before, with whether it is ready. New rows come after all others, so
    that the usual case, everything is new, needs no lookup by id."""
    last = tx.execute(_LAST).scalar() or 0
    if insert_new(tx, ops_table, rows) == len(rows):
        return {}
    held: dict[bytes, bool] = {}
    for part in steps(row["id"] for row in rows):
        held.update({op_id: not waits for op_id, waits in tx.execute(_HELD, {"ids": part, "last": last})})
    return held


def _row(op: Op, waits: bool, arrived_ms: int, via: str) -> dict[str, object]:
    return {
        "id": op.id,
        "case_id": op.case,
        "device": op.device,
        "seq": op.seq,
        "waiting": int(waits),
        "arrived_ms": arrived_ms,
        "via": via,
        "blob": op.blob,
    }
