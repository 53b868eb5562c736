"""Powers: what each office and role may do where, and the code and words of each refusal."""

from __future__ import annotations

from typing import Any

import pytest

from conflict.fold import fold
from conflict.powers import POWERS, allowed, may_open
from conflict.view import CaseView
from protocol.errors import RefusedError
from tests.unit.conflict.support import CITY, COUNTY, OTHER_TOWN, SISTER_VILLAGE, TOWN, VILLAGE, Case, opening

DECISION = {"decision": "granted", "opinion": "准予"}
OPINION = {"outcome": "agree", "opinion": "同意"}


def at_town() -> Case:
    case = Case()
    case.open()
    case.act("up", "village", "forward", "open", {"to": TOWN})
    case.act("taken", "town", "take", "up", {"of": "@up"})
    return case


def on_its_way() -> Case:
    case = Case()
    case.open()
    case.act("up", "village", "forward", "open", {"to": TOWN})
    return case


def view_of(case: Case) -> CaseView:
    return fold(case.ops.values())


def code_of(
    view: CaseView, kind: str, office: str, role: str, body: dict[str, Any], for_office: str | None = None
) -> str:
    try:
        allowed(view, kind, office, role, body, for_office)
    except RefusedError as error:
        assert error.text and error.text_zh and error.text != error.text_zh
        return error.code
    return "allowed"


@pytest.mark.parametrize(
    ("office", "role", "kind", "body", "code"),
    [
        (TOWN, "examiner", "examine", OPINION, "allowed"),
        (TOWN, "agent", "examine", OPINION, "role_not_allowed"),
        (TOWN, "administrator", "examine", OPINION, "role_not_allowed"),
        (TOWN, "nobody", "examine", OPINION, "role_not_allowed"),
        (VILLAGE, "chief", "examine", OPINION, "held_by_another"),
        (COUNTY, "chief", "examine", OPINION, "held_by_another"),
        (TOWN, "chief", "decide", DECISION, "not_decision_level"),
        (TOWN, "chief", "decide", DECISION | {"decision": "answered"}, "wrong_decision"),
        (TOWN, "chief", "decide", DECISION | {"decision": "denied"}, "bad_body"),
        (TOWN, "chief", "accept", {}, "transition_not_allowed"),
        (TOWN, "chief", "conclude", {"type": "normal"}, "transition_not_allowed"),
        (TOWN, "chief", "forward", {"to": COUNTY}, "opinion_missing"),
        (TOWN, "chief", "forward", {"to": VILLAGE}, "allowed"),
        (TOWN, "chief", "forward", {"to": TOWN}, "bad_target"),
        (TOWN, "chief", "forward", {"to": OTHER_TOWN}, "bad_target"),
        (TOWN, "chief", "take", {"of": b"\0" * 32}, "transition_not_allowed"),
        (TOWN, "chief", "resume", {"of": b"\0" * 32}, "transition_not_allowed"),
        (TOWN, "chief", "supplement", {"of": b"\0" * 32}, "nothing_to_answer"),
        (TOWN, "chief", "return", {"of": b"\0" * 32, "reason": "r"}, "nothing_to_answer"),
        (TOWN, "chief", "check_material", {"of": b"\0" * 32, "grade": "A"}, "nothing_to_answer"),
        (TOWN, "chief", "resolve", {"conflict": "field:a:0", "choice": 0, "reason": ""}, "nothing_to_answer"),
        (TOWN, "chief", "receive", opening(), "transition_not_allowed"),
        (VILLAGE, "agent", "withdraw", {"reason": "r"}, "allowed"),
        (SISTER_VILLAGE, "chief", "withdraw", {"reason": "r"}, "no_power"),
        (SISTER_VILLAGE, "chief", "note", {"text": "t"}, "no_power"),
        (COUNTY, "administrator", "note", {"text": "t"}, "allowed"),
        (COUNTY, "chief", "attach", {"material": "m"}, "bad_body"),
        (VILLAGE, "agent", "void", {"reason": "r"}, "held_by_another"),
        (COUNTY, "administrator", "void", {"reason": "r"}, "allowed"),
        (COUNTY, "agent", "void", {"reason": "r"}, "role_not_allowed"),
        (COUNTY, "administrator", "link_duplicate", {"other": b"\0" * 32, "reason": "r"}, "allowed"),
        (TOWN, "administrator", "link_duplicate", {"other": b"\0" * 32, "reason": "r"}, "no_power"),
        (COUNTY, "administrator", "entrust", {"to": TOWN, "reason": "r"}, "allowed"),
        (COUNTY, "administrator", "entrust", {"to": "330000", "reason": "r"}, "bad_target"),
        (COUNTY, "chief", "veto", {"of": b"\0" * 32, "code": "c", "reason": "r"}, "no_power"),
        (COUNTY, "hub", "veto", {"of": b"\0" * 32, "code": "c", "reason": "r"}, "allowed"),
        (TOWN, "hub", "veto", {"of": b"\0" * 32, "code": "c", "reason": "r"}, "no_power"),
        (COUNTY, "hub", "withdraw", {"reason": "r"}, "no_power"),
        (TOWN, "chief", "teleport", {}, "unknown_kind"),
        (VILLAGE, "chief", "amend", {"fields": {"fee": "1"}}, "held_by_another"),
        (VILLAGE, "chief", "amend", {"fields": {"area": "1"}}, "allowed"),
    ],
)
def test_at_the_township(office: str, role: str, kind: str, body: dict[str, Any], code: str) -> None:
    assert code_of(view_of(at_town()), kind, office, role, body) == code


