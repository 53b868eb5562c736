"""After a restore no version number is given twice, whatever the clock says and however often a hub is put back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub import era, state
from hub.init import County, open_county
from hub.recovery import put_back
from tests.unit.hub.hub_support import NOW, new_county

HOUR = 3_600_000


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    made = new_county(tmp_path / "hub")
    yield made
    made.store.close()


def published(county: County, day: str, now_ms: int = NOW) -> int:
    content = {"years": {"2026": {"off": [day], "work": []}}, "source": "test"}
    with county.store.write() as tx:
        return county.shelf.publish_calendar(tx, county.keys, content, now_ms=now_ms)


def begin(county: County, now_ms: int, *, look_back: int = 0) -> era.Era:
    with county.store.write() as tx:
        put_back(tx, b"\0" * 8, now_ms=now_ms, look_back=look_back)
        county.shelf.refresh(tx)
    return county.shelf.era


def test_a_county_that_was_never_put_back_counts_from_one(county: County) -> None:
    with county.store.read() as tx:
        assert era.read(tx) == era.Era()
    assert published(county, "03-09") == 2
    assert not county.shelf.era.lost("calendar", 3)


def test_numbers_jump_and_what_lies_between_is_lost(county: County) -> None:
    made = begin(county, NOW + HOUR)
    version = published(county, "03-09")
    assert version == made.documents > 10**9
    assert made.lost("calendar", 2) and made.lost("calendar", version - 1)
    assert not made.lost("calendar", 1) and not made.lost("calendar", version)
    assert published(county, "03-10") == version + 1


@pytest.mark.parametrize("clock", [NOW + HOUR, NOW, 0], ids=["right", "stands still", "1970"])
def test_an_era_begins_above_the_one_before_whatever_the_clock_says(county: County, clock: int) -> None:
    first = begin(county, NOW + HOUR)
    one = [published(county, f"03-{day}") for day in ("09", "10", "11")][-1]
    second = begin(county, clock)
    assert second.documents > one and second.items > first.items
    assert published(county, "03-12") == second.documents
    assert second.lost("calendar", one + 1) and not second.lost("calendar", one)


def test_two_restores_of_one_backup_give_different_numbers(county: County, tmp_path: Path) -> None:
    """The second copy knows nothing of the first one's publications; a second between them is enough."""
    backup = tmp_path / "hub.backup"
    county.store.backup_to(backup)
    first = begin(county, NOW + HOUR)
    given = {published(county, f"03-{day}") for day in ("09", "10", "11")}
    county.store.close()
    for old in (tmp_path / "hub").glob("hub.db*"):
        old.unlink()
    backup.rename(tmp_path / "hub" / "hub.db")
    again = open_county(tmp_path / "hub")
    second = begin(again, NOW + HOUR + 1_000)
    assert published(again, "04-13") not in given
    assert second.documents > max(given) and first.items < second.items
    again.store.close()


def test_items_changed_after_a_restore_get_numbers_that_no_lost_catalogue_can_have(county: County) -> None:
    items = [
        {key: value for key, value in item.items() if key not in ("version", "from_ms")}
        for item in county.shelf.items.values()
    ]
    made = begin(county, NOW + HOUR)
    items[0]["name"] = f"{items[0]['name']}（新）"
    with county.store.write() as tx:
        county.shelf.publish_catalogue(tx, county.keys, items, now_ms=NOW + HOUR)
    versions = {item["version"] for item in county.shelf.items.values()}
    assert versions == {1, made.items} and made.items < 2**31


def test_a_holder_of_a_lost_roster_is_offered_the_whole_and_others_the_changes(county: County) -> None:
    made = begin(county, NOW + HOUR)
    with county.store.write() as tx:
        county.shelf.change_roster(tx, county.keys, lambda _roster: None, now_ms=NOW)
    base = {
        held: next(row[2] for row in county.shelf.offers({"roster": held}) if row[0] == "roster") for held in (1, 5)
    }
    assert base == {1: 1, 5: 0} and made.lost("roster", 5)
    assert not [row for row in county.shelf.offers({"roster": 2**50}) if row[0] == "roster"]


def test_an_unmarked_restore_mistrusts_its_last_versions_too(county: County) -> None:
    version = published(county, "03-09")
    made = begin(county, NOW + HOUR, look_back=era.LOOK_BACK)
    assert made.lost("calendar", version)


def test_a_new_epoch_of_a_new_county_is_no_era(county: County) -> None:
    with county.store.write() as tx:
        assert era.read(tx).gaps == ()
        state.new_epoch(tx, b"\0" * 8, now_ms=NOW + HOUR)
        assert {kind for kind, _above, _below in era.read(tx).gaps} == {"roster", "catalogue", "calendar"}
