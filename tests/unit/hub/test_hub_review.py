"""Goal: what rules cannot settle reaches a person, and the person's word reaches every holder as a signed op.

Method: two offices that could not hear each other, real ops, decisions by the administrator's functions.
"""

from __future__ import annotations

from typing import Any

import pytest

from conflict.fold import fold
from conflict.ledger.receipts import outcomes_of
from conflict.ledger.views import list_views, view
from hub import admin, duplicates, enrolment, review, schema, state
from hub.errors import UnknownConflict, UnknownEntry, UnknownOffice
from hub.init import County
from hub.transaction import Work
from protocol.errors import InputError, RefusedError
from protocol.op import Op
from protocol.roster import REVOKED
from tests.unit.hub.hub_support import FAR, NEIGHBOUR, NOW, TOWN, VILLAGE, Machine, enrol, new_intake
from tests.unit.hub.test_hub_intake import offer, ops_in

DAY = 86_400_000


def clash(county: County) -> tuple[Op, Machine, Machine]:
    """A case whose identity number two offices changed, neither knowing of the other."""
    village, town, intake = enrol(county, VILLAGE, seed=1), enrol(county, TOWN, seed=2), new_intake(county)
    opened = village.accept()
    forwarded = village.op("forward", {"to": TOWN}, [opened])
    taken = town.op("take", {"of": forwarded.id}, [forwarded])
    offer(intake, village, opened, forwarded)
    offer(intake, town, taken)
    offer(intake, village, village.amend(taken, applicant_id="420222198001011253"))
    offer(intake, town, town.amend(taken, applicant_id="42022219800101127X"))
    return opened, village, town


def test_conflict_is_listed_shown_and_settled(either: County) -> None:
    opened, _village, _town = clash(either)
    (entry,) = review.list_conflicts(either, now_ms=NOW)
    assert (entry["case"], entry["field"], entry["class"], entry["open"]) == (
        opened.id.hex(),
        "applicant_id",
        "identity",
        True,
    )
    assert {value["office"] for value in entry["values"]} == {VILLAGE, TOWN}
    assert entry["due_ms"] is not None and entry["holder"] == TOWN
    shown = review.show_conflict(either, entry["number"], entry["id"], now_ms=NOW)
    assert shown["explanation"] and shown["values"] == entry["values"]
    choice = [value["office"] for value in entry["values"]].index(TOWN)
    done = review.resolve(either, entry["number"], entry["id"], choice, reason="核对户口簿", staff="周强", now_ms=NOW)
    assert review.list_conflicts(either, now_ms=NOW) == []
    with either.store.read() as tx:
        case = view(tx, opened.id)
    assert case.fields["applicant_id"]["value"] == "42022219800101127X"
    said = next(line for line in case.timeline if line["op"].hex() == done["op"])
    assert (said["staff"], said["role"], said["verdict"]) == ("周强", "administrator", "applied")
    for office in (VILLAGE, TOWN):
        assert any(bytes.fromhex(done["op"]) == _id(blob) for blob in ops_in(either, office))


def test_settling_in_a_wrong_way_is_refused_and_changes_nothing(county: County) -> None:
    opened, _village, _town = clash(county)
    (entry,) = review.list_conflicts(county, now_ms=NOW)
    with pytest.raises(RefusedError):
        review.resolve(county, entry["case"], entry["id"], 7, reason="", staff="周强", now_ms=NOW)
    with pytest.raises(UnknownConflict):
        review.resolve(county, entry["case"], "field:none:00", 0, reason="", staff="周强", now_ms=NOW)
    with county.store.read() as tx:
        assert len(view(tx, opened.id).timeline) == 5
    assert len(review.list_conflicts(county, now_ms=NOW)) == 1


