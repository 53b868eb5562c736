"""Goal: a county is made whole or not at all, privately, and can be opened. Method: real files, and failures on the way."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hub import calendar_source, init
from hub.broker_accounts import AccountFile
from hub.config import HUB_KEY_NAME, ROOT_KEY_NAME, read_config, read_keys
from hub.errors import DirectoryNotEmpty, NotACounty
from hub.init import County, init_county, open_county
from protocol.documents import open_document
from protocol.errors import BadConfig, InputError
from protocol.roster import Roster
from protocol.trust import Trust
from tests.unit.hub.hub_support import AREAS, COUNTY, ITEMS, NOW, new_county, random_source


def test_new_county_is_complete(either: County) -> None:
    assert either.shelf.roster.version == 1
    assert len(either.shelf.roster.offices) == 498 and either.shelf.roster.office("4202") is not None
    assert len(either.shelf.items) == 120
    assert 2026 in either.shelf.calendar.years
    assert either.config.broker == "mqtt://127.0.0.1:1883"
    hub = either.shelf.roster.device(either.keys.incarnation)
    assert hub is not None and hub.role == "hub" and hub.office == COUNTY
    assert either.card.hub.incarnation == either.keys.incarnation


def test_another_county(tmp_path: Path) -> None:
    areas = AREAS.with_name("331123_suichang.csv")
    made = init_county(tmp_path / "d", areas=areas, items=ITEMS, county="331123", now_ms=NOW)
    assert (made.name, made.offices, made.items) == ("遂昌县", 235, 120)


def test_documents_are_signed_for_this_county(county: County) -> None:
    trust = Trust.of(county.card)
    opened = [open_document(blob, trust) for blob in county.shelf.whole()]
    assert [document.kind for document in opened] == ["roster", "catalogue", "calendar"]
    assert Roster.of(COUNTY, opened[0]).offices == county.shelf.roster.offices


@pytest.mark.skipif(os.name == "nt", reason="permissions are POSIX")
def test_secrets_are_private(county: County) -> None:
    for path in (county.directory / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    assert stat.S_IMODE(county.directory.stat().st_mode) == 0o700


def test_hub_may_log_in_at_the_broker(county: County) -> None:
    password = (county.directory / init.HUB_PASSWORD_NAME).read_text()
    assert AccountFile(county.directory).admits("hub", password)


def test_root_and_hub_keys_differ(county: County) -> None:
    root = read_keys(county.directory, ROOT_KEY_NAME)
    assert root.sign_public == county.card.root_public != county.keys.sign_public


def test_directory_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.txt").write_text("x")
    with pytest.raises(DirectoryNotEmpty):
        new_county(tmp_path / "d")
    assert [path.name for path in tmp_path.rglob("*")] == ["d", "mine.txt"]


def test_empty_directory_is_used(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    new_county(tmp_path / "d").store.close()
    assert read_config(tmp_path / "d").name == "阳新县"


def test_second_county_in_one_database_is_refused(tmp_path: Path, postgres_url: str) -> None:
    new_county(tmp_path / "one", database=postgres_url).store.close()
    with pytest.raises(DirectoryNotEmpty):
        new_county(tmp_path / "two", database=postgres_url, seed=2)
    assert not (tmp_path / "two").exists()


def test_failure_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(years: object) -> dict[str, object]:
        raise OSError("no space left on device")

    monkeypatch.setattr(calendar_source, "publishable", broken)
    with pytest.raises(OSError, match="no space"):
        new_county(tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broker", ["127.0.0.1:1883", "http://x", "mqtt://", "mqtt://x:0", "mqtt://x:99999", ""])
def test_address_of_the_broker_is_checked(tmp_path: Path, broker: str) -> None:
    with pytest.raises(InputError, match="not a broker's address"):
        init_county(tmp_path / "d", areas=AREAS, items=ITEMS, county=COUNTY, broker=broker, now_ms=NOW)
    assert not (tmp_path / "d").exists()


def test_not_a_county(tmp_path: Path) -> None:
    with pytest.raises(NotACounty):
        open_county(tmp_path)


@pytest.mark.parametrize("name", [HUB_KEY_NAME, "county.json", "hub.card"])
def test_damaged_file_is_named(county: County, name: str) -> None:
    (county.directory / name).write_bytes(b"\x00\x01")
    with pytest.raises(BadConfig) as caught:
        open_county(county.directory)
    assert name.split("/")[-1] in caught.value.text


def test_same_randomness_same_keys(tmp_path: Path) -> None:
    """What makes runs of the simulator repeatable."""
    first, second = new_county(tmp_path / "a"), new_county(tmp_path / "b")
    assert first.keys.incarnation == second.keys.incarnation
    assert random_source(1)(8) == random_source(1)(8)
    first.store.close()
    second.store.close()
