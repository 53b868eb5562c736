"""The list of conflicts of a case: open ones first a person's work, settled ones with the rule or act that settled.

For: one shape for clashes of fields, decisions, judgements about duplicates, acts, and of an author with itself.
May not: settle anything (fields.py, standing.py have).
Spec: docs/conflict/view.md, "Conflicts".  Sentences: explain.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from conflict.contest import conflict_id
from conflict.history import History
from conflict.kinds import FieldClass, OpKind
from conflict.matrix import RULES
from conflict.replay import Outcome
from conflict.standing import decision_choices, decision_conflict

_JUDGEMENTS = (OpKind.KEEP_DUPLICATE, OpKind.LINK_DUPLICATE, OpKind.DECLARE_DISTINCT)
_RULES_OF_ACTS = frozenset(rule.name for rule in RULES.values()) - {"same_act", "hub_veto", "duplicate_undecided"}


class Source(Protocol):
    """Who wrote an op: see summary._Writer."""

    def source(self, index: int) -> dict[str, Any]: ...


def conflicts_of(
    history: History, outcome: Outcome, writer: Source, fields: list[dict[str, Any]], judged: list[int]
) -> list[dict[str, Any]]:
    """All conflicts, open ones first, then by kind and id. Entries: docs/conflict/view.md.

    fields: the entries about fields. judged: indexes of the ops about duplicates that the hub did not void.
    """
    found = [
        *fields,
        *_decisions(history, outcome, writer),
        *_duplicates(history, writer, judged),
        *_acts(history, outcome, writer),
        *_equivocations(history, writer),
    ]
    return sorted(found, key=lambda entry: (not entry["open"], entry["kind"], entry["id"]))


def _entry(kind: str, name: str, rule: str, values: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": conflict_id(kind, name, (value["op"] for value in values)),
        "kind": kind,
        "open": False,
        "rule": rule,
        "field": None,
        "class": FieldClass.OTHER.value,
        "values": values,
        "proposal": None,
        "settled_by": None,
    }
    return entry | more


def _act(history: History, writer: Source, index: int, value: str = "") -> dict[str, Any]:
    return writer.source(index) | {"value": value or history.ops[index].kind, "act": history.ops[index].kind}


def _decisions(history: History, outcome: Outcome, writer: Source) -> Iterable[dict[str, Any]]:
    """Decisions that contradict each other now, and those that a person chose from last."""
    state = outcome.state
    for decisions, is_open in ((state.decisions, True), (state.settled, False)):
        name = decision_conflict(decisions)
        if name is None:
            continue
        values = []
        for item in decision_choices(decisions):
            index = history.index[item.op]
            values.append(_act(history, writer, index, str(history.ops[index].body["decision"])))
        chosen = [history.index[item.by] for item in state.decisions if item.by != item.op]
        by = None if is_open or not chosen else writer.source(chosen[0])
        entry = _entry("decision", "", "decisions_differ", values, open=is_open, settled_by=by)
        yield entry | {"id": name, "class": FieldClass.DECISION.value}


def _duplicates(history: History, writer: Source, judged: list[int]) -> Iterable[dict[str, Any]]:
    """Judgements about one other case that contradict each other and that nobody who saw them has settled."""
    by_other: dict[bytes, list[int]] = {}
    for index in judged:
        if history.ops[index].kind in _JUDGEMENTS:
            by_other.setdefault(history.ops[index].body["other"], []).append(index)
    for other, indexes in by_other.items():
        seen = 0
        standing = []
        for index in reversed(indexes):
            if not seen >> index & 1:
                standing.append(index)
            seen |= history.before[index]
        if len({history.ops[index].kind for index in standing}) > 1:
            values = [_act(history, writer, index) for index in standing]
            values.sort(key=lambda value: value["op"])
            yield _entry("duplicate", other.hex()[:16], "duplicate_undecided", values, open=True)


def _acts(history: History, outcome: Outcome, writer: Source) -> Iterable[dict[str, Any]]:
    """Acts of which one overtook the other by a rule of the matrix. values: the one that counts, then the other."""
    for loss in outcome.losses.values():
        if loss.by >= 0 and loss.rule in _RULES_OF_ACTS:
            values = [_act(history, writer, loss.by), _act(history, writer, loss.op)]
            yield _entry("status", "", loss.rule, values, proposal=0)


def _equivocations(history: History, writer: Source) -> Iterable[dict[str, Any]]:
    """Two ops of one device with one sequence number: a clone or a restored backup. Both count as concurrent."""
    by_place: dict[tuple[bytes, int], list[int]] = {}
    for index, op in enumerate(history.ops):
        by_place.setdefault((op.device, op.seq), []).append(index)
    for indexes in by_place.values():
        if len(indexes) > 1:
            values = [_act(history, writer, index) for index in indexes]
            values.sort(key=lambda value: value["op"])
            yield _entry("equivocation", "", "both_kept", values)
