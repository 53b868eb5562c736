"""Fixtures: a county of three joined devices, copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.edge.county import Hands
from tests.unit.stick.courier import Courier, make_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sticks")
    (directory / "made").mkdir()
    make_template(directory)
    return directory / "made"


@pytest.fixture
def courier(template: Path, tmp_path: Path) -> Iterator[Courier]:
    hands = Hands()
    hands.forward(60_000)
    made = Courier(tmp_path, hands, template)
    yield made
    made.close()
