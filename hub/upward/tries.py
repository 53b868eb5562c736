"""Tries: which rows are due, taking one for a call to the city, and keeping what came of it.

For: the gateway's bookkeeping before and after each call; a row always says what is known, also after a kill.
May not: commit, call the city, follow the fold (queue.py). Every function takes the caller's transaction.
Spec: docs/operating/upward.md, "The queue"; outcomes: docs/protocol/city.md, "How the hub reads an outcome".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select, update

from hub.upward import backoff, case_facts, reasons
from hub.upward.bundle import build_head
from hub.upward.errors import BundleIncomplete, BundleTooLarge
from hub.upward.queue import CHECK_MS, set_row, take_out
from hub.upward.schema import upward
from protocol.errors import LiandongError

STATE_CHECK_MS = 6 * 3_600_000  # how often a sent case is asked for by its number, whatever the feed says
LEASE_MS = 180_000  # a claimed row is left alone for so long; after a kill it is tried again then


@dataclass(frozen=True, slots=True)
class Parcel:
    """One claimed try: the frozen head of the bundle, its key, and who it is about."""

    forward_op: bytes
    case: bytes
    key: str
    head: bytes
    attempts: int  # this one included


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


def claim(tx: Connection, forward_op: bytes, now_ms: int) -> Parcel | None:
    """Take a row for one try: freeze its bundle if that has not happened, count the try, leave it alone for a while.

    Returns: None if the row is not to be sent (any more); its state then says why.
    """
    row = _held(tx, forward_op)
    if row is None or row.state not in ("queued", "sending"):
        return None
    head = row.head
    if head is None:
        head = _fresh_head(tx, row, now_ms)
        if head is None:
            return None
    set_row(
        tx,
        forward_op,
        state="sending",
        head=head,
        attempts=row.attempts + 1,
        next_try_ms=now_ms + LEASE_MS,
        **reasons.NONE,
    )
    return Parcel(forward_op, row.case_id, row.key, head, row.attempts + 1)


def _fresh_head(tx: Connection, row: Row, now_ms: int) -> bytes | None:
    view = case_facts.view_of(tx, row.case_id)
    forwards = case_facts.forwards_of(tx, view)
    forward = next((one for one in forwards if one.op == row.forward_op and not one.gone), None)
    if forward is None:
        take_out(tx, row, "overtaken", now_ms)
        return None
    try:
        return build_head(view, forward, case_facts.Files(tx).has)
    except BundleIncomplete as error:
        missing = json.dumps(error.facts["missing"], ensure_ascii=False)
        set_row(
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
    row = _held(tx, forward_op)
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
            **reasons.NONE,
        }
    set_row(tx, forward_op, **values)


def postpone(tx: Connection, parcel: Parcel, error: LiandongError, wait_ms: int, now_ms: int, *, certain: bool) -> None:
    """The try did not end well; again later. certain: the city surely has nothing, so it is `queued`, not `sending`."""
    under_way = and_(upward.c.forward_op == parcel.forward_op, upward.c.state == "sending")
    values: dict[str, Any] = {"next_try_ms": now_ms + wait_ms, **reasons.reason_of(error)}
    if certain and parcel.attempts == 1:
        values |= {"state": "queued", "attempts": 0, "head": None}
    tx.execute(update(upward).where(under_way).values(**values))


def set_back(tx: Connection, forward_op: bytes, what: str, now_ms: int) -> None:
    """A fault of our own program met this row: shown, and tried again after the longest wait."""
    wait_ms = int(backoff.ROW_S_MAX * 1000)
    why = reasons.reason("internal", f"A fault of the program: {what}.", f"程序故障：{what}。")
    set_row(tx, forward_op, next_try_ms=now_ms + wait_ms, **why)


def fail(tx: Connection, forward_op: bytes, error: LiandongError, now_ms: int) -> None:
    """A person must look at it. A row that was taken back meanwhile stays so."""
    open_row = and_(upward.c.forward_op == forward_op, upward.c.state.in_(("waiting_materials", "queued", "sending")))
    tx.execute(update(upward).where(open_row).values(state="failed", since_ms=now_ms, **reasons.reason_of(error)))


def end_leases(tx: Connection, now_ms: int) -> None:
    """Rows left in the middle of a try by a process that is gone are due now."""
    left = and_(upward.c.state == "sending", upward.c.reason_code == "")
    tx.execute(update(upward).where(left).values(next_try_ms=now_ms))


def lost_at_city(tx: Connection, forward_op: bytes, now_ms: int) -> None:
    """The city does not know a number that it gave (it was restored from a backup, say): hand the same bundle in again."""
    sent = and_(upward.c.forward_op == forward_op, upward.c.state == "sent")
    tx.execute(
        update(upward).where(sent).values(state="queued", since_ms=now_ms, next_try_ms=now_ms, **reasons.LOST_AT_CITY)
    )


def ask_again(tx: Connection, forward_op: bytes, at_ms: int) -> None:
    """When a sent case is asked for by its number the next time."""
    set_row(tx, forward_op, next_try_ms=at_ms)


def told(tx: Connection, forward_op: bytes, refusal: LiandongError | None) -> None:
    """The city has heard of the withdrawal, or has said why it is too late (`refusal`)."""
    if refusal is None:
        set_row(tx, forward_op, tell_city=0, city_state="withdrawn")
        return
    too_late = reasons.reason(
        "too_late", f"Too late to take it back: {refusal.text}", f"已来不及撤回：{refusal.text_zh}"
    )
    set_row(tx, forward_op, tell_city=0, **too_late)


def tell_later(tx: Connection, row: Row, error: LiandongError, wait_ms: int, now_ms: int) -> None:
    """The city could not be told of a withdrawal; again later."""
    why = reasons.reason(row.reason_code, f"Not told yet: {error.text}", f"尚未通知市级平台：{error.text_zh}")
    set_row(tx, row.forward_op, tell_tries=row.tell_tries + 1, next_try_ms=now_ms + wait_ms, **why)


def _held(tx: Connection, forward_op: bytes) -> Row | None:
    """The row of one forward, kept from others until this transaction ends (PostgreSQL; SQLite has one writer anyway)."""
    return tx.execute(select(upward).where(upward.c.forward_op == forward_op).with_for_update()).one_or_none()
