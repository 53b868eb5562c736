"""The drills of docs/operating/drills.md, played by real processes: after each nothing is lost, and a person was told."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from conflict.ledger.views import digests
from edge.clock import machine_clock
from edge.main import join
from hub import enrolment
from hub.init import open_county
from ops.clock import wall_clock
from ops.nodes import find_node
from ops.status import node_status
from tests.story.town import DATA, ITEM, Town
from tests.support.cli import daemon
from tests.support.process import ROOT, python_env

pytestmark = pytest.mark.timeout(280)
OFFICES = [f"4202221072{number:02}" for number in range(11)]
BACKUP, COPY, NEW, SPOILED, FULL, CLOCK, OLD_CASES, TWO_HUBS, KEEPS, LATE, STOLEN = OFFICES


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Watched(tmp_path_factory.mktemp("drills")) as made:
        made.start("broker")
        made.start("hub")
        yield made


class Watched(Town):
    """A town that is set up and looked at from within this process, which saves half of the time; the drills' own acts
    are processes."""

    def join(self, office: str, name: str = "") -> Path:
        """As `county enrol` and `edge join` do it; the drills of joining call the commands."""
        county = open_county(self.hub_dir)
        try:
            with county.store.write() as tx:
                county.shelf.refresh(tx)
                made = enrolment.make_code(
                    tx,
                    county.config,
                    county.shelf.roster,
                    office,
                    staff="周强",
                    now_ms=wall_clock()(),
                    random_bytes=os.urandom,
                )
            enrolment.write_accounts(self.hub_dir, [(made.user, made.password)])
        finally:
            county.store.close()
        join(self.room / (name or office), made.code.to_text(), machine_clock())
        return self.room / (name or office)

    def status(self, name: str) -> Any:
        return node_status(find_node(self.room / name))

    def digests(self, name: str) -> dict[str, str]:
        with find_node(self.room / name).open_store() as store, store.read() as tx:
            return {case.hex(): digest.hex() for case, digest in digests(tx).items()}


def banners(town: Town, name: str) -> set[str]:
    return {one["code"] for one in town.status(name)["banners"]}


def notices(town: Town, office: str) -> set[str]:
    rows: list[dict[str, Any]] = town.run("hub", "notices", "--dir", town.hub_dir)["notices"]
    return {one["code"] for one in rows if one["office"] == office}


def sync(town: Town, *names: str, check: bool = True) -> None:
    for name in names:
        town.run("edge", "sync", "--dir", town.room / name, check=check)


def at_hub(town: Town, *names: str) -> bool:
    """Every case of these devices is at the hub, with the same view."""
    hub = town.digests("hub")
    return all(town.digests(name).items() <= hub.items() for name in names)


def test_an_old_backup_goes_on_under_new_keys_without_a_visit(town: Town) -> None:
    """Drill 1. Cases from before the backup, after it, pending in it, and entered before the first contact: all there."""
    office, file = town.join(BACKUP), town.room / "office.backup"
    saved = {town.accept(BACKUP)["case"]}
    sync(town, BACKUP)
    saved.add(town.accept(BACKUP)["case"])  # pending
    town.run("backup", "--dir", office, "--to", file)
    saved.add(town.accept(BACKUP)["case"])
    sync(town, BACKUP)
    old = town.status(BACKUP)["device"]
    shutil.rmtree(office)  # the machine burns
    town.run("restore", "--dir", office, "--from", file)
    assert "renewing" in banners(town, BACKUP)
    saved.add(town.accept(BACKUP)["case"])
    sync(town, BACKUP)
    status = town.status(BACKUP)
    assert (status["pending"], status["refused"], status["loading"]["complete"]) == (0, 0, True)
    assert status["device"] != old
    assert not banners(town, BACKUP) & {"renewing", "needs_code", "other_history", "device_frozen"}
    assert set(town.digests(BACKUP)) == saved and at_hub(town, BACKUP)
    assert "succeeded" in notices(town, BACKUP)
    nodes = town.run("hub", "nodes", "--dir", town.hub_dir)["nodes"]
    states = {one["device"]: one["state"] for one in nodes if one["office"] == BACKUP}
    assert (states.pop(old), *states.values()) == ("frozen", "active")


def test_a_copied_disk_ends_as_two_devices_and_no_case_is_lost(town: Town) -> None:
    """Drill 2. Both copies work on; both histories are kept; each gets a new name."""
    shutil.copytree(town.join(COPY), town.room / "twin")
    cases = {town.accept(name)["case"] for name in (COPY, "twin")}
    sync(town, COPY, "twin", COPY, check=False)
    assert notices(town, COPY) & {"fork", "succeeded"}
    later = [town.accept(name) for name in (COPY, "twin")]  # law 1, whatever the county says
    assert later[0]["number"] != later[1]["number"]
    cases |= {one["case"] for one in later}
    coded = [name for name in (COPY, "twin") if "needs_code" in banners(town, name)]
    assert coded
    for name in coded:
        code = town.run("county", "enrol", "--dir", town.hub_dir, "--office", COPY)["code"]
        town.run("edge", "join", "--dir", town.room / name, "--code", code)
    sync(town, COPY, "twin", COPY)
    assert len({town.status(name)["device"] for name in (COPY, "twin")}) == 2
    assert at_hub(town, COPY, "twin")
    for name in (COPY, "twin"):
        assert set(town.digests(name)) == cases
        assert not banners(town, name) & {"needs_code", "renewing", "device_frozen"}
        assert (town.status(name)["pending"], town.status(name)["refused"]) == (0, 0)


def test_a_new_machine_loads_the_office_and_may_be_interrupted(town: Town) -> None:
    """Drill 3."""
    town.join(NEW)
    numbers = {town.accept(NEW)["number"] for _ in range(2)}
    sync(town, NEW)
    code = town.run("county", "enrol", "--dir", town.hub_dir, "--office", NEW)["code"]
    town.run("edge", "join", "--dir", town.room / "new machine", "--code", code)
    loader = daemon("edge", "run", "--dir", town.room / "new machine", log=town.room / "loader.log").start()
    loader.wait_line("ready")
    loader.kill()
    sync(town, "new machine")
    loading = town.status("new machine")["loading"]
    assert loading["complete"] and loading["cases"] == 2
    assert loading["position"] >= loading["of"] > 0
    town.case("new machine", "note", min(numbers), "--text", "新机器上的备注")
    numbers |= {town.accept(name)["number"] for name in (NEW, "new machine")}
    sync(town, NEW, "new machine", NEW)
    assert len(numbers) == 4 and len(town.digests(NEW)) == 4
    assert town.digests(NEW) == town.digests("new machine") and at_hub(town, NEW)


def test_a_damaged_store_is_rebuilt_at_the_start_of_the_daemon(town: Town) -> None:
    """Drill 8. A page of the views is spoiled; the case that the county never saw is still there."""
    store = town.join(SPOILED) / "edge.db"
    saved = {town.accept(SPOILED)["case"]}
    sync(town, SPOILED)
    saved.add(town.accept(SPOILED)["case"])
    with closing(sqlite3.connect(store)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'views'").fetchone()[0]
        size = database.execute("PRAGMA page_size").fetchone()[0]
    with store.open("rb+") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    refused = town.case(SPOILED, "list", check=False)
    assert refused["error"]["code"] == "store_damaged"
    town.start(SPOILED)
    town.wait("both cases are at the county", lambda: saved <= set(town.digests("hub")) and town.settled(SPOILED))
    assert set(town.digests(SPOILED)) == saved
    assert list(store.parent.glob("damaged-*/edge.db"))
    second = town.run("edge", "run", "--dir", store.parent, check=False)
    assert second["error"]["code"] == "already_running"  # drill 7
    town.procs.pop(SPOILED).terminate()


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(town: Town) -> None:
    """Drill 6. The limit of file sizes stands for a disk without room."""
    town.join(FULL)
    words = ["--item", ITEM, "--applicant", "张三", "--id-number", "11010519491231002X", "--json"]
    command = [sys.executable, "-m", "ops.cli", "case", "accept", "--dir", str(town.room / FULL), *words]
    narrow = ["bash", "-c", 'ulimit -f 8; exec "$@"', "-", *command]
    done = subprocess.run(narrow, capture_output=True, env=python_env(), cwd=ROOT, timeout=120)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "store_full"
    assert town.case(FULL, "list")["cases"] == []
    town.accept(FULL)
    sync(town, FULL)
    assert len(town.digests(FULL)) == 1 and at_hub(town, FULL)


def test_whatever_the_clock_says_cases_are_accepted_in_order(town: Town) -> None:
    """Drill 11. 1970, then 2040, then right again."""
    town.join(CLOCK)
    number = town.accept(CLOCK, env={"LIANDONG_NOW": "1970-01-01T00:10:00+08:00"})["number"]
    status = town.run("node", "status", "--dir", town.room / CLOCK, env={"LIANDONG_NOW": "1970-01-01T00:11:00+08:00"})
    assert "clock_behind" in {one["code"] for one in status["banners"]}
    for text, now in (("二", "2040-06-01T08:00:00+08:00"), ("三", "1970-01-01T00:12:00+08:00")):
        town.case(CLOCK, "note", number, "--text", text, env={"LIANDONG_NOW": now})
    status = town.run("node", "status", "--dir", town.room / CLOCK, env={"LIANDONG_NOW": "2040-06-01T08:01:00+08:00"})
    assert "clock_ahead" in {one["code"] for one in status["banners"]}
    sync(town, CLOCK)
    assert at_hub(town, CLOCK)
    shown = town.case("hub", "show", number)
    notes = [one["text"] for one in shown["notes"] if one["office"] == CLOCK]
    assert (shown["status"], notes) == ("accepted", ["二", "三"])
    own = [one for one in shown["timeline"] if one["office"] == CLOCK]
    assert [one["verdict"] for one in own] == ["applied"] * 3
    times = [one["at_ms"] for one in own]
    assert times == sorted(times)
    assert max(times) < max(one["claimed_ms"] for one in own)  # 2040 is kept as a claim and counts for nothing
    assert town.status(CLOCK)["refused"] == 0


def test_old_cases_are_purged_after_a_comparison_and_come_back(town: Town) -> None:
    """Drill 9."""
    town.join(OLD_CASES)
    town.start(OLD_CASES)
    number = town.accept(OLD_CASES)["number"]
    town.case(OLD_CASES, "withdraw", number, "--reason", "本人撤回")
    town.accept(OLD_CASES)
    town.wait("all is at the county", lambda: town.settled(OLD_CASES))
    later = {"LIANDONG_NOW": "2030-01-01T08:00:00+08:00"}
    purge = ("node", "purge", "--dir", town.room / OLD_CASES, "--older-than", 30)
    assert town.run(*purge, env=later, check=False)["error"]["code"] == "not_reconciled"
    reconcile = ("reconcile", "--dir", town.hub_dir, "--office", OLD_CASES)
    assert town.run(*reconcile)["equal"] is True
    assert town.run(*purge, env=later)["cases"] == 1
    assert town.case(OLD_CASES, "show", number, check=False)["error"]["code"] == "case_purged"
    report = town.run(*reconcile)
    assert report["equal"] is True
    assert report["offices"][0]["devices"][0]["purged"] == 1
    town.case(OLD_CASES, "fetch", number)
    assert town.case(OLD_CASES, "show", number)["status"] == "withdrawn"
    report = town.run(*reconcile)
    assert report["equal"] is True
    assert report["offices"][0]["devices"][0]["purged"] == 0
    town.procs.pop(OLD_CASES).terminate()


def test_a_restored_hub_takes_its_documents_back(town: Town) -> None:
    """Drill 4, with the broker's accounts put back too. Published after the backup: catalogue, a device, a revocation."""
    for office in (KEEPS, STOLEN):
        town.join(office)
    sync(town, KEEPS, STOLEN)
    file = town.room / "yesterday.backup"
    town.run("backup", "--dir", town.hub_dir, "--to", file)
    items = town.room / "items-next.csv"
    items.write_text(
        (DATA / "items.csv").read_text("utf-8").replace("JF-MZ-003,临时救助", "JF-MZ-003,临时救助（新）"), "utf-8"
    )
    town.run("hub", "publish", "--dir", town.hub_dir, "--items", items)
    town.join(LATE)
    sync(town, LATE)
    stolen = town.status(STOLEN)["device"]
    town.run("county", "revoke", "--dir", town.hub_dir, stolen)
    sync(town, KEEPS)
    lost = town.run("hub", "overview", "--dir", town.hub_dir)["documents"]
    for name in ("hub", "broker"):
        town.procs[name].terminate()
    town.hub_dir.rename(town.room / "burnt")
    told = town.run("restore", "--dir", town.hub_dir, "--from", file)
    assert told["next"]
    town.start("broker")
    town.start("hub")
    sync(town, KEEPS)  # a device that was there all the time brings everything back
    states = {}

    def are_back() -> bool:
        nodes = town.run("hub", "nodes", "--dir", town.hub_dir)["nodes"]
        states.update({one["office"]: one["state"] for one in nodes})
        return states.get(LATE) == "active" and states[STOLEN] == "revoked"

    town.wait("the documents are back", are_back)
    case = town.case(LATE, "accept", "--item", "JF-MZ-003", "--applicant", "李四", "--id-number", "11010519491231002X")
    sync(town, LATE)  # its account at the broker is there again
    assert (town.status(LATE)["pending"], town.status(LATE)["refused"]) == (0, 0)
    assert town.digests("hub")[case["case"]] == town.digests(LATE)[case["case"]]
    town.accept(STOLEN)
    sync(town, STOLEN, check=False)
    assert town.status(STOLEN)["pending"] == 1  # the broker has closed its door again
    now = town.run("hub", "overview", "--dir", town.hub_dir)["documents"]
    assert min(now["roster"], now["catalogue"]) > max(lost.values())
    assert {"hub_restored", "documents_recovered"} <= notices(town, "420222")
    assert "revocation_recovered" in notices(town, STOLEN)


