"""Trials: is a planted bug caught, and is the same run clean without it?

For: the command and the tests: one mutant over the seeds of its run until it shows as it must.
May not: count a finding of another kind; call a run clean that was cut short.
Manual: docs/testing.md, "Mutants".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ops.simulate.mutants.catalogue import MUTANTS
from ops.simulate.mutants.mutant import Mutant
from ops.simulate.options import Options
from ops.simulate.run import Summary, simulate


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one mutant. seed: at which it showed. finding: the sentence that shows it, "" if it never did."""

    mutant: Mutant
    seed: int
    finding: str
    replay: str

    @property
    def caught(self) -> bool:
        return self.finding != ""


def attempt(name: str, seeds: Iterable[int] = ()) -> Trial:
    """Run a mutant with one seed after the other until it shows.

    Args:    seeds: others than those of its run.
    """
    mutant = MUTANTS[name]
    replay = ""
    for seed in seeds or mutant.run.seeds:
        found = simulate(mutant.run.options(seed, name), until=mutant.shows)
        replay = found.options.replay()
        finding = shown_by(mutant, found)
        if finding:
            return Trial(mutant, seed, finding, replay)
    return Trial(mutant, 0, "", replay)


def shown_by(mutant: Mutant, found: Summary) -> str:
    """The first sentence of the kind that the mutant must lead to, and that says what it must; "" if there is none."""
    sentences: list[str] = getattr(found.findings, mutant.shows)
    return next((sentence for sentence in sentences if mutant.says in sentence), "")


@lru_cache(maxsize=256)
def without_mutant(options: Options) -> Summary:
    """The whole run as it is with the product as it is; mutants share it."""
    return simulate(options)
