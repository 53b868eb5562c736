"""Shares: the limit of each office that holds an accepted case in turn, special procedures, and delivery.

For: whose turn it is and until when. A lower office's share ends when the complete bundle is sent; the next office's
starts when it is received; in between nobody's runs, while the applicant's overall date goes on.
May not: move the overall limits (conflict/handling.py).
Spec: docs/conflict/deadlines.md, "Shares".  Source: glossary, deadline rules 8 to 10; 行政许可法 §43, §44.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from conflict.clock import Limit
from conflict.counting import Pause, merged
from conflict.handling import Handling, earliest
from conflict.limits import DELIVERY_DEFAULT, SUPERIOR_DEFAULT, above_county, level_of
from conflict.reckoning import LISTED_MAX, Reckoning, Span
from conflict.time_limit import TimeLimit


@dataclass(slots=True)
class _Share:
    """One office's turn. `away`: times after which the case came back to it."""

    office: str
    start_ms: int
    end_ms: int | None = None
    away: list[Pause] = field(default_factory=list)


def stage_limits(reckoning: Reckoning, whole: Handling) -> list[TimeLimit]:
    """Each office's share in the order of their turns; none for a case that one office handles without stages."""
    stages = reckoning.terms.stages
    shares = _shares(reckoning, whole)
    if len(shares) == 1 and level_of(shares[0].office) not in stages:
        return []
    return [_judged(reckoning, whole, share) for share in shares[-LISTED_MAX:]]


def special_limits(reckoning: Reckoning) -> list[TimeLimit]:
    """Each special procedure that announced its length: yellow at its end, red one working day later."""
    facts, found = reckoning.facts, []
    office = facts.accepted_office or facts.received_office
    stopped_ms = earliest(facts.decided_ms, facts.concluded_ms, facts.ended_ms)
    for one in facts.suspensions[-LISTED_MAX:]:
        limit = Limit.read([one.days, "workday"])
        if limit is None:
            continue
        span = Span(
            name="special_procedure",
            office=office,
            limit=limit,
            basis="notice",
            start_ms=one.start_ms,
            end=reckoning.counter(office).end(limit, one.start_ms),
            plan="special",
            ended_ms=one.end_ms,
            stopped_ms=stopped_ms,
        )
        found.append(reckoning.judged(span))
    return found


def delivery_limit(reckoning: Reckoning) -> list[TimeLimit]:
    """Ten working days after a granting decision, apart from conclusion; nothing for other decisions."""
    facts = reckoning.facts
    if facts.decided_ms is None or facts.decision != "granted":
        return []
    office = facts.accepted_office or facts.received_office
    span = Span(
        name="delivery",
        office=office,
        limit=DELIVERY_DEFAULT,
        basis="default",
        start_ms=facts.decided_ms,
        end=reckoning.counter(office).end(DELIVERY_DEFAULT, facts.decided_ms),
        plan="both",
        ended_ms=facts.delivered_ms,
        stopped_ms=facts.ended_ms,
    )
    return [reckoning.judged(span)]


def _judged(reckoning: Reckoning, whole: Handling, share: _Share) -> TimeLimit:
    counter = reckoning.counter(share.office)
    named = reckoning.terms.stages.get(level_of(share.office))
    pauses = merged([*whole.pauses, *share.away])
    if named is not None:
        limit, basis, end = named, "item", counter.end(named, share.start_ms, pauses)
    elif above_county(share.office):
        limit, basis, end = SUPERIOR_DEFAULT, "default", counter.end(SUPERIOR_DEFAULT, share.start_ms, pauses)
    else:
        limit, basis, end = whole.limits[0].limit, "overall", whole.end
    span = Span(
        name="stage",
        office=share.office,
        limit=limit,
        basis=basis,
        start_ms=share.start_ms,
        end=end,
        plan="promise",
        pauses=pauses,
        ended_ms=earliest(share.end_ms, whole.ended_ms),
        stopped_ms=whole.stopped_ms,
        paused=whole.paused,
        guessed=whole.guessed,
    )
    return reckoning.judged(span)


def _shares(reckoning: Reckoning, whole: Handling) -> list[_Share]:
    """The turns, from the hand-overs after handling started, replayed in the order of their instants."""
    shares = [_Share(whole.office, whole.start_ms)]
    newest = {whole.office: shares[0]}
    for instant_ms, _, what, sender, receiver in sorted(_moves(reckoning, whole.start_ms)):
        mine = newest.get(sender)
        if what == "sent" and mine is not None and mine.end_ms is None:
            mine.end_ms = instant_ms
        elif what == "received":
            newest[receiver] = _Share(receiver, instant_ms)
            shares.append(newest[receiver])
        elif what == "returned":
            theirs = newest.get(receiver)
            if theirs is not None and theirs.end_ms is None and theirs is not mine:
                theirs.end_ms = instant_ms
            if mine is not None and mine.end_ms is not None:
                mine.away.append((mine.end_ms, instant_ms))
                mine.end_ms = None
    return shares


def _moves(reckoning: Reckoning, start_ms: int) -> Iterator[tuple[int, int, str, str, str]]:
    """(instant, order at one instant, what, sender, receiver) of each complete bundle sent since the start."""
    for one in reckoning.facts.forwards:
        if one.sent_ms < start_ms or not one.complete:
            continue
        yield one.sent_ms, 0, "sent", one.from_office, one.to_office
        if one.received_ms is not None:
            yield one.received_ms, 1, "received", one.from_office, one.to_office
        if one.returned_ms is not None:
            yield one.returned_ms, 2, "returned", one.from_office, one.to_office
