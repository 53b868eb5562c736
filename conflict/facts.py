"""Clock facts: the instants and limits of a case, gathered from the acts that count.

For: filling conflict.clock.ClockFacts, the only thing that deadline.py reads.
May not: count days, know the calendar or the time now.
Spec: docs/conflict/deadlines.md, "Facts".  Change with it: clock.py.
"""

from __future__ import annotations

from typing import Any

from conflict.clock import ClockFacts, Extension, Forward, Supplement, Suspension
from conflict.history import History
from conflict.kinds import OpKind
from conflict.state import State, acting_office
from protocol.op import Op


class _Acts:
    """The ops that count, by kind, in the order of the history, with their times."""

    def __init__(self, history: History, counted: list[int], times: list[int]) -> None:
        self.times = times
        self.by_kind: dict[str, list[tuple[Op, int]]] = {}
        for index in counted:
            op = history.ops[index]
            self.by_kind.setdefault(op.kind, []).append((op, times[index]))

    def of(self, *kinds: OpKind) -> list[tuple[Op, int]]:
        return [pair for kind in kinds for pair in self.by_kind.get(kind, [])]

    def first(self, *kinds: OpKind) -> int | None:
        return min((time for _, time in self.of(*kinds)), default=None)

    def answers(self, *kinds: OpKind) -> dict[bytes, int]:
        """Op id that is answered -> time of the first answer."""
        found: dict[bytes, int] = {}
        for op, time in self.of(*kinds):
            found[op.body["of"]] = min(time, found.get(op.body["of"], time))
        return found


def clock_facts(history: History, counted: list[int], times: list[int], state: State, opener: Op) -> dict[str, Any]:
    """The facts as plain values (ClockFacts.to_dict); {} while the opener does not count."""
    acts = _Acts(history, counted, times)
    if 0 not in counted[:1]:
        return {}
    received = min([times[0], *(op.body["received_ms"] for op, _ in acts.of(OpKind.KEEP_DUPLICATE) if _carries(op))])
    accepts = acts.of(OpKind.ACCEPT)
    accept, accepted_ms = accepts[0] if accepts else (None, None)
    decided = [history.index[item.op] for item in state.decisions]
    facts = ClockFacts(
        terms=opener.body["terms"],
        received_ms=received,
        received_office=opener.office,
        accepted_ms=accepted_ms,
        accepted_office="" if accept is None else accept.office,
        mode="" if accept is None else _mode(accept),
        refused_ms=acts.first(OpKind.REFUSE_ACCEPTANCE),
        supplements=_supplements(acts),
        suspensions=_suspensions(acts),
        extensions=_extensions(acts),
        forwards=_forwards(acts, history),
        decided_ms=min((times[index] for index in decided), default=None),
        decision=str(history.ops[decided[0]].body["decision"]) if decided else "",
        concluded_ms=acts.first(OpKind.CONCLUDE),
        delivered_ms=acts.first(OpKind.DELIVER),
        ended_ms=acts.first(OpKind.WITHDRAW, OpKind.VOID, OpKind.LINK_DUPLICATE),
        calendar_version=0 if accept is None else accept.reference.calendar,
    )
    return facts.to_dict()


def _carries(op: Op) -> bool:
    return type(op.body.get("received_ms")) is int


def _mode(accept: Op) -> str:
    if accept.body.get("deemed") is True:
        return "deemed"
    return "conditional" if accept.body.get("conditional") else "normal"


def _supplements(acts: _Acts) -> tuple[Supplement, ...]:
    answered = acts.answers(OpKind.SUPPLEMENT)
    return tuple(
        Supplement(time, answered.get(op.id), tuple(op.body["limit"]) if op.body.get("limit") else None)
        for op, time in acts.of(OpKind.NOTICE)
    )


def _suspensions(acts: _Acts) -> tuple[Suspension, ...]:
    ended = acts.answers(OpKind.RESUME)
    return tuple(
        Suspension(time, ended.get(op.id), op.body["written_notice"], op.body.get("days"))
        for op, time in acts.of(OpKind.SUSPEND)
    )


def _extensions(acts: _Acts) -> tuple[Extension, ...]:
    return tuple(
        Extension(time, op.body["days"], op.body["unit"], op.body["approver"], op.body["notified"])
        for op, time in acts.of(OpKind.EXTEND)
    )


def _forwards(acts: _Acts, history: History) -> tuple[Forward, ...]:
    taken = acts.answers(OpKind.TAKE)
    back = acts.answers(OpKind.RETURN, OpKind.RECALL)
    answered = {acting_office(op): time for op, time in reversed(acts.of(OpKind.DECIDE))}
    wanted = _wanted(acts, history)
    found = []
    for op, time in acts.of(OpKind.FORWARD):
        before = history.before[history.index[op.id]]
        complete = all(not before & asked or before & given for asked, given in wanted)
        received = taken.get(op.id, answered.get(op.body["to"]) if op.id not in back else None)
        found.append(Forward(time, op.office, op.body["to"], received, back.get(op.id), complete))
    return tuple(found)


def _wanted(acts: _Acts, history: History) -> list[tuple[int, int]]:
    """What has to go along: (mask of the op that asked for it, mask of the ops that brought it)."""
    brought: dict[object, int] = {}
    for op, _ in acts.of(OpKind.ATTACH, OpKind.SUPPLEMENT):
        mask = 1 << history.index[op.id]
        names = [op.body["material"]] if op.kind == OpKind.ATTACH else op.body.get("materials", [])
        for name in [*names, op.body.get("of")]:
            brought[name] = brought.get(name, 0) | mask
    asked = [(op.id, op.id) for op, _ in acts.of(OpKind.NOTICE)]
    asked += [(op.id, name) for op, _ in acts.of(OpKind.ACCEPT) for name in op.body.get("conditional", [])]
    return [(1 << history.index[op_id], brought.get(wanted, 0)) for op_id, wanted in asked]
