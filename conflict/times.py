"""Effective times: what an op's claimed time is worth.

For: one time per op, bounded by evidence, that deadlines and people see.
May not: order ops or settle anything (law 5: device clocks decide nothing); read a clock.
Spec: docs/conflict/fold.md, "Effective times".
"""

from __future__ import annotations

from conflict.history import History
from conflict.kinds import OpKind, Role
from protocol.canonical import INT_MAX
from protocol.op import Op

DRIFT_MAX_MS = 10 * 60_000  # a claim further than this from hub time + elapsed gives way to it


def effective_times(history: History, applied: frozenset[int] | set[int]) -> list[int]:
    """Milliseconds UTC per index; an op is never earlier than one that its author had seen.

    lower bound: the hub time that the author held, and the times of the parents. upper bound: the hub's time_bound
    ops in `applied`, and the time of every op of the hub itself that builds upon the op (the hub's clock is the
    county's). An upper bound holds for everything below it too, so one clock that is fifty years ahead drags
    nothing along once the hub has spoken. Where bounds contradict each other the hub's word wins.
    """
    latest, earliest = _bounds(history, applied)
    times: list[int] = []
    for index, op in enumerate(history.ops):
        time = _claim(op)
        for parent in history.parents[index]:
            time = max(time, times[parent])
        if index in earliest:
            time = max(time, earliest[index])
        upper = latest[index]
        time = time if upper is None else min(time, upper)
        times.append(max(-INT_MAX, min(time, INT_MAX)))
    return times


def _claim(op: Op) -> int:
    """The author's claim, corrected by its evidence: the last signed hub time it held and what has elapsed since."""
    if op.evidence is None:
        return op.claimed_ms
    hub_ms, elapsed_ms = op.evidence
    if elapsed_ms >= 0 and abs(op.claimed_ms - hub_ms - elapsed_ms) > DRIFT_MAX_MS:
        return hub_ms + elapsed_ms
    return max(op.claimed_ms, hub_ms)


def _bounds(history: History, applied: frozenset[int] | set[int]) -> tuple[list[int | None], dict[int, int]]:
    count = len(history.ops)
    latest: list[int | None] = [None] * count
    earliest: dict[int, int] = {}
    for index in sorted(applied):
        op = history.ops[index]
        if op.kind == OpKind.TIME_BOUND:
            target = history.index.get(op.body["of"])
            if target is not None:
                latest[target] = _least(latest[target], op.body["latest_ms"])
                if op.body.get("earliest_ms") is not None:
                    earliest[target] = max(earliest.get(target, 0), op.body["earliest_ms"])
        if op.role == Role.HUB:
            latest[index] = _least(latest[index], op.claimed_ms)
    for index in range(count - 1, -1, -1):
        for parent in history.parents[index]:
            latest[parent] = _least(latest[parent], latest[index])
    return latest, earliest


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
