"""Goal: the small parts keep their word at their limits. Method: tables, and one step beyond each limit."""

from __future__ import annotations

import pytest

from hub import held, notices, refusals, streams
from hub.errors import UnknownEntry
from hub.init import County
from hub.judge import AHEAD_MS_MAX, bound, objection
from hub.streams import Item
from hub.verdicts import ACCEPTED, REFUSED, REFUSED_MAX, RUNS_MAX, WAITING, Verdict, receipts_for
from protocol.envelope import ENVELOPE_BYTES_MAX, PLAIN_BYTES_MAX
from protocol.messages import STREAM_NOTICE, STREAM_RECEIPT
from protocol.receipt import REASON_CHARS_MAX, sign_receipt
from tests.unit.hub.hub_support import COUNTY, NOW, VILLAGE, enrol, new_intake

ME = b"device_1"


def verdict(seq: int, state: str = ACCEPTED, *, op: bytes = b"", prev: bytes = b"", reason: str = "") -> Verdict:
    chain = [b"%032d" % number for number in range(seq + 1)]
    return Verdict(
        op or chain[seq], ME, seq, prev or chain[seq - 1], state, "code" if state != ACCEPTED else "", reason
    )


def runs(*verdicts: Verdict) -> list[tuple[int, int]]:
    made = receipts_for(verdicts, county=COUNTY, hub_ms=NOW)
    return [(run.first_seq, run.last_seq) for receipt in made[ME] for run in receipt.accepted]


def test_consecutive_ops_are_one_run_in_whatever_order_they_come() -> None:
    assert runs(*(verdict(seq) for seq in (3, 1, 2, 5, 4))) == [(1, 5)]


def test_a_refusal_breaks_a_run() -> None:
    assert runs(verdict(1), verdict(2), verdict(3, REFUSED), verdict(4)) == [(1, 2), (4, 4)]


def test_two_branches_of_a_fork_are_two_runs() -> None:
    other = verdict(2, op=b"x" * 32)
    follower = verdict(3, op=b"y" * 32, prev=b"x" * 32)
    assert sorted(runs(verdict(1), verdict(2), other, follower)) in ([(1, 2), (2, 3)], [(1, 3), (2, 2)])


def test_one_receipt_fits_one_envelope(county: County) -> None:
    long = "字" * (REASON_CHARS_MAX + 50)
    many = [verdict(2 * seq) for seq in range(1, RUNS_MAX + 50)]
    many += [verdict(2 * seq + 1, REFUSED, reason=long) for seq in range(1, 3 * REFUSED_MAX)]
    many += [verdict(10_000 + 2 * seq, WAITING) for seq in range(500)]
    made = receipts_for(many, county=COUNTY, hub_ms=NOW)[ME]
    assert max(len(sign_receipt(receipt, county.keys)) for receipt in made) < ENVELOPE_BYTES_MAX - 8_000
    assert sum(len(receipt.accepted) + len(receipt.refused) + len(receipt.waiting) for receipt in made) == len(many)


# --- streams ---------------------------------------------------------------------------------------------------------


def test_positions_are_contiguous_and_reading_respects_its_budget(either: County) -> None:
    with either.store.write() as tx:
        for step in range(3):
            streams.extend(tx, {VILLAGE: [Item(STREAM_RECEIPT, b"", b"%d" % step * 100)], COUNTY: []})
        streams.extend(tx, {VILLAGE: [Item(STREAM_NOTICE, b"", b"n" * 100)]})
    with either.store.read() as tx:
        assert streams.length(tx, VILLAGE) == 4 and streams.length(tx, COUNTY) == 0
        budget = 2 * (100 + streams.ITEM_BYTES)

        def read(after: int, bytes_max: int, count_max: int = 99) -> tuple[int, int, int] | None:
            found = streams.read(
                tx, VILLAGE, epoch=b"e", after=after, bytes_max=bytes_max, count_max=count_max, without=b""
            )
            return None if found is None else (found.first, found.last, len(found.items))

        assert read(0, budget) == (1, 2, 2) and read(0, budget + 111) == (1, 2, 2)
        assert read(2, 1) == (3, 3, 1)  # one item goes whatever its size
        assert read(0, 10**6, 3) == (1, 3, 3)
        assert read(4, 10**6) is None and read(9, 10**6) is None


