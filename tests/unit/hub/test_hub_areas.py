"""Goal: a county's tree is read with its superiors, and a bad file says where. Method: two real trees, and edits."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.areas import load_areas
from hub.csv_file import BadTable
from protocol.errors import InputError

COUNTIES = Path(__file__).parents[2] / "data" / "counties"
YANGXIN = COUNTIES / "420222_yangxin.csv"


@pytest.mark.parametrize(
    ("name", "county", "townships", "villages"),
    [("420222_yangxin.csv", "420222", 21, 474), ("331123_suichang.csv", "331123", 20, 214)],
)
def test_real_trees(name: str, county: str, townships: int, villages: int) -> None:
    offices = load_areas(COUNTIES / name, county)
    levels = [office.level for office in offices]
    assert levels[:3] == ["province", "city", "county"]
    assert (levels.count("township"), levels.count("village")) == (townships, villages)
    assert len(offices) == 3 + townships + villages


def test_one_file_with_several_counties(tmp_path: Path) -> None:
    """Only the county's own subtree and its superiors count, even if another county's part has a hole."""
    rows = [*YANGXIN.read_text().splitlines(), *(COUNTIES / "331123_suichang.csv").read_text().splitlines()[2:]]
    path = tmp_path / "both.csv"
    path.write_text("\n".join(rows))
    assert load_areas(path, "420222") == load_areas(YANGXIN, "420222")
    with pytest.raises(BadTable, match="the parent 33 is not in the file"):
        load_areas(path, "331123")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("42022299,x,420222,township", "not an area code"),
        ("42022a,x,4202,county", "not an area code"),
        ("420222999,x,420222,village", "by its length it is township"),
        ("420222999,,420222,township", "name has 1 to 60"),
        ("420222999,x,420221,township", "must be 420222"),
        ("420222100,x,420222,township", "also in line 5"),
        ("420222999001,x,420222999,village", "parent 420222999 is not in the file"),
    ],
)
def test_bad_rows_are_named_by_line(tmp_path: Path, row: str, words: str) -> None:
    path = tmp_path / "areas.csv"
    path.write_text(YANGXIN.read_text() + row + "\n")
    with pytest.raises(BadTable) as caught:
        load_areas(path, "420222")
    assert "line 500:" in caught.value.text and words in caught.value.text


@pytest.mark.parametrize("county", ["420223", "4202", "42022x", "420222100", ""])
def test_county_must_be_there(county: str) -> None:
    with pytest.raises(InputError):
        load_areas(YANGXIN, county)
