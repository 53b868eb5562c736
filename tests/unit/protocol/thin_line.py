"""A line of so many bytes a second with a round trip of seconds, both ways, first in first out: virtual time.

The queue before a modem cannot be reordered: what was handed out goes in that order. Links and envelopes are real.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator

from protocol import chunks, events
from protocol.envelope import open_envelope
from protocol.lanes import Gates, Unlimited
from tests.unit.protocol.test_link import ROSTER, World
from tests.vectors.protocol_county import HUB, VILLAGE

RATE = 5_000  # bytes a second, each way
ROUND_TRIP_MS = 3_000
STEP_MS = 100
RECEIPT = b"receipt"
RECEIPT_BYTES = 127  # of one receipt before the numbers of its ops


class Way:
    """One direction of the line."""

    def __init__(self, rate: int, delay_ms: int) -> None:
        self._rate, self._delay_ms, self._free_ms = rate, delay_ms, 0.0
        self._queue: deque[tuple[float, bytes]] = deque()
        self.carried = 0

    def put(self, payload: bytes, now: int) -> None:
        self.carried += len(payload)
        self._free_ms = max(self._free_ms, now) + 1000 * len(payload) / self._rate
        self._queue.append((self._free_ms + self._delay_ms, payload))

    def take(self, now: int) -> Iterator[bytes]:
        while self._queue and self._queue[0][0] <= now:
            yield self._queue.popleft()[1]


class ThinLine(World):
    """seen: when each op, going up or down, reached the other side, ms."""

    def __init__(self, *, rate: int = RATE, round_trip_ms: int = ROUND_TRIP_MS, gates: Gates | None = None) -> None:
        super().__init__(1)
        self.way_up, self.way_down = Way(rate, round_trip_ms // 2), Way(rate, round_trip_ms // 2)
        self.gates = gates or Unlimited()
        self.seen: dict[bytes, int] = {}

    def step(self) -> None:
        self.now += STEP_MS
        for payload in self.way_up.take(self.now):
            self.at_hub(payload)
        for payload in self.way_down.take(self.now):
            self.at_edge(payload)
        for payload in self.edge.poll(self.now, self.edge_store, gates=self.gates):
            self.way_up.put(payload, self.now)
        for payload in self.hub.poll(self.now, self.hub_store):
            self.way_down.put(payload, self.now)

    def at_hub(self, payload: bytes) -> None:
        opened = open_envelope(payload, keys=HUB, speaker=ROSTER.speaker)
        for event in self.hub.receive(opened, self.now):
            if isinstance(event, events.OpsArrived):
                for blob in event.blobs:
                    self.seen.setdefault(blob, self.now)
                words = b"".join(blob[:4] for blob in event.blobs)
                fill = random.Random(len(self.hub_store.rows)).randbytes(RECEIPT_BYTES - len(RECEIPT))
                self.hub_store.rows.append(RECEIPT + fill + words)
            elif isinstance(event, events.ChunkArrived):
                self.hub_store.parts[event.chunk.index] = event.chunk.data

    def at_edge(self, payload: bytes) -> None:
        opened = open_envelope(payload, keys=VILLAGE, speaker=ROSTER.speaker)
        for event in self.edge.receive(opened, self.now):
            if isinstance(event, events.StreamArrived):
                for _what, blob in event.items:
                    self.seen.setdefault(blob, self.now)
                    if blob.startswith(RECEIPT):
                        numbers = blob[RECEIPT_BYTES:]
                        self.edge_store.settled |= {
                            int.from_bytes(numbers[at : at + 4], "big") for at in range(0, len(numbers), 4)
                        }
                self.edge_store.epoch, self.edge_store.pos = event.epoch, event.last
                self.edge.stream_committed(event.epoch, event.last)
            elif isinstance(event, events.AheadArrived):
                for blob in event.blobs:
                    self.seen.setdefault(blob, self.now)
            elif isinstance(event, events.ChunkArrived):
                self.edge_store.parts[event.chunk.index] = event.chunk.data

    def run_s(self, seconds: float) -> None:
        self.run(int(seconds * 1000 / STEP_MS))

    def until(self, blob: bytes, *, most_s: int = 3_600) -> float:
        """Seconds until this op is on the other side; fails after `most_s`."""
        begun = self.now
        while blob not in self.seen:
            assert self.now - begun < most_s * 1000, "it did not come"
            self.step()
        return (self.now - begun) / 1000

    def enter(self, number: int, size: int = 900) -> bytes:
        """The device enters an op."""
        self.edge_store.ops[number] = made = number.to_bytes(4, "big") + random.Random(number).randbytes(size)
        return made

    def photo(self, size: int, *, up: bool, sha256: bytes = b"h" * 32) -> int:
        """A file that the other side lacks; returns how many chunks it has."""
        giver, taker = (self.edge_store, self.hub_store) if up else (self.hub_store, self.edge_store)
        giver.files[sha256] = random.Random(3).randbytes(size)
        taker.wanted = (sha256, size)
        return chunks.count_of(size)
