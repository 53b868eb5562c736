"""The fold: from the set of a case's ops to what everybody sees of the case.

For: one total, pure function; the same set of ops under the same rules gives the same view, byte for byte.
May not: raise on anything an author can sign; use order of arrival, repeats, carriers or clocks.
Spec: docs/conflict/fold.md.  Parts: history, powers, replay, fields, materials, times; the result: view.
"""

from __future__ import annotations

from collections.abc import Iterable

from conflict.contest import field_of
from conflict.fields import Fields
from conflict.history import History, read_history
from conflict.kinds import OPENING, FieldClass, OpKind
from conflict.powers import Act, Contested, Frame, check, may_open
from conflict.replay import Node, Replay
from conflict.rules import RuleSet, rule_set
from conflict.standing import decision_conflict
from conflict.state import State
from conflict.summary import Findings, summarise, summarise_unread
from conflict.view import CaseView
from protocol.errors import RefusedError
from protocol.op import Op

# Kinds that never move the state: what they say stands beside it.
CONTENT = frozenset({OpKind.AMEND, OpKind.ATTACH, OpKind.CHECK_MATERIAL, OpKind.NOTE, OpKind.TIME_BOUND})


def fold(ops: Iterable[Op], *, rules: int | None = None) -> CaseView:
    """The view of the one case that `ops` are about.

    Args:    ops: any iterable, any order, repeats allowed; signatures and authors have been checked by the caller,
             above all that only the county hub's device writes with the role `hub`.
             rules: number of the rule set; None for the one that the opener names.
    Returns: a view for every input. Ops without their parents wait in it; without the opener all do (status draft).
             A case under rules that this program does not have yet waits as a whole, with the code `unknown_rules`.
    Cost:    about 30 µs an op on a linear history, n log n in general (docs/conflict/fold.md, "Cost").
    """
    history = read_history(ops)
    opener = history.ops[0] if history.ops else None
    number = rules if rules is not None else (opener.reference.rules if opener is not None else 1)
    chosen = rule_set(number)
    if opener is None or chosen is None:
        return CaseView(summarise_unread(history, number, known=chosen is not None))
    work = _Fold(history, opener, chosen)
    work.run()
    standing, details = summarise(work.findings())
    return CaseView(standing, details=details, steps=work.replay.steps)


class _Fold:
    """One run over one history."""

    def __init__(self, history: History, opener: Op, rules: RuleSet) -> None:
        terms = opener.body.get("terms")
        self.history = history
        self.rules = rules
        self.frame = Frame.of(opener.office, terms if isinstance(terms, dict) else {})
        self.replay = Replay(history)
        self.fields = Fields(history, rules.fields)
        self.refused: dict[int, RefusedError] = {}
        self.vetoes: list[tuple[int, int]] = []  # index of the veto, index of its target

    def run(self) -> None:
        """Every op at its causal point, parents first."""
        for index, op in enumerate(self.history.ops):
            base = self.replay.base_of(index)
            sight = _CausalPoint(self, index, base)
            try:
                self._weigh(sight, op)
            except RefusedError as error:
                self.refused[index] = error
                self.replay.pass_by(base)
                continue
            self._write(sight, index, op)
            if op.kind in CONTENT or (op.kind == OpKind.RESOLVE and field_of(op.body["conflict"]) is not None):
                self.replay.pass_by(base)
            else:
                self.replay.admit(index, base)

    def findings(self) -> Findings:
        """What the run found, for the summary."""
        void = 0
        for _, target in self.vetoes:
            void |= 1 << target
        return Findings(
            history=self.history,
            frame=self.frame,
            rules=self.rules.number,
            outcome=self.replay.outcome(),
            refused=self.refused,
            vetoes={target: veto for veto, target in reversed(self.vetoes)},
            void=void,
            fields=self.fields,
        )

    def void_at(self, index: int) -> int:
        """The ops that the author of this op knew to be vetoed."""
        before = self.history.before[index]
        void = 0
        for veto, target in self.vetoes:
            if before >> veto & 1:
                void |= 1 << target
        return void

    def _weigh(self, sight: _CausalPoint, op: Op) -> None:
        if op.opens:
            may_open(op.kind, op.office, op.role, op.body)
        else:
            check(sight, Act(op.kind, op.office, op.role, op.body))

    def _write(self, sight: _CausalPoint, index: int, op: Op) -> None:
        """Note the field values that the op brings, and what the hub voids."""
        if op.kind == OpKind.VETO:
            target = self.history.index.get(op.body["of"])
            if target is not None and self.history.ops[target].kind != OpKind.VETO:
                self.vetoes.append((index, target))
        elif op.kind == OpKind.RESOLVE:
            field = field_of(op.body["conflict"])
            found = None if field is None else self.fields.contested(field, sight.within)
            if field is not None and found is not None:
                choice = op.body["choice"]
                self.fields.add(index, {field: choice if type(choice) is str else found[1][choice].value})
        elif op.kind in (OpKind.AMEND, OpKind.SUPPLEMENT) or (op.opens and op.kind in OPENING):
            self.fields.add(index, op.body.get("fields") or {})


class _CausalPoint:
    """The case as the author of one op saw it (powers.Sight)."""

    __slots__ = ("_base", "_fold", "_index")

    def __init__(self, fold: _Fold, index: int, base: Node) -> None:
        self._fold = fold
        self._index = index
        self._base = base

    @property
    def state(self) -> State:
        return self._fold.replay.state_of(self._base)

    @property
    def frame(self) -> Frame:
        return self._fold.frame

    @property
    def within(self) -> int:
        """Mask of the ops that the author had seen and that were not vetoed then."""
        return self._fold.history.before[self._index] & ~self._fold.void_at(self._index)

    def contested(self, conflict_id: str) -> Contested | None:
        field = field_of(conflict_id)
        if field is not None:
            found = self._fold.fields.contested(field, self.within)
            if found is None or found[0] != conflict_id:
                return None
            return Contested("field", self.frame.class_of(field), len(found[1]))
        decisions = self.state.decisions
        if decision_conflict(decisions) != conflict_id:
            return None
        return Contested("decision", FieldClass.DECISION, len(decisions))

    def hinders_conclusion(self) -> str | None:
        for field in self._fold.fields.names():
            if self.frame.class_of(field) is FieldClass.IDENTITY:
                found = self._fold.fields.contested(field, self.within)
                if found is not None:
                    return found[0]
        return decision_conflict(self.state.decisions)

    def knows(self, op_id: bytes, kind: OpKind) -> bool:
        index = self._fold.history.index.get(op_id)
        if index is None or not self.within >> index & 1 or index in self._fold.refused:
            return False
        return self._fold.history.ops[index].kind == kind
