"""Gates: when and how fast the bytes of a lane may travel, so that a thin or metered line is used as its office can pay.

For: arithmetic of a daily window in county time and of a rate (a bucket that may go into debt by one piece).
May not: read a clock; know files, links or which lanes there are (protocol/lanes.py does).
Spec: docs/protocol/link.md, "Order of sending".  Manual: docs/operating/lanes.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol.errors import InputError

DAY_MIN = 1_440
COUNTY_OFFSET_MIN = 480  # county time is UTC+8 all year
ALWAYS = "always"
RATE_MAX = 1_000_000_000  # bytes per second; more is a slip
AHEAD_S = 8  # with a rate, so many seconds' worth travel in one batch, at least the least batch

NO_RATE = "none"
_RATE = re.compile(r"^(\d{1,10}(?:\.\d{1,3})?) ?(b|kb|mb)?(?:/s)?$", re.IGNORECASE | re.ASCII)
_UNITS = {"b": 1, "kb": 1_000, "mb": 1_000_000}
_WINDOW = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$")


@dataclass(frozen=True, slots=True)
class Window:
    """A span of every day, in minutes after midnight of county time; it may pass midnight. Begin belongs to it, end not."""

    begin: int
    end: int

    def holds(self, now_ms: int) -> bool:
        """Whether this instant (wall clock, ms UTC) lies in it."""
        minute = (now_ms // 60_000 + COUNTY_OFFSET_MIN) % DAY_MIN
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end

    def __str__(self) -> str:
        return "-".join(f"{at // 60:02}:{at % 60:02}" for at in (self.begin, self.end))


def window_of(text: str) -> Window | None:
    """`22:00-06:00` as a window, `always` as None. Raises InputError for anything else and for an empty span."""
    if text == ALWAYS:
        return None
    match = _WINDOW.match(text)
    if match is not None:
        begin_h, begin_min, end_h, end_min = map(int, match.groups())
        if (begin_h, begin_min) != (end_h, end_min):
            return Window(begin_h * 60 + begin_min, end_h * 60 + end_min)
    raise InputError(
        f"{text!r} is no time window; write 22:00-06:00, or {ALWAYS}.",
        f"“{text}”不是时段，请写成 22:00-06:00 或 {ALWAYS}。",
    )


class Bucket:
    """Holds bytes to `bytes_per_s` over time; 0 is no limit. One second's bytes may be saved up; what is spent beyond
    them is a debt that time pays off."""

    def __init__(self, bytes_per_s: int) -> None:
        self.bytes_per_s = bytes_per_s
        self._level = float(bytes_per_s)
        self._at_ms: int | None = None

    def ready(self, mono_ms: int) -> bool:
        """Whether something may travel now."""
        if self.bytes_per_s == 0:
            return True
        passed = 0 if self._at_ms is None else max(0, mono_ms - self._at_ms)
        self._level = min(float(self.bytes_per_s), self._level + self.bytes_per_s * passed / 1000)
        self._at_ms = mono_ms
        return self._level > 0

    def spend(self, size: int, mono_ms: int) -> None:
        """So many bytes travel now, whether the bucket was ready or not."""
        self.ready(mono_ms)
        self._level -= size


def rate_of(text: str) -> int:
    """`20kB/s`, `2000` or `1.5MB/s` as bytes a second, `none` as 0. Raises InputError for anything else."""
    match = _RATE.match(text.strip())
    if text.strip() == NO_RATE:
        return 0
    if match is not None:
        return round(float(match[1]) * _UNITS[(match[2] or "b").lower()])
    raise InputError(
        f"{text!r} is no rate; write 20kB/s, or {NO_RATE}.", f"“{text}”不是速率，请写成 20kB/s 或 {NO_RATE}。"
    )
