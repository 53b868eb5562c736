"""Ops that need what a restored hub has lost wait for it, visibly, and are taken by themselves when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conflict.ledger.append import known
from conflict.ledger.views import view
from conflict.terms import terms_of
from hub import admin, held, recovery, refusals
from hub.arrival import Arrival
from hub.enrolment import set_state
from hub.init import County
from hub.intake import Intake
from hub.recall import Recall
from hub.recovery import put_back
from protocol import keys as device_keys
from protocol.documents import Document, sign_document
from protocol.op import Draft, Op, Reference, sign_op
from protocol.roster import REVOKED, Device
from tests.unit.hub.hub_support import (
    COUNTY,
    NEIGHBOUR,
    NOW,
    TOWN,
    VILLAGE,
    Clock,
    Machine,
    enrol,
    new_county,
    new_intake,
    random_source,
    waiting,
)

HOUR = 3_600_000
ITEM = "JF-MZ-001"


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    made = new_county(tmp_path / "hub")
    yield made
    made.store.close()


@pytest.fixture
def intake(county: County) -> Iterator[Intake]:
    made = new_intake(county, Clock(NOW + HOUR))
    yield made
    made.close()


def begin(county: County) -> None:
    with county.store.write() as tx:
        put_back(tx, b"\0" * 8, now_ms=NOW + HOUR, look_back=0)


def back(county: County, *documents: Document) -> None:
    """These documents of ours come from a device."""
    with county.store.write() as tx:
        recovery.recover(tx, county.shelf, county.keys, documents, random_bytes=random_source(1), now_ms=NOW + HOUR)


def lost_catalogue(county: County, version: int = 2) -> tuple[Document, dict[str, Any]]:
    """A catalogue that was published after the backup, and its changed item."""
    items = [dict(item) for item in county.shelf.items.values()]
    changed = next(item for item in items if item["code"] == ITEM)
    changed.update(version=2, promised=[7, "workday"])
    return Document("catalogue", COUNTY, version, 0, NOW, {"items": items}), changed


def opened_under(machine: Machine, item: dict[str, Any], catalogue: int) -> Op:
    body = {
        "number": f"{machine.keys.office}-20260101-0001-X",
        "item": item["code"],
        "terms": terms_of(item),
        "fields": {"applicant_name": "李四", "applicant_id": "420222198001011237", "applicant_phone": "13800000000"},
    }
    draft = Draft("accept", None, [], "张三", "chief", NOW, body, reference=Reference(catalogue, 1, 1))
    keys = machine.keys
    op = sign_op(draft, office=keys.office, device=keys.incarnation, seed=keys.sign_seed, seq=1, prev=None)
    machine.seq, machine.prev = 1, op.id
    return op


def test_a_case_under_a_lost_catalogue_waits_and_is_not_vetoed(county: County, intake: Intake) -> None:
    village = enrol(county, VILLAGE, seed=1)
    begin(county)
    catalogue, item = lost_catalogue(county)
    op = opened_under(village, item, 2)
    taken = intake.take_ops([Arrival(village.keys.incarnation, (op.blob,))])
    assert waiting(county, taken.receipts) == {op.id: held.CATALOGUE_LOST}
    later = village.amend(op, applicant_phone="13900000000")
    intake.take_ops([Arrival(village.keys.incarnation, (later.blob,))])
    assert [one["code"] for one in admin.list_held(county)] == ["catalogue_lost"]
    back(county, catalogue)
    assert admin.list_held(county) == []
    with county.store.read() as tx:
        case = view(tx, op.case)
    assert (case.status, case.refused, len(case.timeline)) == ("accepted", {}, 2)
    assert county.shelf.content("catalogue") == catalogue.content


def test_without_a_restore_unknown_terms_are_vetoed_as_ever(county: County, intake: Intake) -> None:
    village = enrol(county, VILLAGE, seed=1)
    _catalogue, item = lost_catalogue(county)
    op = opened_under(village, item, 2)
    intake.take_ops([Arrival(village.keys.incarnation, (op.blob,))])
    with county.store.read() as tx:
        assert op.id in view(tx, op.case).refused
    assert admin.list_held(county) == []


def test_what_waited_of_a_device_that_is_revoked_meanwhile_stays_for_a_person(county: County, intake: Intake) -> None:
    village = enrol(county, VILLAGE, seed=1)
    begin(county)
    catalogue, item = lost_catalogue(county)
    op = opened_under(village, item, 2)
    intake.take_ops([Arrival(village.keys.incarnation, (op.blob,))])
    with county.store.write() as tx:
        set_state(tx, county.shelf, county.keys, village.keys.incarnation, REVOKED, staff="周强", now_ms=NOW)
    back(county, catalogue)
    assert [one["code"] for one in admin.list_held(county)] == ["catalogue_lost"]


def test_ops_that_a_township_carried_for_a_forgotten_device_are_taken(county: County, intake: Intake) -> None:
    """They were refused while nobody knew their author; their bytes were kept."""
    town = enrol(county, TOWN, seed=2)
    begin(county)
    keys = device_keys.generate(COUNTY, NEIGHBOUR, "edge", random_source(3))
    forgotten = Machine(county, keys)
    ops = [forgotten.accept(), forgotten.accept(identity="420222198001011318")]
    taken = intake.take_ops([Arrival(town.keys.incarnation, tuple(op.blob for op in ops))])
    assert taken.refused == 2
    entry = Device(keys.incarnation, NEIGHBOUR, "edge", keys.sign_public, keys.seal_public, 1, NOW, changed=3)
    lost = replace(county.shelf.roster.changes_since(0), version=3, base_version=2)
    lost.content["devices"] = [[getattr(entry, name) for name in entry.__slots__]]
    blob = sign_document(lost, county.keys)
    recall = Recall(county, now_ms=lambda: NOW + HOUR, mono_ms=lambda: 1_000_000, random_bytes=random_source(4))
    back(county, recovery.believe(blob, county.shelf, recall._trust))
    done = recall.settle(intake, 2_000_000)
    assert done is not None and NEIGHBOUR in done.offices
    with county.store.read() as tx:
        assert set(known(tx, [op.id for op in ops])) == {op.id for op in ops}
        assert not [one for one in refusals.listed(tx) if one.code == "unknown_sender"]
