"""Handling: from acceptance to decision, in both the promise and the law's limit, whoever holds the case meanwhile.

For: the overall limits with suspensions, extension and restart; 上报件, whose county part ends when the bundle is sent.
May not: know the shares of single offices (conflict/stages.py), or acceptance (conflict/acceptance.py).
Spec: docs/conflict/deadlines.md, "Handling".  Source: glossary, deadline rules 4 to 8 and 13; 行政许可法 §42 to 45.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conflict.acceptance import NOTICES_MAX, Acceptance, timely_notice
from conflict.clock import Extension, Limit
from conflict.counting import Counter, End, Pause, merged
from conflict.kinds import CaseKind
from conflict.limits import SUPERIOR_DEFAULT, above_county
from conflict.reckoning import CardPlan, Reckoning, Span
from conflict.time_limit import TimeLimit


@dataclass(frozen=True, slots=True)
class Handling:
    """limits: promise, law, or both. end: the county's own, by the promise if there is one; overall: the applicant's.

    start_ms, pauses (special procedures), paused, ended_ms, stopped_ms, guessed: what the offices' shares have in common.
    """

    limits: tuple[TimeLimit, ...]
    end: End
    overall: End
    office: str
    start_ms: int
    pauses: tuple[Pause, ...]
    paused: bool
    ended_ms: int | None
    stopped_ms: int | None
    guessed: bool


def handling(reckoning: Reckoning, accepted: Acceptance) -> Handling | None:
    """The overall handling limits, or None before acceptance."""
    if accepted.effect_ms is None:
        return None
    facts = reckoning.facts
    office = facts.accepted_office or facts.received_office
    counter = reckoning.counter(office)
    decided_ms = earliest(facts.decided_ms, facts.concluded_ms)
    start_ms, waits = _start(reckoning, accepted.effect_ms, counter)
    pauses, suspended = _pauses(reckoning, decided_ms)
    sent_up_ms = _sent_up(reckoning) if reckoning.terms.kind == CaseKind.SUBMIT_UP else None
    ended_ms = decided_ms if sent_up_ms is None else sent_up_ms
    own_pauses = merged([*pauses, *_away(reckoning)])
    frame = _Frame(reckoning, counter, office, start_ms, own_pauses, waits or suspended, ended_ms, accepted.guessed)
    promised, statutory = _both(frame)
    limits = tuple(reckoning.judged(span) for span in (promised, statutory) if span is not None)
    told = promised or statutory
    assert told is not None, "Terms.handling names at least one"
    end = End(told.end.due_ms, told.end.provisional or accepted.guessed)
    superior = reckoning.terms.kind == CaseKind.SUBMIT_UP
    return Handling(
        limits=limits,
        end=end,
        overall=counter.end_after(SUPERIOR_DEFAULT, end) if superior else end,
        office=office,
        start_ms=start_ms,
        pauses=pauses,
        paused=frame.paused,
        ended_ms=decided_ms,
        stopped_ms=facts.ended_ms,
        guessed=accepted.guessed,
    )


def earliest(*instants_ms: int | None) -> int | None:
    """The earliest of the instants that have happened."""
    return min((one for one in instants_ms if one is not None), default=None)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What promise and law have in common."""

    reckoning: Reckoning
    counter: Counter
    office: str
    start_ms: int
    pauses: tuple[Pause, ...]
    paused: bool
    ended_ms: int | None
    guessed: bool

    def span(self, name: str, limit: Limit, basis: str, end: End, plan: CardPlan, remarks: tuple[str, ...]) -> Span:
        return Span(
            name=name,
            office=self.office,
            limit=limit,
            basis=basis,
            start_ms=self.start_ms,
            end=end,
            plan=plan,
            pauses=self.pauses,
            ended_ms=self.ended_ms,
            stopped_ms=self.reckoning.facts.ended_ms,
            paused=self.paused,
            guessed=self.guessed,
            remarks=remarks,
        )


def _both(frame: _Frame) -> tuple[Span | None, Span | None]:
    """Promise and law's limit. The promise is measured on the same clock and never ends after the law's limit."""
    promise, law = frame.reckoning.terms.handling()
    promised = statutory = None
    if law is not None:
        limit, basis = law
        end, remarks = _extended(frame, limit)
        statutory = frame.span("statutory", limit, basis, end, "law" if promise else "both", remarks)
    if promise is not None:
        limit, basis = promise
        end, remarks = _extended(frame, limit)
        if statutory is not None and statutory.end.due_ms < end.due_ms:
            end = statutory.end
        answers = frame.reckoning.terms.kind == CaseKind.REPLY and statutory is None
        promised = frame.span("promised", limit, basis, end, "consultation" if answers else "promise", remarks)
    return promised, statutory


