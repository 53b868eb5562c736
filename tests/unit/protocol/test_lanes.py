"""Windows, rates and what each lane allows; how the settings of an office act on a link. Virtual time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from protocol import chunks
from protocol.errors import InputError
from protocol.gates import Bucket, Window, rate_of, window_of
from protocol.lanes import TABLE, Lane, LaneSettings, Unlimited, lane_of_document
from protocol.link import EdgeLink
from protocol.messages import Want
from tests.unit.protocol.thin_line import ThinLine

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


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("20kB/s", 20_000),
        ("2000", 2_000),
        ("1.5MB/s", 1_500_000),
        ("500 B/s", 500),
        ("none", 0),
        ("0", 0),
        ("8 kb", 8_000),
    ],
)
def test_rates_as_people_write_them(text: str, rate: int) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "-1", "20kB/min", "1e3", "12345678901", "２０kB/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(InputError):
        rate_of(text)


@pytest.mark.parametrize(
    ("lane", "wrong"),
    [
        (Lane.URGENT, {"bytes_per_s": 5_000}),
        (Lane.URGENT, {"window": window_of("22:00-06:00")}),
        (Lane.URGENT, {"batch": 1_000}),
        (Lane.OPS, {"bytes_per_s": 499}),
        (Lane.OPS, {"window": window_of("22:00-06:00")}),
        (Lane.OPS, {"batch": 60_001}),
        (Lane.REFERENCE, {"bytes_per_s": -1}),
        (Lane.REFERENCE, {"batch": 1}),
        (Lane.ATTACHMENTS, {"bytes_per_s": 10**10}),
    ],
)
def test_what_a_lane_does_not_allow_is_said(lane: Lane, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        LaneSettings(lane, **wrong)
    assert lane in caught.value.text and lane in caught.value.text_zh


def test_the_least_and_the_most_of_each_lane_are_allowed() -> None:
    for lane, rule in TABLE.items():
        for batch in (rule.batch_min, rule.batch_max):
            assert LaneSettings(lane, rule.rate_min or 0, batch=batch).batch_bytes == batch
        assert LaneSettings(lane).batch_bytes == rule.batch


def test_the_roster_waits_for_no_window() -> None:
    assert lane_of_document("roster") == Lane.URGENT and lane_of_document("catalogue") == Lane.REFERENCE


def test_time_that_stands_or_goes_back_gives_nothing() -> None:
    bucket = Bucket(1_000)
    bucket.spend(5_000, 10_000)
    assert not bucket.ready(10_000) and not bucket.ready(5_000) and bucket.ready(9_001)


@dataclass
class Night(Unlimited):
    """Attachments in a window alone, with a wall clock beside the world's."""

    window: Window
    wall_ms: int

    def is_open(self, lane: Lane, mono_ms: int) -> bool:
        return lane != Lane.ATTACHMENTS or self.window.holds(self.wall_ms + mono_ms)

    def ready(self, lane: Lane, mono_ms: int) -> bool:
        return self.is_open(lane, mono_ms)


class Metered(Unlimited):
    """Attachments at a rate, in both directions together."""

    def __init__(self, bytes_per_s: int) -> None:
        self.bucket = Bucket(bytes_per_s)

    def ready(self, lane: Lane, mono_ms: int) -> bool:
        return lane != Lane.ATTACHMENTS or self.bucket.ready(mono_ms)

    def rate(self, lane: Lane) -> int:
        return self.bucket.bytes_per_s if lane == Lane.ATTACHMENTS else 0

    def spend(self, lane: Lane, size: int, mono_ms: int) -> None:
        if lane == Lane.ATTACHMENTS:
            self.bucket.spend(size, mono_ms)


def test_a_rate_of_attachments_slows_them_and_no_op() -> None:
    world = ThinLine(rate=1_000_000, round_trip_ms=100, gates=Metered(2_000))
    world.photo(20 * chunks.CHUNK_BYTES, up=True)
    for number in range(1, 101):
        world.enter(number)
    world.run_s(120)
    assert world.edge_store.settled == set(range(1, 101))
    assert len(world.hub_store.parts) in (7, 8)  # 121 s of 2,000 bytes, and a debt of one slice


def test_outside_its_window_nothing_is_served_and_little_is_asked() -> None:
    gates = Night(Window(22 * 60, 6 * 60), wall_ms=MIDNIGHT_MS + 21 * HOUR_MS)
    world = ThinLine(rate=1_000_000, round_trip_ms=100, gates=gates)
    count = world.photo(30 * chunks.CHUNK_BYTES, up=True)
    asked = count_wants(world, 3_000)
    assert world.hub_store.parts == {} and world.way_up.carried < 60_000  # greetings alone
    assert asked <= 3_000 // 120 + 8
    gates.wall_ms += HOUR_MS
    world.run_s(180)
    assert len(world.hub_store.parts) == count


def count_wants(world: ThinLine, seconds: int) -> int:
    seen = 0
    inner: EdgeLink = world.edge
    receive = inner.receive

    def counting(opened, mono_ms):  # type: ignore[no-untyped-def]
        nonlocal seen
        seen += sum(isinstance(message, Want) for message in opened.messages)
        return receive(opened, mono_ms)

    inner.receive = counting  # type: ignore[method-assign]
    world.run_s(seconds)
    return seen
