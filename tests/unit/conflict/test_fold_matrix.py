"""The matrix: complete, consistent, printed as documented, and true for every pair that can occur."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conflict.fold import fold
from conflict.kinds import OpKind
from conflict.matrix import CELLS, GRID, OVERTAKEN_BY, RULES, STRENGTH, parse_grid, rule_for, to_markdown
from tests.unit.conflict.pairs import CONTEXTS, Pair, as_ops, pairs
from tests.unit.conflict.vectors import play

ROOT = Path(__file__).resolve().parents[3]
# Only together with an acceptance that the refusal had not seen, and that has overtaken the refusal already.
UNREACHED = {frozenset({"refuse_acceptance", other}) for other in ("start", "examine", "extend", "suspend", "resume")}


def test_every_pair_has_a_cell() -> None:
    assert set(CELLS) == {(one.value, other.value) for one in OpKind for other in OpKind}


def test_a_kind_without_its_row_fails() -> None:
    rows = GRID.strip().splitlines()
    with pytest.raises(ValueError, match="order of OpKind"):
        parse_grid("\n".join(rows[:-1]))
    with pytest.raises(ValueError, match="cells where"):
        parse_grid("\n".join([*rows[:-1], rows[-1][:-2]]))
    with pytest.raises(ValueError, match="unknown letter"):
        parse_grid("\n".join([*rows[:-1], rows[-1][:-1] + "?"]))


def test_the_document_is_generated_from_the_table() -> None:
    assert (ROOT / "docs" / "conflict" / "matrix.md").read_text(encoding="utf-8") == to_markdown()


def test_every_rule_is_used_and_named_once() -> None:
    assert set(CELLS.values()) == set(RULES)
    assert len({rule.name for rule in RULES.values()}) == len(RULES)


def test_who_overtakes_is_never_weaker() -> None:
    for kind, stronger in OVERTAKEN_BY.items():
        assert all(STRENGTH[other] >= STRENGTH[kind] for other in stronger)
    for (one, other), letter in CELLS.items():
        if RULES[letter].how == "wins" and letter not in "SHX" and one != other:
            pair = {OpKind(one), OpKind(other)}
            assert any(pair - {kind} <= set(OVERTAKEN_BY[kind]) for kind in pair), (one, other)


def test_every_pair_was_found() -> None:
    found = {frozenset(pair.kinds) for pair in pairs()}
    wanted = {frozenset(cell) for cell, letter in CELLS.items() if letter != "-"}
    assert wanted - found == UNREACHED


@pytest.mark.parametrize("pair", list(pairs()), ids=lambda pair: "_".join(pair.kinds))
def test_the_cell_is_true(pair: Pair) -> None:
    """Two acts that did not know of each other have exactly the outcome that the matrix promises."""
    case = play({"terms": CONTEXTS[pair.context].terms, "ops": as_ops(*pair)})
    view = fold(case.ops.values())
    ends = (f"left{len(pair.left)}", f"right{len(pair.right)}")
    verdicts = {case.label_of(entry["op"]): entry for entry in view.timeline}
    hold_cell(pair, [verdicts[label] for label in ends], list(verdicts.values()), view.conflicts)


def hold_cell(
    pair: Pair, acts: list[dict[str, Any]], everything: list[dict[str, Any]], conflicts: list[dict[str, Any]]
) -> None:
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
