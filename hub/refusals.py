"""Refusals: every op, envelope or join request that the hub did not take, with the reason and, bounded, the bytes.

For: recording once per matter, counting repeats, listing for `hub nodes` and `node status`; purging old evidence.
May not: commit; decide what is refused (hub.intake and hub.enrolment do).
Manual: docs/operating/hub.md, "Refusals".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from conflict.ledger.statements import insert_new
from hub.arrival import Rejected
from hub.schema import refusal
from protocol.envelope import envelope_id, peek_sender
from protocol.errors import RemoteProtocolError, UnknownSender
from protocol.op import parse_op
from protocol.roster import Roster

EVIDENCE_BYTES_MAX = 65_536  # one envelope
EVIDENCE_PER_DEVICE_MAX = 1_000  # a device that only sends garbage fills 64 MiB at most, then its oldest entries go
REASON_CHARS_MAX = 400
UNKNOWN = b""  # where nobody can be blamed


@dataclass(frozen=True, slots=True)
class Refusal:
    """what: "op", "envelope", "join" or "document". op: its id or hash. evidence: its bytes unless the ledger has them."""

    what: str
    op: bytes
    code: str
    reason: str
    device: bytes = UNKNOWN
    office: str = ""
    seq: int = 0
    case: bytes = b""
    evidence: bytes = b""
    at_ms: int = 0
    times: int = 1


def of_envelope(blob: bytes, error: RemoteProtocolError) -> Refusal:
    """The refusal of an envelope that did not open; whoever its header names is counted, though that is unproven."""
    try:
        device = peek_sender(blob)
    except RemoteProtocolError:
        device = UNKNOWN
    return Refusal("envelope", envelope_id(blob), error.code, error.text_zh, device, evidence=blob)


def of_rejected(one: Rejected) -> Refusal:
    """The refusal of bytes that are no authentic op: who handed them in is counted."""
    return Refusal("op", one.id, one.code, one.reason, one.sender, one.office, one.seq, one.case, one.blob)


def record(tx: Connection, one: Refusal, *, now_ms: int) -> None:
    """Write a refusal down, or count one more time if the same bytes were refused for the same reason before."""
    same = (refusal.c.op == one.op) & (refusal.c.code == one.code)
    if tx.execute(update(refusal).where(same).values(times=refusal.c.times + 1)).rowcount:
        return
    row = {
        "at_ms": now_ms,
        "what": one.what,
        "device": one.device,
        "office": one.office,
        "op": one.op,
        "seq": one.seq,
        "case_id": one.case,
        "code": one.code,
        "reason": one.reason[:REASON_CHARS_MAX],
        "evidence": one.evidence[:EVIDENCE_BYTES_MAX],
        "times": 1,
    }
    insert_new(tx, refusal, [row])
    _bound(tx, one.device)


def listed(tx: Connection, *, device: bytes | None = None, limit: int = 500) -> list[Refusal]:
    """Refusals (of one device, if named), newest first."""
    query = select(refusal).order_by(refusal.c.id.desc()).limit(limit)
    if device is not None:
        query = query.where(refusal.c.device == device)
    return [_refusal(row) for row in tx.execute(query)]


def of_known_now(tx: Connection, roster: Roster, *, limit: int) -> list[Refusal]:
    """Ops and envelopes that were refused because nobody knew their author, whom the roster names by now; oldest first."""
    query = select(refusal).where(refusal.c.code == UnknownSender.code, func.length(refusal.c.evidence) > 0)
    found = []
    for row in tx.execute(query.order_by(refusal.c.id)):
        try:
            author = parse_op(row.evidence).device if row.what == "op" else peek_sender(row.evidence)
        except RemoteProtocolError:
            continue
        if row.what in ("op", "envelope") and roster.device(author) is not None:
            found.append(_refusal(row))
        if len(found) == limit:
            break
    return found


def forget(tx: Connection, entries: Iterable[Refusal]) -> None:
    """These were tried again; what became of them is recorded anew."""
    for one in entries:
        tx.execute(delete(refusal).where(refusal.c.op == one.op, refusal.c.code == one.code))


def counts(tx: Connection) -> dict[bytes, int]:
    """How many refusals each device has; under b"" those that nobody can be blamed for."""
    query = select(refusal.c.device, func.count()).group_by(refusal.c.device)
    return {row[0]: row[1] for row in tx.execute(query)}


def withdraw(tx: Connection, op: bytes) -> None:
    """An op that was refused is accepted after all (a person released it, or its parents came)."""
    tx.execute(delete(refusal).where(refusal.c.what == "op", refusal.c.op == op))


def _refusal(row: Row[Any]) -> Refusal:
    return Refusal(
        row.what,
        row.op,
        row.code,
        row.reason,
        row.device,
        row.office,
        row.seq,
        row.case_id,
        row.evidence,
        row.at_ms,
        row.times,
    )


def _bound(tx: Connection, device: bytes) -> None:
    mine = (refusal.c.device == device) & (func.length(refusal.c.evidence) > 0)
    newest = select(refusal.c.id).where(mine).order_by(refusal.c.id.desc()).offset(EVIDENCE_PER_DEVICE_MAX - 1).limit(1)
    oldest_kept = tx.scalar(newest)
    if oldest_kept is not None:
        tx.execute(delete(refusal).where(mine, refusal.c.id < oldest_kept))
