"""The simulated county: the same seed is the same run, and under each kind of bad luck nothing is lost and all heals.

Method: short runs of `ops.simulate`, whose checks read the stores by themselves. Nightly: LIANDONG_SIM_SEEDS more seeds
of every group of faults; `liandong simulate` plays any run again.
"""

from __future__ import annotations

import os

import pytest

from ops.simulate.faults import brokers, cities, clocks, counties, crashes, lines, poison, stores
from ops.simulate.faults.fault import Fault
from ops.simulate.options import Options
from ops.simulate.run import simulate

SEEDS = range(1, 2 + int(os.environ.get("LIANDONG_SIM_SEEDS", "0")))
GROUPS: dict[str, tuple[Fault, ...]] = {
    "lines": lines.LINES,
    "brokers": brokers.BROKERS,
    "crashes": crashes.CRASHES,
    "stores": stores.STORES,
    "clocks": clocks.CLOCKS,
    "poison": poison.POISON,
    "counties": counties.COUNTIES,
    "cities": cities.CITIES,
}


def options(seed: int, faults: tuple[Fault, ...], days: float = 0.5) -> Options:
    return Options(seed, 4, days, tuple(fault.name for fault in faults))


def test_the_same_seed_is_the_same_run_and_another_is_not() -> None:
    chosen = (*lines.LINES[:2], *crashes.CRASHES[:1])
    first, again, other = (simulate(options(seed, chosen, 0.25)) for seed in (11, 11, 12))
    assert first.trace == again.trace != other.trace
    assert first.ops > 5 and first.clean and other.clean


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("group", GROUPS)
def test_nothing_is_lost_and_all_heals(group: str, seed: int) -> None:
    found = simulate(options(seed, GROUPS[group]))
    assert sum(found.faults.values()) > 2, "the faults of the group did not happen"
    assert found.clean, [*found.findings.sentences()[:5], found.options.replay()]
