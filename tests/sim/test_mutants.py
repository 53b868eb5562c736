"""Planted bugs: the simulator catches each of them by a short run, and the same run is clean without it.

Method: `ops.simulate.mutants` replaces one behaviour of the product for one run; the finding must be of the kind that
the mutant names and say what it names. By default a few of them, a minute of work; with LIANDONG_SIM_SEEDS all of them,
and so many more seeds of every run, each clean.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops.simulate.mutants import branch, conflict, edge, hub, ledger, link, upkeep
from ops.simulate.mutants.catalogue import MUTANTS
from ops.simulate.mutants.runs import RUNS
from ops.simulate.mutants.trial import attempt, without_mutant

MORE = int(os.environ.get("LIANDONG_SIM_SEEDS", "0"))
DAILY = (
    "saved_before_commit",
    "receipt_before_commit",
    "place_before_ops",
    "counter_in_memory",
    "receipt_covers_all_before",
    "refusal_dropped",
    "keeps_its_name",
    "new_key_each_try",
    "answer_lost",
)
MANUAL = Path(__file__).parents[2] / "docs/testing.md"
ROOMS = {
    "edge": (*edge.EDGE, *upkeep.UPKEEP, *branch.BRANCH),
    "link": link.LINK,
    "ledger": ledger.LEDGER,
    "conflict": conflict.CONFLICT,
    "hub": hub.HUB,
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", MUTANTS if MORE else DAILY)
def test_each_mutant_is_caught_and_its_run_is_clean_without_it(name: str) -> None:
    trial = attempt(name)
    assert trial.caught, trial.replay
    beside = without_mutant(trial.mutant.run.options(trial.seed))
    assert beside.clean, [*beside.findings.sentences()[:5], beside.options.replay()]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(101, 101 + MORE))
@pytest.mark.parametrize("name", RUNS)
def test_the_runs_are_clean_at_other_seeds(name: str, seed: int) -> None:
    found = without_mutant(RUNS[name].options(seed))
    assert found.clean, [*found.findings.sentences()[:5], found.options.replay()]


def test_a_mutant_leaves_nothing_behind() -> None:
    for mutant in MUTANTS.values():
        swaps = mutant.swaps()
        before = [getattr(owner, name) for owner, name, _replacement in swaps]
        with mutant.planted():
            assert [getattr(owner, name) for owner, name, _replacement in swaps] != before
        assert [getattr(owner, name) for owner, name, _replacement in swaps] == before


def test_there_are_mutants_in_every_room_and_the_manual_names_them() -> None:
    assert sum(len(some) for some in ROOMS.values()) == len(MUTANTS) >= 40
    assert all(ROOMS.values())
    manual = MANUAL.read_text("utf-8")
    assert [name for name in MUTANTS if f"| `{name}` |" not in manual] == []
    assert [name for name, mutant in MUTANTS.items() if f"| {mutant.broken} | {mutant.shows} |" not in manual] == []
