"""The fold on one ordinary case: village to county and back, and the view in every form."""

from __future__ import annotations

import random

from conflict.fold import fold
from conflict.view import CaseView
from protocol import canonical
from tests.unit.conflict.support import COUNTY, TOWN, VILLAGE, Case


def ordinary_case() -> Case:
    case = Case()
    case.open()
    case.act(
        "photo",
        "village",
        "attach",
        "open",
        {"material": "身份证", "sha256": "#photo", "size": 9, "media": "image/jpeg", "name": "p.jpg", "grade": "C"},
    )
    case.act("up", "village", "forward", "photo", {"to": TOWN})
    case.act("take", "town", "take", "up", {"of": "@up"})
    case.act("exam", "town", "examine", "take", {"outcome": "agree", "opinion": "符合条件"})
    case.act("up2", "town", "forward", "exam", {"to": COUNTY})
    case.act("take2", "county", "take", "up2", {"of": "@up2"})
    case.act("decide", "county", "decide", "take2", {"decision": "granted", "opinion": "准予"})
    case.act("conclude", "county", "conclude", "decide", {"type": "certificate_issued"})
    case.act("deliver", "village", "deliver", "conclude", {"method": "窗口领取"})
    return case


def test_a_case_goes_up_and_comes_back() -> None:
    case = ordinary_case()
    view = fold(case.ops.values())
    assert view.refused == {}
    assert view.status == "delivered"
    assert view.holder == COUNTY
    assert view.offices == [COUNTY, TOWN, VILLAGE]
    assert view.decision["decision"] == "granted"
    assert view.conflicts == []
    assert view.heads == [case.id("deliver")]
    assert [entry["verdict"] for entry in view.timeline] == ["applied"] * 10


def test_order_and_repeats_do_not_matter() -> None:
    ops = list(ordinary_case().ops.values())
    wanted = fold(ops).digest()
    rng = random.Random(7)
    for _ in range(20):
        mixed = ops + rng.sample(ops, 4)
        rng.shuffle(mixed)
        assert fold(mixed).digest() == wanted


def test_the_record_survives_encoding() -> None:
    view = fold(ordinary_case().ops.values())
    again = CaseView(canonical.decode(canonical.encode(view.record())))
    assert again.digest() == view.digest()
    assert again.state == view.state
    assert view.as_json()["case"] == view.case.hex()
