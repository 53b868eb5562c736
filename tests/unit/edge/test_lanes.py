"""The lane's settings, and a device with a window against the real hub: cases flow, attachments wait, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.attachment import file_of
from edge.clock import Clock
from edge.lanes import LANES_NAME, LOOK_MS, AttachmentLane, LaneSettings, read_lanes, write_lanes
from edge.main import Node
from edge.service import Application
from edge.staff import Actor
from protocol.chunks import CHUNK_BYTES
from protocol.errors import BadConfig, InputError
from protocol.lanes import Window, window_of
from tests.unit.edge.county import GOOD_ID, Hands
from tests.unit.edge.line import ITEM, TOWN, VILLAGE, World, new_hub

CHIEF = Actor("chief", "chief")
NIGHT = LaneSettings(0, window_of("22:00-06:00"))  # the tests' clock begins at nine in the morning


@pytest.fixture(scope="session")
def lanes_hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("template") / "hub"
    new_hub(directory)
    return directory


@pytest.fixture
def world(tmp_path: Path, hands: Hands, lanes_hub: Path) -> Iterator[World]:
    made = World(tmp_path, hands, lanes_hub)
    yield made
    made.close()


def test_settings_come_back_and_defaults_limit_nothing(tmp_path: Path) -> None:
    assert read_lanes(tmp_path) == LaneSettings()
    made = LaneSettings(2_000, Window(1_320, 360), 5_000_000)
    write_lanes(tmp_path, made)
    assert read_lanes(tmp_path) == made
    (tmp_path / LANES_NAME).write_text('{"attachments": {"from": "12:00", "to": "13:30"}}')
    assert read_lanes(tmp_path) == LaneSettings(0, Window(720, 810))


@pytest.mark.parametrize(
    "attachments",
    [None, [], {"from": "22:00"}, {"from": "22:00", "to": "25:00"}, {"bytes_per_s": "9"}, {"bytes_per_s": -1}, {"rate": 1},
     {"unsent_bytes_max": 0}, {"bytes_per_s": True}],
)  # fmt: skip
def test_what_cannot_be_used_is_said(tmp_path: Path, attachments: Any) -> None:
    (tmp_path / LANES_NAME).write_text(json.dumps({"attachments": attachments}))
    with pytest.raises(BadConfig) as caught:
        read_lanes(tmp_path)
    assert LANES_NAME in caught.value.text and LANES_NAME in caught.value.text_zh
    with pytest.raises(InputError):
        LaneSettings(-1)


def test_a_running_lane_takes_changes_over_and_survives_a_damaged_file(tmp_path: Path, hands: Hands) -> None:
    lane = AttachmentLane(hands.clock())
    lane.follow(tmp_path)
    assert lane.ready(hands.mono_ms)
    write_lanes(tmp_path, NIGHT)
    hands.forward(LOOK_MS)
    assert not lane.ready(hands.mono_ms)
    (tmp_path / LANES_NAME).write_text("{")
    hands.forward(LOOK_MS)
    assert not lane.ready(hands.mono_ms) and lane.settings == NIGHT
    hands.forward(13 * 3_600_000)
    assert lane.ready(hands.mono_ms)


def scan(size: int = 5 * CHUNK_BYTES, fill: int = 7) -> Any:
    return file_of("扫描件.bin", bytes([fill]) * size, material="扫描件")


def entered(node: Node, file: Any) -> str:
    saved = node.service.accept(CHIEF, Application(ITEM, "张三", GOOD_ID))
    node.service.attach_file(CHIEF, saved.case, file)
    return saved.case


def test_cases_flow_by_day_and_their_files_by_night(world: World, hands: Hands) -> None:
    village, town = world.enrol("village", VILLAGE), world.enrol("town", TOWN)
    world.run(5)
    write_lanes(village.directory, NIGHT)
    world.loops["village"].lane.follow(village.directory)
    case = entered(village, scan())
    world.run(40)
    attachments: Any = village.status()["attachments"]
    assert attachments["lane"]["open"] is False and attachments["unsent"] == 1
    assert attachments["missing_at_hub"][0]["size"] == 5 * CHUNK_BYTES
    assert len(village.service.show(case)["unsent_files"]) == 1
    assert len(town.service.show(case)["missing_files"]) == 1  # the case is there, its file is not
    assert village.status()["pending"] == 0
    hands.forward(13 * 3_600_000)
    world.run(60)
    attachments = village.status()["attachments"]
    assert (attachments["unsent"], attachments["unsent_bytes"], attachments["lane"]["open"]) == (0, 0, True)
    assert town.service.show(case)["missing_files"] == []


def test_outside_its_window_a_device_asks_for_no_attachment_but_for_documents(world: World, hands: Hands) -> None:
    village = world.enrol("village", VILLAGE)
    world.run(5)
    case = entered(village, scan())
    world.run(20)
    other = world.enrol("other", VILLAGE)  # a second machine of the office loads its scope
    world.loops["other"].lane.use(NIGHT)
    world.run(40)
    status: Any = other.status()
    assert status["versions"]["catalogue"] and status["versions"]["calendar"]
    assert len(other.service.show(case)["missing_files"]) == 1 and status["attachments"]["missing_here"]
    world.loops["other"].lane.use(replace(NIGHT, window=None))
    world.run(20)
    assert other.service.show(case)["missing_files"] == []


def test_a_rate_holds_for_both_directions_together(world: World, hands: Hands) -> None:
    village = world.enrol("village", VILLAGE)
    world.run(5)
    world.loops["village"].lane.use(LaneSettings(2_000))
    spent: list[int] = []
    lane = world.loops["village"].lane
    spend = lane.spend

    def counting(size: int, mono_ms: int) -> None:
        spent.append(size)
        spend(size, mono_ms)

    lane.spend = counting  # type: ignore[method-assign]
    case = entered(village, scan())
    begun = hands.mono_ms
    for _ in range(60):
        world.run(10)
        if len(spent) == 5:
            break
    assert sum(spent) == 5 * CHUNK_BYTES
    assert hands.mono_ms - begun >= 4 * CHUNK_BYTES / 2_000 * 1_000
    assert village.service.show(case)["unsent_files"] == []


def test_the_lane_of_a_tool_without_settings_is_open(hands: Hands) -> None:
    clock: Clock = hands.clock()
    assert AttachmentLane(clock).ready(0) and AttachmentLane(clock).bucket.pieces() == 4
