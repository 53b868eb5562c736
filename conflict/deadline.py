"""Deadlines: every limit of a case from its clock facts, the calendar and an instant to look at them.

For: acceptance and deemed acceptance, handling (promise and law), the office's own share, special procedures, delivery,
the applicant's time to supplement; headline and overall due dates; what changed since an earlier reckoning.
May not: read a clock; change the view or its digest (due dates are derived from a calendar that may be corrected).
Spec: docs/conflict/deadlines.md.  Vectors: tests/vectors/deadline/.  Change with it: conflict/clock.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conflict.acceptance import acceptance, supplement_limits
from conflict.calendar import Calendar, bounded
from conflict.cards import CardLevel, CardRules, highest
from conflict.clock import ClockFacts
from conflict.handling import handling
from conflict.limits import Terms
from conflict.reckoning import Reckoning
from conflict.stages import delivery_limit, special_limits, stage_limits
from conflict.time_limit import LABELS, LimitState, TimeLimit, civil_text

__all__ = ["Change", "ClockFacts", "Deadlines", "changes", "due"]

# The limits that tell the office which holds the case when it must have acted.
_OFFICE_LIMITS = frozenset(LABELS) - {"supplement"}


@dataclass(frozen=True, slots=True)
class Deadlines:
    """All limits of a case at one instant.

    accepted_ms: when acceptance takes effect, also if deemed; None if it has not.
    due_ms: the next instant by which the office must have acted, None if nothing is open. overall_due_ms: the date the
    applicant was given, which forwarding does not change; None before acceptance. card: the highest of all limits.
    provisional: an open limit, or the overall date, rests on an unpublished year.
    calendar_version: the one used here; pinned_version: the one named at acceptance.
    """

    limits: tuple[TimeLimit, ...]
    accepted_ms: int | None
    deemed: bool
    due_ms: int | None
    overall_due_ms: int | None
    card: CardLevel | None
    provisional: bool
    calendar_version: int
    pinned_version: int

    def limit(self, name: str) -> TimeLimit | None:
        """The newest limit of that name, or None."""
        return next((one for one in reversed(self.limits) if one.name == name), None)

    def as_json(self) -> dict[str, Any]:
        """Plain values for people and scripts. `due` is the next due date, or the overall one when nothing is open."""
        shown_ms = self.due_ms if self.due_ms is not None else self.overall_due_ms
        return {
            "due": None if shown_ms is None else civil_text(shown_ms),
            "due_ms": self.due_ms,
            "overall_due": None if self.overall_due_ms is None else civil_text(self.overall_due_ms),
            "overall_due_ms": self.overall_due_ms,
            "accepted_ms": self.accepted_ms,
            "deemed": self.deemed,
            "card": self.card.value if self.card else None,
            "provisional": self.provisional,
            "calendar_version": self.calendar_version,
            "pinned_calendar_version": self.pinned_version,
            "limits": [one.as_json() for one in self.limits],
        }


def due(
    clock: Mapping[str, Any] | ClockFacts, calendar: Calendar, *, now_ms: int, rules: CardRules | None = None
) -> Deadlines:
    """The deadlines of a case.

    Args:    clock: `view.clock`, or the facts themselves.
             calendar: the newest version held; a corrected calendar recomputes running cases.
             now_ms: the instant to look at them, ms since 1970 UTC; open limits and cards depend on it.
    Raises:  LocalProtocolError if `clock` is not of the fold's shape. Nothing else, whatever the facts are.
    Source:  glossary, deadline rules 1 to 15.
    """
    facts = clock if isinstance(clock, ClockFacts) else ClockFacts.from_dict(clock)
    reckoning = Reckoning(facts.bounded(), Terms.read(facts.terms), calendar, bounded(now_ms), rules or CardRules())
    accepted = acceptance(reckoning)
    whole = handling(reckoning, accepted)
    limits = [*([accepted.limit] if accepted.limit else []), *supplement_limits(reckoning)]
    if whole is not None:
        limits += [*whole.limits, *stage_limits(reckoning, whole)]
    limits += [*special_limits(reckoning), *delivery_limit(reckoning)]
    overall = whole.overall if whole else None
    mine = [one for one in limits if one.open and one.name in _OFFICE_LIMITS]
    return Deadlines(
        limits=tuple(limits),
        accepted_ms=accepted.effect_ms,
        deemed=accepted.deemed,
        due_ms=min((one.due_ms for one in mine), default=None),
        overall_due_ms=overall.due_ms if overall else None,
        card=highest([one.card for one in limits]),
        provisional=any(one.provisional for one in mine) or (overall is not None and overall.provisional),
        calendar_version=calendar.version,
        pinned_version=facts.calendar_version,
    )


@dataclass(frozen=True, slots=True)
class Change:
    """What differs for one limit between two reckonings of a case.

    what: "due_moved", "card_issued" (also: raised) or "card_revoked" (also: lowered). reason: "time" (it passed),
    "calendar" (another version) or "later_fact" (a signed fact that arrived since). Cards are revoked, never deleted:
    whoever keeps them records this.
    """

    what: str
    name: str
    office: str
    reason: str
    before: int | str | None
    after: int | str | None


def changes(before: Deadlines, after: Deadlines) -> list[Change]:
    """What to record when a case is reckoned anew: a corrected calendar, a later fact, or time that passed."""
    cause = "calendar" if before.calendar_version != after.calendar_version else "later_fact"
    old, new = _by_key(before), _by_key(after)
    found: list[Change] = []
    for key in [*new, *(key for key in old if key not in new)]:
        was, now = old.get(key), new.get(key)
        moved = was is not None and now is not None and was.due_ms != now.due_ms and not _both_paused(was, now)
        if moved and was is not None and now is not None:
            found.append(Change("due_moved", key[0], key[1], cause, was.due_ms, now.due_ms))
        cards = (was.card if was else None), (now.card if now else None)
        rise = (cards[1].rank if cards[1] else 0) - (cards[0].rank if cards[0] else 0)
        if rise:
            same = was.thresholds == now.thresholds if was and now else after.deemed
            passed = rise > 0 and now is not None and now.open and same
            what = "card_issued" if rise > 0 else "card_revoked"
            found.append(Change(what, key[0], key[1], "time" if passed else cause, _value(cards[0]), _value(cards[1])))
    return found


def _by_key(deadlines: Deadlines) -> dict[tuple[str, str, int], TimeLimit]:
    """Limits by name, office and how many of that name and office came before."""
    found: dict[tuple[str, str, int], TimeLimit] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for one in deadlines.limits:
        found[one.name, one.office, seen[one.name, one.office]] = one
        seen[one.name, one.office] += 1
    return found


def _both_paused(was: TimeLimit, now: TimeLimit) -> bool:
    """A paused limit's due time moves with the instant of the reckoning; that is no change to record."""
    return was.state is LimitState.PAUSED and now.state is LimitState.PAUSED


def _value(card: CardLevel | None) -> str | None:
    return card.value if card else None
