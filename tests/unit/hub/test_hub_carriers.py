"""Goal: a township that hands in its villages' ops gets the receipts about them too; nobody else does."""

from __future__ import annotations

import pytest

from hub import carriers, contents, review, streams
from hub.arrival import Arrival
from hub.init import County
from protocol.messages import STREAM_OP, STREAM_RECEIPT
from protocol.op import parse_op
from protocol.receipt import open_receipt
from protocol.trust import Trust
from tests.unit.hub.hub_support import FAR, NEIGHBOUR, NOW, TOWN, VILLAGE, Machine, enrol, new_intake


def items_of(county: County, office: str, wanted: int) -> list[bytes]:
    """The items of one kind in an office's stream."""
    with county.store.read() as tx:
        found = streams.read(tx, office, epoch=b"e", after=0, bytes_max=10**7, count_max=1_000, without=b"")
    return [] if found is None else [bytes(blob) for what, blob in found.items if what == wanted]  # type: ignore[call-overload]


def ops_in(county: County, office: str) -> set[bytes]:
    return {parse_op(blob).id for blob in items_of(county, office, STREAM_OP)}


def receipts_in(county: County, office: str) -> list[tuple[bytes, int]]:
    """(author, last accepted number) of the receipts in an office's stream."""
    opened = [open_receipt(blob, Trust.of(county.card)) for blob in items_of(county, office, STREAM_RECEIPT)]
    return [(one.author, one.accepted[-1].last_seq) for one in opened if one.accepted]


def hand_in(county: County, sender: Machine, *ops: object, again: bool = False) -> None:
    blobs = tuple(op.blob for op in ops)  # type: ignore[attr-defined]
    new_intake(county).take_ops([Arrival(sender.keys.incarnation, blobs, answer_repeats=again)])


def test_the_township_that_carries_gets_the_receipts(either: County) -> None:
    village, town = enrol(either, VILLAGE, seed=1), enrol(either, TOWN, seed=2)
    mine = (village.keys.incarnation, 1)
    hand_in(either, town, first := village.accept())
    assert receipts_in(either, VILLAGE) == [mine] == receipts_in(either, TOWN)
    hand_in(either, village, village.amend(first, 备注="后来"))
    later = (village.keys.incarnation, 2)
    assert receipts_in(either, TOWN) == [mine, later], "what becomes of later ops is said to the carrier too"


def test_a_repeat_by_the_township_is_answered(either: County) -> None:
    village, town = enrol(either, VILLAGE, seed=1), enrol(either, TOWN, seed=2)
    hand_in(either, village, op := village.accept())
    assert receipts_in(either, TOWN) == []
    hand_in(either, town, op, again=True)
    assert receipts_in(either, TOWN) == [(village.keys.incarnation, 1)]


@pytest.mark.parametrize("office", [NEIGHBOUR, FAR])
def test_who_is_not_above_learns_nothing(either: County, office: str) -> None:
    village, other = enrol(either, VILLAGE, seed=1), enrol(either, office, seed=2)
    hand_in(either, other, village.accept())
    assert receipts_in(either, VILLAGE) == [(village.keys.incarnation, 1)]
    assert receipts_in(either, office) == []
    with either.store.read() as tx:
        assert carriers.carriers(tx) == {}


def test_a_township_whose_village_has_left_still_hands_in_what_it_took(either: County) -> None:
    """Found by the simulator: it offered for ever what it had taken before the village came under another township, and
    its copies of those cases followed no more."""
    village, town = enrol(either, VILLAGE, seed=1), enrol(either, TOWN, seed=2)
    review.rehome(either, VILLAGE, FAR[:9], reason="行政区划调整", staff="周强", now_ms=NOW)
    hand_in(either, town, first := village.accept())
    assert receipts_in(either, TOWN) == [(village.keys.incarnation, 1)]
    hand_in(either, village, later := village.amend(first, 备注="后来"))
    assert {first.id, later.id} <= ops_in(either, TOWN)
    other = village.accept(identity="420222197505056619")
    hand_in(either, village, other)
    assert other.id not in ops_in(either, TOWN), "new cases are none of its business"


def test_so_does_one_whose_village_has_come_back(either: County) -> None:
    """Found by the simulator, 72 kinds, seed 2: the case was concluded and routed while the village was elsewhere; the
    township, above it once more, held it and was never counted among its holders."""
    village, town = enrol(either, VILLAGE, seed=1), enrol(either, TOWN, seed=2)
    first = village.accept()
    ended = village.op("void", {"reason": "误录"}, [first])
    review.rehome(either, VILLAGE, FAR[:9], reason="行政区划调整", staff="周强", now_ms=NOW)
    hand_in(either, village, first, ended)
    review.rehome(either, VILLAGE, TOWN, reason="行政区划调整", staff="周强", now_ms=NOW)
    assert not ops_in(either, TOWN) & {first.id, ended.id}
    hand_in(either, town, first, ended, again=True)
    assert {first.id, ended.id} <= ops_in(either, TOWN)


@pytest.mark.parametrize("left", [False, True])
def test_an_op_whose_case_has_not_begun_waits_for_it(either: County, left: bool) -> None:
    """The township hands in the end of a case before its beginning; then the beginning comes."""
    village, town = enrol(either, VILLAGE, seed=1), enrol(either, TOWN, seed=2)
    first = village.accept()
    later = village.amend(first, 备注="后来")
    if left:
        review.rehome(either, VILLAGE, FAR[:9], reason="行政区划调整", staff="周强", now_ms=NOW)
    hand_in(either, town, later)
    assert later.id not in ops_in(either, TOWN)
    hand_in(either, town, first)
    assert {first.id, later.id} <= ops_in(either, TOWN)
    assert {first.id, later.id} <= ops_in(either, VILLAGE)


def test_files_are_asked_from_the_carrier_too(either: County) -> None:
    village, town = enrol(either, VILLAGE, seed=1), enrol(either, TOWN, seed=2)
    opened = village.accept()
    body = {"material": "照片", "sha256": b"s" * 32, "size": 9, "media": "image/png", "name": "a.png", "grade": "A"}
    hand_in(either, town, opened, village.op("attach", body, [opened]))
    with either.store.read() as tx:
        for device in (village, town):
            assert contents.wanted_from(tx, device.keys.incarnation) == [(b"s" * 32, [[0, 0]])]


def test_a_file_that_the_carrier_lacks_keeps_no_other_waiting(either: County) -> None:
    """Found by thinking through a village's computer that was switched off between op and bytes."""
    village, town = enrol(either, VILLAGE, seed=1), enrol(either, TOWN, seed=2)
    body = {"material": "照片", "size": 9, "media": "image/png", "name": "a.png", "grade": "A"}
    opened = village.accept()
    photos = [village.op("attach", {**body, "sha256": bytes([number]) * 32}, [opened]) for number in (1, 2)]
    hand_in(either, town, opened, *photos)
    hand_in(either, town, town.op("attach", {**body, "sha256": b"t" * 32}, [opened]))
    with either.store.read() as tx:
        turns = [contents.wanted_from(tx, town.keys.incarnation, turn=turn) for turn in (0, 1)]
    assert [[sha256[:1] for sha256, _missing in wants] for wants in turns] == [
        [b"t", b"\x01", b"\x02"],
        [b"t", b"\x02", b"\x01"],
    ]
