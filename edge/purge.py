"""Purging old concluded cases from a full disk, and bringing one back when somebody asks for it.

For: choosing what may go (final, old, every op of it with the hub's word, and part of a comparison that found both sides
equal), deleting it here, and telling the hub by this device's signed word; asking the hub for a case again.
May not: delete what is the only copy; touch the chain's end or the office's sequence.
Manual: docs/operating/drills.md, "Purging".  Decision: docs/decisions/0133-purging-at-an-office.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from conflict.kinds import FINAL
from conflict.ledger import schema as ledger
from conflict.ledger.errors import UnknownCase
from conflict.ledger.meta import get_meta, put_meta
from conflict.ledger.statements import insert_new, steps
from conflict.ledger.views import PREFIX_CHARS_MIN, find, number_key
from edge import memory
from edge.branch.schema import relay, scope
from edge.errors import CasePurged, NothingPurged
from edge.schema import outbox, purged
from protocol.op import parse_op

DAYS_MIN = 7
DAY_MS = 86_400_000
GONE, TOLD, WANTED = "gone", "told", "wanted"
BATCH = 200


@dataclass(frozen=True, slots=True)
class Purge:
    """What one purge did. kept: old concluded cases that may not go yet."""

    cases: int
    ops: int
    files: int
    kept: int


def note_equal(tx: Connection, position: int, *, now_ms: int) -> None:
    """A comparison found the hub's set and ours equal up to this stored position."""
    put_meta(tx, memory.EQUAL, [position, now_ms])


def last_position(tx: Connection) -> int:
    """Of the newest stored op."""
    return tx.execute(select(func.max(ledger.ops.c.pos))).scalar() or 0


def purge(tx: Connection, *, older_than_days: int, now_ms: int) -> Purge:
    """Delete what may go, in the caller's transaction.

    Raises:  NothingPurged if no comparison has found this device equal with the hub yet.
    """
    equal = get_meta(tx, memory.EQUAL)
    if equal is None:
        raise NothingPurged(
            "No reconciliation has found this device equal with the county yet; nothing was deleted.",
            "本设备尚未与县中心对账一致，未删除任何内容。",
        )
    query = select(ledger.views.c.case_id, ledger.views.c.number).where(
        ledger.views.c.status.in_([str(status) for status in FINAL]),
        ledger.views.c.updated_ms < now_ms - max(older_than_days, DAYS_MIN) * DAY_MS,
        ledger.views.c.open_conflicts == 0,
    )
    old = {row.case_id: row.number for row in tx.execute(query)}
    going = {case: number for case, number in old.items() if _may_go(tx, case, equal[0])}
    ops = files = 0
    for part in steps(going, BATCH):
        files += _drop_files(tx, part)
        ops += _drop(tx, part)
        rows = [
            {"case_id": case, "number_key": number_key(going[case]), "state": GONE, "since_ms": now_ms} for case in part
        ]
        insert_new(tx, purged, rows)
    return Purge(len(going), ops, files, len(old) - len(going))


def want_back(tx: Connection, text: str) -> bytes | None:
    """Mark the purged case of this number or id as wanted; None if no such case was purged here."""
    case = _purged(tx, text)
    if case is not None:
        tx.execute(update(purged).where(purged.c.case_id == case).values(state=WANTED))
    return case


def find_here(tx: Connection, text: str) -> bytes:
    """The case that a person means, as `conflict.ledger.views.find`; one that was purged says so.

    Raises:  CasePurged, UnknownCase, AmbiguousCase, BadCaseNumber.
    """
    try:
        return find(tx, text)
    except UnknownCase as error:
        if _purged(tx, text) is None:
            raise
        raise CasePurged(
            f"The case {text} is concluded and was purged here; bring it back: liandong case fetch {text}.",
            f"办件 {text} 已办结并从本机清理，可用 liandong case fetch 取回。",
        ) from error


def _purged(tx: Connection, text: str) -> bytes | None:
    key, name = number_key(text), text.strip().lower()
    for case, number in tx.execute(select(purged.c.case_id, purged.c.number_key)):
        if key == number or (len(name) >= PREFIX_CHARS_MIN and case.hex().startswith(name)):
            return bytes(case)
    return None