def test_own_ops_are_left_out_but_their_positions_are_covered(county: County) -> None:
    machine, intake = enrol(county, VILLAGE, seed=1), new_intake(county)
    intake.take([machine.envelope(machine.accept(), machine.accept())])
    with county.store.read() as tx:
        found = streams.read(
            tx, VILLAGE, epoch=b"e", after=0, bytes_max=10**6, count_max=99, without=machine.keys.incarnation
        )
    assert found is not None and (found.first, found.last) == (1, 3)
    assert [what for what, _blob in found.items] == [STREAM_RECEIPT]


def test_largest_op_fits_a_stream_message() -> None:
    from protocol.op import OP_BYTES_MAX

    assert OP_BYTES_MAX + 1_000 < ENVELOPE_BYTES_MAX < PLAIN_BYTES_MAX


# --- notices, held ---------------------------------------------------------------------------------------------------


def test_one_open_notice_per_matter(either: County) -> None:
    def tell(about: str, now_ms: int) -> None:
        with either.store.write() as tx:
            notices.tell(tx, code="fork", about=about, office=VILLAGE, text="t", text_zh="中", now_ms=now_ms)

    tell("a", 1)
    tell("a", 2)
    tell("b", 3)
    with either.store.write() as tx:
        second, first = notices.open_notices(tx)
        assert (first.about, first.times, first.at_ms, second.about) == ("a", 2, 1, "b")
        notices.close(tx, first.id, staff="周强", now_ms=4)
        with pytest.raises(UnknownEntry):
            notices.close(tx, first.id, staff="周强", now_ms=5)
    tell("a", 6)
    with either.store.read() as tx:
        assert [(one.about, one.times) for one in notices.open_notices(tx)] == [("a", 1), ("b", 1)]


def test_held_op_is_decided_once(either: County) -> None:
    op = enrol(either, VILLAGE, seed=1).accept()
    with either.store.write() as tx:
        held.hold(tx, op, code="revoked", detail="", now_ms=1)
        held.hold(tx, op, code="internal", detail="", now_ms=2)
        assert [one.code for one in held.listed(tx)] == ["revoked"] and held.known(tx, [op.id]) == {op.id}
        held.decide(tx, op.id, held.RELEASED, staff="周强", now_ms=3)
        assert held.known(tx, [op.id]) == set() and held.listed(tx) == []
        with pytest.raises(UnknownEntry):
            held.decide(tx, op.id, held.REFUSED, staff="周强", now_ms=4)


def test_long_reasons_and_evidence_are_cut(county: County) -> None:
    one = refusals.Refusal("op", b"i" * 32, "code", "因" * 900, ME, evidence=bytes(100_000))
    with county.store.write() as tx:
        refusals.record(tx, one, now_ms=NOW)
        (kept,) = refusals.listed(tx, device=ME)
    assert len(kept.reason) == refusals.REASON_CHARS_MAX and len(kept.evidence) == refusals.EVIDENCE_BYTES_MAX


# --- what the hub adds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claimed", "evidence", "expected"),
    [
        (NOW, None, None),
        (NOW + AHEAD_MS_MAX, None, None),
        (NOW + AHEAD_MS_MAX + 1, None, {"latest_ms": NOW}),
        (NOW, (NOW + AHEAD_MS_MAX, 0), None),
        (NOW, (NOW, AHEAD_MS_MAX + 1), {"latest_ms": NOW}),
        (NOW, (NOW + AHEAD_MS_MAX + 1, -1), {"latest_ms": NOW}),
        (0, (NOW - 5_000, 1_000), None),
        (0, None, {"latest_ms": NOW, "earliest_ms": NOW - 10**9}),
        (NOW - 10**9, None, None),
    ],
)
def test_bounds_of_claimed_times(
    county: County, claimed: int, evidence: tuple[int, int] | None, expected: dict[str, int] | None
) -> None:
    op = enrol(county, VILLAGE, seed=1).accept(claimed_ms=claimed, evidence=evidence)
    assert bound(op, NOW, NOW - 10**9) == expected


def test_objection_is_only_about_openers(county: County) -> None:
    machine = enrol(county, VILLAGE, seed=1)
    opened = machine.accept()
    assert objection(opened, county.shelf.terms) is None
    assert objection(machine.amend(opened, applicant_phone="1"), {}) is None
    strange = machine.accept(body={"item": 5})
    assert objection(strange, {}) is None  # the fold refuses it everywhere
    cheap = machine.accept(body={"terms": {**opened.body["terms"], "version": "1"}})
    found = objection(cheap, county.shelf.terms)
    assert found is not None and found.code == "unknown_item"
