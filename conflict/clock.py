"""Clock facts: what the deadlines of a case are computed from, and nothing else.

For: the shape that the fold fills (`view.clock`) and `conflict.deadline` reads; its form of plain values.
May not: know the calendar, count a day, read a clock.
Spec: docs/conflict/deadlines.md, "Facts".  Change with it: conflict/deadline.py, conflict/fold.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Literal

from conflict.calendar import bounded
from protocol.errors import LocalProtocolError

Unit = Literal["workday", "calendar", "hour"]
UNITS: tuple[Unit, ...] = ("workday", "calendar", "hour")
LIMIT_COUNT_MAX = 3_660  # ten years of days; a larger count in somebody's op is no limit that we compute


@dataclass(frozen=True, slots=True)
class Limit:
    """A count of units, such as 20 working days. In terms and bodies it is the pair [count, unit]."""

    count: int
    unit: Unit

    @staticmethod
    def read(value: Any) -> Limit | None:
        """The limit in a pair of an op's body or terms, or None if it is absent or not one that we can compute."""
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            return None
        count, unit = value
        if type(count) is not int or not 0 <= count <= LIMIT_COUNT_MAX or unit not in UNITS:
            return None
        return Limit(count, unit)


@dataclass(frozen=True, slots=True)
class Supplement:
    """A one-time notice and, once the materials came, their arrival. `limit`: the applicant's time, [count, unit]."""

    notice_ms: int
    supplied_ms: int | None = None
    limit: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Suspension:
    """A special procedure, publicity or waiting period. `days`: working days that the written notice announced."""

    start_ms: int
    end_ms: int | None = None
    written_notice: bool = False
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Extension:
    """A recorded extension. It counts only with an approver, and a notice to the applicant, before the limit ends."""

    at_ms: int
    count: int
    unit: str
    approver: str = ""
    notified: bool = False


@dataclass(frozen=True, slots=True)
class Forward:
    """A hand-over. `complete`: opinion and all materials went along. `returned_ms`: sent back, or recalled."""

    sent_ms: int
    from_office: str
    to_office: str
    received_ms: int | None = None
    returned_ms: int | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """The facts of one case that start, stop or move its limits.

    Every `*_ms` is an effective time (claimed, bounded by evidence), ms since 1970 UTC; None means it has not happened.
    `terms` are those that the opener embeds; keys read here: kind, statutory, promised, accept_limit, supplement_limit,
    restart_on_supplement, extend, stages, clock, approve_level. Only applied ops give facts, in the fold's order.
    `received_ms` is also set when the case was opened by acceptance (both at once). `ended_ms`: withdrawn or voided.
    `mode`: how it was accepted, "" before; `decision`: granted, denied, answered, "" before.
    `calendar_version`: the one pinned at acceptance, 0 before or if the author had none.
    """

    terms: Mapping[str, Any] = field(default_factory=dict)
    received_ms: int | None = None
    received_office: str = ""
    accepted_ms: int | None = None
    accepted_office: str = ""
    mode: str = ""
    refused_ms: int | None = None
    supplements: tuple[Supplement, ...] = ()
    suspensions: tuple[Suspension, ...] = ()
    extensions: tuple[Extension, ...] = ()
    forwards: tuple[Forward, ...] = ()
    decided_ms: int | None = None
    decision: str = ""
    concluded_ms: int | None = None
    delivered_ms: int | None = None
    ended_ms: int | None = None
    calendar_version: int = 0

    def bounded(self) -> ClockFacts:
        """The same facts with every instant within the years that are computed: no clock, however wrong, may crash."""
        lists: dict[str, Any] = {
            name: tuple(_bounded(one) for one in getattr(self, name)) for name in _LISTS if getattr(self, name)
        }
        bound: ClockFacts = _bounded(self)
        return replace(bound, **lists) if lists else bound

    def to_dict(self) -> dict[str, Any]:
        """Plain canonical values (dict, list, int, str, bool); what is absent or empty is left out."""
        return {key: _plain(value) for key, value in _said(self).items()}

    @staticmethod
    def from_dict(value: Mapping[str, Any]) -> ClockFacts:
        """The facts in `view.clock`. Raises LocalProtocolError if the fold made another shape: ours to get right."""
        try:
            lists = {
                name: tuple(kind(**_tuples(one)) for one in value[name])
                for name, kind in _LISTS.items()
                if name in value
            }
            return ClockFacts(**{**value, **lists})
        except (TypeError, AttributeError) as error:
            raise LocalProtocolError(f"clock facts of another shape: {error}") from error


_LISTS: dict[str, type] = {
    "supplements": Supplement,
    "suspensions": Suspension,
    "extensions": Extension,
    "forwards": Forward,
}


_INSTANTS = {
    kind: [one.name for one in fields(kind) if one.name.endswith("_ms")] for kind in (ClockFacts, *_LISTS.values())
}


def _said(facts: Any) -> dict[str, Any]:
    """Field values that differ from their default. An instant of 0 ms differs from None."""
    pairs = ((one, getattr(facts, one.name)) for one in fields(facts))
    return {one.name: value for one, value in pairs if one.default is MISSING or value != one.default}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, tuple(_LISTS.values())):
        return {key: _plain(item) for key, item in _said(value).items()}
    return value


def _bounded(facts: Any) -> Any:
    instants = [(name, getattr(facts, name)) for name in _INSTANTS[type(facts)]]
    wrong = {name: bounded(value) for name, value in instants if value is not None and bounded(value) != value}
    return replace(facts, **wrong) if wrong else facts


def _tuples(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(item) if isinstance(item, list) else item for key, item in one.items()}
