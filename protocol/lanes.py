"""Lanes: the four classes of what travels on a link, which of them goes first, and what an office may set for each.

For: the table of lanes; the settings of each with their limits; the port that a link asks before it hands bytes out.
May not: read a clock or a file; know how a link sends.
Spec: docs/protocol/link.md, "Lanes".  Manual: docs/operating/lanes.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from protocol.chunks import CHUNK_BYTES, WINDOW
from protocol.errors import InputError
from protocol.gates import ALWAYS, RATE_MAX, Window

BATCH_PLAIN_BYTES_MIN = 4_000
BATCH_PLAIN_BYTES_MAX = 60_000  # of ops or stream items; even incompressible it fits one envelope
RATE_MIN_OPS = 500  # bytes a second below which an office would be cut off: a case of five acts would take ten seconds

EXPRESS, NEAR, REST = 0, 1, 2  # ranks of ops within their lanes: of an urgent case, of one nearly due, of all others
RANKS = (EXPRESS, NEAR, REST)


class Lane(StrEnum):
    """In the order in which they are served."""

    URGENT = "urgent"  # control messages, the roster, ops of urgent and nearly due cases
    OPS = "ops"  # all other ops and receipts
    REFERENCE = "reference"  # catalogue, calendar, areas
    ATTACHMENTS = "attachments"


@dataclass(frozen=True, slots=True)
class Rule:
    """What may be set for a lane. batch: bytes, first the usual, then least and most. rate_min: of a rate that is set,
    None where none can be. window: whether it can be kept to a part of the day."""

    batch: int
    batch_min: int
    batch_max: int
    rate_min: int | None
    window: bool


CONTENT = Rule(WINDOW * CHUNK_BYTES, CHUNK_BYTES, WINDOW * CHUNK_BYTES, 1, True)
TABLE: dict[Lane, Rule] = {
    Lane.URGENT: Rule(16_000, BATCH_PLAIN_BYTES_MIN, BATCH_PLAIN_BYTES_MAX, None, False),
    Lane.OPS: Rule(BATCH_PLAIN_BYTES_MAX, BATCH_PLAIN_BYTES_MIN, BATCH_PLAIN_BYTES_MAX, RATE_MIN_OPS, False),
    Lane.REFERENCE: CONTENT,
    Lane.ATTACHMENTS: CONTENT,
}


def lane_of_rank(rank: int) -> Lane:
    """The lane in which ops of this rank travel."""
    return Lane.OPS if rank == REST else Lane.URGENT


def lane_of_document(kind: str) -> Lane:
    """The lane of a document: the roster says who may speak and is never kept waiting."""
    return Lane.URGENT if kind == "roster" else Lane.REFERENCE


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """One lane's settings. bytes_per_s: 0 is no limit; window: None is always; batch: bytes.

    batch of ops: plain bytes in one envelope; of content: asked for at once. Raises InputError for what the lane's
    rule does not allow.
    """

    lane: Lane
    bytes_per_s: int = 0
    window: Window | None = None
    batch: int = 0  # 0 is the lane's usual

    def __post_init__(self) -> None:
        rule = TABLE[self.lane]
        if (self.bytes_per_s and rule.rate_min is None) or (self.window is not None and self.lane == Lane.URGENT):
            raise InputError(
                "The lane urgent has no rate and no window: an urgent case and the hub's word always travel.",
                "urgent 通道不能限速或限时：特急件和控制信息始终传输。",
            )
        if self.window is not None and not rule.window:
            raise InputError(
                "The lane ops has no window: a case, a hand-over or a receipt may not wait for the night. Set a rate.",
                "ops 通道不能限时：办件、移交和回执不能等到夜间。可以限速。",
            )
        if self.bytes_per_s and not (rule.rate_min or 0) <= self.bytes_per_s <= RATE_MAX:
            raise InputError(
                f"The rate of {self.lane} is 0 (no limit) or {rule.rate_min} to {RATE_MAX} bytes a second.",
                f"{self.lane} 通道的速率应为 0（不限）或 {rule.rate_min} 至 {RATE_MAX} 字节每秒。",
            )
        if self.batch and not rule.batch_min <= self.batch <= rule.batch_max:
            raise InputError(
                f"The batch of {self.lane} is {rule.batch_min} to {rule.batch_max} bytes.",
                f"{self.lane} 通道的批量应为 {rule.batch_min} 至 {rule.batch_max} 字节。",
            )

    @property
    def batch_bytes(self) -> int:
        return self.batch or TABLE[self.lane].batch

    def as_json(self) -> dict[str, object]:
        return {
            "bytes_per_s": self.bytes_per_s,
            "window": str(self.window) if self.window else ALWAYS,
            "batch_bytes": self.batch_bytes,
        }


class Gates(Protocol):
    """What a link asks before bytes of a lane leave; edge.lanes.Lanes has it."""

    def is_open(self, lane: Lane, mono_ms: int) -> bool:
        """Whether the lane's window is open."""

    def ready(self, lane: Lane, mono_ms: int) -> bool:
        """Whether it is, and the rate allows something now."""

    def spend(self, lane: Lane, size: int, mono_ms: int) -> None: ...

    def batch(self, lane: Lane) -> int: ...

    def rate(self, lane: Lane) -> int:
        """Bytes a second; 0 is no limit."""


class Unlimited:
    """The gates of a machine without settings: a hub, a township's room, a tool."""

    def is_open(self, lane: Lane, mono_ms: int) -> bool:
        return True

    def ready(self, lane: Lane, mono_ms: int) -> bool:
        return True

    def spend(self, lane: Lane, size: int, mono_ms: int) -> None: ...

    def batch(self, lane: Lane) -> int:
        return TABLE[lane].batch

    def rate(self, lane: Lane) -> int:
        return 0
