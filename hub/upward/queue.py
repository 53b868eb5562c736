"""The durable queue: one row per forward that leaves the county, and how it follows what the fold says.

For: `sync_queue` after each refold, looking again at rows that wait, and the retry that a person orders.
May not: commit, call the city, sign anything. Every function takes the caller's transaction. Tries: tries.py.
Spec: docs/operating/upward.md, "The queue".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, and_, select, update

from conflict.ledger.statements import insert_new
from hub.upward import case_facts, reasons
from hub.upward.bundle import missing_of
from hub.upward.errors import NothingToRetry
from hub.upward.forwards import UpwardForward, above_county, idempotency_key
from hub.upward.schema import upward

if TYPE_CHECKING:
    from conflict.view import CaseView

CHECK_MS = 10_000  # how often a row that waits for materials is looked at even if nobody reports a change


def sync_queue(tx: Connection, view: CaseView, *, now_ms: int) -> None:
    """Make the queue say what the fold says: called by the hub after each refold, in the same transaction.

    New forwards above the county are queued; a recall, withdrawal or voiding takes a row out (and the city is told if it
    may know the case); an applied take or answer of the superior moves the row on. Repeats change nothing.
    """
    held = select(upward).where(upward.c.case_id == view.case).with_for_update()
    rows = {row.forward_op: row for row in tx.execute(held)}
    if not rows and not any(above_county(office) for office in view.offices):
        return
    forwards = {forward.op: forward for forward in case_facts.forwards_of(tx, view)}
    for op, forward in forwards.items():
        if op in rows:
            _follow(tx, view, rows[op], forward, now_ms)
        elif not forward.gone:
            _enqueue(tx, view, forward, now_ms)
    for op, row in rows.items():
        if op not in forwards:
            take_out(tx, row, "overtaken", now_ms)


def _enqueue(tx: Connection, view: CaseView, forward: UpwardForward, now_ms: int) -> None:
    state, missing = _state_by_facts(tx, view, forward)
    row = {
        "forward_op": forward.op,
        "case_id": view.case,
        "key": idempotency_key(forward.op),
        "number": view.number,
        "target": forward.target,
        "urgent": int(bool(view.urgent)),
        "state": state,
        "missing": missing,
        "head": None,
        "bundle_sha256": "",
        "receipt": forward.receipt,
        "city_state": "",
        "attempts": 0,
        "tell_city": 0,
        "tell_tries": 0,
        "next_try_ms": now_ms,
        "since_ms": now_ms,
        **reasons.NONE,
    }
    insert_new(tx, upward, [row])


def _state_by_facts(tx: Connection, view: CaseView, forward: UpwardForward) -> tuple[str, str]:
    if forward.ended:
        return "answered", "[]"
    if forward.receipt:  # a hub restored from a backup learns of it from its own earlier op
        return "sent", "[]"
    missing = missing_of(view, case_facts.Files(tx).has)
    text = json.dumps([one.as_json() for one in missing], ensure_ascii=False)
    return ("waiting_materials" if missing else "queued"), text


def _follow(tx: Connection, view: CaseView, row: Row, forward: UpwardForward, now_ms: int) -> None:
    if forward.gone:
        take_out(tx, row, forward.gone, now_ms)
        return
    if row.state == "withdrawn":
        _revive(tx, row, now_ms)
        return
    under_way = row.head is not None and row.state != "sent"
    if row.state == "answered" or (under_way and not (forward.receipt or forward.ended)):
        return
    state, missing = _state_by_facts(tx, view, forward)
    if row.state == "failed" and state in ("waiting_materials", "queued"):
        return  # a person decides, see `requeue`
    if row.state == "sent" and state != "answered":
        return
    values = {"missing": missing, "urgent": int(bool(view.urgent)), "receipt": row.receipt or forward.receipt}
    if state != row.state:
        values |= {"state": state, "since_ms": now_ms, "next_try_ms": now_ms, **reasons.NONE}
    set_row(tx, row.forward_op, **values)


def take_out(tx: Connection, row: Row, why: str, now_ms: int) -> None:
    """The forward does not count any more (`why`: a key of reasons.GONE). The city is told if it may know the case."""
    if row.state in ("withdrawn", "answered"):
        return
    may_know = bool(row.attempts or row.receipt)
    set_row(
        tx,
        row.forward_op,
        state="withdrawn",
        since_ms=now_ms,
        next_try_ms=now_ms,
        tell_city=int(may_know),
        tell_tries=0,
        **reasons.gone(why),
    )


def _revive(tx: Connection, row: Row, now_ms: int) -> None:
    """The fold has changed its mind: the withdrawal did not hold. Undo it, unless the city has already heard of it."""
    if (row.attempts or row.receipt) and not row.tell_city:
        set_row(tx, row.forward_op, state="failed", since_ms=now_ms, **reasons.WRONGLY_TAKEN_BACK)
        return
    state = "sent" if row.receipt else "sending" if row.attempts else "waiting_materials"
    set_row(tx, row.forward_op, state=state, since_ms=now_ms, next_try_ms=now_ms, tell_city=0, **reasons.NONE)


def recheck(tx: Connection, forward_op: bytes, now_ms: int) -> None:
    """Look again at a row that waits for materials: files arrive without a new op."""
    row = row_of(tx, forward_op)
    if row is None:
        return
    sync_queue(tx, case_facts.view_of(tx, row.case_id), now_ms=now_ms)
    waits = and_(upward.c.forward_op == forward_op, upward.c.state == "waiting_materials")
    tx.execute(update(upward).where(waits).values(next_try_ms=now_ms + CHECK_MS))


def requeue(tx: Connection, case: bytes, *, now_ms: int) -> int:
    """Try failed forwards of a case again, with a bundle built anew from the case as it is now; how many.

    The key stays: had the city taken the earlier bundle after all, it names its receipt and nothing doubles.
    Raises:  NothingToRetry if none has failed.
    """
    failed = and_(upward.c.case_id == case, upward.c.state == "failed")
    count = tx.execute(
        update(upward)
        .where(failed)
        .values(state="waiting_materials", head=None, since_ms=now_ms, next_try_ms=now_ms, **reasons.NONE)
    ).rowcount
    if not count:
        raise NothingToRetry("No forward of this case to the city has failed.", "本件没有上报失败的记录。")
    return count


def row_of(tx: Connection, forward_op: bytes) -> Row | None:
    """The row of one forward, for reading."""
    return tx.execute(select(upward).where(upward.c.forward_op == forward_op)).one_or_none()


def set_row(tx: Connection, forward_op: bytes, **values: Any) -> None:
    """Write columns of the row of one forward."""
    tx.execute(update(upward).where(upward.c.forward_op == forward_op).values(**values))