def test_an_old_hub_beside_the_new_one_stops_with_a_plain_word(town: Town) -> None:
    """Drills 4 and 5."""
    town.join(TWO_HUBS)
    town.accept(TWO_HUBS)
    sync(town, TWO_HUBS)
    file, restored = town.room / "hub.backup", town.room / "restored"
    town.run("backup", "--dir", town.hub_dir, "--to", file)
    lost = town.accept(TWO_HUBS)["case"]
    sync(town, TWO_HUBS)
    town.procs["hub"].terminate()
    town.run("restore", "--dir", restored, "--from", file)
    new = daemon("hub", "run", "--dir", restored, log=town.room / "restored.log").start()
    new.wait_line("ready")
    try:
        sync(town, TWO_HUBS)
        assert lost in town.digests("restored")  # offered again
        new.terminate()
        town.procs["hub"].start().wait_line("ready")
        sync(town, TWO_HUBS, check=False)
        assert town.procs["hub"].wait_end() == 1
        assert "Another hub of this county" in town.procs["hub"].output()
        assert town.run("hub", "run", "--dir", town.hub_dir, check=False)["error"]["code"] == "another_hub"
        new.start().wait_line("ready")
        town.accept(TWO_HUBS)
        sync(town, TWO_HUBS)
        assert town.digests(TWO_HUBS).items() <= town.digests("restored").items()
        assert len(town.digests(TWO_HUBS)) == 3
    finally:
        new.kill()