def pair(county: County, *, typo: bool = False, same_office: bool = False) -> tuple[Op, Op]:
    """One applicant and one item, taken at two offices."""
    one, other, intake = enrol(county, VILLAGE, seed=1), enrol(county, FAR, seed=2), new_intake(county)
    first = one.accept(claimed_ms=NOW - 3 * DAY, evidence=(NOW - 4 * DAY, DAY))
    attached = one.op(
        "attach",
        {
            "material": "户口簿复印件",
            "sha256": b"\x01" * 32,
            "size": 10,
            "media": "image/jpeg",
            "name": "a.jpg",
            "grade": "C",
        },
        [first],
    )
    writer = one if same_office else other
    second = writer.accept(identity="420222198001011238" if typo else "420222198001011237")
    offer(intake, one, first, attached)
    offer(intake, writer, second)
    while review.look_for_duplicates(county, now_ms=NOW):
        pass
    return first, second


def test_duplicate_is_found_and_both_offices_are_told(either: County) -> None:
    first, second = pair(either)
    (entry,) = review.list_duplicates(either)
    assert entry["certain"] and {case["case"] for case in entry["cases"]} == {first.id.hex(), second.id.hex()}
    with either.store.read() as tx:
        for mine, other in ((first, second), (second, first)):
            (note,) = view(tx, mine.id).notes
            assert "两头受理" in note["text"] and view(tx, other.id).number in note["text"]
            assert "420222198001011237" not in note["text"] and "李四" not in note["text"]
    assert len(ops_in(either, VILLAGE)) == 3 and len(ops_in(either, FAR)) == 2


def test_mistyped_number_is_a_candidate(county: County) -> None:
    pair(county, typo=True)
    (entry,) = review.list_duplicates(county)
    assert not entry["certain"]


def test_two_cases_at_one_office_are_no_duplicate(county: County) -> None:
    pair(county, same_office=True)
    assert review.list_duplicates(county) == []


def test_no_plain_number_in_the_index(county: County) -> None:
    pair(county)
    with county.store.read() as tx:
        rows = tx.execute(schema.blind.select()).all()
        assert len(rows) > 10
        for row in rows:
            assert b"4202221980" not in row.token and len(row.token) in (16, 32)


def test_finding_again_tells_nobody_again(county: County) -> None:
    first, second = pair(county)
    with county.store.write() as tx:
        duplicates.mark_due(tx, [first, second], now_ms=NOW)
    assert review.look_for_duplicates(county, now_ms=NOW) == 2
    assert len(review.list_duplicates(county)) == 1 and len(ops_in(county, FAR)) == 2


def forget_list(county: County) -> None:
    """As a hub that was put back: its list is gone, its own ops have come back from the offices."""
    with county.store.write() as tx:
        tx.execute(schema.duplicate.delete())
        tx.execute(schema.blind.delete())
        state.new_epoch(tx, b"12345678", now_ms=NOW)


@pytest.mark.parametrize("decided", [False, True])
def test_a_restored_hub_waits_and_says_nothing_twice(county: County, decided: bool) -> None:
    first, second = pair(county)
    if decided:
        (entry,) = review.list_duplicates(county)
        review.declare_distinct(county, entry["id"], reason="两处房屋", staff="周强", now_ms=NOW)
    before = ops_in(county, FAR)
    forget_list(county)
    with county.store.write() as tx:
        duplicates.mark_due(tx, [first, second], now_ms=NOW)
    assert review.look_for_duplicates(county, now_ms=NOW + review.RESTORED_WAIT_MS - 1) == 0
    assert review.look_for_duplicates(county, now_ms=NOW + review.RESTORED_WAIT_MS) == 2
    assert len(review.list_duplicates(county)) == (0 if decided else 1)
    assert ops_in(county, FAR) == before


def test_one_is_kept_and_the_other_linked(either: County) -> None:
    first, second = pair(either)
    (entry,) = review.list_duplicates(either)
    review.keep_one(either, entry["id"], second.id.hex(), reason="当事人确认", staff="周强", now_ms=NOW)
    with either.store.read() as tx:
        kept, gone = view(tx, second.id), view(tx, first.id)
    assert gone.status == "voided" and kept.status == "accepted"
    assert [material["sha256"] for material in kept.materials] == [b"\x01" * 32]
    assert kept.clock["received_ms"] == NOW - 3 * DAY  # the earlier receipt counts
    assert review.list_duplicates(either) == []
    assert review.list_duplicates(either, open_only=False)[0]["decision"] == "linked"