def _extended(frame: _Frame, limit: Limit) -> tuple[End, tuple[str, ...]]:
    """The end of a limit with the first extension that counts, and why others do not."""
    end = frame.counter.end(limit, frame.start_ms, frame.pauses)
    remarks: dict[str, None] = {}
    extended = False
    for extension in sorted(frame.reckoning.facts.extensions, key=lambda one: one.at_ms):
        flaw = "extension_repeated" if extended else _flaw(extension, end)
        if flaw is not None:
            remarks[flaw] = None
            continue
        asked = Limit.read([extension.count, extension.unit])
        assert asked is not None, "checked by _flaw"
        ends = [_longer(frame, limit, more, end) for more in (asked, frame.reckoning.terms.extend)]
        if ends[1].due_ms < ends[0].due_ms:
            remarks["extension_cut_to_lawful"] = None
        end = min(ends, key=lambda one: one.due_ms)
        extended = True
    return end, tuple(remarks)


def _longer(frame: _Frame, limit: Limit, more: Limit, end: End) -> End:
    if more.unit == limit.unit:
        return frame.counter.end(Limit(limit.count + more.count, limit.unit), frame.start_ms, frame.pauses)
    return frame.counter.end_after(more, end, frame.pauses)


def _flaw(extension: Extension, end: End) -> str | None:
    """Why an extension does not count (glossary rule 7), or None. The reason given is not ours to judge."""
    if Limit.read([extension.count, extension.unit]) is None:
        return "extension_malformed"
    if not extension.approver:
        return "extension_without_approver"
    if not extension.notified:
        return "extension_without_notice"
    return "extension_too_late" if extension.at_ms > end.due_ms else None


def _start(reckoning: Reckoning, accepted_ms: int, counter: Counter) -> tuple[int, bool]:
    """When handling starts, and whether it waits for a supplement that will restart it (glossary rule 6).

    A notice after acceptance stops nothing unless the item's law restarts the limit; then a notice in time does.
    """
    start_ms = accepted_ms
    if not reckoning.terms.restart_on_supplement:
        return start_ms, False
    promise, law = reckoning.terms.handling()
    limit, _ = law or promise or (None, "")
    for supplement in sorted(reckoning.facts.supplements, key=lambda one: one.notice_ms)[:NOTICES_MAX]:
        if supplement.notice_ms < accepted_ms or limit is None:
            continue
        if not timely_notice(reckoning, supplement, start_ms, counter.end(limit, start_ms).due_ms):
            continue
        if supplement.supplied_ms is None:
            decided_ms = earliest(reckoning.facts.decided_ms, reckoning.facts.concluded_ms, reckoning.facts.ended_ms)
            return max(start_ms, reckoning.now_ms if decided_ms is None else start_ms), decided_ms is None
        start_ms = max(start_ms, supplement.supplied_ms)
    return start_ms, False


def _pauses(reckoning: Reckoning, decided_ms: int | None) -> tuple[tuple[Pause, ...], bool]:
    """What is not counted, merged; and whether such a time runs now.

    A special procedure counts out only with a written notice (glossary rule 5). One that runs lasts at least as long as
    announced.
    """
    facts, now_ms = reckoning.facts, reckoning.now_ms
    closed_ms = earliest(decided_ms, facts.ended_ms)
    pauses: list[Pause] = []
    runs = False
    for one in facts.suspensions:
        if not one.written_notice:
            continue
        if one.end_ms is not None:
            pauses.append((one.start_ms, one.end_ms))
        elif closed_ms is not None:
            pauses.append((one.start_ms, closed_ms))
        else:
            pauses.append((one.start_ms, max(now_ms, announced_end(reckoning, one.start_ms, one.days))))
            runs = True
    return merged(pauses), runs


def _away(reckoning: Reckoning) -> list[Pause]:
    """For 上报件 the time at the superior, if the case comes back: it is left out of the county's part."""
    if reckoning.terms.kind != CaseKind.SUBMIT_UP:
        return []
    forwards = [one for one in reckoning.facts.forwards if above_county(one.to_office)]
    return [(one.sent_ms, one.returned_ms) for one in forwards if one.returned_ms is not None]


def announced_end(reckoning: Reckoning, start_ms: int, days: int | None) -> int:
    """When a special procedure should end by its written notice; its start if the notice names no time."""
    limit = Limit.read([days, "workday"])
    if limit is None:
        return start_ms
    return reckoning.counter(reckoning.facts.accepted_office).end(limit, start_ms).due_ms


def _sent_up(reckoning: Reckoning) -> int | None:
    """When the complete bundle went above the county and stayed there."""
    sent: Iterable[int] = (
        one.sent_ms
        for one in reckoning.facts.forwards
        if above_county(one.to_office) and one.complete and one.returned_ms is None
    )
    return max(sent, default=None)
