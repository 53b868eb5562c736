"""Makes the vectors of the fold: one scenario a file, from fixed test keys.

Run: python -m tests.vectors.conflict.generate   (adds files that are missing; a released vector is never rewritten)

A scenario written by hand states what must come out, a cell of the matrix promises it; where the fold says otherwise
no file is written and the run fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conflict.fold import fold
from conflict.matrix import CELLS, rule_for
from tests.unit.conflict.cells import hold_cell
from tests.unit.conflict.pairs import CONTEXTS, as_ops, pairs
from tests.unit.conflict.vectors import clock_laid_out, given, laid_out, play
from tests.vectors.conflict.scenarios import SCENARIOS

HERE = Path(__file__).parent


def from_scenarios() -> Iterator[tuple[str, dict[str, Any]]]:
    """The hand-written ones. Raises AssertionError naming what the fold sees otherwise."""
    for scenario in SCENARIOS:
        vector: dict[str, Any] = {"about": scenario.about, "spec": scenario.spec}
        if scenario.terms:
            vector["terms"] = scenario.terms
        vector["ops"] = scenario.ops
        case = play(vector)
        view = fold(given(vector, case))
        expect = laid_out(case, view)
        if scenario.clock:
            expect["clock"] = clock_laid_out(view)
        for key, wanted in scenario.want.items():
            assert expect.get(key, type(wanted)()) == wanted, (
                f"{scenario.name}: {key} is {expect.get(key)}, not {wanted}"
            )
        yield scenario.name, vector | {"expect": expect}


def from_matrix() -> Iterator[tuple[str, dict[str, Any]]]:
    """One for each cell that is not "commutes"."""
    for pair in pairs():
        one, other = pair.kinds
        if CELLS[one, other] == ".":
            continue
        rule = rule_for(one, other)
        vector: dict[str, Any] = {
            "about": f"{one} and {other} by authors who did not know of each other ({pair.context}): {rule.english}",
            "spec": "docs/conflict/matrix.md",
            "terms": CONTEXTS[pair.context].terms,
            "ops": as_ops(*pair),
        }
        case = play(vector)
        view = fold(case.ops.values())
        hold_cell(pair, case, view)
        yield f"matrix_{one}_{other}", vector | {"expect": laid_out(case, view)}


def main() -> None:
    for name, vector in [*from_scenarios(), *from_matrix()]:
        path = HERE / f"{name}.json"
        if not path.exists():
            path.write_text(json.dumps(vector, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
