"""What a cell of the matrix promises, held against a view.

For: the test of the matrix and the generator of its vectors.
May not: ask the fold's own parts; it reads the view and the table alone.
"""

from __future__ import annotations

from conflict.kinds import OpKind
from conflict.matrix import STRENGTH, rule_for
from conflict.view import CaseView
from tests.unit.conflict.pairs import Pair
from tests.unit.conflict.support import Case


def hold_cell(pair: Pair, case: Case, view: CaseView) -> None:
    """The last acts of the two branches have the outcome of their cell, and nothing else was disturbed."""
    verdicts = {case.label_of(entry["op"]): entry for entry in view.timeline}
    acts = [verdicts[f"left{len(pair.left)}"], verdicts[f"right{len(pair.right)}"]]
    everything, conflicts = list(verdicts.values()), view.conflicts
    rule = rule_for(*pair.kinds)
    lost = [entry for entry in everything if entry["verdict"] != "applied"]
    overtaken = [entry for entry in acts if entry["verdict"] == "overtaken"]
    if rule.name == "hub_veto":
        assert [entry["code"] for entry in lost if entry["verdict"] == "refused"] == ["not_entitled"]
    elif rule.name == "duplicate_undecided":
        assert [entry["kind"] for entry in lost] in ([], ["link_duplicate"])
        assert ("duplicate", True) in {(entry["kind"], entry["open"]) for entry in conflicts}
    elif rule.how == "wins":
        assert [entry["code"] for entry in overtaken] == [rule.name]
        strengths = [STRENGTH[OpKind(entry["kind"])] for entry in acts]
        assert STRENGTH[OpKind(overtaken[0]["kind"])] == min(strengths)
    else:
        # An acceptance repeated on the way to the pair may count once; the pair itself is not disturbed.
        assert all(entry["code"] == "same_act" for entry in lost)
        if rule.how == "conflict":
            assert conflicts, rule.name
        if rule.name in ("decisions_differ", "settled_differently"):
            assert rule.name in {entry["rule"] for entry in conflicts if entry["open"]}
