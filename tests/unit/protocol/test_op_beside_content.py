"""Goal: an op beside a photo waits a second and a half longer than without it, at any speed of the line and both ways.
5 kB/s with 3 s is in test_thin_line.py. Before, the op waited 8.3 s there, and for ever on 2 kB/s: a chunk took longer
than the patience with which it was asked for, and its repeats filled the line.

The figures are in the manual (docs/operating/lanes.md); the decision is docs/decisions/0155-slices.md.
"""

from __future__ import annotations

import random

import pytest

from tests.unit.protocol.thin_line import ThinLine

PHOTO_BYTES = 2_000_000
OPS = 14  # entered at odd moments while the photo travels
EXTRA_S = 1.5
LINES = [(2_000, 3_000), (5_000, 300), (50_000, 3_000), (50_000, 200)]  # bytes a second, round trip ms


def waits(rate: int, round_trip_ms: int, *, up: bool, photo: bool) -> tuple[list[float], ThinLine]:
    """Seconds that each of some ops needs to the other side."""
    world = ThinLine(rate=rate, round_trip_ms=round_trip_ms)
    world.run_s(30)
    if photo:
        world.photo(PHOTO_BYTES, up=up)
    rng, took = random.Random(5), []
    for number in range(1, OPS + 1):
        world.run_s((4 + 6 * rng.random()) * (1 if rate < 50_000 else 0.3))
        if up:
            took.append(world.until(world.enter(number, 600)))
        else:
            world.hub_store.rows.append(made := rng.randbytes(600))
            took.append(world.until(made))
    return took, world


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
@pytest.mark.parametrize(("rate", "round_trip_ms"), LINES)
def test_an_op_beside_a_photo_waits_little_longer_than_without(rate: int, round_trip_ms: int, up: bool) -> None:
    alone, _ = waits(rate, round_trip_ms, up=up, photo=False)
    beside, world = waits(rate, round_trip_ms, up=up, photo=True)
    assert max(beside) <= max(alone) + EXTRA_S
    assert len((world.hub_store if up else world.edge_store).parts) >= 2  # it was on its way


@pytest.mark.parametrize(
    ("rate", "round_trip_ms", "size", "seconds", "more"),
    [(2_000, 3_000, 200_000, 185, 1.25), (5_000, 3_000, 500_000, 165, 1.10), (1_000_000, 600, 2_000_000, 15.2, 1.01)],
)
def test_a_photo_takes_about_as_long_and_little_more_than_its_bytes(
    rate: int, round_trip_ms: int, size: int, seconds: float, more: float
) -> None:
    """Chunks one after the other took 154 s at 5 kB/s, and 15.2 s at 1 MB/s; at 2 kB/s they never came."""
    world = ThinLine(rate=rate, round_trip_ms=round_trip_ms)
    world.run_s(20)
    begun, carried = world.now, world.way_up.carried
    count = world.photo(size, up=True)
    while len(world.hub_store.parts) < count:
        world.step()
        assert world.now - begun < 4_000_000
    assert (world.now - begun) / 1_000 <= seconds
    assert world.way_up.carried - carried <= more * size
