"""Duplicate acceptance (两头受理): one applicant, one item, open at two offices. Found here, decided by a person.

For: the keyed blind index over open cases, candidates for mistyped numbers, the list that an administrator works on.
May not: keep a plain identity number; void or link anything by itself; hold up a receipt: cases are looked at after the
commit that took them, soon, in portions; say twice what a case says already.
Manual: docs/operating/hub.md, "Duplicates".  Decisions: 0084 (after the receipt), 0101 (after a restore).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select, update

from conflict import duplicates
from conflict.duplicates import Applicant, Likeness, Verdict
from conflict.kinds import FINAL, OPENING, OpKind
from conflict.ledger.statements import insert_new, steps
from conflict.ledger.views import ops_of, refold, view
from hub import schema
from hub.errors import UnknownEntry
from protocol.op import Op

if TYPE_CHECKING:
    from conflict.view import CaseView

LINKED, DISTINCT = "linked", "distinct"
MET_MAX = 20  # open cases under one token; one that more share (a clerk's own telephone, say) tells nothing
IDENTITY_FIELDS = frozenset({"applicant_name", "applicant_id", "applicant_phone"})


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Two open cases at two offices that seem to be one. likeness says why; certain: the numbers are equal."""

    case: bytes
    other: bytes
    likeness: Likeness

    @property
    def certain(self) -> bool:
        return self.likeness.verdict is Verdict.SAME


@dataclass(frozen=True, slots=True)
class Pair:
    """One entry of the administrator's list; `one` is the smaller case id. decision: "" while open."""

    id: int
    one: bytes
    other: bytes
    certain: bool
    at_ms: int
    decision: str
    staff: str
    decided_ms: int


def mark_due(tx: Connection, ops: Iterable[Op], *, now_ms: int) -> None:
    """Note the cases whose applicant these ops may have changed: they are looked at soon."""
    cases = {op.case for op in ops if _touches_applicant(op)}
    insert_new(tx, schema.blind_due, [{"case_id": case, "since_ms": now_ms} for case in sorted(cases)])


def due(tx: Connection, *, limit: int) -> list[bytes]:
    """Cases to be looked at, longest waiting first."""
    query = select(schema.blind_due.c.case_id).order_by(schema.blind_due.c.since_ms, schema.blind_due.c.case_id)
    return list(tx.scalars(query.limit(limit)))


def look(tx: Connection, key: bytes, cases: Iterable[bytes], *, now_ms: int) -> list[Suspicion]:
    """Index these cases anew and find what they meet. Suspicions that are not on the list yet are put there and returned.

    Args:    key: the county's secret for the index.
    """
    looked_at = list(cases)
    for part in steps(looked_at):
        tx.execute(delete(schema.blind_due).where(schema.blind_due.c.case_id.in_(part)))
        tx.execute(delete(schema.blind).where(schema.blind.c.case_id.in_(part)))
    mine = {one.case: one for one in refold(tx, looked_at)}  # completes what intake kept in brief, too
    tokens = {case: _tokens(key, one) for case, one in mine.items()}
    rows = [{"case_id": case, "token": token} for case, some in tokens.items() for token in some]
    insert_new(tx, schema.blind, rows)
    found: list[Suspicion] = []
    for case, others in _met(tx, tokens).items():
        for other in others:
            suspicion = _compared(mine[case], mine.get(other) or view(tx, other))
            if suspicion is not None and _put(tx, suspicion, _judged(mine[case], other), now_ms):
                found.append(suspicion)
    return found


def listed(tx: Connection, *, open_only: bool = True, limit: int = 500) -> list[Pair]:
    """The administrator's list, oldest first."""
    query = select(schema.duplicate).order_by(schema.duplicate.c.id).limit(limit)
    if open_only:
        query = query.where(schema.duplicate.c.decision == "")
    return [_pair(row) for row in tx.execute(query)]


def decide(tx: Connection, number: int, decision: str, *, staff: str, now_ms: int) -> Pair:
    """Write a decision down; the entry as it was. Raises UnknownEntry if it is not open."""
    row = tx.execute(
        select(schema.duplicate).where(schema.duplicate.c.id == number, schema.duplicate.c.decision == "")
    ).first()
    if row is None:
        raise UnknownEntry(f"There is no open duplicate {number}.", f"没有编号为 {number} 的待裁定重复件。")
    change = update(schema.duplicate).where(schema.duplicate.c.id == number)
    tx.execute(change.values(decision=decision, staff=staff, decided_ms=now_ms))
    return _pair(row)


