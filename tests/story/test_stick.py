"""A village that never has a line: enrolled by files, it lives by sticks, beside daemons that dial in vain.

Every act is a command in a process of its own; there is no broker anywhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops.demo.cast import identity
from tests.story.town import COUNTY, DATA, ITEM, PU
from tests.support.cli import daemon, liandong
from tests.support.process import free_port


@pytest.mark.timeout(300)
def test_a_village_lives_by_sticks(tmp_path: Path) -> None:
    hub, village, stick = tmp_path / "hub", tmp_path / "village", tmp_path / "stick"
    stick.mkdir()
    areas, items = DATA / "counties" / "420222_yangxin.csv", DATA / "items.csv"
    broker = f"mqtt://127.0.0.1:{free_port()}"
    liandong("county", "init", "--dir", hub, "--areas", areas, "--items", items, "--county", COUNTY, "--broker", broker)
    code = liandong("county", "enrol", "--dir", hub, "--office", PU)["code"]
    card, request, answer = hub / "hub.card", stick / "request", stick / "answer"
    liandong("edge", "join", "--dir", village, "--code", code, "--hub-card", card, "--request", request)
    liandong("county", "admit", "--dir", hub, "--request", request, "--answer", answer)
    liandong("edge", "join", "--dir", village, "--answer", answer)
    daemons = [
        daemon("hub", "run", "--dir", hub, log=tmp_path / "hub.log").start(),
        daemon("edge", "run", "--dir", village, log=tmp_path / "village.log").start(),
    ]
    try:
        for one in daemons:
            one.wait_line("ready")
        scan = tmp_path / "身份证复印件.jpg"
        scan.write_bytes(os.urandom(100_000))
        who = ("--applicant", "张三", "--id-number", identity("19500101", "001"))
        saved = liandong("case", "accept", "--dir", village, "--item", ITEM, *who, "--attach", scan)
        made = liandong("bundle", "export", "--dir", village, "--to", stick).data
        assert (made["ops"], made["chunks"], made["left"]) == (2, 4, 0)
        assert "张三".encode() not in Path(made["file"]).read_bytes() and PU not in made["file"]
        seen = liandong("bundle", "verify", made["file"], "--dir", hub).data
        assert seen["complete"] and seen["for_this_node"] and seen["contents"]["ops"] == 2
        cut = stick / "cut.ldb"
        cut.write_bytes(Path(made["file"]).read_bytes()[:-10])
        bad = liandong("bundle", "verify", cut, check=False)
        assert bad.status == 1 and bad["complete"] is False and bad["error"]["code"] == "bundle_truncated"
        assert bad.err.startswith("liandong: ") and bad.err.count("\n") == 1
        cut.unlink()
        taken = liandong("bundle", "import", "--dir", hub, stick).data
        assert taken["ops"] == {"new": 2, "repeated": 0, "refused": 0, "waiting": 0}
        assert taken["chunks"] == 4 and taken["set_aside"] == []
        back = liandong("bundle", "import", "--dir", village, taken["answer"]).data
        assert back["settled"] == 2 and back["set_aside"] == []
        mine, theirs = (liandong("case", "digest", "--dir", place)["digests"] for place in (village, hub))
        assert mine == theirs and set(mine) == {saved["case"]}
        assert all(one.alive for one in daemons)
        assert [one.terminate() for one in daemons] == [0, 0]
    finally:
        for one in daemons:
            one.kill()
