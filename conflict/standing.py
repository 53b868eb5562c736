"""Whether an act still counts: it was allowed where its author stood, but others acted meanwhile.

For: one op, the state it meets in the replay, and the acts set down before it that its author had not seen.
May not: ask about powers again (they were checked at the causal point); know anything of clocks.
Spec: docs/conflict/fold.md, "What still counts".  The pairs: matrix.py; the statuses: status.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from conflict.contest import conflict_id
from conflict.history import History, bits
from conflict.kinds import OpKind, level_rank
from conflict.matrix import CELLS, OVERTAKEN_BY, rule_for
from conflict.state import OPEN_MAX, Decided, State, acting_office, advance, stage_key
from conflict.status import MOVES, STILL_COUNTS
from protocol.op import Op

GROUND_GONE = "ground_gone"  # what the act answers or rests on is not there any more


class Loss(NamedTuple):
    """An op that does not count: its index, the rule, the index of the act that stands against it (-1: none named)."""

    op: int
    rule: str
    by: int


class Ledger:
    """What has been set down so far in one stretch of the replay."""

    def __init__(self, history: History, anew: Iterable[int]) -> None:
        self.history = history
        self._judgements: dict[object, int] = {}
        for index in anew:
            op = history.ops[index]
            if op.kind in (OpKind.KEEP_DUPLICATE, OpKind.DECLARE_DISTINCT):
                other = op.body["other"]
                self._judgements[other] = self._judgements.get(other, 0) | 1 << index
        self._by_kind: dict[str, int] = {}
        self._lost: dict[int, int] = {}  # op that does not count -> the one on whose account
        self._lost_mask = 0
        self._by_subject: dict[tuple[str, object], int] = {}
        self._last_move = -1

    def count(self, index: int, state: State, after: State) -> None:
        """Note that the op counts, and whether it moved the case."""
        op = self.history.ops[index]
        self._by_kind[op.kind] = self._by_kind.get(op.kind, 0) | 1 << index
        self._by_subject[op.kind, subject(op, state)] = index
        if after.status is not state.status or after.holder != state.holder or after.handover != state.handover:
            self._last_move = index

    def lose(self, index: int, by: int) -> None:
        """Note that the op does not count, on account of `by`; what builds upon it alone falls with it."""
        self._lost[index] = by
        self._lost_mask |= 1 << index

    def cause(self, index: int) -> int:
        """On whose account the ground of this op is gone: that of the op below it that fell, else the last move."""
        fallen = self._lost_mask & self.history.before[index]
        return self._lost[fallen.bit_length() - 1] if fallen else self._last_move

    def unseen(self, kind: str, index: int) -> int:
        """The first op of `kind` set down that the author of `index` had not seen, or -1."""
        mask = self._by_kind.get(kind, 0) & ~self.history.before[index]
        return (mask & -mask).bit_length() - 1

    def judged_otherwise(self, index: int) -> int:
        """An unseen judgement, set down already or not, that the other case is no duplicate to be linked; or -1.

        Not seen by the link, and not made in knowledge of it either: who had seen the link judged after it.
        """
        before = self.history.before
        for other in bits(self._judgements.get(self.history.ops[index].body["other"], 0) & ~before[index]):
            if not before[other] >> index & 1:
                return other
        return -1

    def same_act(self, index: int, state: State) -> int:
        """An unseen op of the same kind about the same thing, or -1."""
        op = self.history.ops[index]
        found = self._by_subject.get((op.kind, subject(op, state)), -1)
        return found if found >= 0 and not self.history.before[index] >> found & 1 else -1


def subject(op: Op, state: State) -> object:
    """What makes two acts of one kind the same act."""
    if op.kind in _ANSWERS:
        return op.body.get("of")
    if op.kind == OpKind.NOTICE:
        return stage_key(op.office, state.status)
    if op.kind == OpKind.REHOME:
        return op.body.get("office")
    if op.kind in _JUDGEMENTS:
        return op.body.get("other")
    return None


_ANSWERS = frozenset({OpKind.TAKE, OpKind.RECALL, OpKind.RETURN, OpKind.RESUME, OpKind.SUPPLEMENT})
_JUDGEMENTS = frozenset({OpKind.KEEP_DUPLICATE, OpKind.LINK_DUPLICATE, OpKind.DECLARE_DISTINCT})
_HOLDER_ACTS = frozenset(
    {OpKind.ACCEPT, OpKind.REFUSE_ACCEPTANCE, OpKind.FORWARD, OpKind.START, OpKind.EXAMINE, OpKind.SUSPEND}
)


def stands(index: int, state: State, seen: State | None, ledger: Ledger) -> tuple[State, Loss | None]:
    """The state after the op if it counts in `state`, else the same state and why not.

    seen: the state at the op's causal point (None if nobody needed it yet).
    """
    op = ledger.history.ops[index]
    kind = OpKind(op.kind)
    if op.opens:
        return advance(state, op), None
    for stronger in OVERTAKEN_BY[kind]:
        other = ledger.unseen(stronger, index)
        if other >= 0:
            return state, Loss(index, rule_for(stronger, kind).name, other)
    if kind is OpKind.LINK_DUPLICATE:
        other = ledger.judged_otherwise(index)
        if other >= 0:
            return state, Loss(index, rule_for(kind, OpKind.KEEP_DUPLICATE).name, other)
    if kind is OpKind.DECIDE:
        return _decide(index, state, ledger)
    if kind is OpKind.RESOLVE:
        return _resolve(index, state, ledger)
    if _possible(op, kind, state, seen) and not (CELLS[kind, kind] == "S" and ledger.same_act(index, state) >= 0):
        return advance(state, op), None
    return state, _why_not(index, kind, state, ledger)


def _why_not(index: int, kind: OpKind, state: State, ledger: Ledger) -> Loss:
    twin = ledger.same_act(index, state)
    if twin >= 0 and CELLS[kind, kind] in ("S", "H"):
        return Loss(index, rule_for(kind, kind).name, twin)
    if kind is OpKind.TAKE and ledger.unseen(kind, index) >= 0:
        return Loss(index, rule_for(OpKind.FORWARD, OpKind.FORWARD).name, ledger.unseen(kind, index))
    return Loss(index, GROUND_GONE, ledger.cause(index))


def _possible(op: Op, kind: OpKind, state: State, seen: State | None) -> bool:
    if state.status not in MOVES[kind] and state.status not in STILL_COUNTS.get(kind, ()):
        return False
    if kind in _HOLDER_ACTS and (state.holder != acting_office(op) or state.handover is not None):
        return False
    check = _CHECKS.get(kind)
    return check is None or check(op, state, seen)


def _pending(op: Op, state: State, seen: State | None) -> bool:
    return state.handover is not None and state.handover.op == op.body["of"]


def _returnable(op: Op, state: State, seen: State | None) -> bool:
    held = state.handover is None and state.tenure is not None and state.tenure.op == op.body["of"]
    return held or _pending(op, state, seen)


def _same_decision(op: Op, state: State, seen: State | None) -> bool:
    return seen is None or seen.decisions == state.decisions


def _same_conclusion(op: Op, state: State, seen: State | None) -> bool:
    return seen is None or seen.concluded == state.concluded


def _first_notice(op: Op, state: State, seen: State | None) -> bool:
    return stage_key(op.office, state.status) not in state.noticed


def _not_extended(op: Op, state: State, seen: State | None) -> bool:
    return state.extended is None


def _suspended_by(op: Op, state: State, seen: State | None) -> bool:
    return op.body["of"] in state.suspensions


_CHECKS: Mapping[OpKind, Callable[[Op, State, State | None], bool]] = {
    OpKind.TAKE: _pending,
    OpKind.RECALL: _pending,
    OpKind.RETURN: _returnable,
    OpKind.CONCLUDE: _same_decision,
    OpKind.DELIVER: _same_conclusion,
    OpKind.NOTICE: _first_notice,
    OpKind.EXTEND: _not_extended,
    OpKind.RESUME: _suspended_by,
}


def _decide(index: int, state: State, ledger: Ledger) -> tuple[State, Loss | None]:
    """A first decision counts; of two, the higher office's; of equals that differ, both until a person chooses."""
    op = ledger.history.ops[index]
    acting = acting_office(op)
    other = ledger.unseen(OpKind.DECIDE, index)
    if other < 0:
        holds = state.holder == acting and state.handover is None
        answers = state.handover is not None and state.handover.target == acting
        if state.status in MOVES[OpKind.DECIDE] and (holds or answers):
            return advance(state, op), None
        return state, Loss(index, GROUND_GONE, ledger.cause(index))
    first = ledger.history.ops[other]
    if level_rank(acting_office(first)) > level_rank(acting):
        return state, Loss(index, "decision_stands", other)
    if all(first.body.get(key) == op.body.get(key) for key in ("decision", "document")):
        return state, Loss(index, "same_act", other)
    decisions = (*state.decisions, Decided(op.id, op.id))
    return state._replace(decisions=decisions[:OPEN_MAX]), None


