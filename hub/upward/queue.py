"""The durable queue: one row per forward that leaves the county, from the fold to the city's answer.

For: following the fold (`sync_queue`), claiming a row for a try, keeping a try's outcome, lists for people.
May not: commit, call the city, sign anything. Every function takes the caller's transaction.
Spec: docs/operating/upward.md, "The queue".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from hub.upward import backoff, case_facts
from hub.upward.bundle import build_head, missing_of
from hub.upward.errors import BundleIncomplete, BundleTooLarge, NothingToRetry
from hub.upward.forwards import UpwardForward, above_county, idempotency_key
from hub.upward.schema import upward
from protocol.errors import LiandongError

if TYPE_CHECKING:
    from conflict.fold import CaseView

CHECK_MS = 10_000  # how often a row that waits for materials is looked at even if nobody reports a change
STATE_CHECK_MS = 6 * 3_600_000  # how often a sent case is asked for by its number, whatever the feed says
LEASE_MS = 180_000  # a claimed row is left alone for so long; after a kill it is tried again then
REASON_MAX = 600  # characters


@dataclass(frozen=True, slots=True)
class Parcel:
    """One claimed try: the frozen head of the bundle, its key, and who it is about."""

    forward_op: bytes
    case: bytes
    key: str
    head: bytes
    attempts: int  # this one included


def sync_queue(tx: Connection, view: CaseView, *, now_ms: int) -> None:
    """Make the queue say what the fold says: called by the hub after each refold, in the same transaction.

    New forwards above the county are queued; a recall, withdrawal or voiding takes a row out (and the city is told if it
    may know the case); an applied take or answer of the superior moves the row on. Repeats change nothing.
    """
    rows = {row.forward_op: row for row in tx.execute(select(upward).where(upward.c.case_id == view.case))}
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
            _take_out(tx, row, "overtaken", now_ms)


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
        "reason_code": "",
        "reason": "",
    }
    tx.execute(insert(upward).values(row))


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
        _take_out(tx, row, forward.gone, now_ms)
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
        values |= {"state": state, "since_ms": now_ms, "next_try_ms": now_ms, "reason_code": "", "reason": ""}
    _set(tx, row.forward_op, **values)


def _take_out(tx: Connection, row: Row, why: str, now_ms: int) -> None:
    if row.state in ("withdrawn", "answered"):
        return
    may_know = bool(row.attempts or row.receipt)
    _set(
        tx,
        row.forward_op,
        state="withdrawn",
        since_ms=now_ms,
        next_try_ms=now_ms,
        tell_city=int(may_know),
        tell_tries=0,
        reason_code=why.replace(" ", "_"),
        reason=f"Taken back in the county: {why}.",
    )


def _revive(tx: Connection, row: Row, now_ms: int) -> None:
    """The fold has changed its mind: the withdrawal did not hold. Undo it, unless the city has already heard of it."""
    known = bool(row.attempts or row.receipt)
    if known and not row.tell_city:
        if row.reason_code != "city_taken_back":
            _set(
                tx,
                row.forward_op,
                state="failed",
                since_ms=now_ms,
                reason_code="city_taken_back",
                reason="The city was told of a withdrawal that did not hold. Recall the forward and forward the case anew.",
            )
        return
    state = "sent" if row.receipt else "sending" if row.attempts else "waiting_materials"
    _set(tx, row.forward_op, state=state, since_ms=now_ms, next_try_ms=now_ms, tell_city=0, reason_code="", reason="")


def is_due(now_ms: int) -> Any:
    """SQL: the row's time has come. A time too far ahead was written under a wrong clock and counts as come."""
    return or_(upward.c.next_try_ms <= now_ms, upward.c.next_try_ms > now_ms + backoff.WAIT_MS_MAX)


