"""Goal: on 5 kB/s with a round trip of 3 s nothing waits for what is less needed. The figures are in the manual
(docs/operating/lanes.md); those of the link before it had lanes stand beside them there.
"""

from __future__ import annotations

import random

import pytest

from tests.unit.protocol.thin_line import ROUND_TRIP_MS, ThinLine

BACKLOG = 1_000  # ops of 900 bytes that do not compress: three days of a busy hall, 180 s of this line
ALONE_S = 1.8  # of an op where nothing else travels
BOUND_S = ALONE_S + 1.5  # beside files or reference data


def backlog() -> ThinLine:
    world = ThinLine()
    for number in range(1, BACKLOG + 1):
        world.enter(number)
    return world


def test_an_urgent_case_entered_last_is_there_first() -> None:
    world = backlog()
    world.edge_store.express = {BACKLOG}
    assert world.until(world.edge_store.ops[BACKLOG]) <= 6  # greeting, answer, op: two round trips
    world.run_s(220)
    assert world.edge_store.settled == set(range(1, BACKLOG + 1))
    assert world.way_up.carried < BACKLOG * 900 * 1.08  # nothing travelled twice


def test_an_urgent_case_entered_in_the_middle_of_a_backlog_waits_for_what_is_on_its_way() -> None:
    worst = 0.0
    for after_s in range(20, 140, 40):
        world = backlog()
        world.run_s(after_s)
        world.edge_store.express = {9_999}
        worst = max(worst, world.until(world.enter(9_999)))
    assert worst <= 9


def test_a_backlog_takes_what_the_line_takes_and_no_longer() -> None:
    world = backlog()
    assert world.until(world.edge_store.ops[BACKLOG]) <= 200


@pytest.mark.parametrize("up", [True, False])
def test_an_attachment_never_delays_an_op(up: bool) -> None:
    """An op upward while a photo of 2 MB travels up, and one downward while one travels down."""
    world = ThinLine()
    count = world.photo(2_000_000, up=up)
    rng, worst = random.Random(5), 0.0
    for number in range(1, 13):
        world.run_s(10 + 10 * rng.random())
        if up:
            worst = max(worst, world.until(world.enter(number, 600)))
        else:
            world.hub_store.rows.append(made := rng.randbytes(600))
            worst = max(worst, world.until(made))
    assert worst <= BOUND_S
    parts = world.hub_store.parts if up else world.edge_store.parts
    assert len(parts) >= 15
    while len(parts) < count:
        world.run_s(10)
        assert world.now < 720_000


@pytest.mark.parametrize("up", [True, False])
def test_a_catalogue_after_months_delays_neither_op_nor_receipt(up: bool) -> None:
    world = ThinLine()
    world.edge_store.documents = world.hub_store.documents = {b"h" * 32}
    world.photo(500_000, up=False)
    rng, worst, settled = random.Random(6), 0.0, 0.0
    for number in range(1, 9):
        world.run_s(6 + 6 * rng.random())
        begun = world.now
        if up:
            worst = max(worst, world.until(world.enter(number, 600)))
            while number not in world.edge_store.settled:
                world.step()
            settled = max(settled, (world.now - begun) / 1000)
        else:
            world.hub_store.rows.append(made := rng.randbytes(600))
            worst = max(worst, world.until(made))
    assert worst <= (2.5 if up else BOUND_S)
    assert settled <= BOUND_S + ROUND_TRIP_MS / 2000  # op up, then its receipt beside the catalogue
    assert len(world.edge_store.parts) >= 5


def test_attachments_let_a_backlog_go_first() -> None:
    world = backlog()
    world.photo(2_000_000, up=True)
    world.run_s(150)
    assert len(world.hub_store.parts) <= 1
    world.run_s(80)
    assert world.edge_store.settled == set(range(1, BACKLOG + 1)) and len(world.hub_store.parts) >= 2


def test_reference_data_comes_although_the_stream_is_full() -> None:
    """A new machine loads its office's cases for half an hour; without the catalogue it could accept none meanwhile."""
    world = ThinLine()
    world.hub_store.documents = world.edge_store.documents = {b"h" * 32}
    rng = random.Random(7)
    world.hub_store.rows = [rng.randbytes(900) for _ in range(2_000)]
    world.photo(100_000, up=False)
    world.run_s(120)
    assert len(world.edge_store.parts) == 4 and world.edge_store.pos < 1_000


def test_an_urgent_case_overtakes_the_stream_downward() -> None:
    world = ThinLine()
    rng = random.Random(8)
    urgent = b"urgent" + rng.randbytes(900)
    world.hub_store.rows = [*(rng.randbytes(900) for _ in range(BACKLOG)), urgent]
    assert world.until(urgent) <= 12
    assert world.edge_store.pos < 100
    world.run_s(220)
    assert world.edge_store.pos == BACKLOG + 1


def test_a_fast_line_is_used() -> None:
    """Whole chunks, and as many at once as the line carries in less than a second."""
    world = ThinLine(rate=1_000_000, round_trip_ms=100)
    count = world.photo(8_000_000, up=True)
    world.run_s(40)
    assert len(world.hub_store.parts) == count
