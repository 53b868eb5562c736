"""A hub to try upkeep on; see tests/unit/hub/hub_support.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.init import County
from tests.unit.hub.hub_support import new_county


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    made = new_county(tmp_path / "hub")
    yield made
    made.store.close()
