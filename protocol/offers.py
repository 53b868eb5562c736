"""Offering ops until they are settled: one lane of a link upward.

For: which ops leave now, in batches that grow while the line carries them; offering again what stayed without a word.
May not: know what settles an op (the store does: a receipt, or a township's word); read a clock.
Spec: docs/protocol/link.md, "Upward".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from protocol import messages
from protocol.messages import Ops
from protocol.schedule import backoff_ms

BATCH_PLAIN_BYTES_MAX = 60_000  # of ops or stream items; even incompressible it fits one envelope
BATCH_PLAIN_BYTES_FIRST = 16_000  # a thin line is tried with less
WINDOW_ENVELOPES = 4  # offered and not yet settled
SETTLE_MS = 20_000  # without a receipt for so long, what was offered is offered again


class OpsSource(Protocol):
    """Ops to offer until they are settled, each at a position that only grows."""

    def offers(self, after: int, *, bytes_max: int, count_max: int) -> list[tuple[int, bytes]]:
        """Unsettled ops behind position `after`, at least one if there is any, in order of position."""

    def lowest_unsettled(self) -> int | None: ...


@dataclass(slots=True)
class _Flight:
    """A batch on its way: its last position, when it left, the envelope that carries it."""

    last: int
    sent_ms: int
    envelope: bytes = b""
    held: bool = False


class Offers:
    """Ops offered until they are settled: a window, a budget that follows the line, patience that grows."""

    def __init__(self, fraction: Callable[[], float]) -> None:
        self._fraction = fraction
        self._window: deque[_Flight] = deque()
        self._offered = 0
        self._offer_ms = 0
        self._attempt = 0
        self._budget = BATCH_PLAIN_BYTES_FIRST

    @property
    def under_way(self) -> bool:
        return bool(self._window)

    def forget_flight(self) -> None:
        self._window.clear()
        self._offered = 0

    def next(self, mono_ms: int, source: OpsSource) -> Ops | None:
        """The next batch to offer now, if any; `carried_by` then says in which envelope it went."""
        low = source.lowest_unsettled()
        while self._window and (low is None or low > self._window[0].last):
            self._window.popleft()
            self._attempt = 0
            self._budget = min(BATCH_PLAIN_BYTES_MAX, self._budget * 2)
        if self._window and mono_ms - self._window[0].sent_ms > SETTLE_MS * (1 + self._attempt):
            self.forget_flight()
            self._budget = max(BATCH_PLAIN_BYTES_FIRST // 4, self._budget // 2)
            self._offer_ms = mono_ms + backoff_ms(self._attempt, self._fraction(), cap_ms=120_000)
            self._attempt = min(self._attempt + 1, 8)
        if low is None or len(self._window) >= WINDOW_ENVELOPES or mono_ms < self._offer_ms:
            return None
        if not self._window and low <= self._offered:
            self._offered = 0  # something below what was offered is unsettled again
        rows = source.offers(self._offered, bytes_max=self._budget, count_max=messages.OPS_MAX)
        if not rows:
            return None
        self._offered = rows[-1][0]
        self._window.append(_Flight(self._offered, mono_ms))
        return Ops([blob for _position, blob in rows])

    def carried_by(self, envelope: bytes) -> None:
        self._window[-1].envelope = envelope

    def held(self, envelope: bytes) -> int | None:
        """The peer holds this envelope's ops: the position up to which nothing is missing there, if it moved."""
        for flight in self._window:
            flight.held |= flight.envelope == envelope
        reached = None
        for flight in self._window:
            if not flight.held:
                break
            reached = flight.last
        return reached
