"""Goal: every offered op ends accepted, refused or waiting, once, with a receipt that only a commit can cause.

Method: real keys, envelopes and stores (SQLite and PostgreSQL); devices enrolled as in life; faults put into the ops.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from conflict.ledger.append import known
from conflict.ledger.chains import chain, gaps
from conflict.ledger.views import digests, list_views, view
from hub import enrolment, held, notices, refusals, streams
from hub.arrival import Arrival
from hub.init import County
from hub.intake import Intake, Taken
from hub.transaction import Work
from protocol import keys as device_keys
from protocol.messages import STREAM_OP, STREAM_RECEIPT
from protocol.roster import FROZEN, REVOKED
from tests.unit.hub.hub_support import (
    COUNTY,
    FAR,
    NEIGHBOUR,
    NOW,
    TOWN,
    VILLAGE,
    Clock,
    Machine,
    accepted,
    enrol,
    new_intake,
    random_source,
    receipts,
    refused,
    waiting,
)


def offer(intake: Intake, machine: Machine, *ops: Any) -> Taken:
    return intake.take([machine.envelope(*ops)])


def stream(county: County, office: str) -> list[tuple[int, bytes]]:
    """What lies in an office's stream."""
    with county.store.read() as tx:
        found = streams.read(tx, office, epoch=b"e", after=0, bytes_max=10**7, count_max=1_000, without=b"")
    return [] if found is None else [(what, blob) for what, blob in found.items]


def ops_in(county: County, office: str) -> list[bytes]:
    return [blob for what, blob in stream(county, office) if what == STREAM_OP]


def test_a_case_arrives(either: County) -> None:
    machine = enrol(either, VILLAGE, seed=1)
    op = machine.accept()
    taken = offer(new_intake(either), machine, op)
    assert accepted(either, taken.receipts) == [(1, 1)]
    assert receipts(either, taken.receipts)[0].hub_ms == NOW
    with either.store.read() as tx:
        (row,) = list_views(tx)
        assert (row.case, row.status, row.holder) == (op.id, "accepted", VILLAGE)
        assert chain(tx, machine.keys.incarnation) == (1, op.id)
    for office in (VILLAGE, TOWN, COUNTY):
        assert ops_in(either, office) == [op.blob]
    assert [what for what, _blob in stream(either, VILLAGE)] == [STREAM_RECEIPT, STREAM_OP]
    for office in (NEIGHBOUR, FAR):
        assert stream(either, office) == []


def test_a_repeat_changes_nothing(either: County) -> None:
    machine, intake = enrol(either, VILLAGE, seed=1), new_intake(either)
    ops = [machine.accept(), machine.accept()]
    offer(intake, machine, *ops)
    before = stream(either, COUNTY), stream(either, VILLAGE)
    taken = offer(intake, machine, *ops)
    assert (taken.stored, taken.repeats, taken.receipts) == (0, 2, [])
    assert (stream(either, COUNTY), stream(either, VILLAGE)) == before


def test_a_device_that_missed_its_receipts_gets_them_again(county: County) -> None:
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    good, bad = machine.accept(), machine.op("decide", {"decision": "?"}, [machine.accept()])
    first = machine_ops = [good, bad]
    offer(intake, machine, *first)
    arrival = Arrival(machine.keys.incarnation, tuple(op.blob for op in machine_ops), answer_repeats=True)
    taken = intake.take_ops([arrival])
    assert accepted(county, taken.receipts) == [(1, 1)]


def test_many_in_one_transaction(county: County) -> None:
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    commits: list[object] = []
    engine = county.store._writer  # type: ignore[attr-defined]
    event.listen(engine, "commit", lambda connection: commits.append(connection))
    ops = [machine.accept() for _ in range(50)]
    taken = intake.take([machine.envelope(*ops[:25]), machine.envelope(*ops[25:])])
    assert accepted(county, taken.receipts) == [(1, 50)] and len(commits) == 1


