"""The tables of statuses, bodies, powers and labels: complete, and tied to the glossary."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from conflict.errors import BadBody, UnknownKind
from conflict.kinds import (
    BODY,
    FINAL,
    TERMS,
    CaseKind,
    ConclusionType,
    FieldClass,
    Level,
    OpKind,
    Role,
    Shape,
    Status,
    check_body,
    label,
    level_rank,
    rank_of_level,
)
from conflict.labels import LABELS
from conflict.matrix import STRENGTH
from conflict.powers import POWERS
from conflict.status import BEYOND_GLOSSARY, EVERY, GLOSSARY, MOVES, STILL_COUNTS, STOPPED_BY_HANDOVER
from tests.unit.conflict.support import CITY, COUNTY, PROVINCE, TOWN, VILLAGE, opening

# Steps that an act goes through at once, as the issue and the contract of acts have it (examine starts the handling).
IMPLIED = {
    (Status.ACCEPTED, Status.SUSPENDED): (Status.PROCESSING,),
    (Status.ACCEPTED, Status.FORWARDED_UP): (Status.PROCESSING,),
    (Status.ACCEPTED, Status.DECIDED): (Status.PROCESSING,),
    (Status.DRAFT, Status.ACCEPTED): (Status.RECEIVED,),
}


@pytest.mark.parametrize("kind", OpKind)
def test_every_move_is_in_the_glossary(kind: OpKind) -> None:
    for before, after in MOVES[kind].items():
        path = (before, *IMPLIED.get((before, after), ()), after)
        for one, other in pairwise(path):
            known = one is other or other in GLOSSARY[one] or (one, other) in BEYOND_GLOSSARY
            assert known, f"{kind}: {one} to {other}"


def test_every_step_of_the_glossary_has_an_act() -> None:
    made = {(before, after) for moves in MOVES.values() for before, after in moves.items()}
    made |= {step for ends, middle in IMPLIED.items() if ends in made for step in pairwise((ends[0], *middle, ends[1]))}
    missing = {(one, other) for one, others in GLOSSARY.items() for other in others} - made
    # A draft is voided by nobody: what was not opened was never signed.
    assert missing == {(Status.DRAFT, Status.VOIDED)}


def test_what_lies_beyond_the_glossary_is_used_and_reasoned() -> None:
    made = {(before, after) for moves in MOVES.values() for before, after in moves.items()}
    assert set(BEYOND_GLOSSARY) <= made
    assert all(BEYOND_GLOSSARY.values())


def test_final_statuses_lead_nowhere() -> None:
    for status in FINAL:
        assert not GLOSSARY[status]
        assert all(moves.get(status, status) is status for moves in MOVES.values())


def test_every_kind_is_in_every_table() -> None:
    kinds = set(OpKind)
    assert set(MOVES) == set(BODY) == set(POWERS) == kinds
    assert set(STILL_COUNTS) | STOPPED_BY_HANDOVER <= kinds
    assert all(MOVES[kind] for kind in kinds)
    assert {kind for kind in kinds if kind not in STRENGTH} == {
        OpKind.AMEND,
        OpKind.ATTACH,
        OpKind.CHECK_MATERIAL,
        OpKind.NOTE,
        OpKind.TIME_BOUND,
    }


def test_everything_that_can_be_shown_has_two_labels() -> None:
    words = [*CaseKind, *Status, *OpKind, *ConclusionType, *FieldClass, *Role, *Level]
    for word in words:
        zh, en = LABELS[word]
        assert zh and en.isascii(), word
    assert label("accept") == "受理"
    assert label("accept", "en") == "acceptance"
    assert label("自填字段") == "自填字段"


@pytest.mark.parametrize(
    ("office", "rank"),
    [
        (VILLAGE, 1),
        (TOWN, 2),
        (COUNTY, 3),
        (CITY, 4),
        (PROVINCE, 5),
        ("", 0),
        ("42022x", 0),
        ("４２０２２２", 0),
        ("42022", 0),
    ],
)
def test_level_from_the_code(office: str, rank: int) -> None:
    assert level_rank(office) == rank


def test_rank_of_a_level() -> None:
    assert [rank_of_level(level) for level in Level] == [1, 2, 3, 4, 5]
    assert rank_of_level("moon") == 0


GOOD: dict[OpKind, dict[str, object]] = {
    OpKind.AMEND: {"fields": {"area": "90"}},
    OpKind.NOTE: {"text": "t"},
    OpKind.NOTICE: {"missing": ["照片"], "limit": [5, "workday"]},
    OpKind.SUPPLEMENT: {"of": b"\0" * 32, "materials": ["照片"]},
    OpKind.FORWARD: {"to": TOWN},
    OpKind.EXTEND: {"days": 10, "unit": "workday", "reason": "r", "approver": "a", "notified": True},
    OpKind.CHECK_MATERIAL: {"of": b"\0" * 32, "grade": "B"},
    OpKind.RESOLVE: {"conflict": "c", "choice": 0, "reason": ""},
    OpKind.START: {},
}


@pytest.mark.parametrize("kind", GOOD)
def test_good_bodies_and_unknown_keys_pass(kind: OpKind) -> None:
    check_body(kind, GOOD[kind] | {"of_a_later_version": [1, 2]})


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        (OpKind.AMEND, {"fields": {}}, "fields"),
        (OpKind.AMEND, {"fields": {"a" * 61: "v"}}, "fields"),
        (OpKind.AMEND, {"fields": {"a": "v" * 4001}}, "fields"),
        (OpKind.AMEND, {"fields": {"a": None}}, "fields"),
        (OpKind.NOTE, {}, "text"),
        (OpKind.NOTE, {"text": ""}, "text"),
        (OpKind.NOTICE, {"missing": []}, "missing"),
        (OpKind.NOTICE, {"missing": ["x"], "limit": [5, "fortnight"]}, "limit"),
        (OpKind.NOTICE, {"missing": ["x"], "limit": [-1, "workday"]}, "limit"),
        (OpKind.SUPPLEMENT, {"of": b"short"}, "of"),
        (OpKind.SUPPLEMENT, {"of": "text"}, "of"),
        (OpKind.FORWARD, {"to": "市里"}, "to"),
        (OpKind.CHECK_MATERIAL, {"of": b"\0" * 32, "grade": "E"}, "grade"),
        (OpKind.RESOLVE, {"conflict": "c", "choice": -1, "reason": ""}, "choice"),
        (OpKind.RESOLVE, {"conflict": "c", "choice": True, "reason": ""}, "choice"),
        (OpKind.EXTEND, {"days": True, "unit": "workday", "reason": "r", "approver": "a", "notified": True}, "days"),
    ],
)
def test_bad_bodies_name_the_key(kind: OpKind, body: dict[str, object], key: str) -> None:
    with pytest.raises(BadBody) as caught:
        check_body(kind, body)
    assert caught.value.facts["key"] == key
    assert key in caught.value.text and key in caught.value.text_zh


def test_at_the_limits_bodies_pass() -> None:
    check_body(OpKind.AMEND, {"fields": {"名" * 60: "值" * 4000}})
    check_body(OpKind.AMEND, {"fields": {f"f{number}": "" for number in range(200)}})
    with pytest.raises(BadBody):
        check_body(OpKind.AMEND, {"fields": {f"f{number}": "" for number in range(201)}})


def test_an_opening_body_is_held_to_its_own_shape() -> None:
    check_body(OpKind.ACCEPT, opening(), opens=True)
    check_body(OpKind.ACCEPT, {}, opens=False)
    with pytest.raises(BadBody):
        check_body(OpKind.ACCEPT, {}, opens=True)
    with pytest.raises(BadBody) as caught:
        check_body(OpKind.RECEIVE, opening(terms={"kind": "quick"}), opens=True)
    assert caught.value.facts["key"] == "terms"


def test_an_unknown_kind_is_said_so() -> None:
    with pytest.raises(UnknownKind):
        check_body("teleport", {})


def test_every_status_is_somewhere() -> None:
    assert set(Status) - {Status.DRAFT} == EVERY


def keys_of(shape: Shape) -> set[str]:
    return {key if required else f"{key}?" for key, (_, required) in shape.items()}


def test_the_page_of_bodies_is_the_table_of_bodies() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "conflict" / "kinds.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    said = {row[1].strip(" `"): (row[2].strip(), set(re.findall("`([a-z_0-9]+[?]?)`", row[3]))) for row in rows}
    assert {kind: name for kind, (name, _) in said.items()} == {kind.value: label(kind) for kind in OpKind}
    for kind in OpKind:
        assert said[kind][1] == keys_of(BODY[kind]), kind
    terms = re.search(r"`terms` \(.*?\): (.*?);", page, re.DOTALL)
    assert terms and set(re.findall("`([a-z_]+[?]?)`", terms[1])) == keys_of(TERMS)