def due(tx: Connection, states: tuple[str, ...], now_ms: int, limit: int) -> list[bytes]:
    """Forward ops of due rows in these states, urgent cases first, then by how long they wait."""
    found = select(upward.c.forward_op).where(upward.c.state.in_(states), is_due(now_ms))
    ordered = found.order_by(upward.c.urgent.desc(), upward.c.next_try_ms, upward.c.forward_op)
    return [row.forward_op for row in tx.execute(ordered.limit(limit))]


def due_withdrawals(tx: Connection, now_ms: int, limit: int) -> list[Row]:
    """Rows whose withdrawal the city must still hear."""
    found = select(upward).where(upward.c.state == "withdrawn", upward.c.tell_city == 1, is_due(now_ms))
    return list(tx.execute(found.order_by(upward.c.next_try_ms).limit(limit)))


def recheck(tx: Connection, forward_op: bytes, now_ms: int) -> None:
    """Look again at a row that waits for materials: files arrive without a new op."""
    row = row_of(tx, forward_op)
    if row is None:
        return
    sync_queue(tx, case_facts.view_of(tx, row.case_id), now_ms=now_ms)
    waits = and_(upward.c.forward_op == forward_op, upward.c.state == "waiting_materials")
    tx.execute(update(upward).where(waits).values(next_try_ms=now_ms + CHECK_MS))


def claim(tx: Connection, forward_op: bytes, now_ms: int) -> Parcel | None:
    """Take a row for one try: freeze its bundle if that has not happened, count the try, leave it alone for a while.

    Returns: None if the row is not to be sent (any more); its state then says why.
    """
    row = row_of(tx, forward_op)
    if row is None or row.state not in ("queued", "sending"):
        return None
    head = row.head
    if head is None:
        head = _fresh_head(tx, row, now_ms)
        if head is None:
            return None
    _set(
        tx,
        forward_op,
        state="sending",
        head=head,
        attempts=row.attempts + 1,
        next_try_ms=now_ms + LEASE_MS,
        reason_code="",
        reason="",
    )
    return Parcel(forward_op, row.case_id, row.key, head, row.attempts + 1)


def _fresh_head(tx: Connection, row: Row, now_ms: int) -> bytes | None:
    view = case_facts.view_of(tx, row.case_id)
    forwards = case_facts.forwards_of(tx, view)
    forward = next((one for one in forwards if one.op == row.forward_op and not one.gone), None)
    if forward is None:
        _take_out(tx, row, "overtaken", now_ms)
        return None
    try:
        return build_head(view, forward, case_facts.Files(tx).has)
    except BundleIncomplete as error:
        missing = json.dumps(error.facts["missing"], ensure_ascii=False)
        _set(
            tx,
            row.forward_op,
            state="waiting_materials",
            missing=missing,
            since_ms=now_ms,
            next_try_ms=now_ms + CHECK_MS,
        )
    except BundleTooLarge as error:
        fail(tx, row.forward_op, error, now_ms)
    return None


def keep_receipt(tx: Connection, forward_op: bytes, receipt: str, bundle_sha256: str, now_ms: int) -> None:
    """The city has it. A row that was taken back meanwhile stays so, and the city hears of it by this number."""
    row = row_of(tx, forward_op)
    if row is None:
        return
    values: dict[str, Any] = {"receipt": receipt, "bundle_sha256": bundle_sha256 or row.bundle_sha256}
    if row.state == "withdrawn":
        values |= {"tell_city": 1, "next_try_ms": now_ms}
    elif row.state != "answered":
        values |= {
            "state": "sent",
            "since_ms": now_ms,
            "next_try_ms": now_ms + STATE_CHECK_MS,
            "reason_code": "",
            "reason": "",
        }
    _set(tx, forward_op, **values)


def postpone(tx: Connection, parcel: Parcel, error: LiandongError, wait_ms: int, now_ms: int, *, certain: bool) -> None:
    """The try did not end well; again later. certain: the city surely has nothing, so it is `queued`, not `sending`."""
    under_way = and_(upward.c.forward_op == parcel.forward_op, upward.c.state == "sending")
    values = {"next_try_ms": now_ms + wait_ms, "reason_code": error.code, "reason": error.text[:REASON_MAX]}
    if certain and parcel.attempts == 1:
        values |= {"state": "queued", "attempts": 0, "head": None}
    tx.execute(update(upward).where(under_way).values(**values))


