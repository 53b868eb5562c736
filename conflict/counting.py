"""Counting time: where a limit ends, on which instant two working days remain, how many days were used.

For: one limit, its pauses and a calendar, in both clocks: `civil` (whole days, day 0 is the day of the fact) and
`elapsed` (exact working time for limits in working days: a working day has 24 hours, other days have none).
May not: know what a limit is for (conflict/deadline.py does).
Spec: docs/conflict/deadlines.md, "Counting".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from conflict.calendar import DAY_MS, MIDNIGHT, Calendar, day_of, instant_of
from conflict.clock import Limit

HOUR_MS = 3_600_000
ONE_DAY = timedelta(1)
ClockKind = Literal["civil", "elapsed"]
Pause = tuple[int, int]  # (from, until) in ms; nothing counts in between


def merged(pauses: Iterable[Pause]) -> tuple[Pause, ...]:
    """The same time as disjoint pauses in order, so that none counts twice; empty and reversed ones vanish."""
    found: list[Pause] = []
    for since, until in sorted(pauses):
        if until <= since:
            continue
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(until, found[-1][1]))
        else:
            found.append((since, until))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class End:
    """Where a limit ends: an instant, after which it is over, and whether an unpublished year was counted."""

    due_ms: int
    provisional: bool


@dataclass(frozen=True, slots=True)
class Counter:
    """How one office's limits are counted. `closing`: minute at which its days end, 1440 for 24:00."""

    calendar: Calendar
    clock: ClockKind = "civil"
    closing: int = MIDNIGHT

    def end(self, limit: Limit, start_ms: int, pauses: Sequence[Pause] = ()) -> End:
        """Where `limit` ends if it starts at `start_ms`.

        Args:    pauses: as `merged` gives them. One that begins when the limit has ended no longer moves it.
        Source:  glossary, deadline rules 1, 2, 5 and 14.
        """
        if limit.unit == "hour":
            return End(_stretched(start_ms, limit.count * HOUR_MS, pauses), False)
        if self._by_days(limit):
            return self._civil(limit, day_of(start_ms), pauses)
        return self._exact(limit.count * DAY_MS, start_ms, pauses)

    def end_after(self, limit: Limit, before: End, pauses: Sequence[Pause] = ()) -> End:
        """Where a further limit ends that starts where another one ended: the last day of that one is its day 0."""
        start_ms = before.due_ms - 1 if self._by_days(limit) else before.due_ms  # 24:00 belongs to the day that it ends
        further = self.end(limit, start_ms, pauses)
        return End(further.due_ms, further.provisional or before.provisional)

    def workdays_after(self, before: End, count: int) -> End:
        """The end of the `count`-th working day after a limit, or the exact instant in the elapsed clock."""
        return self.end_after(Limit(count, "workday"), before)

    def warning(self, due_ms: int, count: int) -> int:
        """The first instant at which no more than `count` working days remain until `due_ms`."""
        day = day_of(due_ms)
        rest = count * DAY_MS
        if self.calendar.is_workday(day)[0]:
            today = due_ms - instant_of(day)
            if rest < today:
                return due_ms - rest
            rest -= today
        whole, part = divmod(rest, DAY_MS)
        first, _ = self.calendar.add_workdays(day, -(whole + 1))
        return instant_of(first) + DAY_MS - part

    def remaining(self, now_ms: int, due_ms: int) -> int:
        """Working days left until `due_ms`, a begun one counted whole; 0 when it is reached."""
        return -(-self.worked(now_ms, due_ms) // DAY_MS)

    def used(self, start_ms: int, end_ms: int, pauses: Sequence[Pause] = ()) -> int:
        """Working days used from a fact to another, a begun one counted whole, pauses left out.

        In the civil clock the day of the starting fact is day 0, so the same day is 0.
        """
        inside = [(max(since, start_ms), min(until, end_ms)) for since, until in pauses]
        inside = [pause for pause in inside if pause[0] < pause[1]]
        if self.clock == "elapsed":
            lost = sum(self.worked(since, until) for since, until in inside)
            return -(-(self.worked(start_ms, end_ms) - lost) // DAY_MS)
        first = day_of(start_ms) + ONE_DAY
        days = self.calendar.workdays(first, day_of(end_ms) + ONE_DAY)
        return days - sum(self.calendar.workdays(max(day_of(since), first), day_of(until)) for since, until in inside)

    def worked(self, since_ms: int, until_ms: int) -> int:
        """Working time between two instants in ms; 0 if they are in the wrong order."""
        if until_ms <= since_ms:
            return 0
        first, last = day_of(since_ms), day_of(until_ms)
        if first == last:
            return until_ms - since_ms if self.calendar.is_workday(first)[0] else 0
        total = self.calendar.workdays(first + ONE_DAY, last) * DAY_MS
        if self.calendar.is_workday(first)[0]:
            total += instant_of(first) + DAY_MS - since_ms
        if self.calendar.is_workday(last)[0]:
            total += until_ms - instant_of(last)
        return total

    def _by_days(self, limit: Limit) -> bool:
        """Whether whole days are counted. The exact clock knows working time only, so calendar days stay whole days."""
        return self.clock == "civil" or limit.unit == "calendar" or limit.count == 0

    def _civil(self, limit: Limit, start: date, pauses: Sequence[Pause]) -> End:
        """Whole days. A day counts if the clock runs at its end: a pause takes out [its first day, its last day)."""
        cursor, missing = start if limit.count == 0 else start + ONE_DAY, limit.count
        begin = cursor
        last = self._last_day(cursor, missing, limit)
        for since, until in pauses:
            if since >= instant_of(last, self.closing):
                break
            first, after = day_of(since), day_of(until)
            if after <= cursor:
                continue
            if first > cursor:
                missing -= min(missing, self._days(cursor, first, limit))
            cursor = after
            last = self._last_day(cursor, missing, limit)
        return End(instant_of(last, self.closing), self.calendar.touches_unpublished(begin, last))

    def _last_day(self, cursor: date, missing: int, limit: Limit) -> date:
        """The last day if `missing` more days count from `cursor` on; a day off moves it to the next working day."""
        if missing == 0:
            return self.calendar.next_workday(cursor)[0]
        if limit.unit == "workday":
            return self.calendar.nth_workday(cursor, missing)[0]
        return self.calendar.next_workday(cursor + timedelta(missing - 1))[0]

    def _days(self, first: date, after: date, limit: Limit) -> int:
        return self.calendar.workdays(first, after) if limit.unit == "workday" else (after - first).days

    def _exact(self, amount: int, start_ms: int, pauses: Sequence[Pause]) -> End:
        due_ms = self._advanced(start_ms, amount)
        for since, until in pauses:
            if since >= due_ms:
                break
            if until > start_ms:
                due_ms = self._advanced(until, self.worked(max(since, start_ms), due_ms))
        return End(due_ms, self.calendar.touches_unpublished(day_of(start_ms), day_of(due_ms - 1)))

    def _advanced(self, since_ms: int, amount: int) -> int:
        """The first instant at which `amount` ms (more than 0) of working time have passed."""
        day = day_of(since_ms)
        if self.calendar.is_workday(day)[0]:
            today = instant_of(day) + DAY_MS - since_ms
            if amount <= today:
                return since_ms + amount
            amount -= today
        whole = -(-amount // DAY_MS)
        last, _ = self.calendar.nth_workday(day + ONE_DAY, whole)
        return instant_of(last) + amount - (whole - 1) * DAY_MS


def _stretched(start_ms: int, length_ms: int, pauses: Sequence[Pause]) -> int:
    """The instant `length_ms` of plain time after the start, pauses not counted."""
    due_ms = start_ms + length_ms
    for since, until in pauses:
        if since >= due_ms:
            break
        due_ms += max(0, until - max(since, start_ms))
    return due_ms
