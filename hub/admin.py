"""Administration: what a county administrator sees of nodes, refusals, held ops, notices, and does about them.

For: `liandong hub …`; plain dictionaries, ids in hex, no applicant data in lists.
May not: commit half an act: each act is one transaction; take another path than intake for an op.
Manual: docs/operating/hub.md.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from conflict.kinds import TEXT_MAX
from conflict.ledger.views import list_views
from hub import calendar_source, devices, held, notices, refusals, state
from hub.areas import load_areas
from hub.catalogue import load_items
from hub.held import INTERNAL, RELEASED
from hub.init import County
from hub.judge import Objection
from hub.transaction import Work
from hub.verdicts import REFUSED, Verdict
from protocol.errors import InputError, StoreError
from protocol.op import parse_op
from protocol.roster import Office, Roster

REFUSED_BY_PERSON = "refused_by_person"

_log = logging.getLogger("liandong.hub.admin")


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
    """Refuse held ops for good: they are kept and vetoed, so that every holder of their cases, their origin too, sees
    the same (decision 0101). An op that this program stumbles over is only answered. Returns how many.

    Args:    reason: for the origin and for whoever reads the case later, 1 to TEXT_MAX characters.
    Raises:  InputError for the reason, UnknownEntry if one is not held (any more); then none is refused.
    """
    if not 0 < len(reason) <= TEXT_MAX:
        raise InputError(f"A reason of 1 to {TEXT_MAX} characters is needed.", f"请写明理由，1 至 {TEXT_MAX} 个字。")
    against = Objection(REFUSED_BY_PERSON, reason, staff)
    wanted = list(op_ids)
    with county.store.read() as tx:
        found = [held.waiting(tx, op_id) for op_id in wanted]
    hard = [one.op for one in found if one.code == INTERNAL]
    _refuse(county, [one.op for one in found if one.code != INTERNAL], against, now_ms)
    for op_id in hard:
        try:
            _refuse(county, [op_id], against, now_ms)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001  (it was set aside because this program stumbles over it)
            county.shelf.reset()
            _log.exception("op %s cannot be kept with its veto", op_id.hex())
            _refuse(county, [op_id], against, now_ms, kept=False)
    return len(found)


def _refuse(county: County, op_ids: list[bytes], against: Objection, now_ms: int, *, kept: bool = True) -> None:
    """One transaction. kept: store and veto the ops; else only answer their origin."""
    with county.store.write() as tx:
        ops = [
            parse_op(held.decide(tx, op_id, held.REFUSED, staff=against.staff, now_ms=now_ms).blob) for op_id in op_ids
        ]
        work = _work(county, tx, now_ms)
        if kept:
            work.take(ops, via=f"refused:{against.staff}", released=True, against={op.id: against for op in ops})
        else:
            work.verdicts += [
                Verdict(op.id, op.device, op.seq, op.prev, REFUSED, against.code, against.reason) for op in ops
            ]
        work.finish()


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