def set_back(tx: Connection, forward_op: bytes, what: str, now_ms: int) -> None:
    """A fault of our own program met this row: shown, and tried again after the longest wait."""
    wait_ms = int(backoff.ROW_S_MAX * 1000)
    _set(
        tx, forward_op, next_try_ms=now_ms + wait_ms, reason_code="internal", reason=f"A fault of the program: {what}."
    )


def fail(tx: Connection, forward_op: bytes, error: LiandongError, now_ms: int) -> None:
    """A person must look at it. A row that was taken back meanwhile stays so."""
    open_row = and_(upward.c.forward_op == forward_op, upward.c.state.in_(("waiting_materials", "queued", "sending")))
    reason = error.text[:REASON_MAX]
    tx.execute(
        update(upward).where(open_row).values(state="failed", since_ms=now_ms, reason_code=error.code, reason=reason)
    )


def end_leases(tx: Connection, now_ms: int) -> None:
    """Rows left in the middle of a try by a process that is gone are due now."""
    left = and_(upward.c.state == "sending", upward.c.reason_code == "")
    tx.execute(update(upward).where(left).values(next_try_ms=now_ms))


def lost_at_city(tx: Connection, forward_op: bytes, now_ms: int) -> None:
    """The city does not know a number that it gave (it was restored from a backup, say): hand the same bundle in again."""
    sent = and_(upward.c.forward_op == forward_op, upward.c.state == "sent")
    reason = "The city does not know its own receipt number any more; the bundle is handed in again under the same key."
    tx.execute(
        update(upward)
        .where(sent)
        .values(state="queued", since_ms=now_ms, next_try_ms=now_ms, reason_code="lost_at_city", reason=reason)
    )


def ask_again(tx: Connection, forward_op: bytes, at_ms: int) -> None:
    """When a sent case is asked for by its number the next time."""
    _set(tx, forward_op, next_try_ms=at_ms)


def requeue(tx: Connection, case: bytes, *, now_ms: int) -> int:
    """Try failed forwards of a case again, with a bundle built anew from the case as it is now; how many.

    The key stays: had the city taken the earlier bundle after all, it names its receipt and nothing doubles.
    Raises:  NothingToRetry if none has failed.
    """
    failed = and_(upward.c.case_id == case, upward.c.state == "failed")
    count = tx.execute(
        update(upward)
        .where(failed)
        .values(state="waiting_materials", head=None, since_ms=now_ms, next_try_ms=now_ms, reason_code="", reason="")
    ).rowcount
    if not count:
        raise NothingToRetry("No forward of this case to the city has failed.", "本件没有上报失败的记录。")
    return count


def told(tx: Connection, forward_op: bytes, note: str) -> None:
    """The city has heard of the withdrawal, or has said why it is too late."""
    _set(
        tx,
        forward_op,
        tell_city=0,
        city_state="withdrawn" if not note else "ended",
        **({"reason": note} if note else {}),
    )


def tell_later(tx: Connection, row: Row, error: LiandongError, wait_ms: int, now_ms: int) -> None:
    """The city could not be told of a withdrawal; again later."""
    _set(
        tx,
        row.forward_op,
        tell_tries=row.tell_tries + 1,
        next_try_ms=now_ms + wait_ms,
        reason=f"Not told yet: {error.text}"[:REASON_MAX],
    )


def row_of(tx: Connection, forward_op: bytes) -> Row | None:
    """The row of one forward."""
    return tx.execute(select(upward).where(upward.c.forward_op == forward_op)).one_or_none()


def _set(tx: Connection, forward_op: bytes, **values: Any) -> None:
    tx.execute(update(upward).where(upward.c.forward_op == forward_op).values(**values))
