"""Offering ops until they are settled: what leaves upward now, urgent cases before the others.

For: batches in the order of ranks, within what the line carries soon; offering again what stayed without a word.
May not: know what settles an op (the store does: a receipt, or a township's word); know why a case is urgent; read a clock.
Spec: docs/protocol/link.md, "Upward".  Decision: docs/decisions/0151-urgent-cases-overtake.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from protocol import messages
from protocol.flow import Flow
from protocol.lanes import EXPRESS, RANKS, REST, Gates, lane_of_rank
from protocol.messages import Ops
from protocol.schedule import backoff_ms

SETTLE_MS = 20_000  # without a receipt for so long, what was offered is offered again


class OpsSource(Protocol):
    """Ops to offer until they are settled, each at a position that only grows.

    rank: EXPRESS or NEAR for ops of such cases alone, REST for the others, None for all. A source whose peer keeps a
    place in it gives all at REST.
    """

    def offers(self, after: int, *, bytes_max: int, count_max: int, rank: int | None = None) -> list[tuple[int, bytes]]:
        """Unsettled ops behind position `after`, at least one if there is any, in order of position."""

    def lowest_unsettled(self, rank: int | None = None) -> int | None: ...

    def more(self, after: int, rank: int | None = None) -> bool:
        """Whether there is any behind position `after`."""


@dataclass(slots=True)
class _Flight:
    """A batch on its way: its positions, its size, when it left, the envelope that carries it."""

    positions: tuple[int, ...]
    size: int
    sent_ms: int
    envelope: bytes = b""
    held: bool = False


class Offers:
    """The ops of one rank of one source: what is on its way, patience that grows."""

    def __init__(self, fraction: Callable[[], float], flow: Flow, rank: int = REST) -> None:
        self.rank = rank
        self._fraction = fraction
        self._flow = flow
        self._flights: list[_Flight] = []
        self._offered = 0
        self._offer_ms = 0
        self._attempt = 0

    @property
    def flying(self) -> int:
        """Bytes on their way."""
        return sum(flight.size for flight in self._flights)

    def forget_flight(self) -> None:
        self._flights.clear()
        self._offered = 0

    def look(self, mono_ms: int, source: OpsSource) -> None:
        """See what has become of what is on its way: settled, or without a word for too long."""
        low = source.lowest_unsettled(self.rank)
        for flight in [one for one in self._flights if low is None or low > one.positions[-1]]:
            self._flights.remove(flight)
            self._attempt = 0
            self._flow.answered(flight.sent_ms, mono_ms)
        if self._flights and mono_ms - self._flights[0].sent_ms > SETTLE_MS * (1 + self._attempt):
            self.forget_flight()
            self._flow.unanswered(mono_ms)
            self._offer_ms = mono_ms + backoff_ms(self._attempt, self._fraction(), cap_ms=120_000)
            self._attempt = min(self._attempt + 1, 8)

    def waits(self, mono_ms: int, source: OpsSource) -> bool:
        """Whether there is something to offer now."""
        low = source.lowest_unsettled(self.rank)
        if low is None or mono_ms < self._offer_ms:
            return False
        if low < min((flight.positions[0] for flight in self._flights), default=self._offered + 1):
            self._offered = 0  # something below what was offered is to be offered, anew or again
        return source.more(self._offered, self.rank)

    def next(self, mono_ms: int, source: OpsSource, *, batch: int) -> Ops | None:
        """The next batch of so many bytes, after `waits`; `carried_by` then says in which envelope it went."""
        rows = source.offers(self._offered, bytes_max=batch, count_max=messages.OPS_MAX, rank=self.rank)
        if not rows:
            return None
        self._offered = rows[-1][0]
        size = sum(len(blob) for _position, blob in rows)
        self._flights.append(_Flight(tuple(position for position, _blob in rows), size, mono_ms))
        return Ops([blob for _position, blob in rows], urgent=self.rank != REST)

    def carried_by(self, envelope: bytes) -> None:
        self._flights[-1].envelope = envelope

    def held(self, envelope: bytes) -> tuple[int, ...]:
        """The peer holds this envelope's ops: positions of which nothing is missing there, in a run from the oldest on
        its way; empty if that is not moved."""
        for flight in self._flights:
            flight.held |= flight.envelope == envelope
        reached: tuple[int, ...] = ()
        for flight in sorted(self._flights, key=lambda one: one.positions):
            if not flight.held:
                break
            reached += flight.positions
        return reached


class Upward:
    """Everything that one link offers: for each rank the device's own ops, then those that it carries for others."""

    def __init__(self, fraction: Callable[[], float]) -> None:
        self.flow = Flow()
        self.own = {rank: Offers(fraction, self.flow, rank) for rank in RANKS}
        self._relayed = {rank: Offers(fraction, self.flow, rank) for rank in RANKS}
        self._queues = [*self.own.values(), *self._relayed.values()]
        self._last: Offers | None = None
        self.crowded = False  # ops wait for room: nothing of a later lane shall go before them

    @property
    def under_way(self) -> bool:
        return any(queue.flying for queue in self._queues)

    def forget_flight(self) -> None:
        for queue in self._queues:
            queue.forget_flight()

    def next(
        self, mono_ms: int, own: OpsSource, relayed: OpsSource | None, *, gates: Gates, urgent_only: bool
    ) -> tuple[Ops, int] | None:
        """The next batch and its rank; `carried_by` then says in which envelope it went.

        Args:    urgent_only: the peer asked to wait; urgent cases do not.
        """
        self.crowded = False
        present: list[tuple[Offers, OpsSource]] = []
        for queues, source in ((self.own, own), (self._relayed, relayed)):
            if source is not None and (
                source.lowest_unsettled() is not None or any(one.flying for one in queues.values())
            ):
                present += [(queue, source) for queue in queues.values()]
        present.sort(key=lambda pair: pair[0].rank)  # of each rank its own first: the order stays
        for queue, source in present:
            queue.look(mono_ms, source)
        flying = sum(queue.flying for queue in self._queues)
        for queue, source in present:
            lane = lane_of_rank(queue.rank)
            if (urgent_only and queue.rank == REST) or not queue.waits(mono_ms, source):
                continue
            if not gates.ready(lane, mono_ms):
                continue
            if self.flow.limit <= (queue.flying if queue.rank == EXPRESS else flying):
                self.crowded = True
                return None
            offer = queue.next(mono_ms, source, batch=self.flow.batch(gates.batch(lane)))
            if offer is not None:
                self._last = queue
                return offer, queue.rank
        return None

    def carried_by(self, envelope: bytes) -> None:
        if self._last is not None:
            self._last.carried_by(envelope)

    def held(self, envelope: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The peer holds this envelope's own ops: positions that went in order, and those that overtook."""
        ahead = tuple(at for rank in RANKS if rank != REST for at in self.own[rank].held(envelope))
        return self.own[REST].held(envelope), ahead


def within(rows: Sequence[tuple[int, bytes]], bytes_max: int) -> list[tuple[int, bytes]]:
    """The first rows that fit together; at least one if there is any."""
    chosen: list[tuple[int, bytes]] = []
    size = 0
    for position, blob in rows:
        size += len(blob)
        if chosen and size > bytes_max:
            break
        chosen.append((position, blob))
    return chosen