@pytest.mark.parametrize(
    ("office", "kind", "body", "code"),
    [
        (VILLAGE, "examine", OPINION, "handover_pending"),
        (VILLAGE, "forward", {"to": COUNTY}, "handover_pending"),
        (VILLAGE, "attach", {}, "bad_body"),
        (VILLAGE, "recall", {"of": "@up"}, "allowed"),
        (TOWN, "recall", {"of": "@up"}, "held_by_another"),
        (TOWN, "take", {"of": "@up"}, "allowed"),
        (TOWN, "return", {"of": "@up", "reason": "r"}, "allowed"),
        (VILLAGE, "take", {"of": "@up"}, "held_by_another"),
        (VILLAGE, "return", {"of": "@up", "reason": "r"}, "held_by_another"),
        (VILLAGE, "amend", {"fields": {"opinion": "同意"}}, "held_by_another"),
        (TOWN, "note", {"text": "t"}, "allowed"),
        (VILLAGE, "withdraw", {"reason": "r"}, "allowed"),
        (VILLAGE, "decide", DECISION, "handover_pending"),
        (COUNTY, "void", {"reason": "r"}, "transition_not_allowed"),
    ],
)
def test_while_a_handover_is_pending(office: str, kind: str, body: dict[str, Any], code: str) -> None:
    case = on_its_way()
    said = {key: case.id("up") if value == "@up" else value for key, value in body.items()}
    assert code_of(view_of(case), kind, office, "chief", said) == code


def test_the_county_voids_a_received_case_on_its_way_but_its_sender_does_not() -> None:
    case = Case()
    case.open(kind="receive")
    case.act("up", "village", "forward", "open", {"to": TOWN})
    view = view_of(case)
    assert code_of(view, "void", COUNTY, "administrator", {"reason": "r"}) == "allowed"
    assert code_of(view, "void", VILLAGE, "chief", {"reason": "r"}) == "handover_pending"


@pytest.mark.parametrize(
    ("level", "office", "code"),
    [
        ("village", VILLAGE, "allowed"),
        ("township", VILLAGE, "wrong_level"),
        ("township", TOWN, "allowed"),
        ("township", COUNTY, "allowed"),
        ("county", TOWN, "wrong_level"),
        ("", VILLAGE, "allowed"),
        ("village", CITY, "wrong_level"),
        ("village", "nowhere", "wrong_level"),
    ],
)
def test_opening(level: str, office: str, code: str) -> None:
    body = opening(terms={"accept_level": level})
    try:
        may_open("accept", office, "agent", body)
        found = "allowed"
    except RefusedError as error:
        found = error.code
    assert found == code


@pytest.mark.parametrize(
    ("kind", "role", "code"), [("note", "agent", "bad_body"), ("accept", "hub", "role_not_allowed")]
)
def test_opening_refused(kind: str, role: str, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        may_open(kind, VILLAGE, role, opening() if kind == "accept" else {})
    assert caught.value.code == code


def test_nothing_but_receipt_or_acceptance_opens() -> None:
    with pytest.raises(RefusedError) as caught:
        may_open("note", VILLAGE, "agent", {"text": "t"})
    assert caught.value.code == "nothing_to_answer"


@pytest.mark.parametrize(
    ("kind", "for_office", "role", "code"),
    [
        ("take", CITY, "hub", "allowed"),
        ("return", CITY, "hub", "allowed"),
        ("decide", CITY, "hub", "allowed"),
        ("decide", "42", "hub", "held_by_another"),
        ("decide", "3301", "hub", "no_power"),
        ("decide", CITY, "chief", "no_power"),
        ("note", CITY, "hub", "no_power"),
        ("decide", TOWN, "hub", "no_power"),
    ],
)
def test_the_hub_writes_for_the_countys_superiors_only(kind: str, for_office: str, role: str, code: str) -> None:
    case = Case(terms={"kind": "submit_up", "approve_level": "city"})
    case.open()
    case.act("up", "village", "forward", "open", {"to": COUNTY})
    case.act("taken", "county", "take", "up", {"of": "@up"})
    case.act("exam", "county", "examine", "taken", OPINION)
    case.act("city", "county", "forward", "exam", {"to": CITY})
    bodies: dict[str, dict[str, Any]] = {
        "take": {"of": case.id("city")},
        "return": {"of": case.id("city"), "reason": "r"},
        "decide": DECISION,
        "note": {"text": "t"},
    }
    assert code_of(view_of(case), kind, COUNTY, role, bodies[kind], for_office) == code


def test_the_early_refusal_is_the_folds_refusal() -> None:
    """What `allowed` refuses, the fold refuses with the same code when it is signed all the same."""
    case = at_town()
    view = view_of(case)
    tries = [("village", "examine", OPINION), ("town", "decide", DECISION), ("sister", "withdraw", {"reason": "r"})]
    for number, (who, kind, body) in enumerate(tries):
        office = {"village": VILLAGE, "town": TOWN, "sister": SISTER_VILLAGE}[who]
        early = code_of(view, kind, office, "chief", body)
        op = case.act(f"try{number}", who, kind, "taken", body)
        assert fold(case.ops.values()).refused[op.id][0] == early != "allowed"


def test_every_grant_names_roles() -> None:
    for grants in POWERS.values():
        assert all(grant.roles for grant in grants)
