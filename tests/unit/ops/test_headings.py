"""Goal: a table that commands draw is read in Chinese by people whose locale is Chinese, every column of it.

Method: the headings are taken from the source of ops/, and looked up; a few outputs are read whole.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ops import output
from ops.cases import as_text
from ops.headings import HEADINGS, heading

ROOT = Path(__file__).parents[3]


def literal_headings() -> set[str]:
    """What stands as a heading in the first argument of output.table, or is assigned to `headers`."""
    found: set[str] = set()
    for path in sorted((ROOT / "ops" / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            lists: list[ast.expr] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "table":
                lists = node.args[:1]
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "headers":
                lists = [node.value]
            for one in lists:
                if isinstance(one, ast.List):
                    found |= {cell.value for cell in one.elts if isinstance(cell, ast.Constant)}
    return found


def test_every_heading_has_a_chinese_one() -> None:
    found = literal_headings()
    assert len(found) > 20 and {"behind up", "unsent", "attempts"} <= found
    assert found - HEADINGS.keys() == set()
    assert heading("behind up", chinese=True) == "待收" and heading("behind up", chinese=False) == "behind up"


@pytest.mark.parametrize(("locale", "line"), [("zh_CN.UTF-8", "待上传\t3"), ("en_GB.UTF-8", "pending\t3")])
def test_pairs_and_sentences_follow_the_locale(monkeypatch: pytest.MonkeyPatch, locale: str, line: str) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    assert output.pairs([["pending", 3], ["last contact", None]]).splitlines()[0] == line
    assert output.say("done", "完成") == ("完成" if locale.startswith("zh") else "done")


def test_a_case_is_shown_in_chinese() -> None:
    case = {
        "number": "N1",
        "status": "accepted",
        "item": "JF-MZ-003",
        "urgent": True,
        "holder": "420222107201",
        "due": "2026-12-08",
        "handover": None,
        "fields": {"applicant_name": {"value": "王小明", "office": "420222107201"}},
        "materials": [{"material": "户口簿", "name": "a.jpg", "size": 10, "grade": "C", "sha256": "ab"}],
        "missing_files": ["ab"],
        "conflicts": [{"open": True, "kind": "field", "field": "applicant_id", "id": "field:applicant_id"}],
        "timeline": [
            {
                "at_ms": 1_767_225_600_000,
                "office": "420222107201",
                "staff": "chief",
                "kind": "accept",
                "verdict": "applied",
            }
        ],
    }
    text = as_text(case, chinese=True)
    for words in ("受理", "特急", "办理机构", "申请人姓名: 王小明", "本机缺少附件: ab", "! 冲突 申请人证件号码"):
        assert words in text
    assert text.splitlines()[-1].endswith("chief 受理")
    assert "holder 420222107201  due 2026-12-08" in as_text(case, chinese=False)
