"""A county whose hub will be put back from a backup: real hub, real devices, a line in memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.main import open_node
from tests.unit.edge.county import Hands
from tests.unit.edge.line import World, new_hub
from tests.unit.recovery.county_put_back import OFFICES, PutBack


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Village and town have joined and hold the reference data; copying this takes a few milliseconds."""
    directory = tmp_path_factory.mktemp("put-back")
    new_hub(directory / "new")
    (directory / "made").mkdir()
    world = World(directory / "made", Hands(), directory / "new")
    for name, office in OFFICES.items():
        world.enrol(name, office)
    world.run(6)
    world.close()
    return directory / "made"


@pytest.fixture
def world(template: Path, tmp_path: Path) -> Iterator[PutBack]:
    hands = Hands()
    hands.forward(60_000)
    made = PutBack(tmp_path, hands, template / "hub")
    for name in OFFICES:
        shutil.copytree(template / name, tmp_path / name)
        made.nodes[name] = open_node(tmp_path / name, hands.clock())
        made.connect(name)
    made.run(2)
    yield made
    made.close()
