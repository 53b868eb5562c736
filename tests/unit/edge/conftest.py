"""Fixtures: a clock that stands still, a county, and devices of it with real SQLite stores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.main import Node, open_node
from tests.unit.edge.county import COUNTY, TOWN, VILLAGE, County, Hands, spread

OFFICES = {"village": VILLAGE, "town": TOWN, "centre": COUNTY}


@dataclass
class Built:
    """A county with three devices in directories that tests copy: making stores anew for each test takes seconds."""

    county: County
    root: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    root = tmp_path_factory.mktemp("county")
    county, hands = County(), Hands()
    nodes = [county.enrol(root / name, office, hands) for name, office in OFFICES.items()]
    spread(county, *nodes)
    for node in nodes:
        node.close()
    return Built(county, root)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def county(built: Built) -> County:
    return deepcopy(built.county)


def _opened(built: Built, name: str, tmp_path: Path, hands: Hands) -> Node:
    shutil.copytree(built.root / name, tmp_path / name)
    return open_node(tmp_path / name, hands.clock())


@pytest.fixture
def village(built: Built, tmp_path: Path, hands: Hands) -> Iterator[Node]:
    with _opened(built, "village", tmp_path, hands) as node:
        yield node


@pytest.fixture
def town(built: Built, tmp_path: Path, hands: Hands) -> Iterator[Node]:
    with _opened(built, "town", tmp_path, hands) as node:
        yield node


@pytest.fixture
def centre(built: Built, tmp_path: Path, hands: Hands) -> Iterator[Node]:
    """The county centre's windows."""
    with _opened(built, "centre", tmp_path, hands) as node:
        yield node


@pytest.fixture
def chain(village: Node, town: Node, centre: Node) -> tuple[Node, Node, Node]:
    """Village, township and county centre; they know each other's keys."""
    return village, town, centre
