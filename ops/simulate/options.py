"""What a person asks the simulator for, checked.

For: seed, size, faults by name, mode; one replay line that gives the same run again.
May not: draw randomness; know what a fault does.
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.errors import InputError

NOTHING_LOST, HEAL = "nothing-lost", "heal"
MODES = (NOTHING_LOST, HEAL)
OFFICES_MIN, OFFICES_MAX = 3, 200  # one village, one township and the county's windows at least
DAYS_MAX = 400.0
ALL, NONE = "all", "none"


@dataclass(frozen=True, slots=True)
class Options:
    """One run. faults: names of the catalogue; their order belongs to the run. mutant: a planted bug that it runs with, or ""."""

    seed: int
    offices: int = 6
    days: float = 3.0
    faults: tuple[str, ...] = ()
    mode: str = HEAL
    mutant: str = ""

    def replay(self) -> str:
        """The command that plays the same run again."""
        named = ",".join(self.faults) or NONE
        mode = "" if self.mode == HEAL else f" --mode {self.mode}"
        mutant = f" --mutant {self.mutant}" if self.mutant else ""
        return f"liandong simulate --seed {self.seed} --offices {self.offices} --days {self.days:g} --faults {named}{mode}{mutant}"


def make_options(seed: int, offices: int, days: float, faults: str, mode: str, known: Iterable[str]) -> Options:
    """Options from what was typed.

    Args:    faults: names divided by commas in the order of the run, `all` or `none`. known: names of the catalogue.
    Raises:  InputError naming what cannot be used.
    """
    if not OFFICES_MIN <= offices <= OFFICES_MAX:
        raise InputError(
            f"A simulated county has {OFFICES_MIN} to {OFFICES_MAX} offices.",
            f"模拟的县应有 {OFFICES_MIN} 至 {OFFICES_MAX} 个机构。",
        )
    if not 0 < days <= DAYS_MAX:
        raise InputError(
            f"A run lasts more than 0 and at most {DAYS_MAX:g} days.", f"模拟时长应大于 0、不超过 {DAYS_MAX:g} 天。"
        )
    if mode not in MODES:
        raise InputError(f"The mode is one of {', '.join(MODES)}.", f"模式只能是：{'、'.join(MODES)}。")
    return Options(seed, offices, days, _chosen(faults, list(known)), mode)


def _chosen(text: str, known: list[str]) -> tuple[str, ...]:
    if text == ALL:
        return tuple(known)
    wanted = [] if text == NONE else [word.strip() for word in text.split(",") if word.strip()]
    strange = [word for word in wanted if word not in known]
    if strange:
        raise InputError(
            f"There is no fault {strange[0]!r}; `liandong simulate --list` names all {len(known)}.",
            f"没有名为“{strange[0]}”的故障；用 liandong simulate --list 查看全部 {len(known)} 种。",
        )
    return tuple(dict.fromkeys(wanted))
