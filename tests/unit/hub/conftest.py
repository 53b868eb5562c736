"""Counties to test with: in SQLite always, in PostgreSQL where there is one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from hub.config import Config, read_config, write_config
from hub.init import County, open_county
from tests.support.database import Cluster
from tests.unit.hub.hub_support import new_county

_numbers = count(1)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new county that no test touches: making one takes a quarter of a second, copying one nearly nothing."""
    directory = tmp_path_factory.mktemp("county") / "hub"
    new_county(directory).store.close()
    return directory


@pytest.fixture(scope="session")
def postgres_template(postgres_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The same on PostgreSQL: its directory, and the database that tests copy."""
    directory, url = tmp_path_factory.mktemp("county-pg") / "hub", postgres_cluster.new_database()
    new_county(directory, database=url).store.close()
    return directory, url


@pytest.fixture
def county(template: Path, tmp_path: Path) -> Iterator[County]:
    """A new county in SQLite."""
    shutil.copytree(template, tmp_path / "hub")
    made = open_county(tmp_path / "hub")
    yield made
    made.store.close()


@pytest.fixture
def postgres_county(postgres_template: tuple[Path, str], postgres_cluster: Cluster, tmp_path: Path) -> Iterator[County]:
    """A new county in a PostgreSQL database of its own."""
    directory, url = postgres_template
    server, _slash, original = url.rpartition("/")
    name = f"{original}_copy_{next(_numbers)}"
    createdb = [postgres_cluster.binaries / "createdb", "-h", "127.0.0.1", "-p", str(postgres_cluster.port)]
    subprocess.run([*createdb, "-U", "liandong", "-T", original, name], check=True, capture_output=True)
    shutil.copytree(directory, tmp_path / "hub")
    config = point_at(tmp_path / "hub", f"{server}/{name}")
    assert config.database.endswith(name)
    made = open_county(tmp_path / "hub")
    yield made
    made.store.close()


def point_at(directory: Path, database: str) -> Config:
    """The configuration in `directory`, pointed at another database."""
    config = replace(read_config(directory), database=database)
    write_config(directory, config)
    return config


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest) -> County:
    """A new county on either database."""
    name = "county" if request.param == "sqlite" else "postgres_county"
    made: County = request.getfixturevalue(name)
    return made
