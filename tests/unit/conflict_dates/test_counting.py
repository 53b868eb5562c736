"""Counting against a slow reference that walks day by day, and the laws of pauses."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict.calendar import DAY_MS, day_of, instant_of
from conflict.clock import Limit
from conflict.counting import Counter, Pause, merged

from .support import CALENDAR, examples, ms

CIVIL = Counter(CALENDAR)
EXACT = Counter(CALENDAR, "elapsed")
BASE = ms("2026-01-01 00:00")
HOURS = st.integers(0, 24 * 200).map(lambda hour: BASE + hour * 3_600_000 + 1_234)
PAUSES = st.lists(
    st.tuples(HOURS, st.integers(-5, 24 * 30)).map(lambda one: (one[0], one[0] + one[1] * 3_600_000)), max_size=5
)
COUNTS = st.integers(1, 60)
UNITS = st.sampled_from(["workday", "calendar"])


def walked(limit: Limit, start_ms: int, pauses: list[Pause]) -> int:
    """The civil rule word by word: walk days, count those at whose end no pause runs, roll off days off.

    A pause that began at or after the end found so far does not count, so pauses are let in one by one, oldest first.
    """
    used: list[Pause] = []
    while True:
        day, missing = day_of(start_ms), limit.count
        while missing or not (limit.unit == "workday" or _works(day)) or _paused(day, used):
            day += timedelta(1)
            counts = limit.unit == "calendar" or _works(day)
            missing -= bool(missing) and counts and not _paused(day, used)
        due_ms = instant_of(day, 1440)
        later = [one for one in sorted(pauses) if one not in used and one[0] < due_ms and one[0] < one[1]]
        if not later:
            return due_ms
        used.append(later[0])


def _works(day: date) -> bool:
    return CALENDAR.is_workday(day)[0]


def _paused(day: date, pauses: list[Pause]) -> bool:
    return any(day_of(since) <= day < day_of(until) for since, until in pauses)


@given(start_ms=HOURS, count=COUNTS, unit=UNITS, pauses=PAUSES)
@examples(factor=3)
def test_civil_end_is_the_walked_one(start_ms: int, count: int, unit: str, pauses: list[Pause]) -> None:
    limit = Limit(count, unit)
    assert CIVIL.end(limit, start_ms, merged(pauses)).due_ms == walked(limit, start_ms, list(merged(pauses)))


@given(start_ms=HOURS, count=COUNTS, pauses=PAUSES)
@examples(factor=3)
def test_exact_end_leaves_exactly_the_limit_of_working_time(start_ms: int, count: int, pauses: list[Pause]) -> None:
    disjoint = merged(pauses)
    due_ms = EXACT.end(Limit(count, "workday"), start_ms, disjoint).due_ms

    def counted(until_ms: int) -> int:
        lost = sum(EXACT.worked(max(since, start_ms), min(until, until_ms)) for since, until in disjoint)
        return EXACT.worked(start_ms, until_ms) - lost

    assert counted(due_ms) == count * DAY_MS and counted(due_ms - 1) == count * DAY_MS - 1


@given(start_ms=HOURS, hours=st.integers(0, 2_000), pauses=PAUSES)
@examples()
def test_hours_leave_exactly_the_hours(start_ms: int, hours: int, pauses: list[Pause]) -> None:
    disjoint = merged(pauses)
    end = CIVIL.end(Limit(hours, "hour"), start_ms, disjoint)
    lost = sum(max(0, min(until, end.due_ms) - max(since, start_ms)) for since, until in disjoint)
    assert end.due_ms - start_ms - lost == hours * 3_600_000 and not end.provisional


@given(pauses=PAUSES, extra=PAUSES, start_ms=HOURS, count=COUNTS, exact=st.booleans())
@examples()
def test_pauses_count_once_and_never_shorten(
    pauses: list[Pause], extra: list[Pause], start_ms: int, count: int, exact: bool
) -> None:
    counter, limit = (EXACT if exact else CIVIL), Limit(count, "workday")
    end = counter.end(limit, start_ms, merged(pauses))
    inside = [(since + (until - since) // 3, until) for since, until in pauses if since < until]
    assert counter.end(limit, start_ms, merged([*pauses, *pauses, *inside])) == end
    assert counter.end(limit, start_ms, merged([*pauses, *extra])).due_ms >= end.due_ms
    assert counter.end(limit, start_ms).due_ms <= end.due_ms


@given(one=HOURS, two=HOURS, count=COUNTS, unit=UNITS, exact=st.booleans(), pauses=PAUSES)
@examples()
def test_later_start_or_longer_limit_never_ends_earlier(
    one: int, two: int, count: int, unit: str, exact: bool, pauses: list[Pause]
) -> None:
    counter, disjoint = (EXACT if exact else CIVIL), merged(pauses)
    limit, longer = Limit(count, unit), Limit(count + 1, unit)
    early, late = sorted((one, two))
    assert counter.end(limit, early, disjoint).due_ms <= counter.end(limit, late, disjoint).due_ms
    assert counter.end(limit, early, disjoint).due_ms <= counter.end(longer, early, disjoint).due_ms


@given(due_ms=HOURS, count=st.integers(0, 10))
@examples()
def test_the_warning_is_the_first_instant_with_so_little_left(due_ms: int, count: int) -> None:
    warning_ms = CIVIL.warning(due_ms, count)
    assert CIVIL.worked(warning_ms, due_ms) == count * DAY_MS
    assert CIVIL.worked(warning_ms - 1, due_ms) > count * DAY_MS
    assert CIVIL.remaining(warning_ms, due_ms) == count and CIVIL.remaining(warning_ms - 1, due_ms) == count + 1


@given(start_ms=HOURS, count=COUNTS, pauses=PAUSES, exact=st.booleans())
@examples()
def test_what_is_used_at_the_end_is_the_limit(start_ms: int, count: int, pauses: list[Pause], exact: bool) -> None:
    """On the last moment a person reads "20 of 20 working days", a moment later 21."""
    counter, disjoint = (EXACT if exact else CIVIL), merged(pauses)
    due_ms = counter.end(Limit(count, "workday"), start_ms, disjoint).due_ms
    after = [one for one in disjoint if one[0] < due_ms]
    assert counter.used(start_ms, due_ms - 1, after) == count
    if exact:
        assert counter.used(start_ms, due_ms, after) == count


@pytest.mark.parametrize(
    ("pauses", "expected"),
    [
        ([], ()),
        ([(5, 5), (9, 3)], ()),
        ([(7, 9), (1, 3)], ((1, 3), (7, 9))),
        ([(1, 4), (3, 6), (6, 8)], ((1, 8),)),
        ([(1, 9), (2, 3)], ((1, 9),)),
    ],
)
def test_merged(pauses: list[Pause], expected: tuple[Pause, ...]) -> None:
    assert merged(pauses) == expected


def test_exact_clock_keeps_calendar_days_whole() -> None:
    """Found by the property above: moving an exact time of day over a holiday let a later start end an hour earlier."""
    early = EXACT.end(Limit(25, "calendar"), ms("2026-01-21 01:00"))
    late = EXACT.end(Limit(25, "calendar"), ms("2026-01-22 00:30"))
    assert early.due_ms == ms("2026-02-25 00:00") == late.due_ms