def test_receipts_leave_only_after_the_commit(county: County) -> None:
    """A commit that fails answers nothing and keeps nothing; offered again, all is well."""
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    op = machine.accept()

    def fail(_connection: object) -> None:
        raise OSError("power cut")

    engine = county.store._writer  # type: ignore[attr-defined]
    event.listen(engine, "commit", fail)
    with pytest.raises(OSError, match="power cut"):
        offer(intake, machine, op)
    event.remove(engine, "commit", fail)
    with county.store.read() as tx:
        assert known(tx, [op.id]) == {} and stream(county, VILLAGE) == []
    assert accepted(county, offer(intake, machine, op).receipts) == [(1, 1)]


# --- not authentic ---------------------------------------------------------------------------------------------------


def test_forged_ops_are_kept_as_evidence(either: County) -> None:
    machine, intake = enrol(either, VILLAGE, seed=1), new_intake(either)
    other = device_keys.generate(COUNTY, VILLAGE, "edge", random_source(99))
    good = machine.accept()
    cases = {
        "bad_signature": machine.accept(seed=other.sign_seed),
        "wrong_office": machine.accept(office=NEIGHBOUR),
        "wrong_role": machine.accept(role="hub"),
    }
    stranger = Machine(either, other).accept()
    taken = offer(intake, machine, good, *cases.values(), stranger)
    assert taken.stored == 1 and taken.refused == 4
    with either.store.read() as tx:
        kept = {one.op: one for one in refusals.listed(tx)}
        assert set(known(tx, [op.id for op in (good, *cases.values(), stranger)])) == {good.id}
    for code, op in {**cases, "unknown_sender": stranger}.items():
        assert kept[op.id].code == code and kept[op.id].evidence == op.blob
        assert kept[op.id].device == machine.keys.incarnation
    assert refused(either, taken.receipts) == {op.id: code for code, op in cases.items()}


def test_forged_op_in_a_large_batch_undoes_nothing_else(county: County) -> None:
    """Signatures of a large batch are checked beside the work; the commit waits for them."""
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    ops = [machine.accept() for _ in range(30)]
    forged = machine.accept(seed=bytes(32))
    ops += [forged, *(machine.accept() for _ in range(30))]
    taken = offer(intake, machine, *ops)
    assert (taken.stored, taken.refused, taken.held) == (60, 1, 0)
    assert refused(county, taken.receipts) == {forged.id: "bad_signature"}
    with county.store.read() as tx:
        assert known(tx, [forged.id]) == {} and len(list_views(tx)) == 60
        assert chain(tx, machine.keys.incarnation)[0] == 30
    assert len(ops_in(county, TOWN)) == 60


