"""Pace: what may be asked for follows the line as it is, was misjudged, or becomes. A line of simulated time."""

from __future__ import annotations

import random

import pytest

from protocol.chunks import CHUNK_BYTES
from protocol.pace import ENVELOPE_BYTES, IDLE_MS, PROBE_BYTES, Asked, Pace

STEP_MS = 50


class Line:
    """First in first out, both ways together `trip_ms`. queues: what an op would have waited, ms, at each step."""

    def __init__(self, rate: float, trip_ms: int, jitter_ms: int = 0) -> None:
        self.rate, self.trip_ms, self.jitter_ms = rate, trip_ms, jitter_ms  # bytes per ms
        self._rng = random.Random(1)
        self.pace, self.now, self.came = Pace(), 10_000, 0
        self._way: list[tuple[float, Asked, int]] = []
        self._free_ms = 0.0
        self.queues: list[float] = []

    def others(self, size: int) -> None:
        self._free_ms = max(self._free_ms, self.now) + size / self.rate
        self.pace.others(size)

    def step(self) -> None:
        self.now += STEP_MS
        for arrival in [one for one in self._way if one[0] <= self.now]:
            self._way.remove(arrival)
            self.pace.arrived(arrival[1], arrival[2], self.now)
            self.came += arrival[2]
        while size := self.pace.slice_bytes(self.now):
            asked = self.pace.asked(size, self.now)
            self._free_ms = max(self._free_ms, self.now) + (size + ENVELOPE_BYTES) / self.rate
            self._way.append((self._free_ms + self.trip_ms + self._rng.random() * self.jitter_ms, asked, size))
        self.queues.append(self._free_ms - self.now)

    def run(self, seconds: float) -> float:
        """Bytes a second that came."""
        came = self.came
        for _ in range(int(seconds * 1_000 / STEP_MS)):
            self.step()
        return (self.came - came) / seconds


@pytest.mark.parametrize("trip_ms", [300, 600, 3_000])
@pytest.mark.parametrize("rate", [2, 5, 20, 50])
def test_the_line_is_used_and_its_queue_stays_short(rate: int, trip_ms: int) -> None:
    line = Line(rate, trip_ms)
    line.run(60)
    assert line.run(180) >= 600 * rate
    assert max(line.queues) <= 1_400


def test_the_first_slice_is_the_smallest_and_alone() -> None:
    pace = Pace()
    assert pace.slice_bytes(0) == PROBE_BYTES
    pace.asked(PROBE_BYTES, 0)
    assert pace.slice_bytes(100) == 0


def test_a_fast_line_gets_whole_chunks() -> None:
    line = Line(1_000, 100)
    line.run(5)
    assert line.pace.slice_bytes(line.now) in (0, CHUNK_BYTES) and line.run(5) >= 400_000


def test_a_fast_line_whose_ends_are_slow_is_used_all_the_same() -> None:
    """A busy hub and two daemons that turn a few times a second: a round trip is anything from 0.4 to 1.4 s."""
    line = Line(1_000, 400, jitter_ms=1_000)
    line.run(20)
    assert line.run(60) >= 100_000


def test_a_line_that_gets_slower_is_seen_within_seconds() -> None:
    line = Line(50, 600)
    line.run(60)
    line.rate = 2
    line.run(90)  # what was on its way is on its way
    line.queues.clear()
    line.run(120)
    assert max(line.queues) <= 2_000


def test_a_line_that_gets_faster_is_used() -> None:
    line = Line(2, 600)
    line.run(60)
    line.rate = 50
    line.run(40)
    assert line.run(60) >= 25_000


def test_what_others_put_on_the_line_is_not_taken_for_a_longer_line() -> None:
    """Ops were on it while its round trip was measured; when they are through, the queue is ours alone and short."""
    line = Line(5, 600)
    for _ in range(60):
        line.others(5_000)
        line.run(1)
    line.run(15)
    line.queues.clear()
    line.run(120)
    assert max(line.queues) <= 1_500


def test_beside_a_full_line_content_goes_on_slowly() -> None:
    line = Line(5, 600)
    for _ in range(120):
        while line._free_ms - line.now < 4_000:
            line.others(500)
        line.run(0.5)
    assert line.came >= 30_000


def test_a_line_long_unused_is_measured_anew() -> None:
    line = Line(50, 100)
    line.run(30)
    while line._way:
        line.now += STEP_MS
        for arrival in list(line._way):
            line._way.remove(arrival)
            line.pace.arrived(arrival[1], arrival[2], line.now)
    assert line.pace.slice_bytes(line.now + 1_000) > PROBE_BYTES
    assert line.pace.slice_bytes(line.now + IDLE_MS + 1) == PROBE_BYTES
