"""What this device knows about the time: its own clock, a counter since boot, and the last time the hub signed.

For: the claimed time of an op with its evidence, and the banner when the wall clock cannot be right.
May not: correct the clock; decide any order (law 5: causality does that).
Spec: docs/protocol/op.md, "Claimed time and evidence"; docs/operating/edge.md, "Wrong clock".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BEHIND_MS_MAX = 60_000  # the wall clock may lag the hub's by this much before a banner is shown
AHEAD_MS_MAX = 86_400_000  # one day beyond the best estimate: no honest drift gets there
UNSEEN_MS_MAX = (
    60 * 86_400_000
)  # the same where the elapsed time is unknown: longer silence is worth a look at the clock
BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Clock:
    """The clocks of one process.

    now_ms: wall clock, ms since 1970 UTC, may be wrong. mono_ms: ms since boot, sleep included, never set by anyone.
    boot_id: names the boot that `mono_ms` counts from; "" if unknown or if the wall clock is a test clock, and then
    no elapsed time is ever claimed.
    """

    now_ms: Callable[[], int]
    mono_ms: Callable[[], int]
    boot_id: str = ""


@dataclass(frozen=True, slots=True)
class HubTime:
    """A time that the hub signed and when, by our own counter, we learned it.

    hub_ms: ms UTC, 0 if the hub was never heard. mono_ms: our counter then. boot_id: "" if the moment is not known
    well enough to count on from it (an old receipt from a stick, another boot).
    """

    hub_ms: int = 0
    mono_ms: int = 0
    boot_id: str = ""


def machine_clock(now_ms: Callable[[], int] | None = None) -> Clock:
    """The clocks of this machine; `now_ms` replaces the wall clock in tests and then no elapsed time is claimed."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    if boottime is None:
        return Clock(now_ms or _wall_ms, _monotonic_ms, "")
    boot_id = BOOT_ID_FILE.read_text().strip() if now_ms is None and BOOT_ID_FILE.exists() else ""
    return Clock(now_ms or _wall_ms, lambda: time.clock_gettime_ns(boottime) // 1_000_000, boot_id)


def elapsed_ms(clock: Clock, known: HubTime) -> int:
    """Milliseconds since `known` was learned, or -1 if this boot cannot tell."""
    if not known.boot_id or known.boot_id != clock.boot_id:
        return -1
    passed = clock.mono_ms() - known.mono_ms
    return passed if passed >= 0 else -1


def evidence(clock: Clock, known: HubTime) -> tuple[int, int] | None:
    """The evidence that goes into an op: (last signed hub time, elapsed ms or -1); None before any hub contact."""
    return (known.hub_ms, elapsed_ms(clock, known)) if known.hub_ms else None


def implausible(clock: Clock, known: HubTime) -> str:
    """Empty if the wall clock can be right, else "behind" (before the last hub time) or "ahead" (beyond the estimate).

    Without a known elapsed time the device may simply have been off for weeks, so "ahead" needs UNSEEN_MS_MAX then.
    """
    if not known.hub_ms:
        return ""
    now = clock.now_ms()
    passed = elapsed_ms(clock, known)
    if now < known.hub_ms + max(passed, 0) - BEHIND_MS_MAX:
        return "behind"
    beyond = AHEAD_MS_MAX if passed >= 0 else UNSEEN_MS_MAX
    return "ahead" if now > known.hub_ms + max(passed, 0) + beyond else ""


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
