"""Slices: asked for, cut, put together; what is lost, doubled, late or out of shape; what is kept over a break."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from protocol import chunks
from protocol.chunks import CHUNK_BYTES, GRAIN_BYTES
from protocol.content import UNFINISHED_MAX, WANT_MS, Asking, Serving
from protocol.lanes import Lane, Unlimited
from protocol.messages import Chunk, Want
from protocol.pace import PROBE_BYTES

SHA = b"h" * 32
TRIP_MS = 1_000
Line = Callable[[list[Chunk]], list[Chunk]]  # what becomes of what is under way


@dataclass
class Shelf:
    """One content: held whole by who gives it, piece by piece by who takes it."""

    content: bytes
    parts: dict[int, bytes] = field(default_factory=dict)
    read: int = 0

    def wants(self) -> list[tuple[bytes, list[list[int]]]]:
        missing = chunks.ranges(set(range(chunks.count_of(len(self.content)))) - set(self.parts))
        return [(SHA, missing)] if missing else []

    def chunk(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        self.read += 1
        return len(self.content), self.content[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]

    def lane_of(self, sha256: bytes) -> Lane:
        return Lane.ATTACHMENTS


class Table:
    """Two sides and a line between them that takes so long; 10 kB/s."""

    def __init__(self, size: int, line: Line = lambda sent: sent) -> None:
        self.shelf = Shelf(random.Random(size).randbytes(size))
        self.asking, self.serving, self._line = Asking(), Serving(), line
        self.now, self.sent = 0, 0
        self._way: list[tuple[int, Chunk]] = []
        self._free_ms = 0.0

    def step(self) -> None:
        self.now += 100
        for _at, chunk in [one for one in self._way if one[0] <= self.now]:
            whole = self.asking.arrived(chunk, self.now)
            if whole is not None:
                assert self.shelf.parts.setdefault(whole.index, whole.data) == whole.data
        self._way = [one for one in self._way if one[0] > self.now]
        for want in self.asking.next(self.now, self.shelf, crowded=False):
            self.serving.asked_for(want)
        out = self.serving.hand_out(self.now, self.shelf, Unlimited(), crowded=False)
        self.sent += sum(len(chunk.data) for chunk in out)
        for chunk in self._line(out):
            self._free_ms = max(self._free_ms, self.now) + (len(chunk.data) + 200) / 10
            self._way.append((int(self._free_ms) + TRIP_MS, chunk))

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            self.step()

    def whole(self) -> bool:
        return b"".join(part for _index, part in sorted(self.shelf.parts.items())) == self.shelf.content


@pytest.mark.parametrize("size", [1, 255, 256, 511, 513, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 100_000])
def test_each_byte_is_sent_once(size: int) -> None:
    table = Table(size)
    table.run(60)
    assert table.whole() and table.sent == size


def test_a_piece_is_read_from_the_store_once_however_many_slices_it_has() -> None:
    table = Table(3 * CHUNK_BYTES)
    table.run(40)
    assert table.whole() and table.shelf.read == 3


def test_lost_slices_alone_are_asked_for_again() -> None:
    rng, lost = random.Random(2), 0

    def line(sent: list[Chunk]) -> list[Chunk]:
        nonlocal lost
        kept = [chunk for chunk in sent if rng.random() > 0.1]
        lost += sum(len(chunk.data) for chunk in sent) - sum(len(chunk.data) for chunk in kept)
        return kept

    table = Table(200_000, line)
    table.run(400)
    assert table.whole() and lost > 10_000
    assert table.sent == 200_000 + lost


def test_doubled_slices_harm_nothing() -> None:
    table = Table(100_000, lambda sent: [twin for chunk in sent for twin in (chunk, chunk)])
    table.run(60)
    assert table.whole() and table.sent == 100_000


def test_after_a_break_only_what_is_missing_is_asked_for() -> None:
    table = Table(3 * CHUNK_BYTES)
    table.run(5)
    before = table.sent
    assert 0 < before < CHUNK_BYTES and not table.shelf.parts
    table.asking.forget()
    table.serving.forget()
    table._way.clear()
    table.run(60)
    assert table.whole()
    assert table.sent < 3 * CHUNK_BYTES + before // 2 + 4_096  # what was on its way was lost, what was here was not


def test_what_nobody_answers_is_asked_for_ever_later() -> None:
    asking, shelf = Asking(), Shelf(bytes(100_000))
    asked = [now for now in range(0, 3_600_000, 500) if asking.next(now, shelf, crowded=False)]
    assert asked[1] - asked[0] >= WANT_MS and asked[-1] - asked[-2] == 120_000 and len(asked) < 40


def test_a_slice_that_comes_after_we_gave_it_up_counts() -> None:
    asking, shelf = Asking(), Shelf(bytes(400))
    (want,) = asking.next(0, shelf, crowded=False)
    assert asking.next(WANT_MS, shelf, crowded=False)
    whole = asking.arrived(Chunk(SHA, 400, 0, bytes(400), want.at), WANT_MS + 5_000)
    assert whole is not None and whole.data == bytes(400)


GOOD = Chunk(SHA, 100_000, 1, bytes(PROBE_BYTES), 0)


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, data=bytes(GRAIN_BYTES + 1)),
        replace(GOOD, data=b""),
        replace(GOOD, at=100, data=bytes(GRAIN_BYTES)),
        replace(GOOD, at=CHUNK_BYTES - GRAIN_BYTES),
        replace(GOOD, index=2**40),
        replace(GOOD, size=2**40),
        replace(GOOD, size=0),
    ],
)
def test_slices_out_of_shape_make_no_piece(bad: Chunk) -> None:
    asking, shelf = Asking(), Shelf(bytes(100_000))
    asking.next(0, shelf, crowded=False)
    handed_on = asking.arrived(bad, 100)
    assert handed_on is None or (handed_on == bad and not chunks.fits(bad.size, bad.index, bad.data))
    assert asking._unfinished == {}


def test_a_peer_cannot_fill_the_memory() -> None:
    asking, shelf = Asking(), Shelf(bytes(100_000))
    asking.next(0, shelf, crowded=False)
    for index in range(600):
        asking.arrived(Chunk(SHA, chunks.FILE_BYTES_MAX, index, bytes(GRAIN_BYTES)), 100)
        asking.arrived(Chunk(index.to_bytes(32, "big"), chunks.FILE_BYTES_MAX, 0, bytes(GRAIN_BYTES)), 100)
    assert len(asking._unfinished) == UNFINISHED_MAX
    assert {sha256 for sha256, _index in asking._unfinished} == {SHA}


def test_a_peer_cannot_make_us_hand_out_what_is_not_there() -> None:
    serving, shelf = Serving(), Shelf(bytes(1_000))
    for at in (1_000, 1_024, CHUNK_BYTES):
        serving.asked_for(Want(SHA, [[0, 0]], at, 512))
    serving.asked_for(Want(SHA, [[0, 2**50]], 0, 512))
    out = serving.hand_out(0, shelf, Unlimited(), crowded=False)
    assert [(chunk.at, len(chunk.data)) for chunk in out] == [(0, 512)]


def test_a_rate_cuts_what_leaves_at_once() -> None:
    class Slow(Unlimited):
        def rate(self, lane: Lane) -> int:
            return 2_000

    serving = Serving()
    serving.asked_for(Want(SHA, [[0, 0]]))
    out = serving.hand_out(0, Shelf(bytes(CHUNK_BYTES)), Slow(), crowded=False)
    assert [len(chunk.data) for chunk in out] == [1_792]
