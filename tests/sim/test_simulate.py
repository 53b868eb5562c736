"""The simulated county: the same seed is the same run, and under each kind of bad luck nothing is lost and all heals.

Method: short runs of `ops.simulate`, whose checks read the stores by themselves. Nightly: LIANDONG_SIM_SEEDS more seeds
of every group of faults; `liandong simulate` plays any run again.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ops.simulate.faults import (
    brokers,
    cities,
    clocks,
    counties,
    crashes,
    damage,
    hubs,
    identities,
    lanes,
    lines,
    poison,
    stores,
    townships,
    upkeep,
)
from ops.simulate.faults.catalogue import NAMES
from ops.simulate.faults.fault import Fault
from ops.simulate.mutants.runs import RUNS
from ops.simulate.options import HEAL, Options, make_options
from ops.simulate.run import simulate

MORE = int(os.environ.get("LIANDONG_SIM_SEEDS", "0"))
SEEDS = range(1, 2 + MORE)
PUT_BACK = {"hub_restored", "catalogue_published", "calendar_published", "device_revoked", "edge_replaced"}
GROUPS: dict[str, tuple[Fault, ...]] = {
    "lines": lines.LINES,
    "brokers": brokers.BROKERS,
    "crashes": crashes.CRASHES,
    "stores": stores.STORES,
    "clocks": clocks.CLOCKS,
    "identities": identities.IDENTITIES,
    "a hub put back": tuple(fault for fault in (*identities.IDENTITIES, *counties.COUNTIES) if fault.name in PUT_BACK),
    "poison": poison.POISON,
    "counties": counties.COUNTIES,
    "cities": cities.CITIES,
    "townships": townships.TOWNSHIPS,
    "hubs": hubs.HUBS,
    "lanes": lanes.LANES,
}
if MORE:  # in the default tests the runs of the mutants of these faults stand for them
    GROUPS["upkeep"] = (*upkeep.UPKEEP, *damage.DAMAGE)


SHORT = {"townships": 0.25, "hubs": 0.25, "lanes": 0.25}  # days; the others have half a day


def options(seed: int, faults: tuple[Fault, ...], days: float = 0.5) -> Options:
    return Options(seed, 4, days, tuple(fault.name for fault in faults))


def test_the_same_seed_is_the_same_run_and_another_is_not() -> None:
    chosen = (*lines.LINES[:2], *crashes.CRASHES[:1])
    first, again, other = (simulate(options(seed, chosen, 0.25)) for seed in (11, 11, 12))
    assert first.trace == again.trace != other.trace
    assert first.ops > 5 and first.clean and other.clean


@pytest.mark.parametrize("run", RUNS)
def test_the_command_that_a_run_prints_plays_that_run(run: str) -> None:
    """Regression: the command put the faults into the catalogue's order, and another order is another run."""
    printed = RUNS[run].options(3, "")
    typed = printed.replay().split()
    assert make_options(3, printed.offices, printed.days, typed[typed.index("--faults") + 1], HEAL, NAMES) == printed


TRACE = """
from ops.simulate.options import NOTHING_LOST, Options
from ops.simulate.run import simulate

faults = ("drop", "clone", "edge_restored", "duplicate_acceptance")
print(simulate(Options(11, 3, 0.2, faults, NOTHING_LOST)).trace)
"""


def test_the_trace_does_not_depend_on_the_order_of_sets() -> None:
    """Method: the same run in two processes that hash text and bytes differently; new keys of restored machines too."""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", TRACE], env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, text=True
        )
        for seed in ("1", "7")
    ]
    traces = {run.communicate(timeout=120)[0] for run in runs}
    assert len(traces) == 1 and len(traces.pop().strip()) == 64
    assert not any(run.returncode for run in runs)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("group", GROUPS)
def test_nothing_is_lost_and_all_heals(group: str, seed: int) -> None:
    found = simulate(options(seed, GROUPS[group], SHORT.get(group, 0.5)))
    assert sum(found.faults.values()) > 2, "the faults of the group did not happen"
    assert found.clean, [*found.findings.sentences()[:5], found.options.replay()]
