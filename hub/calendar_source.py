"""Where the working calendar comes from: the chinesecalendar library, turned into what the hub signs and publishes.

For: the content of a `calendar` document for the years that the State Council has announced.
May not: be imported by conflict/ or edge/: they read what was published. The library is imported only when used.
Spec: docs/conflict/deadlines.md, "Publishing".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from conflict.calendar import CalendarError

SOURCE = "chinesecalendar"


def publishable(years: Iterable[int]) -> dict[str, Any]:
    """The calendar content for these years.

    Returns: {"years": {"2026": {"off": [weekdays off], "work": [weekend days worked]}}, "source": library and version}.
    Raises:  CalendarError naming the years the library knows nothing about, with what to do.
    """
    known = available_years()
    wanted = sorted(set(years))
    missing = [year for year in wanted if year not in known]
    if missing:
        names = ", ".join(str(year) for year in missing)
        raise CalendarError(
            f"the installed calendar library does not know {names} (it knows {known[0]} to {known[-1]}): "
            "leave the year out, its dates stay provisional, or update chinesecalendar",
            f"已安装的日历库没有 {names} 年的数据（仅有 {known[0]} 至 {known[-1]} 年）：可先不发布该年（期限暂定），或升级 chinesecalendar",
        )
    return {"years": {str(year): _entry(year) for year in wanted}, "source": f"{SOURCE} {_version()}"}


def available_years() -> list[int]:
    """The years the installed library knows, lowest first. It raises outside them; so we ask its own table."""
    from chinese_calendar import constants

    return list(range(min(constants.holidays).year, max(constants.holidays).year + 1))


def _entry(year: int) -> dict[str, list[str]]:
    from chinese_calendar import is_workday

    off: list[str] = []
    work: list[str] = []
    day = date(year, 1, 1)
    while day.year == year:
        weekday = day.weekday() < 5
        if is_workday(day) != weekday:
            (off if weekday else work).append(f"{day:%m-%d}")
        day += timedelta(1)
    return {"off": off, "work": work}


def _version() -> str:
    from importlib.metadata import version

    return version("chinesecalendar")
