"""One limit of one case: where it stands at an instant, and how it is shown.

For: the states of a limit, its card, its form for people and scripts.
May not: know the rules that start and end limits (conflict/deadline.py does).
Spec: docs/conflict/deadlines.md, "States".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from conflict.calendar import bounded, day_of, instant_of
from conflict.cards import CardLevel, Thresholds
from conflict.clock import Limit


class LimitState(StrEnum):
    """running, paused, overdue: open. met, late, deemed, stopped: ended."""

    RUNNING = "running"
    PAUSED = "paused"  # a supplement or a special procedure; the due time is what it would be if that ended now
    OVERDUE = "overdue"
    MET = "met"
    LATE = "late"
    DEEMED = "deemed"  # acceptance only: the office let it lapse, so the law counts the case as accepted
    STOPPED = "stopped"  # the case ended otherwise: withdrawn, voided, refused


OPEN_STATES = frozenset({LimitState.RUNNING, LimitState.PAUSED, LimitState.OVERDUE})

LABELS = {
    "acceptance": "受理时限",
    "supplement": "补正期限",
    "promised": "承诺时限",
    "statutory": "法定时限",
    "stage": "本级办理时限",
    "special_procedure": "特别程序时限",
    "delivery": "送达时限",
}


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """One limit as it stands at the instant of the reckoning.

    name: a key of LABELS. office: whose limit it is. basis: who set it: "item", "kind" (same day for 即办件), "default"
    (what the law sets for licences; never a red card), "notice" (named in a notice), "overall" (an office's share
    without a limit of its own). start_ms, due_ms: ms since 1970 UTC; in time up to and including due_ms.
    used_workdays: since the start, rounded up; remaining_workdays: until due, rounded up, None when it has ended.
    remarks: codes of what was recorded but does not count, such as "extension_too_late".
    """

    name: str
    office: str
    limit: Limit
    basis: str
    start_ms: int
    due_ms: int
    provisional: bool
    state: LimitState
    ended_ms: int | None
    thresholds: Thresholds
    card: CardLevel | None
    used_workdays: int
    remaining_workdays: int | None
    remarks: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """True while somebody still has to act within it."""
        return self.state in OPEN_STATES

    def as_json(self) -> dict[str, Any]:
        """Plain values; instants both in ms and as civil time of the county."""
        return {
            "name": self.name,
            "label": LABELS[self.name],
            "office": self.office,
            "limit": [self.limit.count, self.limit.unit],
            "basis": self.basis,
            "start_ms": self.start_ms,
            "due": civil_text(self.due_ms),
            "due_ms": self.due_ms,
            "provisional": self.provisional,
            "state": self.state.value,
            "ended_ms": self.ended_ms,
            "card": self.card.value if self.card else None,
            "warning_ms": self.thresholds.warning_ms,
            "yellow_ms": self.thresholds.yellow_ms,
            "red_ms": self.thresholds.red_ms,
            "used_workdays": self.used_workdays,
            "remaining_workdays": self.remaining_workdays,
            "remarks": list(self.remarks),
        }


def civil_text(due_ms: int) -> str:
    """A due time for people: the date alone if it is 24:00 of that day, else date and time, in UTC+8.

    Milliseconds are cut off: what is shown is never later than what counts.
    """
    instant_ms = bounded(due_ms)
    day = day_of(instant_ms)
    seconds, rest_ms = divmod(instant_ms - instant_of(day), 1000)
    if seconds == 0 and rest_ms == 0:
        return (day - timedelta(1)).isoformat()
    text = f"{day.isoformat()} {seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    return f"{text}:{seconds % 60:02d}" if seconds % 60 else text