def to_tell(tx: Connection, *, limit: int) -> tuple[list[bytes], list[bytes]]:
    """(cases that the hub was not told of yet, cases that are wanted back) for the link to say."""
    gone = select(purged.c.case_id).where(purged.c.state == GONE).limit(limit)
    wanted = select(purged.c.case_id).where(purged.c.state == WANTED).limit(limit)
    return list(tx.scalars(gone)), list(tx.scalars(wanted))


def told(tx: Connection, cases: Iterable[bytes]) -> None:
    """These were said to the hub. If the message is lost, the next comparison brings the cases back: nothing breaks."""
    for part in steps(cases):
        tx.execute(update(purged).where(purged.c.case_id.in_(part), purged.c.state == GONE).values(state=TOLD))


def counts(tx: Connection) -> int:
    """How many cases are purged here now."""
    return tx.execute(select(func.count()).select_from(purged)).scalar_one()


def settle(tx: Connection) -> None:
    """A purged case that has its view again is back; one of which a new op came must come back whole."""
    back = select(ledger.views.c.case_id)
    tx.execute(delete(purged).where(purged.c.case_id.in_(back)))
    news = select(ledger.ops.c.case_id).where(ledger.ops.c.waiting == 1)
    tx.execute(update(purged).where(purged.c.case_id.in_(news)).values(state=WANTED))


def _may_go(tx: Connection, case: bytes, equal: int) -> bool:
    """Every op of it is ready and was part of the comparison, ours have the hub's final word, no chain ends in it (a
    device must still know its own last op), and no village takes it from our stream: it may not have it yet."""
    ends = ledger.ops.c.id.in_(select(ledger.chains.c.op_id))
    stays = (ledger.ops.c.pos > equal) | (ledger.ops.c.waiting == 1) | ends
    bound = select(ledger.ops.c.id).where(ledger.ops.c.case_id == case, stays).limit(1)
    open_ = (
        select(outbox.c.seq).where(outbox.c.case_id == case, outbox.c.state.not_in(("accepted", "refused"))).limit(1)
    )
    served = select(scope.c.case_id).where(scope.c.case_id == case).limit(1)
    return all(tx.execute(query).first() is None for query in (bound, open_, served))


def _drop(tx: Connection, cases: list[bytes]) -> int:
    ids = select(ledger.ops.c.id).where(ledger.ops.c.case_id.in_(cases))
    tx.execute(delete(ledger.op_outcomes).where(ledger.op_outcomes.c.op_id.in_(ids)))
    tx.execute(delete(relay).where(relay.c.op_id.in_(ids)))
    for table in (outbox, ledger.case_offices, ledger.views):
        tx.execute(delete(table).where(table.c.case_id.in_(cases)))
    return tx.execute(delete(ledger.ops).where(ledger.ops.c.case_id.in_(cases))).rowcount


def _drop_files(tx: Connection, cases: list[bytes]) -> int:
    """Delete the bytes of attachments that only these cases name."""
    going = _named(tx, ledger.ops.c.case_id.in_(cases))
    if not going:
        return 0
    rows = sorted(going - _named(tx, ledger.ops.c.case_id.not_in(cases)))
    for part in steps(rows):
        numbers = list(tx.scalars(select(ledger.files.c.id).where(ledger.files.c.sha256.in_(part))))
        tx.execute(delete(ledger.file_chunks).where(ledger.file_chunks.c.file_id.in_(numbers)))
        tx.execute(delete(ledger.files).where(ledger.files.c.id.in_(numbers)))
    return len(rows)


def _named(tx: Connection, where: ColumnElement[bool]) -> set[bytes]:
    """Hashes that ops of these cases name, in materials of their own or taken over."""
    found: set[bytes] = set()
    for blob in tx.execute(select(ledger.ops.c.blob).where(where).execution_options(yield_per=500)).scalars():
        if b"sha256" in blob:
            body = parse_op(blob).body
            entries = [body, *(body.get("materials") or [])]
            found |= {one["sha256"] for one in entries if isinstance(one, Mapping) and type(one.get("sha256")) is bytes}
    return found
