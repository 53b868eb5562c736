"""Deadlines as a whole: an answer for whatever the facts are, laws of cards, what changed between two reckonings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict.calendar import Calendar
from conflict.cards import CardLevel, CardRules
from conflict.clock import ClockFacts, Extension, Forward, Supplement, Suspension
from conflict.deadline import Deadlines, changes, due
from conflict.time_limit import OPEN_STATES, civil_text
from protocol.errors import LocalProtocolError

from .support import CALENDAR, CONTENT, examples, ms

VILLAGE, TOWNSHIP, COUNTY, CITY = "420222100201", "420222100", "420222", "4202"
PLAIN = ClockFacts(
    terms={"kind": "committed", "promised": [7, "workday"], "statutory": [20, "workday"]},
    received_ms=ms("2026-03-02 10:00"),
    received_office=VILLAGE,
    accepted_ms=ms("2026-03-02 10:00"),
    accepted_office=VILLAGE,
    calendar_version=7,
)

USUAL = st.integers(ms("2026-01-01 00:00"), ms("2026-06-30 00:00"))
INSTANTS = USUAL | USUAL | st.sampled_from([0, -1, 2**53, -(2**53), ms("2027-02-01 10:00")])
MAYBE = st.none() | INSTANTS
LIMITS = st.tuples(st.integers(0, 60), st.sampled_from(["workday", "calendar", "hour"])).map(list)
OFFICES = st.sampled_from([VILLAGE, TOWNSHIP, COUNTY, CITY, "", "x"])
TERMS = st.fixed_dictionaries(
    {"kind": st.sampled_from(["immediate", "committed", "reply", "submit_up", "joint", "other"])},
    optional={
        "statutory": LIMITS,
        "promised": LIMITS,
        "accept_limit": LIMITS,
        "supplement_limit": LIMITS,
        "extend": LIMITS,
        "restart_on_supplement": st.booleans(),
        "clock": st.just("elapsed"),
        "stages": st.just([{"who": "township", "limit": [3, "workday"]}, {"who": "county", "limit": [9, "calendar"]}]),
    },
)
FACTS = st.builds(
    ClockFacts,
    terms=TERMS,
    received_ms=MAYBE,
    received_office=OFFICES,
    accepted_ms=MAYBE,
    accepted_office=OFFICES,
    refused_ms=MAYBE,
    decided_ms=MAYBE,
    decision=st.sampled_from(["", "granted", "denied"]),
    concluded_ms=MAYBE,
    delivered_ms=MAYBE,
    ended_ms=MAYBE,
    supplements=st.lists(st.builds(Supplement, INSTANTS, MAYBE, st.none() | LIMITS.map(tuple)), max_size=3).map(tuple),
    suspensions=st.lists(
        st.builds(Suspension, INSTANTS, MAYBE, st.booleans(), st.none() | st.integers(-3, 90)), max_size=3
    ).map(tuple),
    extensions=st.lists(
        st.builds(Extension, INSTANTS, st.integers(-1, 99), st.sampled_from(["workday", "calendar", "hour", "x"]), st.sampled_from(["", "王"]), st.booleans()),
        max_size=3,
    ).map(tuple),
    forwards=st.lists(st.builds(Forward, INSTANTS, OFFICES, OFFICES, MAYBE, MAYBE, st.booleans()), max_size=4).map(tuple),
)  # fmt: skip


@given(facts=FACTS, now_ms=INSTANTS)
@examples(factor=4)
def test_any_facts_give_an_answer_that_keeps_the_laws(facts: ClockFacts, now_ms: int) -> None:
    found = due(facts, CALENDAR, now_ms=now_ms)
    json.dumps(found.as_json())
    assert due(facts.to_dict(), CALENDAR, now_ms=now_ms) == found
    for one in found.limits:
        assert not (one.provisional and one.card is CardLevel.RED)
        assert one.due_ms >= one.start_ms or one.limit.count == 0 or one.name in ("promised", "stage")
        assert (one.remaining_workdays is None) == (one.state not in OPEN_STATES)
        assert one.used_workdays >= 0 and (one.remaining_workdays or 0) >= 0
    ranks = [one.card.rank for one in found.limits if one.card]
    assert (found.card.rank if found.card else 0) == max(ranks, default=0)
    promised, statutory = found.limit("promised"), found.limit("statutory")
    if promised and statutory:
        assert promised.due_ms <= statutory.due_ms


@given(facts=FACTS, now_ms=USUAL, later=st.integers(0, 400_000_000))
@examples(factor=2)
def test_a_card_only_rises_while_nothing_but_time_passes(facts: ClockFacts, now_ms: int, later: int) -> None:
    """Limits that stand in pause are left out: their due time moves with the instant of the reckoning."""
    before, after = (due(facts, CALENDAR, now_ms=at_ms) for at_ms in (now_ms, now_ms + later))
    if [one.name for one in before.limits] != [one.name for one in after.limits] or before.deemed != after.deemed:
        return
    for old, new in zip(before.limits, after.limits, strict=True):
        if old.due_ms == new.due_ms and old.state in OPEN_STATES and new.state in OPEN_STATES:
            assert (old.card.rank if old.card else 0) <= (new.card.rank if new.card else 0)


@given(facts=FACTS, now_ms=USUAL, extra=USUAL, length=st.integers(0, 10**9))
@examples(factor=2)
def test_a_further_suspension_never_brings_a_date_forward(
    facts: ClockFacts, now_ms: int, extra: int, length: int
) -> None:
    more = replace(facts, suspensions=(*facts.suspensions, Suspension(extra, extra + length, written_notice=True)))
    twice = replace(more, suspensions=(*more.suspensions, *more.suspensions[-1:]))
    before, after = due(facts, CALENDAR, now_ms=now_ms), due(more, CALENDAR, now_ms=now_ms)
    for name in ("promised", "statutory"):
        old, new = before.limit(name), after.limit(name)
        assert (old is None) == (new is None)
        if old and new:
            assert new.due_ms >= old.due_ms
    assert due(twice, CALENDAR, now_ms=now_ms) == after


def test_nothing_before_receipt() -> None:
    found = due(ClockFacts(), CALENDAR, now_ms=0)
    assert found.limits == () and found.as_json()["due"] is None and found.card is None


def test_facts_of_another_shape() -> None:
    with pytest.raises(LocalProtocolError):
        due({"accepted": 5}, CALENDAR, now_ms=0)


def test_versions_are_named() -> None:
    shown = due(PLAIN, CALENDAR, now_ms=ms("2026-03-03 10:00")).as_json()
    assert (shown["calendar_version"], shown["pinned_calendar_version"]) == (7, 7)
    assert [one["label"] for one in shown["limits"]] == ["受理时限", "承诺时限", "法定时限"]


def test_a_county_may_set_its_own_thresholds() -> None:
    at_ms = ms("2026-03-06 00:00")
    assert due(PLAIN, CALENDAR, now_ms=at_ms).card is None
    assert due(PLAIN, CALENDAR, now_ms=at_ms, rules=CardRules(warning_workdays=4)).card is CardLevel.WARNING


@pytest.mark.parametrize(
    ("at", "text"),
    [("2026-03-12 00:00", "2026-03-11"), ("2018-10-24 10:00", "2018-10-24 10:00"), ("2026-03-11 23:59:59", "2026-03-11 23:59:59")],
)  # fmt: skip
def test_civil_text(at: str, text: str) -> None:
    assert civil_text(ms(at)) == text


def test_civil_text_never_shows_an_earlier_day_for_a_fraction_of_a_second() -> None:
    assert civil_text(ms("2026-03-12 00:00") + 500) == "2026-03-12 00:00"


# --- what changed ---------------------------------------------------------------------------------------------------


def _changed(before: Deadlines, after: Deadlines) -> list[tuple[Any, ...]]:
    return [(one.what, one.name, one.reason, one.before, one.after) for one in changes(before, after)]


def test_time_issues_cards_and_nothing_else() -> None:
    before, after = (due(PLAIN, CALENDAR, now_ms=ms(at)) for at in ("2026-03-03 10:00", "2026-03-12 10:00"))
    assert _changed(before, after) == [("card_issued", "promised", "time", None, "yellow")]
    assert changes(after, after) == []


def test_a_pause_that_goes_on_is_no_change() -> None:
    facts = replace(PLAIN, suspensions=(Suspension(ms("2026-03-05 10:00"), None, written_notice=True),))
    before, after = (due(facts, CALENDAR, now_ms=ms(at)) for at in ("2026-03-09 10:00", "2026-03-12 10:00"))
    assert before.due_ms != after.due_ms and changes(before, after) == []


def test_a_fact_that_arrives_later_revokes_the_card() -> None:
    """The village decided in time; its op reached the hub a week later."""
    now_ms = ms("2026-03-18 10:00")
    before = due(PLAIN, CALENDAR, now_ms=now_ms)
    after = due(replace(PLAIN, decided_ms=ms("2026-03-10 16:00"), decision="denied"), CALENDAR, now_ms=now_ms)
    assert before.card is CardLevel.YELLOW and after.card is None
    assert _changed(before, after) == [("card_revoked", "promised", "later_fact", "yellow", None)]


def test_a_suspension_that_arrives_later_moves_the_date_and_revokes() -> None:
    now_ms = ms("2026-03-13 10:00")
    suspension = Suspension(ms("2026-03-05 10:00"), ms("2026-03-12 09:00"), written_notice=True)
    before = due(PLAIN, CALENDAR, now_ms=now_ms)
    after = due(replace(PLAIN, suspensions=(suspension,)), CALENDAR, now_ms=now_ms)
    assert ("card_revoked", "promised", "later_fact", "yellow", None) in _changed(before, after)
    moved = ("due_moved", "promised", "later_fact", ms("2026-03-12 00:00"), ms("2026-03-19 00:00"))
    assert moved in _changed(before, after)


def test_a_corrected_calendar_recomputes_and_says_so() -> None:
    """A Monday turned into a day off: what was yellow on Thursday is in time after all, and the version is the reason."""
    years = {**CONTENT["years"]}
    years["2026"] = {**years["2026"], "off": [*years["2026"]["off"], "03-09"]}
    corrected = Calendar.from_content({"years": years}, 8)
    now_ms = ms("2026-03-12 10:00")
    before, after = due(PLAIN, CALENDAR, now_ms=now_ms), due(PLAIN, corrected, now_ms=now_ms)
    assert ("card_revoked", "promised", "calendar", "yellow", "warning") in _changed(before, after)
    assert (before.calendar_version, after.calendar_version, after.pinned_version) == (7, 8, 7)


def test_a_provisional_date_becomes_firm_when_the_year_is_published() -> None:
    facts = replace(PLAIN, received_ms=ms("2026-12-28 10:00"), accepted_ms=ms("2026-12-28 10:00"))
    now_ms = ms("2027-03-01 10:00")
    published = Calendar.from_content({"years": {**CONTENT["years"], "2027": {"off": ["01-01"], "work": []}}}, 8)
    before, after = due(facts, CALENDAR, now_ms=now_ms), due(facts, published, now_ms=now_ms)
    assert before.provisional and before.card is CardLevel.YELLOW
    assert not after.provisional and after.card is CardLevel.RED
    assert ("card_issued", "statutory", "calendar", "yellow", "red") in _changed(before, after)


def test_a_case_of_ten_thousand_hostile_facts_is_reckoned_in_one_pass() -> None:
    """No quadratic work: 10,000 suspensions, extensions, notices and hand-overs cost about as much as they are many."""
    many = range(10_000)
    base = ms("2026-03-02 11:00")
    facts = replace(
        PLAIN,
        suspensions=tuple(Suspension(base + 2 * step, base + 2 * step + 1, True, 3) for step in many),
        extensions=tuple(Extension(base + step, 1, "workday") for step in many),
        supplements=tuple(Supplement(base + step, base + step + 1) for step in many),
        forwards=tuple(Forward(base + step, VILLAGE, TOWNSHIP, base + step + 1, base + step + 2) for step in many),
    )
    found = due(facts, CALENDAR, now_ms=ms("2026-03-03 10:00"))
    assert found.due_ms == ms("2026-03-12 00:00") and len(found.limits) == 3 + 50 + 50