def test_declared_distinct(county: County) -> None:
    first, second = pair(county)
    (entry,) = review.list_duplicates(county)
    review.declare_distinct(county, entry["id"], reason="两处房屋", staff="周强", now_ms=NOW)
    with county.store.read() as tx:
        assert [row.status for row in list_views(tx)] == ["accepted", "accepted"]
        assert view(tx, first.id).duplicates[0]["other"] == second.id
    with pytest.raises(UnknownEntry):
        review.declare_distinct(county, entry["id"], reason="", staff="周强", now_ms=NOW)


def test_case_of_another_pair_cannot_be_kept(county: County) -> None:
    first, _second = pair(county)
    third = enrol(county, NEIGHBOUR, seed=5)
    stranger = third.accept("JF-MZ-002", identity="11010519491231002X")
    offer(new_intake(county), third, stranger)
    (entry,) = review.list_duplicates(county)
    with pytest.raises(InputError, match="not one of the pair"):
        review.keep_one(county, entry["id"], stranger.id.hex(), reason="", staff="周强", now_ms=NOW)
    assert len(review.list_duplicates(county)) == 1
    with county.store.read() as tx:
        assert view(tx, first.id).status == "accepted"


def test_office_moves_to_another_township_with_its_cases(county: County) -> None:
    village, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    opened = village.accept()
    offer(intake, village, opened)
    new_parent = FAR[:9]
    assert ops_in(county, new_parent) == []
    done = review.rehome(county, VILLAGE, new_parent, reason="行政区划调整", staff="周强", now_ms=NOW)
    assert done["cases"] == 1 and county.shelf.roster.parent(VILLAGE) == new_parent
    assert len(ops_in(county, new_parent)) == 2  # the case whole, with the op that says so
    forwarded = village.op("forward", {"to": new_parent}, [_parsed(ops_in(county, VILLAGE)[-1])])
    taken = offer(intake, village, forwarded)
    assert taken.stored == 1
    with county.store.read() as tx:
        assert view(tx, opened.id).handover["to"] == new_parent


