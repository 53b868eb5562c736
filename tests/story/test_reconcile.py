"""The nightly reconciliation finds by content what is missing on either side, repairs it and proves equality."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.story.town import HALL, PU, Town


def forget_one_op(store: Path, case: str) -> bytes:
    """A disk that lost a row: the newest op of the case is gone. Returns its id."""
    with sqlite3.connect(store, timeout=60) as database:
        query = "select pos, id from ops where case_id = ? order by pos desc"
        pos, op_id = database.execute(query, (bytes.fromhex(case),)).fetchone()
        database.execute("delete from ops where pos = ?", (pos,))
    return bytes(op_id)


def holds(store: Path, op_id: bytes) -> bool:
    with sqlite3.connect(store, timeout=60) as database:
        return database.execute("select count(*) from ops where id = ?", (op_id,)).fetchone()[0] == 1


@pytest.mark.timeout(400)
def test_differences_on_both_sides_are_found_and_repaired(tmp_path: Path) -> None:
    with Town(tmp_path) as town:
        town.start("broker")
        town.start("hub")
        for office in (HALL, PU):
            town.join(office)
            town.start(office)
        first, second = (town.accept(PU)["case"] for _ in range(2))
        for case in (first, second):
            town.case(PU, "note", case, "--text", "已电话告知。")
            town.case(PU, "forward", case, "--to", HALL)
        town.wait("all is quiet", lambda: town.settled(HALL, PU))
        for name in (HALL, "hub"):
            town.procs[name].terminate()
        lost = [(tmp_path / HALL / "edge.db", first), (town.hub_dir / "hub.db", second)]
        forgotten = [(store, forget_one_op(store, case)) for store, case in lost]
        assert not any(holds(store, op_id) for store, op_id in forgotten)
        town.start("hub")
        town.start(HALL)
        report = town.run("reconcile", "--dir", town.hub_dir).data
        assert report["equal"] is True, report
        # The hub compares by itself too, once a day and after a start; whichever came first, both have them again.
        assert all(holds(store, op_id) for store, op_id in forgotten)
        again = town.run("reconcile", "--dir", town.hub_dir, "--office", HALL).data
        assert (again["equal"], again["passes"]) == (True, 1)
        assert [one["office"] for one in again["offices"]] == [HALL]
        written = [Path(name) for name in report["files"]]
        assert json.loads(written[0].read_text("utf-8"))["equal"] is True
        assert "| 420222107 |" in written[1].read_text("utf-8")


@pytest.mark.timeout(300)
def test_an_office_that_does_not_answer_is_not_equal(tmp_path: Path) -> None:
    with Town(tmp_path) as town:
        town.start("broker")
        town.start("hub")
        town.join(PU)
        town.procs["hub"].terminate()
        answer = town.run("reconcile", "--dir", town.hub_dir, "--timeout", "3", check=False)
        assert answer.status == 1
        assert answer["equal"] is False
        assert answer["offices"][0]["devices"][0]["state"] == "unreachable"
