"""What a mutant is: one behaviour of the product replaced for the length of one run.

For: the shape of a planted bug, and putting it in place.
May not: leave anything replaced after the block; know single mutants. The product has no switch and knows of none.
Manual: docs/testing.md, "Mutants".  Decision: docs/decisions/0142-mutants.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from ops.simulate.options import Options

Swap = tuple[Any, str, Any]  # a module or class of the product, the name in it, what stands there during the run
LOST, DIVERGED, DOUBLED, SILENT = "lost", "diverged", "doubled", "silent"  # kinds of finding, as in findings.py


@dataclass(frozen=True, slots=True)
class Run:
    """A short run that several mutants share: clean without any of them. seeds: tried in turn until a mutant shows."""

    faults: tuple[str, ...]
    seeds: tuple[int, ...] = (1, 2, 3)
    offices: int = 3
    days: float = 0.15

    def options(self, seed: int, mutant: str = "") -> Options:
        return Options(seed, self.offices, self.days, self.faults, mutant=mutant)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug.

    broken: one sentence, what the product does wrong now. shows: the kind of finding that it must lead to. says: what
    one of the sentences of that kind must contain. swaps: what is replaced, made anew for each run. run: where it shows.
    """

    name: str
    room: str
    broken: str
    shows: str
    says: str
    swaps: Callable[[], list[Swap]]
    run: Run

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The bug is in the product for the block."""
        with ExitStack() as stack:
            for owner, name, replacement in self.swaps():
                stack.enter_context(mock.patch.object(owner, name, replacement))
            yield