def decision_conflict(decisions: tuple[Decided, ...]) -> str | None:
    """The id of the conflict between decisions that contradict each other, or None."""
    return conflict_id("decision", "", (item.by for item in decisions)) if len(decisions) > 1 else None


def decision_choices(decisions: tuple[Decided, ...]) -> tuple[Decided, ...]:
    """The order in which a person is offered them."""
    return tuple(sorted(decisions, key=lambda item: item.by))


def _resolve(index: int, state: State, ledger: Ledger) -> tuple[State, Loss | None]:
    """A person's choice between contested decisions; two choices that differ are contested again."""
    op = ledger.history.ops[index]
    conflict, choice = op.body["conflict"], op.body["choice"]
    if decision_conflict(state.decisions) == conflict:
        chosen = decision_choices(state.decisions)[choice]
        settled = (Decided(chosen.op, op.id),)
        return state._replace(decisions=settled, settled=state.decisions), None
    if decision_conflict(state.settled) == conflict:
        chosen = decision_choices(state.settled)[choice]
        if all(item.op == chosen.op for item in state.decisions):
            return state, None
        return state._replace(decisions=(*state.decisions, Decided(chosen.op, op.id))[:OPEN_MAX]), None
    return state, Loss(index, GROUND_GONE, ledger.cause(index))