@pytest.mark.parametrize(
    ("office", "parent", "error"), [(VILLAGE, "420222", InputError), ("420222999", TOWN, UnknownOffice)]
)
def test_office_moves_only_to_its_own_level(county: County, office: str, parent: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        review.rehome(county, office, parent, reason="", staff="周强", now_ms=NOW)
    assert county.shelf.version("roster") == 1


def test_released_late_op_counts_like_any_other(county: County) -> None:
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    late = machine.accept()
    with county.store.write() as tx:
        enrolment.set_state(tx, county.shelf, county.keys, machine.keys.incarnation, REVOKED, staff="周强", now_ms=NOW)
    other = enrol(county, VILLAGE, seed=2)
    offer(intake, other, late)
    (entry,) = admin.list_held(county)
    assert (entry["op"], entry["code"], entry["kind"]) == (late.id.hex(), "revoked", "accept")
    assert admin.release(county, [late.id], staff="周强", now_ms=NOW) == 1
    with county.store.read() as tx:
        assert view(tx, late.id).status == "accepted"
    assert admin.list_held(county) == [] and late.blob in ops_in(county, VILLAGE)
    with pytest.raises(UnknownEntry):
        admin.release(county, [late.id], staff="周强", now_ms=NOW)


def late_ops(county: County) -> tuple[Op, Op, Op]:
    """A case of the village at the hub, and two ops of it that came after the device was revoked."""
    machine, other, intake = enrol(county, VILLAGE, seed=1), enrol(county, VILLAGE, seed=2), new_intake(county)
    opened = machine.accept()
    offer(intake, machine, opened)
    renamed = machine.amend(opened, applicant_name="王五")
    forwarded = machine.op("forward", {"to": TOWN}, [renamed])
    with county.store.write() as tx:
        enrolment.set_state(tx, county.shelf, county.keys, machine.keys.incarnation, REVOKED, staff="周强", now_ms=NOW)
    offer(intake, other, renamed, forwarded)
    assert [one["op"] for one in admin.list_held(county)] == sorted(op.id.hex() for op in (renamed, forwarded))
    return opened, renamed, forwarded


def test_refused_late_op_is_kept_and_vetoed_for_every_holder(either: County) -> None:
    """Its origin has applied it: without a veto in the streams the origin's view would differ for ever."""
    opened, renamed, forwarded = late_ops(either)
    assert admin.refuse(either, [renamed.id, forwarded.id], reason="电脑已丢失", staff="周强", now_ms=NOW) == 2
    with either.store.read() as tx:
        case = view(tx, opened.id)
        outcomes = outcomes_of(tx, [renamed.id, forwarded.id])
    assert case.fields["applicant_name"]["value"] == "李四" and case.status == "accepted"
    assert {one.code for one in outcomes.values()} == {"refused_by_person"}
    vetoes = [line for line in case.timeline if line["kind"] == "veto"]
    assert [(line["staff"], line["verdict"]) for line in vetoes] == [("周强", "applied")] * 2
    sent = {_id(blob) for blob in ops_in(either, VILLAGE)}
    assert {renamed.id, forwarded.id, *(line["op"] for line in vetoes)} <= sent
    assert fold_digest([_parsed(blob) for blob in ops_in(either, VILLAGE)], opened.case) == case.digest()


def test_op_refused_before_its_parent_is_decided_stays_refused_when_the_parent_counts(either: County) -> None:
    opened, renamed, forwarded = late_ops(either)
    admin.refuse(either, [forwarded.id], reason="电脑已丢失", staff="周强", now_ms=NOW)
    with either.store.read() as tx:
        assert {one.outcome for one in outcomes_of(tx, [forwarded.id]).values()} == {"refused"}
    admin.release(either, [renamed.id], staff="周强", now_ms=NOW)
    with either.store.read() as tx:
        case = view(tx, opened.id)
        said = {op_id: one.code for op_id, one in outcomes_of(tx, [renamed.id, forwarded.id]).items()}
    assert said == {renamed.id: "", forwarded.id: "refused_by_person"}
    assert case.fields["applicant_name"]["value"] == "王五" and case.holder == VILLAGE
    assert fold_digest([_parsed(blob) for blob in ops_in(either, VILLAGE)], opened.case) == case.digest()


def test_refusal_of_an_op_that_the_program_stumbles_over_is_answered(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    poison, take = machine.accept(), Work.take

    def stumble(self: Work, batch: Any, **options: Any) -> Any:
        if any(op.id == poison.id for op in batch):
            raise ZeroDivisionError("a bug")
        return take(self, batch, **options)

    monkeypatch.setattr(Work, "take", stumble)
    offer(intake, machine, poison)
    assert admin.refuse(county, [poison.id], reason="程序无法处理", staff="周强", now_ms=NOW) == 1
    assert admin.list_held(county) == []
    assert [row["code"] for row in admin.list_refusals(county)] == ["refused_by_person"]


def test_refusal_of_a_held_op_needs_a_reason_and_an_op_that_is_held(county: County) -> None:
    opened, renamed, _forwarded = late_ops(county)
    with pytest.raises(InputError):
        admin.refuse(county, [renamed.id], reason="", staff="周强", now_ms=NOW)
    with pytest.raises(UnknownEntry):
        admin.refuse(county, [renamed.id, opened.id], reason="电脑已丢失", staff="周强", now_ms=NOW)
    assert len(admin.list_held(county)) == 2


def fold_digest(ops: list[Op], case: bytes) -> bytes:
    """What an office that got these ops sees of a case."""
    return fold(op for op in ops if op.case == case).digest()


def _parsed(blob: bytes) -> Op:
    from protocol.op import parse_op

    return parse_op(blob)


def _id(blob: bytes) -> bytes:
    return _parsed(blob).id
