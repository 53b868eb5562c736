"""The matrix: complete, consistent, printed as documented, and true for every pair that can occur."""

from __future__ import annotations

from pathlib import Path

import pytest

from conflict.fold import fold
from conflict.kinds import OpKind
from conflict.matrix import CELLS, GRID, OVERTAKEN_BY, RULES, STRENGTH, parse_grid, to_markdown
from tests.unit.conflict.cells import hold_cell
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
    hold_cell(pair, case, view)
