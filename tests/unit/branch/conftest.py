"""Fixtures: a county template, and a world with one township and two villages that know each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.branch.branch_world import BranchWorld
from tests.unit.edge.county import Hands
from tests.unit.edge.line import NEIGHBOUR, TOWN, VILLAGE, new_hub


@pytest.fixture(scope="session")
def hub_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("template") / "hub"
    new_hub(directory)
    return directory


@pytest.fixture
def world(tmp_path: Path, hub_template: Path) -> Iterator[BranchWorld]:
    """All lines open once, so that everybody holds roster, catalogue and calendar; then the second lines are there."""
    made = BranchWorld(tmp_path, Hands(), hub_template)
    for name, office in (("village", VILLAGE), ("neighbour", NEIGHBOUR), ("town", TOWN)):
        made.enrol(name, office)
    made.run(6)
    made.serve("town")
    for name in ("village", "neighbour"):
        made.link(name, "town")
    yield made
    made.close()
