"""Goal: the county's items are read whole, and a bad file says where it is bad. Method: the real file, and edits of it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from conflict.terms import terms_of
from hub.catalogue import COLUMNS, by_code, load_items, number_versions
from hub.csv_file import BadTable
from protocol import canonical
from protocol.errors import InputError

ITEMS = Path(__file__).parents[2] / "data" / "items.csv"


def _write(path: Path, *changes: dict[str, str]) -> Path:
    """A file with one good row per change, each changed as told."""
    good = {
        "item_code": "A-1",
        "name": "事项",
        "department": "民政局",
        "kind": "承诺",
        "accept_level": "village",
        "approve_level": "county",
    }
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for at, change in enumerate(changes):
        writer.writerow({**good, "item_code": f"A-{at}", **change})
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


def test_real_file_whole() -> None:
    items = load_items(ITEMS)
    assert len(items) == 120
    kinds = [item["kind"] for item in items]
    assert [kinds.count(kind) for kind in ("committed", "immediate", "submit_up", "joint", "reply")] == [
        82,
        22,
        6,
        5,
        5,
    ]
    canonical.encode({"items": items})  # can be signed


def test_real_file_tokens() -> None:
    items = by_code(load_items(ITEMS))
    assert items["JF-MZ-001"]["stages"] == [
        {"who": "township", "limit": [15, "workday"]},
        {"who": "publicity", "limit": [7, "calendar"]},
        {"who": "county", "limit": [5, "workday"]},
    ]
    assert items["JF-MZ-001"]["statutory"] == [30, "calendar"]
    assert items["JF-YB-009"]["stages"][0] == {"who": "township"}
    assert items["QR-MZ-010"]["wait"] == [30, "calendar"] and items["QR-MZ-010"]["window"] == [30, "calendar"]
    assert items["GG-XF-001"]["accept_limit"] == [15, "calendar"] and items["GG-XF-001"]["extend"] == [30, "calendar"]
    assert items["GG-ZF-001"]["supplement_limit"] == [7, "workday"] and items["GG-ZF-001"]["restart_on_supplement"]
    assert items["JF-MZ-003"]["promised"] == [7, "workday"] and "statutory" not in items["JF-MZ-003"]
    assert items["GG-MZ-018"]["promised"] == [0, "workday"]  # 0 is on the spot, not unknown
    assert "stages (浙江省社会救助条例§11)" in items["JF-MZ-001"]["remarks"]


def test_joint_items_name_their_parties() -> None:
    items = by_code(load_items(ITEMS))
    assert items["LB-ZW-001"]["departments"] == ["行政审批局", "市场监督管理局", "公安局"]
    assert items["LB-ZW-003"]["departments"] == ["行政审批局", "乡镇", "自然资源和规划局"]
    assert "departments" not in items["JF-MZ-001"]


def test_joint_departments_in_the_column(tmp_path: Path) -> None:
    (item,) = load_items(_write(tmp_path / "i.csv", {"kind": "联办", "department": "住建局;公安局、消防"}))
    assert item["department"] == "住建局" and item["departments"] == ["住建局", "公安局", "消防"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "快办"}, "not one of 即办"),
        ({"name": ""}, "name has 1 to 60"),
        ({"accept_level": "city"}, "accept_level"),
        ({"accept_level": "county", "approve_level": "village"}, "below where it is accepted"),
        ({"kind": "上报"}, "decided by the city"),
        ({"statutory_days": "20"}, "together"),
        ({"statutory_days": "x", "statutory_unit": "workday"}, "whole number"),
        ({"statutory_days": "5", "statutory_unit": "week"}, "not one of workday"),
        ({"statutory_days": "5", "statutory_unit": "workday", "promised_days": "6"}, "longer than the statutory"),
        ({"note": "extnd=5w"}, "unknown key extnd"),
        ({"note": "extend=5w;extend=6w"}, "twice"),
        ({"note": "extend=soon"}, "not a limit"),
        ({"note": "stages=township"}, "list such as"),
        ({"note": "restart_on_supplement=ja"}, "yes or no"),
        ({"note": "clock=fast"}, "civil or elapsed"),
        ({"note": "classes=area:costly"}, "list such as"),
        ({"materials": "料" * 61}, "more than 60 characters"),
        ({"item_code": "A-0"}, "also in line 2"),
    ],
)
def test_bad_rows_are_named_by_line(tmp_path: Path, change: dict[str, str], words: str) -> None:
    with pytest.raises(BadTable) as caught:
        load_items(_write(tmp_path / "i.csv", {}, change))
    assert "line 3" in caught.value.text and words in caught.value.text
    assert "第 3 行" in caught.value.text_zh


def test_all_bad_lines_are_listed(tmp_path: Path) -> None:
    with pytest.raises(BadTable) as caught:
        load_items(_write(tmp_path / "i.csv", *[{"kind": "?"}] * 9))
    assert [line for line, _text, _zh in caught.value.facts["problems"]] == list(range(2, 11))
    assert "and 4 more" in caught.value.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "lacks item_code"),
        (b"item_code,name\n", "lacks department"),
        ("item_code,名称\n".encode("gb18030"), "not UTF-8"),
        (b"item_code,name,department,kind,accept_level,approve_level\n", "holds no items"),
        (b"item_code,name,department,kind,accept_level,approve_level\na,b\n", "2 cells where the header has 6"),
        (b"item_code,name,department,kind,accept_level,approve_level,notes\n", "unknown column notes"),
        (b'item_code,name,department,kind,accept_level,approve_level\n"a,b\n', "not CSV"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "i.csv"
    path.write_bytes(content)
    with pytest.raises(BadTable, match=words):
        load_items(path)


def test_tokens_that_the_given_file_does_not_use(tmp_path: Path) -> None:
    (item,) = load_items(
        _write(tmp_path / "i.csv", {"note": "clock=elapsed;classes=area:fee,spouse:identity;wait=3;再注"})
    )
    assert item["clock"] == "elapsed" and item["classes"] == {"area": "fee", "spouse": "identity"}
    assert item["wait"] == [3, "calendar"] and item["remarks"] == "再注"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_items(tmp_path / "none.csv")


def test_spreadsheet_export_with_mark_and_crlf(tmp_path: Path) -> None:
    path = _write(tmp_path / "i.csv", {"note": "extend=5w"})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_items(path)[0]["extend"] == [5, "workday"]


def test_versions_grow_only_with_change(tmp_path: Path) -> None:
    first = number_versions(load_items(_write(tmp_path / "a.csv", {}, {})), {}, from_ms=100)
    assert [(item["version"], item["from_ms"]) for item in first] == [(1, 100), (1, 100)]
    changed = load_items(_write(tmp_path / "b.csv", {}, {"promised_days": "7"}))
    second = number_versions(changed, by_code(first), from_ms=200)
    assert [(item["version"], item["from_ms"]) for item in second] == [(1, 100), (2, 200)]
    assert terms_of(second[1])["version"] == 2 and "from_ms" not in terms_of(second[1])
