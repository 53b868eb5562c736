"""Cards of the electronic supervision: warning, yellow, red, each from an exact instant on.

For: the thresholds of a limit, the card at an instant, and what changed between two reckonings.
May not: find due times (conflict/deadline.py does); decide who is told.
Spec: docs/conflict/deadlines.md, "Cards".  Source: glossary, deadline rules 10 to 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CardLevel(StrEnum):
    """预警, 黄牌, 红牌."""

    WARNING = "warning"
    YELLOW = "yellow"
    RED = "red"

    @property
    def rank(self) -> int:
        """1, 2, 3: the highest card of a case counts."""
        return _RANKS[self]

    @property
    def label(self) -> str:
        """The Chinese word."""
        return _LABELS[self]


_RANKS = {CardLevel.WARNING: 1, CardLevel.YELLOW: 2, CardLevel.RED: 3}
_LABELS = {CardLevel.WARNING: "预警", CardLevel.YELLOW: "黄牌", CardLevel.RED: "红牌"}


@dataclass(frozen=True, slots=True)
class CardRules:
    """What a county may set otherwise; working days."""

    warning_workdays: int = 2  # a warning when no more than these remain
    special_red_workdays: int = 1  # after the end of a special procedure
    consultation_red_workdays: int = 1  # after the due time of a complaint or consultation


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when a limit earns a card; None: never. A warning counts from its instant, the others after theirs."""

    warning_ms: int | None = None
    yellow_ms: int | None = None
    red_ms: int | None = None

    def card(self, at_ms: int, *, open_now: bool) -> CardLevel | None:
        """The card at an instant. A limit that was kept has none: warnings are for open limits.

        Args:    at_ms: now, or when the limit ended. One millisecond over is over; on the instant is in time.
        """
        if self.red_ms is not None and at_ms > self.red_ms:
            return CardLevel.RED
        if self.yellow_ms is not None and at_ms > self.yellow_ms:
            return CardLevel.YELLOW
        if open_now and self.warning_ms is not None and at_ms >= self.warning_ms:
            return CardLevel.WARNING
        return None


def highest(cards: list[CardLevel | None]) -> CardLevel | None:
    """The highest card of several; None if there is none."""
    return max((card for card in cards if card is not None), key=lambda card: card.rank, default=None)