def test_fault_of_ours_is_not_blamed_on_a_forged_op(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    good, forged = machine.accept(), machine.accept(seed=bytes(32))
    take = Work.take

    def stumble(self: Work, batch: Any, **options: Any) -> Any:
        if any(op.id == forged.id for op in batch):
            raise ZeroDivisionError("what the forger hoped for")
        return take(self, batch, **options)

    monkeypatch.setattr(Work, "take", stumble)
    taken = offer(intake, machine, good, forged)
    assert (taken.stored, taken.refused, taken.held) == (1, 1, 0)


def test_garbage_among_ops(county: County) -> None:
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    op = machine.accept()
    garbage = (b"", b"\x00", op.blob[:-1], op.blob + b"\x00")
    taken = intake.take_ops([Arrival(machine.keys.incarnation, (*garbage, op.blob))])
    assert taken.stored == 1 and taken.refused == 4
    assert {one.code for one in taken.rejected} == {"malformed"}
    again = intake.take_ops([Arrival(machine.keys.incarnation, garbage)])
    assert again.refused == 4
    with county.store.read() as tx:
        assert [one.times for one in refusals.listed(tx)] == [2, 2, 2, 2]


@pytest.mark.parametrize("blob", [b"x", b"\x93\xc4\x00\xc4\x00\xc4\x00", bytes(70_000)])
def test_envelopes_that_do_not_open(county: County, blob: bytes) -> None:
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    taken = intake.take([blob, machine.envelope(machine.accept())])
    assert taken.stored == 1 and taken.refused == 1
    with county.store.read() as tx:
        (one,) = refusals.listed(tx)
    assert one.what == "envelope" and one.evidence == blob[: refusals.EVIDENCE_BYTES_MAX]


def test_envelope_of_another_county(county: County, tmp_path: Path) -> None:
    from tests.unit.hub.hub_support import new_county

    foreign = new_county(tmp_path / "other", seed=7)
    machine = enrol(foreign, VILLAGE, seed=1)
    assert new_intake(county).take([machine.envelope(machine.accept())]).refused == 1
    foreign.store.close()
    with county.store.read() as tx:
        assert refusals.listed(tx)[0].code == "wrong_recipient"


def test_evidence_is_bounded(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "EVIDENCE_PER_DEVICE_MAX", 5)
    intake = new_intake(county)
    for number in range(12):
        intake.take([b"garbage %d" % number])
    with county.store.read() as tx:
        kept = [one.evidence for one in refusals.listed(tx)]
    assert kept == [b"garbage %d" % number for number in range(11, 6, -1)]


# --- authentic, judged -----------------------------------------------------------------------------------------------


def test_terms_that_were_never_published_are_vetoed(either: County) -> None:
    machine, intake = enrol(either, VILLAGE, seed=1), new_intake(either)
    honest = machine.accept()
    terms = {**honest.body["terms"], "approve_level": "village"}
    cheat = machine.accept(body={"terms": terms})
    made_up = machine.accept(body={"item": "NO-SUCH-ITEM"})
    taken = offer(intake, machine, honest, cheat, made_up)
    assert accepted(either, taken.receipts) == [(1, 1)]
    assert refused(either, taken.receipts) == {cheat.id: "vetoed", made_up.id: "vetoed"} or refused(
        either, taken.receipts
    ) == {cheat.id: "terms_differ", made_up.id: "unknown_item"}
    with either.store.read() as tx:
        vetoed = view(tx, cheat.id)
        kinds = [entry["kind"] for entry in vetoed.timeline]
        assert kinds == ["accept", "veto"] and cheat.id in vetoed.refused
        assert {one.op for one in refusals.listed(tx)} == {cheat.id, made_up.id}
    assert len(ops_in(either, VILLAGE)) == 5  # three openers and two vetoes: every holder of the case learns


def test_an_older_published_version_is_fine(county: County) -> None:
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    old = machine.accept()
    items = [
        {key: value for key, value in item.items() if key not in ("version", "from_ms")}
        for item in county.shelf.items.values()
    ]
    for item in items:
        if item["code"] == "JF-MZ-001":
            item["promised"] = [3, "workday"]
    with county.store.write() as tx:
        assert county.shelf.publish_catalogue(tx, county.keys, items, now_ms=NOW) == 2
    new = machine.accept()
    assert (old.body["terms"]["version"], new.body["terms"]["version"]) == (1, 2)
    assert accepted(county, offer(intake, machine, old, new).receipts) == [(1, 2)]


def test_item_not_accepted_at_this_level(county: County) -> None:
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    op = machine.accept("QR-MZ-009")  # marriage: at the county only
    taken = offer(intake, machine, op)
    assert refused(county, taken.receipts) == {op.id: "wrong_level"}
    with county.store.read() as tx:
        (one,) = refusals.listed(tx, device=machine.keys.incarnation)
    assert one.code == "wrong_level" and one.reason


def test_op_without_its_parent_waits_and_is_answered_when_it_comes(either: County) -> None:
    machine, intake = enrol(either, VILLAGE, seed=1), new_intake(either)
    first = machine.accept()
    second = machine.amend(first, applicant_phone="13900000000")
    taken = offer(intake, machine, second)
    assert waiting(either, taken.receipts) == {second.id: "missing_parent"}
    with either.store.read() as tx:
        assert gaps(tx, machine.keys.incarnation) == [(1, 1)]
    taken = offer(intake, machine, first)
    assert sorted(accepted(either, taken.receipts)) in ([(1, 2)], [(1, 1), (2, 2)])
    assert sorted(ops_in(either, TOWN)) == sorted([first.blob, second.blob])


def test_implausible_time_is_bounded(county: County) -> None:
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    honest = machine.accept(claimed_ms=NOW + 200_000)
    ahead = machine.accept(claimed_ms=NOW + 10 * 365 * 86_400_000)
    liar = machine.accept(claimed_ms=NOW, evidence=(NOW + 86_400_000, 0))
    taken = offer(intake, machine, honest, ahead, liar)
    assert accepted(county, taken.receipts) == [(1, 3)]
    with county.store.read() as tx:
        assert [entry["kind"] for entry in view(tx, honest.id).timeline] == ["accept"]
        for op in (ahead, liar):
            bounded = view(tx, op.id)
            assert [entry["kind"] for entry in bounded.timeline] == ["accept", "time_bound"]
            assert bounded.timeline[0]["at_ms"] == NOW


def test_fork_keeps_both_and_freezes(either: County) -> None:
    machine, intake = enrol(either, VILLAGE, seed=1), new_intake(either)
    offer(intake, machine, machine.accept())
    clone = machine.twin()
    mine, theirs = machine.accept(), clone.accept(identity="420222198001011253")
    offer(intake, machine, mine)
    taken = offer(intake, clone, theirs)
    assert taken.roster_changed and accepted(either, taken.receipts) == [(2, 2)]
    with either.store.read() as tx:
        assert set(known(tx, [mine.id, theirs.id])) == {mine.id, theirs.id}
        assert len(list_views(tx)) == 3
        assert [one.code for one in notices.open_notices(tx)] == ["fork"]
    device = either.shelf.roster.device(machine.keys.incarnation)
    assert device is not None and device.state == FROZEN
    assert {mine.blob, theirs.blob} <= set(ops_in(either, TOWN))


def test_late_ops_of_a_revoked_device_go_to_a_person(either: County) -> None:
    machine, helper = enrol(either, VILLAGE, seed=1), enrol(either, VILLAGE, seed=2)
    intake = new_intake(either)
    offer(intake, machine, machine.accept())
    late = [machine.accept(), machine.accept()]
    with either.store.write() as tx:
        enrolment.set_state(tx, either.shelf, either.keys, machine.keys.incarnation, REVOKED, staff="周强", now_ms=NOW)
    taken = offer(intake, helper, *late, helper.accept())
    assert waiting(either, taken.receipts) == {op.id: "revoked" for op in late}
    assert accepted(either, taken.receipts) == [(1, 1)]
    with either.store.read() as tx:
        assert [one.op for one in held.listed(tx)] == sorted(op.id for op in late)
        assert known(tx, [op.id for op in late]) == {}
        assert "late_ops" in {one.code for one in notices.open_notices(tx)}
    again = offer(intake, helper, *late)
    assert again.receipts == [] and again.held == 0


def test_one_bad_op_does_not_stop_the_others(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the program itself that one op sets off: the op is set aside, everything else goes on."""
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    ops = [machine.accept() for _ in range(9)]
    poison = ops[4]
    take = Work.take

    def stumble(self: Work, batch: Any, **options: Any) -> Any:
        if any(op.id == poison.id for op in batch):
            raise ZeroDivisionError("a bug")
        return take(self, batch, **options)

    monkeypatch.setattr(Work, "take", stumble)
    taken = offer(intake, machine, *ops)
    assert taken.stored == 8 and taken.held == 1
    assert waiting(county, taken.receipts) == {poison.id: "internal"}
    assert sum(last - first + 1 for first, last in accepted(county, taken.receipts)) == 8
    with county.store.read() as tx:
        (one,) = held.listed(tx)
        assert one.blob == poison.blob and "ZeroDivisionError" in one.detail


# --- routing ---------------------------------------------------------------------------------------------------------


def test_a_case_that_comes_to_another_office_comes_whole(county: County) -> None:
    """The village's case is forwarded to the township and from there to a village of another township's line? Never:
    but the township sees all of it from the first op, and the neighbour nothing."""
    village, town, intake = enrol(county, VILLAGE, seed=1), enrol(county, TOWN, seed=2), new_intake(county)
    opened = village.accept()
    amended = village.amend(opened, applicant_phone="13700000000")
    forwarded = village.op("forward", {"to": TOWN}, [amended])
    offer(intake, village, opened, amended, forwarded)
    taken_over = town.op("take", {"of": forwarded.id}, [forwarded])
    offer(intake, town, taken_over)
    whole = [opened.blob, amended.blob, forwarded.blob, taken_over.blob]
    for office in (VILLAGE, TOWN, COUNTY):
        assert ops_in(county, office) == whole
    assert stream(county, NEIGHBOUR) == []
    with county.store.read() as tx:
        assert streams.cases_of(tx, TOWN) == [opened.id] and streams.cases_of(tx, NEIGHBOUR) == []
        assert view(tx, opened.id).holder == TOWN


def test_case_moved_down_to_another_village_is_loaded_whole(county: County) -> None:
    town, intake = enrol(county, TOWN, seed=2), new_intake(county)
    opened = town.accept()
    amended = town.amend(opened, applicant_phone="13700000000")
    offer(intake, town, opened, amended)
    assert stream(county, VILLAGE) == []
    forwarded = town.op("forward", {"to": VILLAGE}, [amended])
    offer(intake, town, forwarded)
    assert ops_in(county, VILLAGE) == [opened.blob, amended.blob, forwarded.blob]


def test_a_refused_op_opens_no_door(county: County) -> None:
    """Whoever learns a case id cannot make the hub send the case by writing an op about it."""
    village, far, intake = enrol(county, VILLAGE, seed=1), enrol(county, FAR, seed=3), new_intake(county)
    opened = village.accept()
    offer(intake, village, opened)
    nosy = far.op("amend", {"fields": {"applicant_phone": "1"}}, [opened])
    taken = offer(intake, far, nosy)
    assert nosy.id in refused(county, taken.receipts)
    assert ops_in(county, FAR) == []


def test_streams_and_receipts_survive_many_senders(either: County) -> None:
    """Three offices in one commit: each gets its own receipt, positions stay contiguous, the county gets all."""
    intake = new_intake(either)
    machines = [enrol(either, office, seed=at) for at, office in enumerate((VILLAGE, NEIGHBOUR, FAR), start=1)]
    envelopes = [machine.envelope(*[machine.accept() for _ in range(5)]) for machine in machines]
    taken = intake.take(envelopes)
    assert {receipt.author for receipt in receipts(either, taken.receipts)} == {
        machine.keys.incarnation for machine in machines
    }
    with either.store.read() as tx:
        assert streams.length(tx, COUNTY) == 15
        assert streams.lengths(tx)[TOWN] == 10
        assert len(digests(tx)) == 15


def test_hub_facts_are_on_one_chain(county: County) -> None:
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county, Clock())
    for _ in range(3):
        offer(intake, machine, machine.accept(claimed_ms=NOW + 10**10))
    with county.store.read() as tx:
        assert chain(tx, county.keys.incarnation)[0] == 3
        assert gaps(tx, county.keys.incarnation) == []


def test_two_processes_write_side_by_side(either: County) -> None:
    """The loop and an administrator's command, say: positions stay contiguous, the hub's chain stays one."""
    import threading

    from hub.init import open_county

    machines = [enrol(either, office, seed=at) for at, office in enumerate((VILLAGE, FAR), start=1)]
    envelopes = [
        [machine.envelope(*[machine.accept(claimed_ms=NOW + 10**10) for _ in range(3)]) for _ in range(6)]
        for machine in machines
    ]
    failures: list[BaseException] = []

    def work(county: County, mine: list[bytes]) -> None:
        intake = new_intake(county)
        try:
            for envelope in mine:
                assert intake.take([envelope]).stored == 6
        except BaseException as error:
            failures.append(error)
        finally:
            intake.close()

    other = open_county(either.directory)
    threads = [
        threading.Thread(target=work, args=(county, mine))
        for county, mine in zip((either, other), envelopes, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    other.store.close()
    assert failures == []
    with either.store.read() as tx:
        assert streams.length(tx, COUNTY) == 72
        assert chain(tx, either.keys.incarnation)[0] == 36 and gaps(tx, either.keys.incarnation) == []
    assert len(ops_in(either, COUNTY)) == 72
