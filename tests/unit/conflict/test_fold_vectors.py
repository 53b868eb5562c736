"""Every vector of the fold: the same history gives the same view and the same sentences, in any order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from conflict.fold import fold
from conflict.matrix import CELLS, RULES
from tests.unit.conflict.pairs import pairs
from tests.unit.conflict.vectors import VECTORS, clock_laid_out, given, laid_out, play, read
from tests.vectors.conflict.scenarios import SCENARIOS

FILES = sorted(VECTORS.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = read(path)
    case = play(vector)
    ops = given(vector, case)
    view = fold(ops)
    expect = dict(vector["expect"])
    clock = expect.pop("clock", None)
    assert laid_out(case, view) == expect
    assert clock is None or clock_laid_out(view) == clock
    mixed = [*ops, *ops[:2]]
    random.Random(path.stem).shuffle(mixed)
    assert fold(mixed).digest() == view.digest()


def test_every_scenario_and_every_cell_has_its_file() -> None:
    names = {path.stem for path in FILES}
    by_hand = {scenario.name for scenario in SCENARIOS}
    by_cell = {f"matrix_{one}_{other}" for one, other in (pair.kinds for pair in pairs()) if CELLS[one, other] != "."}
    assert names == by_hand | by_cell
    assert len(by_hand) >= 60


def test_every_rule_has_a_vector() -> None:
    told = "".join(path.read_text(encoding="utf-8") for path in FILES)
    unnamed = {"never_concurrent", "commutes", "hub_veto"}  # a veto gives the hub's own code
    shown_elsewhere = {"by_field_class", "best_grade", "check_by_level", "revocation_wins"}
    for rule in RULES.values():
        assert rule.name in unnamed | shown_elsewhere or f'"{rule.name}"' in told, rule.name
