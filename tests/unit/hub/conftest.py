"""Counties to test with: in SQLite always, in PostgreSQL where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.init import County, open_county
from tests.unit.hub.hub_support import new_county


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new county that no test touches: making one takes a quarter of a second, copying one nearly nothing."""
    directory = tmp_path_factory.mktemp("county") / "hub"
    new_county(directory).store.close()
    return directory


@pytest.fixture
def county(template: Path, tmp_path: Path) -> Iterator[County]:
    """A new county in SQLite."""
    shutil.copytree(template, tmp_path / "hub")
    made = open_county(tmp_path / "hub")
    yield made
    made.store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[County]:
    """A new county on either database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("county")
        return
    made = new_county(tmp_path / "hub", database=str(request.getfixturevalue("postgres_url")))
    yield made
    made.store.close()
