"""Administration: what a county administrator sees of nodes, refusals, held ops, notices, and does about them.

For: `liandong hub …`; plain dictionaries, ids in hex, no applicant data in lists.
May not: commit half an act: each act is one transaction; take another path than intake for an op.
Manual: docs/operating/hub.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from conflict.ledger.views import list_views
from hub import calendar_source, devices, held, notices, refusals, state
from hub.areas import load_areas
from hub.catalogue import load_items
from hub.held import RELEASED
from hub.init import County
from hub.transaction import Work
from hub.verdicts import REFUSED, Verdict
from protocol.op import parse_op
from protocol.roster import Office, Roster

REFUSED_BY_PERSON = "refused_by_person"


def list_nodes(county: County) -> list[dict[str, Any]]:
    """Every device: office, state, last contact, backlog both ways, refusals, versions, fingerprint."""
    with county.store.read() as tx:
        county.shelf.refresh(tx)
        found = devices.nodes(tx, county.shelf.roster, epoch=state.epoch_of(tx))
    return [_node(one) for one in found]


def list_refusals(county: County, *, device: bytes | None = None) -> list[dict[str, Any]]:
    """What was not taken, newest first. `evidence` is the number of bytes kept, not the bytes."""
    with county.store.read() as tx:
        found = refusals.listed(tx, device=device)
    return [
        {
            "what": one.what,
            "id": one.op.hex(),
            "device": one.device.hex(),
            "office": one.office,
            "seq": one.seq,
            "case": one.case.hex(),
            "code": one.code,
            "reason": one.reason,
            "at_ms": one.at_ms,
            "times": one.times,
            "evidence": len(one.evidence),
        }
        for one in found
    ]


def list_held(county: County) -> list[dict[str, Any]]:
    """Ops that wait for a person."""
    with county.store.read() as tx:
        found = held.listed(tx)
    rows = []
    for one in found:
        op = parse_op(one.blob)
        rows.append(
            {
                "op": one.op.hex(),
                "device": one.device.hex(),
                "office": one.office,
                "seq": one.seq,
                "kind": op.kind,
                "case": op.case.hex(),
                "code": one.code,
                "detail": one.detail,
                "at_ms": one.at_ms,
            }
        )
    return rows


def release(county: County, op_ids: Iterable[bytes], *, staff: str, now_ms: int) -> int:
    """Take held ops after all: they are appended, folded and routed like any others. Returns how many.

    Raises:  UnknownEntry if one is not held (any more); then none is released.
    """
    with county.store.write() as tx:
        entries = [held.decide(tx, op_id, RELEASED, staff=staff, now_ms=now_ms) for op_id in op_ids]
        work = _work(county, tx, now_ms)
        work.take([parse_op(one.blob) for one in entries], via=f"released:{staff}", released=True)
        work.finish()
    return len(entries)


def refuse(county: County, op_ids: Iterable[bytes], *, reason: str, staff: str, now_ms: int) -> int:
    """Refuse held ops for good; their origin is told with the reason. Returns how many. Raises UnknownEntry."""
    with county.store.write() as tx:
        entries = [held.decide(tx, op_id, held.REFUSED, staff=staff, now_ms=now_ms) for op_id in op_ids]
        work = _work(county, tx, now_ms)
        for one in entries:
            op = parse_op(one.blob)
            work.verdicts.append(Verdict(op.id, op.device, op.seq, op.prev, REFUSED, REFUSED_BY_PERSON, reason))
        work.finish()
    return len(entries)


def list_notices(county: County) -> list[dict[str, Any]]:
    """Matters that a person must know of, newest first."""
    with county.store.read() as tx:
        found = notices.open_notices(tx)
    return [
        {
            "id": one.id,
            "at_ms": one.at_ms,
            "code": one.code,
            "about": one.about,
            "office": one.office,
            "text": one.text,
            "text_zh": one.text_zh,
            "times": one.times,
        }
        for one in found
    ]


def close_notice(county: County, number: int, *, staff: str, now_ms: int) -> None:
    """A matter has been dealt with. Raises UnknownEntry."""
    with county.store.write() as tx:
        notices.close(tx, number, staff=staff, now_ms=now_ms)


def overview(county: County) -> dict[str, Any]:
    """The county in one look: versions, counts of cases with open conflicts, notices, held ops."""
    with county.store.read() as tx:
        county.shelf.refresh(tx)
        return {
            "county": county.config.county,
            "name": county.config.name,
            "documents": {kind: county.shelf.version(kind) for kind in ("roster", "catalogue", "calendar")},
            "calendar_years": list(county.shelf.calendar.years),
            "conflicts": len(list_views(tx, conflicted=True, limit=1_000)),
            "notices": len(notices.open_notices(tx)),
            "held": len(held.listed(tx)),
        }


def publish_items(county: County, path: Path, *, now_ms: int) -> int:
    """Publish the items of a CSV file as the next catalogue; returns its version. Running cases keep their terms."""
    items = load_items(path)
    with county.store.write() as tx:
        return county.shelf.publish_catalogue(tx, county.keys, items, now_ms=now_ms)


def publish_calendar(county: County, *, now_ms: int) -> int:
    """Publish what the installed calendar library knows; returns the version. Due dates are computed anew by readers."""
    content = calendar_source.publishable(calendar_source.available_years())
    with county.store.write() as tx:
        return county.shelf.publish_calendar(tx, county.keys, content, now_ms=now_ms)


def publish_areas(county: County, path: Path, *, now_ms: int) -> dict[str, int]:
    """Bring the roster's offices in line with a new area tree: added, renamed, retired (never removed).

    Returns: {"version", "added", "renamed", "retired"}. An unchanged tree publishes nothing.
    """
    wanted = {office.code: office for office in load_areas(path, county.config.county)}
    with county.store.write() as tx:
        county.shelf.refresh(tx)
        known = county.shelf.roster.offices
        added = [office for code, office in wanted.items() if code not in known or known[code].retired]
        renamed = [
            replace(known[code], name=office.name)
            for code, office in wanted.items()
            if code in known and not known[code].retired and known[code].name != office.name
        ]
        retired = [
            replace(office, retired=True) for code, office in known.items() if code not in wanted and not office.retired
        ]
        _put_offices(county, tx, [*added, *renamed, *retired], now_ms)
        counts = {"added": len(added), "renamed": len(renamed), "retired": len(retired)}
        return {"version": county.shelf.version("roster"), **counts}


def _put_offices(county: County, tx: Any, changed: list[Office], now_ms: int) -> None:
    def put(roster: Roster) -> None:
        for office in changed:
            roster.put_office(office)

    if changed:
        county.shelf.change_roster(tx, county.keys, put, now_ms=now_ms)


def _work(county: County, tx: Any, now_ms: int) -> Work:
    return Work(tx, county.keys, county.shelf, now_ms=now_ms)


def _node(one: devices.Node) -> dict[str, Any]:
    contact = one.contact
    return {
        "device": one.device.incarnation.hex(),
        "office": one.device.office,
        "name": one.name,
        "label": one.device.label,
        "state": one.device.state,
        "since_ms": one.device.since_ms,
        "fingerprint": one.fingerprint,
        "last_contact_ms": contact.contact_ms or None,
        "software": contact.software,
        "documents": dict(contact.documents or {}),
        "pending": (contact.counts or {}).get("pending"),
        "behind_up": one.behind_up,
        "behind_down": one.behind_down,
        "held_seq": one.held_seq,
        "gap": one.top_seq > one.held_seq,
        "refused": one.refusals,
        "held": one.held,
        "waiting": one.waiting,
    }
