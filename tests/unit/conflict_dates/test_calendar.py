"""The calendar answers for every date, says when it guesses, and refuses published content that contradicts itself."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict.calendar import Calendar, CalendarError, bounded, day_of, instant_of
from hub.calendar_source import available_years, publishable

from .support import CALENDAR, CONTENT, examples, ms

EXAMPLES = [
    # the four examples that were given, then the edges of holidays, make-up days and years
    ("2025-09-28", 5, "2025-10-11", False),
    ("2025-09-30", 20, "2025-11-04", False),
    ("2026-02-14", 1, "2026-02-24", False),
    ("2026-12-01", 20, "2026-12-29", False),
    ("2026-12-31", 1, "2027-01-04", True),
    ("2026-02-13", 1, "2026-02-14", False),
    ("2026-10-08", 2, "2026-10-10", False),
    ("2026-02-20", 0, "2026-02-24", False),
    ("2026-03-02", 0, "2026-03-02", False),
    ("2026-03-02", -1, "2026-02-28", False),
    ("2026-01-01", -1, "2025-12-31", False),
    ("2024-12-31", 1, "2025-01-02", False),
    ("2024-12-30", 1, "2024-12-31", True),
]


@pytest.mark.parametrize(("day", "count", "last", "provisional"), EXAMPLES)
def test_add_workdays(day: str, count: int, last: str, provisional: bool) -> None:
    assert CALENDAR.add_workdays(date.fromisoformat(day), count) == (date.fromisoformat(last), provisional)


@pytest.mark.parametrize(
    ("day", "worked", "provisional"),
    [
        ("2026-02-14", True, False),  # Saturday, make-up
        ("2026-02-16", False, False),  # Monday in the holiday
        ("2027-02-14", False, True),  # a Sunday; nobody has published 2027
        ("2027-02-08", True, True),  # lunar holidays are not guessed
        ("2027-05-01", False, True),
        ("2027-10-01", False, True),
        ("2027-10-04", True, True),
        ("0001-01-01", False, True),
        ("9999-12-31", True, True),
    ],
)
def test_is_workday(day: str, worked: bool, provisional: bool) -> None:
    assert CALENDAR.is_workday(date.fromisoformat(day)) == (worked, provisional)


def test_a_published_year_ends_the_guess() -> None:
    later = Calendar.from_content(
        {"years": {**CONTENT["years"], "2027": {"off": ["01-01", "01-04"], "work": ["01-03"]}}}, 8
    )
    start = date(2026, 12, 29)
    assert CALENDAR.add_workdays(start, 5) == (date(2027, 1, 6), True)
    assert later.add_workdays(start, 5) == (date(2027, 1, 6), False)
    assert later.add_workdays(start, 3) == (date(2027, 1, 3), False)
    assert later.version == 8 and later.years == (2018, 2025, 2026, 2027)


def test_arithmetic_at_the_end_of_all_dates_gives_an_answer() -> None:
    assert CALENDAR.add_workdays(date.max, 1_000) == (date.max, True)
    assert CALENDAR.add_workdays(date.min, -1_000) == (date.min, True)
    assert CALENDAR.next_workday(date.max) == (date.max, True)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"years": []},
        {"years": {"26": {"off": [], "work": []}}},
        {"years": {"2026": {"off": []}}},
        {"years": {"2026": {"off": ["02-30"], "work": []}}},
        {"years": {"2026": {"off": ["2-3"], "work": []}}},
        {"years": {"2026": {"off": ["01-03"], "work": []}}},  # a Saturday is no weekday off
        {"years": {"2026": {"off": [], "work": ["01-05"]}}},  # a Monday is no weekend day worked
        {"years": {"2026": {"off": [5], "work": []}}},
        {"years": {}, "closing": {"": "24:30"}},
        {"years": {}, "closing": {"": 17}},
    ],
)
def test_content_that_contradicts_itself(content: dict) -> None:
    with pytest.raises(CalendarError) as caught:
        Calendar.from_content(content, 1)
    assert caught.value.code == "bad_calendar" and caught.value.text_zh


def test_closing_time_of_the_longest_prefix() -> None:
    calendar = Calendar.from_content({"years": {}, "closing": {"420222": "17:30", "420222100": "17:00"}}, 1)
    codes = ["420222", "420222100", "420222100201", "420222101", "4202"]
    assert [calendar.closing_minute(code) for code in codes] == [1050, 1020, 1020, 1050, 1440]


def test_civil_time_is_utc_plus_8_and_bounded() -> None:
    assert day_of(ms("2026-03-02 00:00")) == date(2026, 3, 2) and day_of(ms("2026-03-02 00:00") - 1) == date(2026, 3, 1)
    assert instant_of(date(2026, 3, 2), 1440) == ms("2026-03-03 00:00")
    assert day_of(-(10**15)) == date(1970, 1, 1) and day_of(10**17) == date(2199, 12, 31)
    assert bounded(bounded(10**17)) == bounded(10**17)


def test_publishable_is_what_the_vectors_use() -> None:
    assert publishable([2018, 2026, 2025])["years"] == CONTENT["years"]
    assert publishable([2026])["source"].startswith("chinesecalendar ")


def test_the_library_agrees_with_the_published_form_on_every_day_it_knows() -> None:
    """Each known year goes out and comes back: the same answer as the library, day by day."""
    from chinese_calendar import is_workday

    years = available_years()
    calendar = Calendar.from_content(publishable(years), 1)
    day, last = date(years[0], 1, 1), date(years[-1], 12, 31)
    while day <= last:
        assert calendar.is_workday(day) == (is_workday(day), False), day
        day += timedelta(1)


def test_a_year_the_library_lacks_is_named() -> None:
    with pytest.raises(CalendarError, match="2099"):
        publishable([2026, 2099])


DATES = st.dates(date(2003, 1, 1), date(2032, 12, 31))
COUNTS = st.integers(1, 400)


@given(day=DATES, first=COUNTS, second=COUNTS)
@examples()
def test_adding_in_two_steps_is_adding_at_once(day: date, first: int, second: int) -> None:
    middle, guess_one = CALENDAR.add_workdays(day, first)
    last, guess_two = CALENDAR.add_workdays(middle, second)
    assert CALENDAR.add_workdays(day, first + second) == (last, guess_one or guess_two)


@given(day=DATES, count=st.integers(1, 60))
@examples()
def test_add_and_count_agree_with_walking(day: date, count: int) -> None:
    walked, missing = day, count
    while missing:
        walked += timedelta(1)
        missing -= CALENDAR.is_workday(walked)[0]
    last, _ = CALENDAR.add_workdays(day, count)
    assert last == walked
    assert CALENDAR.workdays(day + timedelta(1), last + timedelta(1)) == count
    assert CALENDAR.add_workdays(last + timedelta(1), -count)[0] > day


@given(one=DATES, two=DATES, count=st.integers(0, 400))
@examples()
def test_a_later_start_never_ends_earlier(one: date, two: date, count: int) -> None:
    early, late = sorted((one, two))
    assert CALENDAR.add_workdays(early, count)[0] <= CALENDAR.add_workdays(late, count)[0]
