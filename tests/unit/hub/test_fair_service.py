"""Goal: one office's mountain, of ops or of bytes, delays no other; urgent cases go first at the hub, up and down.

Counted in rounds of the real loop with real links, not in time: a loaded machine changes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import pytest
from sqlalchemy import select

from conflict.ledger.schema import ops
from hub import streams
from hub.init import County
from protocol import chunks
from protocol.events import AheadArrived, StreamArrived, WelcomeArrived
from protocol.op import Op
from tests.unit.hub.hub_support import TOWN, VILLAGE
from tests.unit.hub.test_hub_loop import Far, Stage, new_case

MOUNTAIN = (
    700  # ops: more than the rounds below could carry; what is on its way is bounded, so more would change nothing
)
OTHERS = 12


@pytest.fixture
def stage(county: County) -> Iterator[Stage]:
    made = Stage(county)
    yield made
    made.intake.close()


def rounds_until_settled(stage: Stage, devices: list[Far], *, most: int = 60) -> int:
    for count in range(1, most):
        stage.run(1)
        if all(len(device.settled) == len(device.outbox) for device in devices):
            return count
    raise AssertionError("not settled")


def others(stage: Stage) -> list[Far]:
    """Devices of other offices that have greeted and have nothing to offer yet."""
    offices = [code for code, one in stage.county.shelf.roster.offices.items() if one.level == "village"]
    devices = [stage.device(office, 300 + at) for at, office in enumerate(offices[1 : OTHERS + 1])]
    stage.run(4)
    return devices


def enter(devices: list[Far]) -> None:
    for device in devices:
        device.outbox = {op.seq: op for op in (new_case(device.machine), new_case(device.machine))}


def test_a_mountain_of_ops_delays_nobody_else(stage: Stage) -> None:
    devices = others(stage)
    enter(devices[:6])
    alone = rounds_until_settled(stage, devices[:6])
    mountain = stage.device(VILLAGE, 1, cases=MOUNTAIN)
    stage.run(2)
    enter(devices[6:])
    beside = rounds_until_settled(stage, devices[6:])
    assert 0 < len(mountain.settled) < MOUNTAIN, "the mountain was under way all the time"
    assert beside <= alone + 1


def test_a_huge_attachment_delays_nobody_else(stage: Stage) -> None:
    devices = others(stage)
    enter(devices[:6])
    alone = rounds_until_settled(stage, devices[:6])
    giver = stage.device(VILLAGE, 1)
    content = random.Random(2).randbytes(80 * chunks.CHUNK_BYTES)
    digest = sha256(content).digest()
    opened = giver.machine.accept()
    body = {"name": "扫描件.bin", "media": "application/octet-stream", "size": len(content), "sha256": digest}
    giver.outbox = {1: opened, 2: giver.machine.op("attach", {**body, "material": "扫描件"}, [opened])}
    giver.files = {digest: content}
    stage.run(12)
    enter(devices[6:])
    beside = rounds_until_settled(stage, devices[6:])
    assert beside <= alone + 1
    assert sum(len(payload) for _topic, payload in stage.room.inbox) < 6 * chunks.CHUNK_BYTES


def test_who_is_told_to_wait_hands_in_its_urgent_case_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    village = stage.device(VILLAGE, 1, cases=4)
    village.express = {4}
    source = stage.loop._line(stage.county.shelf.roster.devices[village.machine.keys.incarnation]).source  # type: ignore[union-attr]
    plain = source.welcome

    def told_to_wait(hello):  # type: ignore[no-untyped-def]
        return replace(plain(hello), retry_ms=30_000)

    monkeypatch.setattr(source, "welcome", told_to_wait)
    stage.run(10)
    seen = [event.welcome.retry_ms for event in village.events if isinstance(event, WelcomeArrived)]
    assert seen and set(seen) == {30_000}
    assert village.settled == {4: "accepted"}
    stage.run(200)
    assert len(village.settled) == 4


def test_urgent_ops_are_taken_before_what_came_in_with_them(stage: Stage) -> None:
    plain, urgent = stage.device(VILLAGE, 1, cases=5), stage.device(TOWN, 2)
    stage.run(1)
    urgent.outbox = {op.seq: op for op in [new_case(urgent.machine)]}
    urgent.express = {1}
    plain.outbox |= {op.seq: op for op in [new_case(plain.machine) for _ in range(5)]}
    stage.run(6)
    first = next(iter(urgent.outbox.values()))
    with stage.county.store.read() as tx:
        order = list(tx.execute(select(ops.c.id).order_by(ops.c.pos)).scalars())
    assert order.index(first.id) < order.index(plain.outbox[10].id)
    assert len(order) == 11


def urgent_case(far: Far) -> Op:
    fields = {"applicant_name": "王急", "applicant_id": "u", "applicant_phone": "u"}
    return far.machine.accept(body={"fields": fields, "urgent": True})


def test_an_urgent_case_comes_down_before_the_stream_that_leads_to_it(stage: Stage) -> None:
    village = stage.device(VILLAGE, 1, cases=90)
    last = urgent_case(village)
    village.outbox[last.seq] = last
    rounds_until_settled(stage, [village])
    town = stage.device(TOWN, 2)
    stage.run(30)
    heard = [event for event in town.events if isinstance(event, AheadArrived | StreamArrived)]
    ahead = next(at for at, event in enumerate(heard) if isinstance(event, AheadArrived))
    carried = heard[ahead]
    assert isinstance(carried, AheadArrived) and carried.blobs == (last.blob,)
    behind = [event for event in heard[ahead:] if isinstance(event, StreamArrived)]
    assert last.blob in [blob for event in behind for _what, blob in event.items], "it comes again in its place"
    assert town.got.count(last.blob) == 1 and len(town.got) == 91


def test_what_is_urgent_behind_a_position_is_found_in_portions(stage: Stage) -> None:
    village = stage.device(VILLAGE, 1, cases=3)
    more = [urgent_case(village) for _ in range(2)]
    village.outbox |= {op.seq: op for op in more}
    rounds_until_settled(stage, [village])
    with stage.county.store.read() as tx:
        end = streams.length(tx, TOWN)

        def behind(after: int, bytes_max: int) -> tuple[int, list[bytes]]:
            return streams.urgent_behind(tx, TOWN, after=after, bytes_max=bytes_max, without=b"")

        assert behind(0, 10**6) == (end, [op.blob for op in more])
        reached, blobs = behind(0, 1)
        assert blobs == [more[0].blob] and behind(reached, 1)[1] == [more[1].blob]
        assert behind(end, 10**6) == (end, [])
        own = streams.urgent_behind(tx, TOWN, after=0, bytes_max=10**6, without=village.machine.keys.incarnation)
        assert own == (end, [])
