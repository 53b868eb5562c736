"""Review: where a county administrator settles what rules cannot. Conflicts, duplicates, offices that move.

For: `hub conflicts`, `hub duplicates`, `hub rehome`: lists with what clashed and who saw what; every decision a signed op
that reaches all holders of the case.
May not: change a view in any other way than by an op; decide by itself.
Manual: docs/operating/hub.md, "Review queue".  Spec: docs/conflict/powers.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from conflict.deadline import due
from conflict.explain import explain
from conflict.kinds import FINAL, OpKind, Role
from conflict.ledger import views
from conflict.powers import allowed
from hub import carriers, duplicates, state
from hub.enrolment import known_office
from hub.errors import UnknownConflict
from hub.init import County
from hub.transaction import Work
from protocol.errors import InputError
from protocol.roster import Roster

if TYPE_CHECKING:
    from conflict.view import CaseView
    from protocol.op import Op

PAGE = 500  # rows read at once
RESTORED_WAIT_MS = 86_400_000  # every office that is at work has been compared by then (decision 0100)
PORTION = 50  # cases that one look for duplicates handles in one transaction


def list_conflicts(county: County, *, now_ms: int, settled: bool = False) -> list[dict[str, Any]]:
    """Open conflicts of all cases (with `settled` also closed ones of those cases), most recently changed case first."""
    found = []
    with county.store.read() as tx:
        county.shelf.refresh(tx)
        after: views.ViewRow | None = None
        while rows := views.list_views(tx, conflicted=True, after=after, limit=PAGE):
            for row in rows:
                case = views.view(tx, row.case)
                found += [
                    _conflict(county, case, entry, now_ms) for entry in case.conflicts if entry["open"] or settled
                ]
            after = rows[-1]
    return found


def show_conflict(county: County, case_text: str, conflict: str, *, now_ms: int) -> dict[str, Any]:
    """One conflict with both values and their provenance, the rule's proposal, and the sentences about it.

    Raises:  UnknownCase, AmbiguousCase, UnknownConflict.
    """
    with county.store.read() as tx:
        county.shelf.refresh(tx)
        case = views.view(tx, views.find(tx, case_text))
    entry = _named(case, conflict)
    names = {code: office.name for code, office in county.shelf.roster.offices.items()}
    said = [line for line in explain(case, names=names) if line.get("id") == entry["id"]]
    return _conflict(county, case, entry, now_ms) | {"explanation": said}


def resolve(
    county: County, case_text: str, conflict: str, choice: int | str, *, reason: str, staff: str, now_ms: int
) -> dict[str, Any]:
    """Settle a conflict on behalf of the administrator `staff`: a signed op that every holder gets.

    Args:    choice: index of the value that counts, or (for a field) another text.
    Raises:  UnknownCase, AmbiguousCase, UnknownConflict; RefusedError if it cannot be settled so.
    """
    with county.store.write() as tx:
        work = _work(county, tx, now_ms)
        case = views.view(tx, views.find(tx, case_text))
        entry = _named(case, conflict)
        body = {"conflict": entry["id"], "choice": choice, "reason": reason}
        op = _write(work, county, case, OpKind.RESOLVE, body, staff)
        work.finish()
        now = views.view(tx, case.case)
    return {"case": case.case.hex(), "number": case.number, "status": str(now.status), "op": op.id.hex()}


def list_duplicates(county: County, *, open_only: bool = True) -> list[dict[str, Any]]:
    """Pairs of cases that seem to be one: numbers, offices, how sure. No applicant data."""
    with county.store.read() as tx:
        found = duplicates.listed(tx, open_only=open_only)
        rows = views.view_rows(tx, {case for pair in found for case in (pair.one, pair.other)})
    return [
        {
            "id": pair.id,
            "certain": pair.certain,
            "at_ms": pair.at_ms,
            "decision": pair.decision,
            "staff": pair.staff,
            "cases": [_brief(rows[case]) for case in (pair.one, pair.other) if case in rows],
        }
        for pair in found
    ]


def keep_one(county: County, number: int, kept_text: str, *, reason: str, staff: str, now_ms: int) -> dict[str, Any]:
    """Keep one case of a pair and link the other to it: voided as duplicate, its materials and receipt date carried over.

    Raises:  UnknownEntry, UnknownCase; InputError if the case is not of this pair; RefusedError.
    """
    with county.store.write() as tx:
        work = _work(county, tx, now_ms)
        pair = duplicates.decide(tx, number, duplicates.LINKED, staff=staff, now_ms=now_ms)
        kept_id = views.find(tx, kept_text)
        if kept_id not in (pair.one, pair.other):
            raise InputError("That case is not one of the pair.", "该办件不属于这一对重复件。")
        kept = views.view(tx, kept_id)
        gone = views.view(tx, pair.other if kept_id == pair.one else pair.one)
        keeping = {"other": gone.case, "reason": reason, **_carried(kept, gone)}
        ops = [
            _write(work, county, kept, OpKind.KEEP_DUPLICATE, keeping, staff),
            _write(work, county, gone, OpKind.LINK_DUPLICATE, {"other": kept.case, "reason": reason}, staff),
        ]
        work.finish()
    return {"kept": kept.case.hex(), "linked": gone.case.hex(), "ops": [op.id.hex() for op in ops]}


def declare_distinct(county: County, number: int, *, reason: str, staff: str, now_ms: int) -> dict[str, Any]:
    """The two cases of a pair are different after all; both say so. Raises UnknownEntry, RefusedError."""
    with county.store.write() as tx:
        work = _work(county, tx, now_ms)
        pair = duplicates.decide(tx, number, duplicates.DISTINCT, staff=staff, now_ms=now_ms)
        both = [(views.view(tx, pair.one), pair.other), (views.view(tx, pair.other), pair.one)]
        ops = [
            _write(work, county, case, OpKind.DECLARE_DISTINCT, {"other": other, "reason": reason}, staff)
            for case, other in both
        ]
        work.finish()
    return {"cases": [pair.one.hex(), pair.other.hex()], "ops": [op.id.hex() for op in ops]}


def look_for_duplicates(county: County, *, now_ms: int) -> int:
    """Look at a portion of the cases whose applicant is new or changed; both offices are told of what is found.

    For a day after the hub was put back from a backup it waits: the offices bring back what it had said and what people
    had decided.

    Returns: how many cases were looked at; 0 when there is nothing to do.
    """
    with county.store.read() as tx:
        if not duplicates.due(tx, limit=1) or 0 <= now_ms - state.began_anew_ms(tx) < RESTORED_WAIT_MS:
            return 0
    with county.store.write() as tx:
        work = _work(county, tx, now_ms)
        cases = duplicates.due(tx, limit=PORTION)
        for suspicion in duplicates.look(tx, county.blind_key, cases, now_ms=now_ms):
            for mine, theirs in ((suspicion.case, suspicion.other), (suspicion.other, suspicion.case)):
                if duplicates.is_told(tx, county.keys.incarnation, mine, theirs):
                    continue
                other = views.view(tx, theirs)
                office = county.shelf.roster.office(other.opener_office)
                text = duplicates.words(suspicion, other, office.name if office else other.opener_office)
                work.write(mine, OpKind.NOTE, {"text": text, "duplicate": theirs})
        work.finish()
    return len(cases)


def rehome(county: County, office: str, parent: str, *, reason: str, staff: str, now_ms: int) -> dict[str, Any]:
    """Put an office under another one: in the roster for new cases, and as an op in each of its cases in flight.

    Raises:  UnknownOffice; InputError if `parent` is not one level above.
    """
    with county.store.write() as tx:
        work = _work(county, tx, now_ms)
        roster = county.shelf.roster
        moved, above = known_office(roster, office), known_office(roster, parent)
        if above.level != roster.level(moved.parent):
            raise InputError(
                f"{parent} is not an office of the level above {office}.", f"{parent} 不是 {office} 的上一级机构。"
            )

        def put(changed: Roster) -> None:
            changed.put_office(replace(moved, parent=parent))

        county.shelf.change_roster(tx, county.keys, put, now_ms=now_ms)
        carriers.left(tx, office, moved.parent)
        body = {"office": office, "parent": parent, "reason": f"{reason}（{staff}）"}
        cases = _in_flight(tx, office)
        ops = [
            work.author.sign(OpKind.REHOME, case=case, parents=views.heads(tx, case), body=body, staff=staff)
            for case in cases
        ]
        work.take(ops, via="hub")
        work.finish()
    return {"office": office, "parent": parent, "cases": len(ops), "roster": county.shelf.version("roster")}


def _in_flight(tx: Connection, office: str) -> list[bytes]:
    found: list[bytes] = []
    after: views.ViewRow | None = None
    while rows := views.list_views(tx, office=office, after=after, limit=PAGE):
        found += [row.case for row in rows if row.status not in FINAL]
        after = rows[-1]
    return found


def _write(work: Work, county: County, case: CaseView, kind: OpKind, body: Mapping[str, Any], staff: str) -> Op:
    """Ask the rules first, so that a refusal comes in words and nothing is written."""
    allowed(case, kind, county.keys.office, Role.ADMINISTRATOR, body)
    return work.write(case.case, kind, body, staff=staff, role=Role.ADMINISTRATOR)


def _carried(kept: CaseView, gone: CaseView) -> dict[str, Any]:
    """What the kept case takes over: the earlier receipt date, and materials that it does not have."""
    carried: dict[str, Any] = {}
    mine, theirs = _received_ms(kept), _received_ms(gone)
    if theirs is not None and (mine is None or theirs < mine):
        carried["received_ms"] = theirs
    known = {entry["sha256"] for entry in kept.materials}
    keys = ("op", "material", "sha256", "size", "media", "name", "grade", "office")
    materials = [{key: entry[key] for key in keys} for entry in gone.materials if entry["sha256"] not in known]
    if materials:
        carried["materials"] = materials
    return carried


def _received_ms(case: CaseView) -> int | None:
    times = [entry["at_ms"] for entry in case.timeline if entry["op"] == case.case]
    return times[0] if times else None


def _named(case: CaseView, conflict: str) -> Mapping[str, Any]:
    """The conflict with this id, or the only one whose id begins so."""
    fits = [entry for entry in case.conflicts if entry["id"] == conflict]
    fits = fits or [entry for entry in case.conflicts if entry["open"] and entry["id"].startswith(conflict)]
    if len(fits) != 1 or not conflict:
        raise UnknownConflict(
            f"The case {case.number} has no conflict {conflict!r}; `hub conflicts list` shows them.",
            f"办件 {case.number} 没有编号为“{conflict}”的冲突。",
        )
    found: Mapping[str, Any] = fits[0]
    return found


def _conflict(county: County, case: CaseView, entry: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    limits = due(case.clock, county.shelf.calendar, now_ms=now_ms).as_json() if case.clock else {}
    return {
        "case": case.case.hex(),
        "number": case.number,
        "item": case.item,
        "status": str(case.status),
        "holder": case.holder,
        "id": entry["id"],
        "kind": entry["kind"],
        "open": entry["open"],
        "field": entry["field"],
        "class": entry["class"],
        "rule": entry["rule"],
        "proposal": entry["proposal"],
        "values": [{key: _plain(value) for key, value in one.items()} for one in entry["values"]],
        "settled_by": None
        if entry["settled_by"] is None
        else {key: _plain(value) for key, value in entry["settled_by"].items()},
        "due": limits.get("due"),
        "due_ms": limits.get("due_ms"),
    }


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _brief(row: views.ViewRow) -> dict[str, Any]:
    return {
        "case": row.case.hex(),
        "number": row.number,
        "office": row.opened_by,
        "item": row.item,
        "status": row.status,
        "opened_ms": row.opened_ms,
    }


def _work(county: County, tx: Connection, now_ms: int) -> Work:
    return Work(tx, county.keys, county.shelf, now_ms=now_ms)
