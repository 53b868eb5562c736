"""Fixtures: a clock that stands still, a county, and devices of it with real SQLite stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.main import Node
from tests.unit.edge.county import TOWN, VILLAGE, County, Hands


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def county() -> County:
    return County()


@pytest.fixture
def village(tmp_path: Path, county: County, hands: Hands) -> Iterator[Node]:
    with county.enrol(tmp_path / "village", VILLAGE, hands) as node:
        yield node


@pytest.fixture
def town(tmp_path: Path, county: County, hands: Hands) -> Iterator[Node]:
    with county.enrol(tmp_path / "town", TOWN, hands) as node:
        yield node