def words(suspicion: Suspicion, other: CaseView, office: str) -> str:
    """What an office reads in its case about the other one. No applicant data."""
    why = "、".join(duplicates.REASONS[reason][1] for reason in suspicion.likeness.reasons)
    what = "两头受理" if suspicion.certain else "疑似两头受理"
    return f"{what}：{office}的办件 {other.number} 与本办件申请同一事项（{why}），请等待县管理员裁定。"


def _touches_applicant(op: Op) -> bool:
    if op.opens and op.kind in OPENING:
        return True
    fields = op.body.get("fields")
    if op.kind in (OpKind.AMEND, OpKind.SUPPLEMENT) and isinstance(fields, dict):
        return not IDENTITY_FIELDS.isdisjoint(fields)
    return op.kind == OpKind.RESOLVE


def _tokens(key: bytes, case: CaseView) -> set[bytes]:
    """Under which the case is found: none once it is over, or while its applicant is not known."""
    applicant = _applicant(case)
    if case.status in FINAL or not (applicant.number or applicant.phone):
        return set()
    tokens = set(duplicates.candidate_keys(key, applicant, case.item))
    if applicant.number:
        tokens.add(duplicates.blind_index(key, applicant.number, case.item))
    return tokens


def _met(tx: Connection, tokens: Mapping[bytes, set[bytes]]) -> dict[bytes, list[bytes]]:
    """For each of these cases, which are in the index, the others that share a token with it."""
    under: dict[bytes, list[bytes]] = {}
    for part in steps(sorted({token for some in tokens.values() for token in some})):
        for token, case in tx.execute(select(schema.blind).where(schema.blind.c.token.in_(part))):
            under.setdefault(token, []).append(case)
    telling = {token: cases for token, cases in under.items() if 1 < len(cases) <= MET_MAX + 1}
    return {
        case: sorted({other for token in some & telling.keys() for other in telling[token]} - {case})
        for case, some in tokens.items()
    }


def _compared(mine: CaseView, other: CaseView) -> Suspicion | None:
    if other.status in FINAL or other.item != mine.item or other.opener_office == mine.opener_office:
        return None
    likeness = duplicates.compare(_applicant(mine), _applicant(other))
    return None if likeness.verdict is Verdict.DIFFERENT else Suspicion(mine.case, other.case, likeness)


def is_told(tx: Connection, hub: bytes, case: bytes, other: bytes) -> bool:
    """Whether the hub has said in this case that `other` seems to be the same: a hub that was put back from a backup has
    forgotten its list, and gets back what it said from the offices."""
    return any(op.device == hub and op.body.get("duplicate") == other for op in ops_of(tx, case))


def _judged(case: CaseView, other: bytes) -> str:
    """What a person has decided about this pair, by the case's own facts; "" if nothing. A linked case is over."""
    distinct = (entry["other"] for entry in case.duplicates if entry["judged"] == OpKind.DECLARE_DISTINCT)
    return DISTINCT if other in distinct else ""


def _put(tx: Connection, suspicion: Suspicion, decision: str, now_ms: int) -> bool:
    """Put a pair on the list; False if nobody need look at it: it is there already, or decided."""
    one, other = sorted((suspicion.case, suspicion.other))
    known = select(schema.duplicate.c.id).where(schema.duplicate.c.one == one, schema.duplicate.c.other == other)
    if tx.scalar(known) is not None:
        return False
    row = {"one": one, "other": other, "certain": int(suspicion.certain), "at_ms": now_ms}
    decided_ms = now_ms if decision else 0
    tx.execute(insert(schema.duplicate).values(**row, decision=decision, staff="", decided_ms=decided_ms))
    return not decision


def _applicant(case: CaseView) -> Applicant:
    return Applicant(*(_text(case.fields, name) for name in ("applicant_name", "applicant_id", "applicant_phone")))


def _text(fields: Mapping[str, Any], name: str) -> str:
    field = fields.get(name)
    return str(field["value"]) if field else ""


def _pair(row: Any) -> Pair:
    return Pair(row.id, row.one, row.other, bool(row.certain), row.at_ms, row.decision, row.staff, row.decided_ms)
