"""The lane's settings, and a device with a window against the real hub: cases flow, attachments wait, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.attachment import file_of
from edge.lanes import LANES_NAME, LOOK_MS, Lanes, OfficeLanes, change, read_lanes, write_lanes
from edge.main import Node
from edge.service import Application
from edge.staff import Actor
from protocol.chunks import CHUNK_BYTES, WINDOW
from protocol.errors import BadConfig, InputError
from protocol.gates import Window, window_of
from protocol.lanes import Lane
from tests.unit.edge.county import GOOD_ID, Hands
from tests.unit.edge.line import ITEM, TOWN, VILLAGE, World, new_hub

CHIEF = Actor("chief", "chief")
NIGHT = OfficeLanes().changed(
    Lane.ATTACHMENTS, window=window_of("22:00-06:00")
)  # the tests' clock begins at nine in the morning


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
    assert read_lanes(tmp_path) == OfficeLanes()
    made = replace(NIGHT.changed(Lane.ATTACHMENTS, bytes_per_s=2_000), unsent_bytes_max=5_000_000)
    made = made.changed(Lane.OPS, bytes_per_s=4_000, batch=8_000).changed(Lane.REFERENCE, window=Window(1, 2))
    write_lanes(tmp_path, made)
    assert read_lanes(tmp_path) == made
    (tmp_path / LANES_NAME).write_text('{"attachments": {"from": "12:00", "to": "13:30"}}')  # as before there were four
    assert read_lanes(tmp_path) == OfficeLanes().changed(Lane.ATTACHMENTS, window=Window(720, 810))


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


@pytest.mark.parametrize(
    "raw",
    [[], {"express": {}}, {"ops": {"from": "22:00", "to": "06:00"}}, {"urgent": {"bytes_per_s": 900}}, {"ops": {"bytes_per_s": 9}},
     {"reference": {"unsent_bytes_max": 5}}, {"reference": {"batch_bytes": 7}}],
)  # fmt: skip
def test_what_a_lane_does_not_allow_is_said(tmp_path: Path, raw: Any) -> None:
    (tmp_path / LANES_NAME).write_text(json.dumps(raw))
    with pytest.raises(BadConfig):
        read_lanes(tmp_path)


@pytest.mark.parametrize(
    ("lane", "written"),
    [
        ("express", {"rate": "5kB/s"}),
        ("ops", {}),
        ("ops", {"window": "22:00-06:00"}),
        ("ops", {"rate": "100"}),
        ("urgent", {"rate": "5kB/s"}),
        ("reference", {"rate": "fast"}),
        ("reference", {"rate": "5kB/s", "window": "night"}),
        ("attachments", {"batch": 5}),
    ],
)
def test_what_a_person_writes_wrongly_changes_nothing(lane: str, written: dict[str, Any]) -> None:
    before = OfficeLanes()
    with pytest.raises(InputError):
        change(before, lane, **written)
    assert before == OfficeLanes()


def test_what_a_person_writes() -> None:
    made = change(OfficeLanes(), "reference", rate="20kB/s", window="22:00-06:00", batch=65_536)
    assert made == OfficeLanes().changed(
        Lane.REFERENCE, bytes_per_s=20_000, window=window_of("22:00-06:00"), batch=65_536
    )
    assert change(made, "reference", rate="none", window="always", batch=0) == OfficeLanes()
    assert change(OfficeLanes(), None, window="22:00-06:00") == NIGHT


def test_a_running_lane_takes_changes_over_and_survives_a_damaged_file(tmp_path: Path, hands: Hands) -> None:
    lanes, files = Lanes(hands.clock()), Lane.ATTACHMENTS
    lanes.follow(tmp_path)
    assert lanes.ready(files, hands.mono_ms)
    write_lanes(tmp_path, NIGHT)
    hands.forward(LOOK_MS)
    assert not lanes.ready(files, hands.mono_ms)
    (tmp_path / LANES_NAME).write_text("{")
    hands.forward(LOOK_MS)
    assert not lanes.ready(files, hands.mono_ms) and lanes.settings == NIGHT
    hands.forward(13 * 3_600_000)
    assert lanes.ready(files, hands.mono_ms)


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
    world.loops["village"].lanes.follow(village.directory)
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
    world.loops["other"].lanes.use(NIGHT)
    world.run(40)
    status: Any = other.status()
    assert status["versions"]["catalogue"] and status["versions"]["calendar"]
    assert len(other.service.show(case)["missing_files"]) == 1 and status["attachments"]["missing_here"]
    world.loops["other"].lanes.use(OfficeLanes())
    world.run(20)
    assert other.service.show(case)["missing_files"] == []


def test_a_rate_holds_for_both_directions_together(world: World, hands: Hands) -> None:
    village = world.enrol("village", VILLAGE)
    world.run(5)
    lanes = world.loops["village"].lanes
    lanes.use(OfficeLanes().changed(Lane.ATTACHMENTS, bytes_per_s=2_000))
    spent: list[int] = []
    spend = lanes.spend

    def counting(lane: Lane, size: int, mono_ms: int) -> None:
        spent.extend([size] if lane == Lane.ATTACHMENTS else [])
        spend(lane, size, mono_ms)

    lanes.spend = counting  # type: ignore[method-assign]
    case = entered(village, scan())
    begun = hands.mono_ms
    for _ in range(60):
        world.run(10)
        if sum(spent) == 5 * CHUNK_BYTES:
            break
    assert sum(spent) == 5 * CHUNK_BYTES
    assert hands.mono_ms - begun >= 4 * CHUNK_BYTES / 2_000 * 1_000
    assert village.service.show(case)["unsent_files"] == []


def test_reference_data_waits_for_its_window_and_the_roster_does_not(world: World, hands: Hands) -> None:
    world.enrol("village", VILLAGE)
    lanes = world.loops["village"].lanes
    lanes.use(OfficeLanes().changed(Lane.REFERENCE, window=window_of("22:00-06:00")))
    world.run(20)
    status: Any = world.nodes["village"].status()
    assert status["versions"]["roster"] and not status["versions"]["catalogue"]
    hands.forward(13 * 3_600_000)
    world.run(80)
    status = world.nodes["village"].status()
    assert status["versions"]["catalogue"] and status["versions"]["calendar"]


def test_without_settings_nothing_is_limited(hands: Hands) -> None:
    lanes = Lanes(hands.clock())
    assert all(lanes.ready(lane, 0) for lane in Lane) and lanes.pieces(Lane.ATTACHMENTS) == WINDOW


def test_a_rate_makes_batches_small(hands: Hands) -> None:
    """One large envelope would be a debt of minutes."""
    lanes = Lanes(hands.clock(), OfficeLanes().changed(Lane.OPS, bytes_per_s=500))
    assert lanes.batch(Lane.OPS) == 4_000 and lanes.batch(Lane.URGENT) == 16_000
