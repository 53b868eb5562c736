"""Clock facts survive the way through a stored view, also where an instant is 0 or a bundle was incomplete."""

from __future__ import annotations

import pytest

from conflict.clock import ClockFacts, Extension, Forward, Limit, Supplement, Suspension
from protocol import canonical
from protocol.errors import LocalProtocolError


def test_round_trip_through_canonical_bytes() -> None:
    facts = ClockFacts(
        terms={"kind": "committed", "promised": [7, "workday"]},
        received_ms=0,
        received_office="420222100201",
        supplements=(Supplement(5, None, (3, "workday")), Supplement(9, 11)),
        suspensions=(Suspension(1, None, True, 0),),
        extensions=(Extension(4, 10, "workday", "王", True),),
        forwards=(Forward(1, "420222100201", "420222100", complete=False),),
    )
    stored = canonical.decode(canonical.encode(facts.to_dict()))
    assert ClockFacts.from_dict(stored) == facts
    assert stored["received_ms"] == 0 and stored["forwards"][0]["complete"] is False and "accepted_ms" not in stored


def test_facts_of_another_shape_are_our_fault() -> None:
    with pytest.raises(LocalProtocolError):
        ClockFacts.from_dict({"received": 1})


@pytest.mark.parametrize(
    "value", [None, 5, [5], [-1, "workday"], [True, "workday"], [5, "moon"], [10**9, "hour"], [5, ["workday"]], "5w"]
)
def test_what_is_no_limit_is_none(value: object) -> None:
    assert Limit.read(value) is None


def test_a_limit_is_a_pair() -> None:
    assert Limit.read([5, "workday"]) == Limit(5, "workday") == Limit.read((5, "workday"))
