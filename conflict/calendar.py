"""The working calendar: which days count, as the hub published it, and a marked guess beyond.

For: working-day arithmetic on dates, and civil time of the county (UTC+8, no summer time).
May not: raise on any date; know a case; import a calendar library (hub/calendar_source.py does, to publish).
Spec: docs/conflict/deadlines.md, "Calendar".  Published form: docs/protocol/documents.md, kind `calendar`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from protocol.errors import InputError

DAY_MS = 86_400_000
MINUTE_MS = 60_000
ZONE_MS = 8 * 3_600_000  # civil time everywhere in China
MIDNIGHT = 1_440  # minutes: 24:00, where a day ends unless its office closes earlier
YEAR_MIN, YEAR_MAX = 1970, 2199  # instants outside are taken as the nearest inside: a clock far off must not crash us
EPOCH = date(1970, 1, 1).toordinal()
INSTANT_MIN = -ZONE_MS
INSTANT_MAX = (date(YEAR_MAX, 12, 31).toordinal() - EPOCH) * DAY_MS - ZONE_MS

# Days off that fall on the same date each year (全国年节及纪念日放假办法, 2024 text). The lunar ones are not guessed.
FIXED_HOLIDAYS = frozenset({(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)})

_MONTH_DAY = re.compile(r"^\d\d-\d\d$")
_HOUR_MINUTE = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)$")


class CalendarError(InputError):
    """A published calendar that contradicts itself or is out of shape."""

    code = "bad_calendar"


def bounded(instant_ms: int) -> int:
    """The instant itself, or the nearest one in YEAR_MIN to YEAR_MAX."""
    if INSTANT_MIN <= instant_ms <= INSTANT_MAX:
        return instant_ms
    return INSTANT_MIN if instant_ms < INSTANT_MIN else INSTANT_MAX


def day_of(instant_ms: int) -> date:
    """The civil date of an instant, within YEAR_MIN to YEAR_MAX."""
    return date.fromordinal(EPOCH + (bounded(instant_ms) + ZONE_MS) // DAY_MS)


def instant_of(day: date, minute: int = 0) -> int:
    """The instant of a civil date and minute (0 to 1440), ms since 1970 UTC."""
    return (day.toordinal() - EPOCH) * DAY_MS + minute * MINUTE_MS - ZONE_MS


class Calendar:
    """One published version. Answers for every date; each answer says whether it is provisional.

    A year that the hub has not published counts weekdays as working, fixed-date holidays as off, provisionally.
    """

    def __init__(
        self,
        years: Mapping[int, tuple[frozenset[date], frozenset[date]]] | None = None,
        *,
        version: int = 0,
        closing: Mapping[str, int] | None = None,
    ) -> None:
        """`years`: per year the weekdays off and the weekend days that work. `closing`: minute by office code prefix."""
        self.version = version
        self._years = dict(years or {})
        self._closing = dict(closing or {})
        self._tables: dict[int, list[int]] = {}  # memo: year -> ordinals of its working days

    @staticmethod
    def from_content(content: Mapping[str, Any], version: int) -> Calendar:
        """The calendar in the content of a signed `calendar` document.

        Args:    content: {"years": {"2026": {"off": ["01-01", …], "work": ["01-04", …]}}, "source": text,
                 "closing"?: {office code prefix ("" for all): "17:30"}}; `off` lists weekdays, `work` weekend days.
        Raises:  CalendarError naming the entry that cannot be used. Unknown keys are ignored.
        """
        try:
            years = {_year(name): _days(name, entry) for name, entry in content["years"].items()}
            closing = {str(office): _minute(clock) for office, clock in content.get("closing", {}).items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise _bad(f"the calendar is not of the published form ({type(error).__name__})") from error
        return Calendar(years, version=version, closing=closing)

    @property
    def years(self) -> tuple[int, ...]:
        """The years that are published, so not provisional."""
        return tuple(sorted(self._years))

    def is_workday(self, day: date) -> tuple[bool, bool]:
        """Whether the day is worked, and whether that is provisional."""
        table = self._years.get(day.year)
        weekday = day.weekday() < 5
        if table is None:
            return weekday and (day.month, day.day) not in FIXED_HOLIDAYS, True
        off, work = table
        return (day not in off) if weekday else (day in work), False

    def next_workday(self, day: date) -> tuple[date, bool]:
        """The day itself if it is worked, else the next one that is."""
        return self.nth_workday(day, 1)

    def add_workdays(self, day: date, count: int) -> tuple[date, bool]:
        """The last day of a limit of `count` working days whose day 0 is `day`; a negative count goes back.

        Returns: (date, provisional). A count of 0 gives `day`, or the next working day if it is a day off.
        """
        if count == 0:
            return self.next_workday(day)
        if count < 0:
            return self._back(day, -count)
        return self.nth_workday(_shift(day, 1), count)

    def nth_workday(self, first: date, count: int) -> tuple[date, bool]:
        """The `count`-th (from 1) working day on or after `first`; provisional if an unpublished year was looked at."""
        year, start, missing = first.year, first.toordinal(), count
        while year <= date.max.year:
            table = self._table(year)
            index = bisect_left(table, start) + missing - 1
            if index < len(table):
                last = date.fromordinal(table[index])
                return last, self.touches_unpublished(first, last)
            missing = index - len(table) + 1
            year += 1
        return date.max, True

    def workdays(self, first: date, after: date) -> int:
        """How many working days there are from `first` up to but not including `after`; 0 if none."""
        if after <= first:
            return 0
        low, high = first.toordinal(), after.toordinal()
        if first.year == after.year:
            table = self._table(first.year)
            return bisect_left(table, high) - bisect_left(table, low)
        whole = sum(len(self._table(year)) for year in range(first.year + 1, after.year))
        head = self._table(first.year)
        return len(head) - bisect_left(head, low) + whole + bisect_left(self._table(after.year), high)

    def touches_unpublished(self, first: date, last: date) -> bool:
        """True if a day from `first` to `last` lies in a year that is not published."""
        if first.year == last.year:
            return first.year not in self._years
        return any(year not in self._years for year in range(first.year, last.year + 1))

    def closing_minute(self, office: str) -> int:
        """When the office closes, in minutes after midnight: the longest code prefix that is published, else 24:00."""
        for length in range(len(office), -1, -1) if self._closing else ():
            if office[:length] in self._closing:
                return self._closing[office[:length]]
        return MIDNIGHT

    def _back(self, day: date, count: int) -> tuple[date, bool]:
        year, end, missing = day.year, day.toordinal(), count
        while year >= 1:
            table = self._table(year)
            index = bisect_left(table, end) - missing
            if index >= 0:
                found = date.fromordinal(table[index])
                return found, self.touches_unpublished(found, day)
            missing = -index
            year -= 1
        return date.min, True

    def _table(self, year: int) -> list[int]:
        table = self._tables.get(year)
        if table is None:
            first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
            days = range(first, last + 1)
            table = [one for one in days if self.is_workday(date.fromordinal(one))[0]]
            self._tables[year] = table
        return table


def _shift(day: date, days: int) -> date:
    try:
        return day + timedelta(days)
    except OverflowError:
        return date.max


def _bad(text: str) -> CalendarError:
    return CalendarError(f"{text}; publish the calendar again", "工作日历内容有误，请重新发布")


def _year(name: str) -> int:
    if not re.fullmatch(r"\d{4}", name) or name == "0000":
        raise _bad(f"'{name}' is not a year of four digits")
    return int(name)


def _days(year: str, entry: Mapping[str, Any]) -> tuple[frozenset[date], frozenset[date]]:
    off = frozenset(_day(year, text) for text in entry["off"])
    work = frozenset(_day(year, text) for text in entry["work"])
    wrong = [day for day in off if day.weekday() >= 5] + [day for day in work if day.weekday() < 5]
    if wrong:
        raise _bad(f"{min(wrong)}: `off` names weekdays and `work` names weekend days")
    return off, work


def _day(year: str, text: str) -> date:
    if not _MONTH_DAY.match(text):
        raise _bad(f"'{text}' in {year} is not a month and day such as 05-01")
    try:
        return date.fromisoformat(f"{year}-{text}")
    except ValueError as error:
        raise _bad(f"{year}-{text} is not a date") from error


def _minute(clock: str) -> int:
    match = _HOUR_MINUTE.match(clock)
    if match is None:
        raise _bad(f"'{clock}' is not a closing time such as 17:30")
    return int(match[1]) * 60 + int(match[2])
