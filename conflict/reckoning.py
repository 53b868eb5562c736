"""One reckoning: the facts of a case, a calendar and an instant, and how a limit stands under them.

For: conflict/acceptance.py and conflict/handling.py, which know what starts and ends each limit.
May not: know those rules; count days itself (conflict/counting.py does).
Spec: docs/conflict/deadlines.md, "States" and "Cards".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from conflict.calendar import Calendar
from conflict.cards import CardRules, Thresholds
from conflict.clock import ClockFacts, Limit
from conflict.counting import Counter, End, Pause
from conflict.limits import Terms
from conflict.time_limit import OPEN_STATES, LimitState, TimeLimit

LISTED_MAX = 50  # limits of one name that are reckoned, the newest; only a hostile case has more hand-overs than this

# Which cards passing a due time earns. promise: yellow. law: red. both: warning and yellow as a promise, red as law.
CardPlan = Literal["none", "promise", "law", "both", "consultation", "special"]


@dataclass(frozen=True, slots=True)
class Span:
    """A limit before it is judged: whose, how long, from when to when, and what stopped it.

    ended_ms: when what it asks for was done. stopped_ms: when the case ended otherwise. guessed: its start already
    rests on an unpublished year.
    """

    name: str
    office: str
    limit: Limit
    basis: str
    start_ms: int
    end: End
    plan: CardPlan
    pauses: tuple[Pause, ...] = ()
    ended_ms: int | None = None
    stopped_ms: int | None = None
    paused: bool = False
    guessed: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reckoning:
    """`facts` are bounded (ClockFacts.bounded); `now_ms` is the instant to look at them."""

    facts: ClockFacts
    terms: Terms
    calendar: Calendar
    now_ms: int
    rules: CardRules

    def counter(self, office: str) -> Counter:
        """How limits of this office are counted."""
        clock: Literal["civil", "elapsed"] = "elapsed" if self.terms.elapsed else "civil"
        return Counter(self.calendar, clock, self.calendar.closing_minute(office))

    def judged(self, span: Span, state: LimitState | None = None) -> TimeLimit:
        """The limit as it stands now. `state`: where a rule of the law names another than the instants would."""
        counter = self.counter(span.office)
        provisional = span.end.provisional or span.guessed
        if state is None:
            state = self._state(span)
        is_open = state in OPEN_STATES
        done_ms = span.ended_ms if span.ended_ms is not None else span.stopped_ms
        at_ms = self.now_ms if is_open or done_ms is None else done_ms
        thresholds = self._thresholds(span, counter, provisional)
        return TimeLimit(
            name=span.name,
            office=span.office,
            limit=span.limit,
            basis=span.basis,
            start_ms=span.start_ms,
            due_ms=span.end.due_ms,
            provisional=provisional,
            state=state,
            ended_ms=None if is_open else done_ms,
            thresholds=thresholds,
            card=thresholds.card(at_ms, open_now=is_open),
            used_workdays=counter.used(span.start_ms, max(at_ms, span.start_ms), span.pauses),
            remaining_workdays=counter.remaining(self.now_ms, span.end.due_ms) if is_open else None,
            remarks=span.remarks,
        )

    def _state(self, span: Span) -> LimitState:
        if span.ended_ms is not None:
            return LimitState.MET if span.ended_ms <= span.end.due_ms else LimitState.LATE
        if span.stopped_ms is not None:
            return LimitState.STOPPED
        if span.paused:
            return LimitState.PAUSED
        return LimitState.RUNNING if self.now_ms <= span.end.due_ms else LimitState.OVERDUE

    def _thresholds(self, span: Span, counter: Counter, provisional: bool) -> Thresholds:
        """A provisional due time is never cause for a red card, nor is a limit that only the defaults set."""
        if span.plan == "none":
            return Thresholds()
        due_ms, plan = span.end.due_ms, span.plan
        red: int | None = None
        if plan == "special":
            red = counter.workdays_after(span.end, self.rules.special_red_workdays).due_ms
        elif plan == "consultation":
            red = counter.workdays_after(span.end, self.rules.consultation_red_workdays).due_ms
        elif plan in ("law", "both") and span.basis == "item":
            red = due_ms
        warns = plan in ("promise", "both", "consultation")
        return Thresholds(
            warning_ms=max(span.start_ms, counter.warning(due_ms, self.rules.warning_workdays)) if warns else None,
            yellow_ms=None if plan == "law" and red is not None and not provisional else due_ms,
            red_ms=None if provisional else red,
        )
