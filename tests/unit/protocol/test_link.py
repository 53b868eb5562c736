"""The link over a line that loses, repeats and cuts: everything arrives, nothing is acknowledged before it is stored.

Method: a device and a hub with stores in memory, virtual time, faults from one seeded generator.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from protocol import chunks, events, link
from protocol.envelope import open_envelope
from protocol.lanes import EXPRESS, REST, Lane
from protocol.link import EdgeLink, HelloState, HubLink
from protocol.messages import Hello, Stream, Welcome
from protocol.offers import within
from tests.vectors.protocol_county import HUB, VILLAGE, device, roster

EPOCH = b"epoch--1"
ROSTER = roster()


@dataclass
class EdgeStore:
    """What the device has on disk. ops: position -> blob; settled: positions with a receipt; express: those of urgent
    cases; documents: hashes of contents that are reference data."""

    ops: dict[int, bytes] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    got: list[bytes] = field(default_factory=list)
    epoch: bytes = b""
    pos: int = 0
    parts: dict[int, bytes] = field(default_factory=dict)
    wanted: tuple[bytes, int] | None = None
    files: dict[bytes, bytes] = field(default_factory=dict)
    express: set[int] = field(default_factory=set)
    documents: set[bytes] = field(default_factory=set)

    def hello(self) -> HelloState:
        return HelloState("test", {}, self.epoch, self.pos, len(self.ops), {}, False)

    def offers(self, after: int, *, bytes_max: int, count_max: int, rank: int | None = None) -> list[tuple[int, bytes]]:
        left = [(position, self.ops[position]) for position in self.left(rank) if position > after]
        return within(left[:count_max], bytes_max)

    def lowest_unsettled(self, rank: int | None = None) -> int | None:
        return next(iter(self.left(rank)), None)

    def more(self, after: int, rank: int | None = None) -> bool:
        return any(position > after for position in self.left(rank))

    def left(self, rank: int | None) -> list[int]:
        """Unsettled positions of this rank."""
        if rank not in (None, REST) and not self.express:
            return []
        left = sorted(self.ops.keys() - self.settled)
        return [at for at in left if rank is None or rank == (EXPRESS if at in self.express else REST)]

    def lane_of(self, sha256: bytes) -> Lane:
        return Lane.REFERENCE if sha256 in self.documents else Lane.ATTACHMENTS

    def wants(self) -> list[tuple[bytes, list[list[int]]]]:
        if self.wanted is None:
            return []
        sha256, size = self.wanted
        missing = chunks.ranges(set(range(chunks.count_of(size))) - set(self.parts))
        return [(sha256, missing)] if missing else []

    def chunk(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        content = self.files.get(sha256)
        if content is None:
            return None
        return len(content), content[index * chunks.CHUNK_BYTES : (index + 1) * chunks.CHUNK_BYTES]


@dataclass
class HubStore(EdgeStore):
    held: list[bytes] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)

    def welcome(self, hello: Hello) -> Welcome:
        return Welcome(hello.session, 1, EPOCH, len(self.held), b"", [], 0, "active", b"")

    def stream(self, after: int, *, bytes_max: int, count_max: int) -> Stream | None:
        rows = [row for _at, row in within(list(enumerate(self.rows[after : after + 40])), bytes_max)]
        return Stream(EPOCH, after + 1, after + len(rows), [[2, row] for row in rows]) if rows else None

    def ahead(self, after: int, *, bytes_max: int) -> tuple[int, list[bytes]]:
        return len(self.rows), [row for row in self.rows[after:] if row.startswith(b"urgent")]


class World:
    """One device, the hub, and a line with faults; `steps` of 250 ms each."""

    def __init__(self, seed: int, *, loss: float = 0.0, twice: float = 0.0, cut: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self.loss, self.twice, self.cut = loss, twice, cut
        self.edge_store, self.hub_store = EdgeStore(), HubStore()
        self.edge = EdgeLink(keys=VILLAGE, peer=device(HUB), fraction=self.rng.random, random_bytes=self.rng.randbytes)
        self.hub = HubLink(keys=HUB, peer=device(VILLAGE), fraction=self.rng.random)
        self.now = 1_000
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self.edge.connected(self.now)
        self.envelopes = 0

    def fly(self, line: list[bytes], payloads: list[bytes]) -> None:
        for payload in payloads:
            self.envelopes += 1
            if self.rng.random() >= self.loss:
                line.extend([payload] * (2 if self.rng.random() < self.twice else 1))

    def step(self) -> None:
        self.now += 250
        if self.rng.random() < self.cut:
            self.edge.lost()
            self.up, self.down = [], []
            self.edge.connected(self.now)
        if self.edge.dead(self.now):
            self.edge.connected(self.now)
        arrived, self.up = self.up, []
        for payload in arrived:
            self.at_hub(payload)
        arrived, self.down = self.down, []
        for payload in arrived:
            self.at_edge(payload)
        self.fly(self.up, self.edge.poll(self.now, self.edge_store))
        self.fly(self.down, self.hub.poll(self.now, self.hub_store))

    def at_hub(self, payload: bytes) -> None:
        opened = open_envelope(payload, keys=HUB, speaker=ROSTER.speaker)
        for event in self.hub.receive(opened, self.now):
            if isinstance(event, events.OpsArrived):
                for blob in event.blobs:
                    if blob not in self.hub_store.held:
                        self.hub_store.held.append(blob)
                    self.hub_store.rows.append(blob)  # the receipt, again for a repeat
            elif isinstance(event, events.ChunkArrived):
                self.hub_store.parts[event.chunk.index] = event.chunk.data

    def at_edge(self, payload: bytes) -> None:
        opened = open_envelope(payload, keys=VILLAGE, speaker=ROSTER.speaker)
        for event in self.edge.receive(opened, self.now):
            if isinstance(event, events.StreamArrived):
                store = self.edge_store
                known = store.pos + 1 - event.first if store.epoch == event.epoch else 0
                assert known >= 0  # a batch sent again may begin before our place: repeats, never a gap
                for _, blob in event.items[known:]:
                    store.got.append(blob)
                    store.settled |= {position for position, op in store.ops.items() if op == blob}
                store.epoch, store.pos = event.epoch, event.last
                self.edge.stream_committed(event.epoch, event.last)
            elif isinstance(event, events.ChunkArrived):
                self.edge_store.parts[event.chunk.index] = event.chunk.data

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()


def ops(count: int, size: int = 900) -> dict[int, bytes]:
    rng = random.Random(count)
    return {number: number.to_bytes(4, "big") + rng.randbytes(size) for number in range(1, count + 1)}


def test_a_quiet_line_delivers_in_a_few_envelopes_and_then_stays_quiet() -> None:
    world = World(1)
    world.edge_store.ops = ops(200)
    world.run(40)
    assert world.hub_store.held == list(world.edge_store.ops.values())
    assert world.edge_store.lowest_unsettled() is None and world.envelopes < 40
    spent = world.envelopes
    world.run(4 * 60)
    assert world.envelopes - spent <= 8  # heartbeats only
    assert world.hub.acked == len(world.hub_store.rows)


@pytest.mark.parametrize("seed", range(12))
def test_everything_arrives_over_a_line_that_loses_repeats_and_cuts(seed: int) -> None:
    world = World(seed, loss=0.3, twice=0.2, cut=0.01)
    world.edge_store.ops = ops(300)
    world.run(4 * 60 * 20)
    assert sorted(world.hub_store.held) == sorted(world.edge_store.ops.values())
    world.loss = world.cut = 0.0
    world.run(4 * 60 * 10)
    assert world.edge_store.lowest_unsettled() is None
    assert world.edge_store.got == world.hub_store.rows  # in order, none twice, none skipped


def test_without_a_receipt_ops_are_offered_again_and_never_given_up() -> None:
    world = World(3)
    world.edge_store.ops = ops(5)
    world.hub_store.stream = lambda *a, **k: None  # type: ignore[method-assign]
    world.run(4 * 60 * 30)
    assert len(world.hub_store.rows) >= 5 * 4 and len(world.hub_store.held) == 5


def test_nothing_is_offered_while_the_hub_asks_to_wait() -> None:
    world = World(4)
    world.edge_store.ops = ops(5)
    plain = world.hub_store.welcome
    world.hub_store.welcome = lambda hello: Welcome(  # type: ignore[method-assign]
        hello.session, 1, EPOCH, 0, b"", [], 20_000, "active", b""
    ) if world.now < 5_000 else plain(hello)  # fmt: skip
    world.run(4 * 18)
    assert not world.hub_store.held
    world.run(4 * 60)
    assert len(world.hub_store.held) == 5


def test_an_attachment_resumes_at_the_chunk_and_never_delays_an_op() -> None:
    world = World(5, loss=0.2)
    content = random.Random(1).randbytes(chunks.CHUNK_BYTES * 9 + 77)
    world.edge_store.files[b"h" * 32] = content
    world.hub_store.wanted = (b"h" * 32, len(content))
    world.edge_store.ops = ops(100)
    world.run(4 * 20)
    world.edge.lost()
    world.edge.connected(world.now)
    world.run(4 * 60 * 8)
    assert b"".join(world.hub_store.parts[index] for index in sorted(world.hub_store.parts)) == content
    assert len(world.hub_store.held) == 100


def test_a_dead_line_is_noticed_and_a_stream_of_another_epoch_starts_again() -> None:
    world = World(6)
    world.edge_store.epoch, world.edge_store.pos = b"epoch--0", 99
    world.hub_store.rows = [b"one", b"two"]
    world.run(40)
    assert world.edge_store.got == [b"one", b"two"] and world.edge_store.epoch == EPOCH
    world.loss = 1.0
    quiet = 0
    while not world.edge.dead(world.now):
        world.now += 250
        quiet += 1
        world.edge.poll(world.now, world.edge_store)
        assert quiet < 4 * 60 * 5
    assert quiet * 250 > link.DEAD_MS


def test_the_hub_sends_nothing_to_a_device_that_is_not_there() -> None:
    world = World(7)
    world.hub_store.rows = [b"row"] * 10
    assert world.hub.poll(world.now, world.hub_store) == []
    world.run(20)
    world.hub_store.rows += [b"more"] * 10
    world.hub.gone()
    assert world.hub.poll(world.now, world.hub_store) == []
