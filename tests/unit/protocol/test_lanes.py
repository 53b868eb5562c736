"""The lane of attachments: windows, rates, and an op that is not delayed by them on a thin line. Virtual time."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from protocol import chunks
from protocol.envelope import open_envelope
from protocol.errors import InputError
from protocol.lanes import Bucket, Window, window_of
from protocol.link import AckArrived, ChunkArrived, EdgeLink, OpsArrived
from protocol.messages import Want
from tests.unit.protocol.test_link import ROSTER, World
from tests.vectors.protocol_county import HUB

MIDNIGHT_MS = 1_767_542_400_000  # 2026-01-05 00:00 in the county
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("window", "hours"),
    [
        ("22:00-06:00", {22, 23, 0, 1, 2, 3, 4, 5}),
        ("12:00-14:00", {12, 13}),
        ("23:00-00:00", {23}),
        ("00:00-01:00", {0}),
    ],
)
def test_windows_in_county_time(window: str, hours: set[int]) -> None:
    made = window_of(window)
    assert made is not None and str(made) == window
    assert {hour for hour in range(24) if made.holds(MIDNIGHT_MS + hour * HOUR_MS)} == hours
    assert {hour for hour in range(24) if made.holds(MIDNIGHT_MS + (hour + 1) * HOUR_MS - 1)} == hours


@pytest.mark.parametrize("text", ["", "22-6", "24:00-06:00", "22:00-22:00", "22:60-23:00", "immer", "22:00 - 06:00"])
def test_what_is_no_window(text: str) -> None:
    with pytest.raises(InputError):
        window_of(text)
    assert window_of("always") is None


@pytest.mark.parametrize("rate", [500, 4_000, 100_000])
def test_a_rate_holds_over_time(rate: int) -> None:
    bucket, sent = Bucket(rate), 0
    for mono_ms in range(0, 600_000, 250):
        while bucket.ready(mono_ms):
            bucket.spend(chunks.CHUNK_BYTES, mono_ms)
            sent += chunks.CHUNK_BYTES
    assert rate * 600 <= sent + rate and sent <= rate * 601 + chunks.CHUNK_BYTES


def test_time_that_stands_or_goes_back_gives_nothing() -> None:
    bucket = Bucket(1_000)
    bucket.spend(5_000, 10_000)
    assert not bucket.ready(10_000) and not bucket.ready(5_000) and bucket.ready(9_001)


@dataclass
class Gate:
    """A lane as a device has it, with its wall clock beside the world's."""

    bucket: Bucket
    window: Window | None = None
    wall_ms: int = MIDNIGHT_MS + 12 * HOUR_MS

    def is_open(self, mono_ms: int) -> bool:
        return self.window is None or self.window.holds(self.wall_ms + mono_ms)

    def ready(self, mono_ms: int) -> bool:
        return self.is_open(mono_ms) and self.bucket.ready(mono_ms)

    def spend(self, size: int, mono_ms: int) -> None:
        self.bucket.spend(size, mono_ms)


class ThinLine(World):
    """Upward `line_bytes_per_s`, first in first out, as a carrier's queue on a modem is. The hub lacks a large scan."""

    def __init__(self, gate: Gate, line_bytes_per_s: int) -> None:
        super().__init__(1)
        self.gate, self.rate, self.credit = gate, line_bytes_per_s, 0.0
        self.scan = random.Random(5).randbytes(30 * chunks.CHUNK_BYTES)
        self.edge_store.files[b"s" * 32] = self.scan
        self.hub_store.wanted = (b"s" * 32, len(self.scan))
        self.op_at: int | None = None
        self.sent = self.pieces = 0

    def step(self) -> None:
        self.now += 250
        self.credit = self.credit + self.rate / 4 if self.up else 0.0
        while self.up and self.credit >= len(self.up[0]):
            self.credit -= len(self.up[0])
            self.arrive(self.up.pop(0))
        arrived, self.down = self.down, []
        for payload in arrived:
            self.at_edge(payload)
        envelopes = self.edge.poll(self.now, self.edge_store, lane=self.gate)
        self.sent += sum(map(len, envelopes))
        self.up.extend(envelopes)
        self.down.extend(self.hub.poll(self.now, self.hub_store))

    def arrive(self, payload: bytes) -> None:
        for event in self.hub.receive(open_envelope(payload, keys=HUB, speaker=ROSTER.speaker), self.now):
            if isinstance(event, OpsArrived) and self.op_at is None:
                self.op_at = self.now
            elif isinstance(event, ChunkArrived):
                self.pieces += 1
                self.hub_store.parts[event.chunk.index] = event.chunk.data
            else:
                assert not isinstance(event, AckArrived)

    def run(self, seconds: int) -> None:
        for _ in range(seconds * 4):
            self.step()


def test_an_attachment_never_delays_an_op() -> None:
    """On a line of 5 kB/s an op that comes in the middle of a scan waits for one piece, not for the scan."""
    world = ThinLine(Gate(Bucket(4_000)), 5_000)
    worst = 0
    for _ in range(20):
        world.run(7)
        begun, world.op_at = world.now, None
        position = max(world.edge_store.ops, default=0) + 1
        world.edge_store.ops[position] = random.Random(position).randbytes(600)
        while world.op_at is None:
            world.step()
        worst = max(worst, world.op_at - begun)
        world.edge_store.settled.add(position)
    assert worst <= 1000 * (chunks.CHUNK_BYTES + 2_000) / 5_000 + 1_000
    assert 12 <= len(world.hub_store.parts) == world.pieces  # meanwhile the scan went on, each piece once


def test_outside_its_window_nothing_is_served_and_little_is_asked() -> None:
    gate = Gate(Bucket(0), window_of("22:00-06:00"), wall_ms=MIDNIGHT_MS + 21 * HOUR_MS)
    world = ThinLine(gate, 1_000_000)
    asked = count_wants(world, 3_000)
    assert world.hub_store.parts == {} and world.sent < 60_000  # greetings alone
    assert asked <= 3_000 // 120 + 8
    gate.wall_ms += HOUR_MS
    world.run(180)
    assert b"".join(world.hub_store.parts[index] for index in range(30)) == world.scan


def count_wants(world: ThinLine, seconds: int) -> int:
    seen = 0
    inner: EdgeLink = world.edge
    receive = inner.receive

    def counting(opened, mono_ms):  # type: ignore[no-untyped-def]
        nonlocal seen
        seen += sum(isinstance(message, Want) for message in opened.messages)
        return receive(opened, mono_ms)

    inner.receive = counting  # type: ignore[method-assign]
    world.run(seconds)
    return seen
