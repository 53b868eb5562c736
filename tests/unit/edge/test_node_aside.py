"""Goal: what was set aside is listed with its reason, and an entry leaves the list only into a file that holds it whole.

Method: a device with entries of bytes that nobody can handle; the functions behind `node aside`.
"""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from edge import aside
from edge.errors import UnknownEntry
from edge.main import Node
from ops.aside import close_entry, list_aside
from protocol.errors import BadSeal, BadSignature, InputError
from tests.unit.edge.county import NOW_MS


@pytest.fixture
def littered(village: Node) -> Node:
    """A device to which somebody has sent garbage twice."""
    with village.store.write() as tx:
        aside.put(tx, "envelope", b"garbage", BadSeal("not for us", "无法打开"), now_ms=NOW_MS)
        aside.put(tx, "op", b"forged", BadSignature("forged", "签名不符"), now_ms=NOW_MS + 1)
    return village


def test_list_says_what_and_why(littered: Node) -> None:
    assert [(one["what"], one["code"], one["reason"], one["bytes"]) for one in list_aside(littered)] == [
        ("envelope", "bad_seal", "无法打开", 7),
        ("op", "bad_signature", "签名不符", 6),
    ]


def test_closed_entry_lies_whole_in_the_file_and_warns_no_more(littered: Node, tmp_path: Path) -> None:
    first, second = list_aside(littered)
    close_entry(littered, first["id"][:10], tmp_path / "evidence.json")
    kept = json.loads((tmp_path / "evidence.json").read_text(encoding="utf-8"))
    assert base64.b64decode(kept["blob"]) == b"garbage" and kept["reason"] == "无法打开"
    assert stat.S_IMODE((tmp_path / "evidence.json").stat().st_mode) == 0o600
    assert list_aside(littered) == [second]
    close_entry(littered, second["id"], tmp_path / "more.json")
    assert "set_aside" not in [banner["code"] for banner in littered.status()["banners"]]


def test_entry_stays_where_its_file_cannot_be_written(littered: Node, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("something else")
    first = list_aside(littered)[0]["id"]
    with pytest.raises(InputError):
        close_entry(littered, first, tmp_path / "there")
    with pytest.raises(OSError, match="there"):
        close_entry(littered, first, tmp_path / "there" / "evidence.json")
    with pytest.raises(UnknownEntry):
        close_entry(littered, "", tmp_path / "new")
    with pytest.raises(UnknownEntry):
        close_entry(littered, "zz", tmp_path / "new")
    assert len(list_aside(littered)) == 2 and not (tmp_path / "new").exists()
