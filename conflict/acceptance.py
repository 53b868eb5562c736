"""Acceptance: five working days to accept, refuse or give the one-time notice; and what lapse of them means.

For: the acceptance limit, the applicant's time to supplement, and when acceptance takes effect.
May not: look at what follows acceptance (conflict/handling.py does).
Spec: docs/conflict/deadlines.md, "Acceptance".  Source: glossary, deadline rules 3, 5, 6; 行政许可法 §32.
"""

from __future__ import annotations

from dataclasses import dataclass

from conflict.clock import Limit, Supplement
from conflict.counting import End, Pause, merged
from conflict.limits import ACCEPTANCE_DEFAULT
from conflict.reckoning import LISTED_MAX, Reckoning, Span
from conflict.time_limit import LimitState, TimeLimit

NOTICES_MAX = 100  # one notice per office and stage is lawful; a case with more is hostile, and each costs a recount


@dataclass(frozen=True, slots=True)
class Acceptance:
    """limit: the office's, None before receipt. effect_ms: when acceptance takes effect, None if it has not.

    deemed: by lapse of the limit. guessed: that lapse rests on an unpublished year.
    """

    limit: TimeLimit | None
    effect_ms: int | None
    deemed: bool = False
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class _Period:
    """The limit as the notices so far leave it. base_ms: the day that deemed acceptance takes effect on."""

    start_ms: int
    base_ms: int
    end: End
    pauses: tuple[Pause, ...]
    paused: bool


def acceptance(reckoning: Reckoning) -> Acceptance:
    """The acceptance limit and its outcome.

    Deemed acceptance takes effect on the day of receipt: of the application, or of the supplement that completed it
    where a notice was given in time. An acceptance or a silence after the limit changes nothing about that; a late
    refusal ends the case, so nothing is deemed, and the limit shows as late.
    """
    facts = reckoning.facts
    if facts.received_ms is None:
        return Acceptance(None, facts.accepted_ms)
    limit, basis = _limit(reckoning)
    period = _period(reckoning, limit, facts.received_ms)
    acts = [one for one in (facts.accepted_ms, facts.refused_ms) if one is not None]
    acted_ms = min(acts, default=None)
    span = Span(
        name="acceptance",
        office=facts.received_office,
        limit=limit,
        basis=basis,
        start_ms=period.start_ms,
        end=period.end,
        plan="both",
        pauses=period.pauses,
        ended_ms=acted_ms,
        stopped_ms=facts.ended_ms,
        paused=period.paused,
    )
    decisive_ms = min([one for one in (acted_ms, facts.ended_ms) if one is not None], default=reckoning.now_ms)
    lapsed = decisive_ms > period.end.due_ms and not period.paused
    if lapsed and facts.refused_ms is None:
        judged = reckoning.judged(span, LimitState.DEEMED)
        return Acceptance(judged, period.base_ms, deemed=True, guessed=period.end.provisional)
    return Acceptance(reckoning.judged(span), facts.accepted_ms)


def supplement_limits(reckoning: Reckoning) -> list[TimeLimit]:
    """The applicant's time after each notice that names one. It earns nobody a card."""
    facts, found = reckoning.facts, []
    stops = [one for one in (facts.refused_ms, facts.ended_ms, facts.concluded_ms) if one is not None]
    for supplement in facts.supplements[-LISTED_MAX:]:
        limit = Limit.read(supplement.limit)
        if limit is None:
            continue
        counter = reckoning.counter(facts.received_office)
        span = Span(
            name="supplement",
            office=facts.received_office,
            limit=limit,
            basis="notice",
            start_ms=supplement.notice_ms,
            end=counter.end(limit, supplement.notice_ms),
            plan="none",
            ended_ms=supplement.supplied_ms,
            stopped_ms=min(stops, default=None),
        )
        found.append(reckoning.judged(span))
    return found


def timely_notice(reckoning: Reckoning, supplement: Supplement, start_ms: int, due_ms: int) -> bool:
    """Whether a notice counts: given within the running limit, and within the item's limit for notices if it has one."""
    within = reckoning.terms.supplement_limit
    if within is not None:
        counter = reckoning.counter(reckoning.facts.received_office)
        due_ms = min(due_ms, counter.end(within, start_ms).due_ms)
    return supplement.notice_ms <= due_ms


def _limit(reckoning: Reckoning) -> tuple[Limit, str]:
    """The item's limit; else the one it sets for the notice, which is one of the three ways to act; else the default."""
    terms = reckoning.terms
    set_by_item = terms.accept_limit or terms.supplement_limit
    return (set_by_item, "item") if set_by_item else (ACCEPTANCE_DEFAULT, "default")


def _period(reckoning: Reckoning, limit: Limit, received_ms: int) -> _Period:
    """Walks the notices given in time: each pauses the limit until the supplement, or restarts it then."""
    facts, counter = reckoning.facts, reckoning.counter(reckoning.facts.received_office)
    acted = [one for one in (facts.accepted_ms, facts.refused_ms, facts.ended_ms) if one is not None]
    until_now_ms = min(acted, default=reckoning.now_ms)
    start_ms = base_ms = received_ms
    pauses: tuple[Pause, ...] = ()
    end = counter.end(limit, start_ms)
    for supplement in sorted(facts.supplements, key=lambda one: one.notice_ms)[:NOTICES_MAX]:
        if acted and supplement.notice_ms >= until_now_ms:
            break
        if not timely_notice(reckoning, supplement, start_ms, end.due_ms):
            break
        is_open = supplement.supplied_ms is None or (bool(acted) and supplement.supplied_ms > until_now_ms)
        back_ms = max(until_now_ms, supplement.notice_ms) if is_open else supplement.supplied_ms
        assert back_ms is not None
        if reckoning.terms.restart_on_supplement:
            start_ms, pauses = back_ms, ()
        else:
            pauses = merged([*pauses, (supplement.notice_ms, back_ms)])
        end = counter.end(limit, start_ms, pauses)
        if is_open:
            return _Period(start_ms, base_ms, end, pauses, paused=not acted)
        base_ms = back_ms
    return _Period(start_ms, base_ms, end, pauses, paused=False)
