"""The clock that commands hand to edge and hub: the machine's own, or a test's.

For: `LIANDONG_NOW` (ISO 8601), which sets the wall clock at process start; from there it runs on with the machine.
May not: change the machine's clock; be read by protocol/ or conflict/, which take `now_ms` as an argument.
Manual: docs/operating/commands.md, "Environment".
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from protocol.errors import InputError

if TYPE_CHECKING:
    from conflict.ledger.store import Store

VARIABLE = "LIANDONG_NOW"
COUNTY_ZONE = timezone(timedelta(hours=8))  # a time without an offset means the county's local time


class BadClock(InputError):
    """`LIANDONG_NOW` is set to something that is no time."""

    code = "bad_clock"


def machine_ms() -> int:
    """The machine's wall clock, ms since 1970 UTC; may be wrong."""
    return time.time_ns() // 1_000_000


def mono_ms() -> int:
    """A counter in ms that never goes back, for timers; its zero means nothing."""
    return time.monotonic_ns() // 1_000_000


def parse_ms(text: str) -> int:
    """The instant that an ISO 8601 text names, ms since 1970 UTC; without an offset it is local time of the county.

    Raises:  BadClock.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadClock(
            f"{text!r} is no time in ISO 8601, for instance 2026-03-02T09:00:00+08:00.",
            f"{text!r} 不是 ISO 8601 时间,例如 2026-03-02T09:00:00+08:00。",
        ) from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=COUNTY_ZONE)
    return round(aware.timestamp() * 1000)


def chosen_now_ms(environ: Mapping[str, str] = os.environ) -> Callable[[], int] | None:
    """The test's wall clock, running on from `LIANDONG_NOW`; None if the variable is not set. Raises BadClock."""
    text = environ.get(VARIABLE, "")
    if not text:
        return None
    offset = parse_ms(text) - mono_ms()
    return lambda: mono_ms() + offset


def wall_clock(environ: Mapping[str, str] = os.environ) -> Callable[[], int]:
    """The wall clock of this process: the test's if one is set, else the machine's. Raises BadClock."""
    return chosen_now_ms(environ) or machine_ms


def county_clock(store: Store) -> Callable[[], int]:
    """The county's time for a command beside the hub's daemon (decision 0143). Raises BadClock, StoreError."""
    from hub.clock import county_clock as clock_of

    return clock_of(store, wall_clock(), mono_ms)


def local_text(ms: int | None) -> str:
    """`ms` as county time to the second, `2026-03-02 09:00:00`; a dash for None."""
    if ms is None:
        return "-"
    try:
        return datetime.fromtimestamp(ms / 1000, COUNTY_ZONE).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"


def iso_text(ms: int) -> str:
    """`ms` in ISO 8601 with the county's offset, to the second: what JSON answers carry."""
    return datetime.fromtimestamp(ms // 1000, COUNTY_ZONE).isoformat()
