"""The storage drills of docs/operating/drills.md, 6 to 8, by real daemons: full, read-only, cut and damaged stores, unsafe places.

A disk turns read-only under a daemon in two ways: one that can be written again later, and one that the system itself
has set read-only after an error (a real one of ext4, in a file).

What a person at the desk reads is compared with the manual, word for word.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ops.chaos.syscalls import why_not
from tests.story.test_drills import Watched, banners, notices
from tests.story.town import HALL, Town
from tests.support.cli import Answer, daemon
from tests.support.process import ROOT, python_env

pytestmark = pytest.mark.timeout(600)
FULL, CUT, STILL, OLD_DISK = (f"4202221072{number:02}" for number in (8, 9, 10, 11))
MANUALS = [ROOT / "docs" / "operating" / part / "drills.md" for part in (".", "zh-CN")]
CHINESE = {"LC_ALL": "zh_CN.UTF-8"}
PAGE = 4_096


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """A file system of its own at `place`. Skips the test where nothing may be mounted."""
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True)
    if made.returncode:
        pytest.skip("a small disk cannot be mounted here (needs root): full and read-only disks of daemons not checked")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", place], check=True)


@contextmanager
def not_writable(place: Path) -> Iterator[None]:
    """Nothing at `place` can be opened for writing, by a running daemon either, until the block ends. Skips as above.

    The kernel sets no disk read-only while files of it are open for writing, so another view of it is laid over.
    """
    aside = place.with_name(f"{place.name} read-only")
    aside.mkdir()
    if subprocess.run(["mount", "--bind", place, aside], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here (needs root): a disk that turns read-only under a daemon not checked")
    try:
        remount(aside, "bind,ro")
        subprocess.run(["mount", "--bind", aside, place], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "-l", place], check=True)
    finally:
        subprocess.run(["umount", "-l", aside], check=True)
        aside.rmdir()


@contextmanager
def failing_disk(place: Path, image: Path) -> Iterator[Path]:
    """A disk of its own that the system sets read-only at its first error. Skips as above.

    Gives:  the file of the kernel that plays an error of this disk (ext4: trigger_fs_error).
    """
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not installed: a disk that the system sets read-only after errors not checked")
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(48 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-e", "remount-ro", image], check=True)
    try:
        yield mount_image(image, place)
    finally:
        subprocess.run(["umount", "-l", place], check=False, capture_output=True)


def mount_image(image: Path, place: Path) -> Path:
    """Mount it, and find the file of the kernel that plays an error."""
    if subprocess.run(["mount", "-o", "loop", image, place], capture_output=True).returncode:
        pytest.skip("no disk image can be mounted here: a disk that the system sets read-only after errors not checked")
    found = subprocess.run(["findmnt", "-no", "SOURCE", place], capture_output=True, text=True, check=True)
    return Path("/sys/fs/ext4") / Path(found.stdout.strip()).name / "trigger_fs_error"


def fill(disk: Path) -> Path:
    """Take all the room there is."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65_536))
        except OSError:
            return filler


def said(answer: Answer, code: str) -> None:
    """It was refused with `code`, and both manuals have the sentence that the person reads."""
    assert (answer.status, answer["error"]["code"]) == (1, code)
    for manual in MANUALS:
        assert answer["error"]["message"] in manual.read_text("utf-8"), (manual, answer["error"]["message"])


def shown(status: Any, code: str) -> None:
    """`node status` has this banner, with the sentence of both manuals."""
    text = next(one["text_zh"] for one in status["banners"] if one["code"] == code)
    assert all(text in manual.read_text("utf-8") for manual in MANUALS), text


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Watched(tmp_path_factory.mktemp("storage")) as made:
        made.start("broker")
        made.start("hub")
        for office in (CUT, STILL):
            made.join(office)
        yield made


def running(town: Town, office: str) -> None:
    """Start the office's daemon unless it runs: each test may be the first of this file in its process."""
    if office not in town.procs or not town.procs[office].alive:
        town.start(office)


def test_a_full_disk_at_an_office_is_said_and_work_goes_on_when_there_is_room(town: Town) -> None:
    """Drill 6, and a read-only disk of drill 7. The daemon runs through the full disk."""
    with small_disk(town.room / FULL, "24m"):
        disk = town.room / FULL
        town.join(FULL)
        process = town.start(FULL)
        try:
            first = town.accept(FULL)["case"]
            filler = fill(disk)
            said(town.accept(FULL, env=CHINESE, check=False), "store_full")
            shown(town.status(FULL), "disk_full")
            assert [one["case"] for one in town.case(FULL, "list")["cases"]] == [first]
            filler.unlink()
            second = town.accept(FULL)["case"]
            town.wait("both cases are at the county", lambda: {first, second} <= set(town.digests("hub")))
            town.wait("every receipt is here", lambda: town.settled(FULL))
            assert process.alive and "disk_full" not in banners(town, FULL)
        finally:
            assert process.terminate() == 0
        remount(disk, "ro")
        said(town.run("edge", "run", "--dir", disk, env=CHINESE, check=False), "store_read_only")
        said(town.accept(FULL, env=CHINESE, check=False), "store_read_only")
        remount(disk, "rw")
        third = town.accept(FULL)["case"]
        town.run("edge", "sync", "--dir", disk)
        assert third in town.digests("hub")


def test_a_full_disk_at_the_hub_keeps_the_work_at_the_offices(town: Town) -> None:
    """Drill 6 at the county: nothing is answered, nothing lost, and the hub goes on by itself."""
    town.procs["hub"].terminate()
    with small_disk(town.room / "disk", "40m"):
        hub, old = town.room / "disk" / "hub", town.hub_dir
        shutil.copytree(old, hub)
        town.hub_dir = hub
        serving = daemon("hub", "run", "--dir", hub, log=town.room / "hub on a small disk.log").start()
        serving.wait_line("ready")
        try:
            running(town, STILL)
            town.wait("the device has greeted", lambda: town.status(STILL)["last_contact_ms"] is not None)
            filler = fill(town.room / "disk")
            case = town.accept(STILL)["case"]
            serving.wait_line("The disk is full")
            assert town.status(STILL)["pending"] == 1
            shown(town.run("node", "status", "--dir", hub).data, "disk_full")
            second = town.accept(STILL)["case"]  # the office works on
            filler.unlink()
            town.wait("the hub has taken both", lambda: town.status(STILL)["pending"] == 0)
            assert serving.alive
            with closing(sqlite3.connect(hub / "hub.db")) as database:
                assert {row[0].hex() for row in database.execute("select case_id from views")} >= {case, second}
            assert not town.run("node", "status", "--dir", hub)["banners"]
            assert town.procs.pop(STILL).terminate() == 0 and serving.terminate() == 0
            shutil.rmtree(old)
            shutil.copytree(hub, old)
        finally:
            serving.kill()
            town.hub_dir = old
    town.start("hub")


def test_a_disk_that_turns_read_only_under_an_offices_daemon(town: Town) -> None:
    """Drill 7: what the office said and what it gets meanwhile is there when the disk can be written again."""
    running(town, STILL)
    directory = town.join(HALL)
    process = town.start(HALL)
    town.kill("hub")
    own = town.accept(HALL)["case"]
    with not_writable(directory):
        town.start("hub")
        others = town.accept(STILL)["case"]
        town.case(STILL, "forward", others, "--to", HALL)
        said(town.accept(HALL, env=CHINESE, check=False), "store_read_only")
        said(town.run("node", "status", "--dir", directory, env=CHINESE, check=False), "store_read_only")
        town.wait("it is at the county", lambda: others in town.digests("hub"))
        process.wait_line("the store refused")
        assert process.alive
    town.wait("it goes on by itself", lambda: town.settled(HALL, STILL) and {own, others} <= set(town.digests(HALL)))
    later = town.accept(HALL)["case"]
    town.wait("what is entered now arrives", lambda: later in town.digests("hub") and town.settled(HALL))
    assert process.terminate() == 0


def test_a_disk_that_turns_read_only_under_the_hub(town: Town) -> None:
    """Drill 7 at the county: nothing is answered meanwhile, offices work on, and the hub goes on by itself."""
    running(town, STILL)
    first = town.accept(STILL)["case"]
    town.wait("it is at the county", lambda: town.settled(STILL))
    with not_writable(town.hub_dir):
        cases = {town.accept(STILL)["case"] for _ in range(2)}
        town.procs["hub"].wait_line("store_read_only")
        said(town.run("node", "status", "--dir", town.hub_dir, env=CHINESE, check=False), "store_read_only")
        assert town.status(STILL)["pending"] == 2
    town.wait("the hub has taken both", lambda: town.settled(STILL) and {first, *cases} <= set(town.digests("hub")))
    assert town.procs["hub"].alive


def test_a_disk_that_the_system_sets_read_only_is_copied_and_work_goes_on_from_the_copy(town: Town) -> None:
    """Drill 7, errors of the disk itself: what was called saved is read from it, at an office and at the hub."""
    disk, hub, name = town.room / "failing", town.hub_dir, f"failing/{OLD_DISK}"
    with failing_disk(disk, town.room / "image") as error:
        town.join(OLD_DISK)
        town.procs["hub"].terminate()
        shutil.copytree(hub, disk / "hub")
        shutil.move(town.room / OLD_DISK, disk)
        serving = town.procs["failing hub"] = daemon("hub", "run", "--dir", disk / "hub", log=town.room / "hub.2")
        working = town.procs[name] = daemon("edge", "run", "--dir", disk / OLD_DISK, log=town.room / "office.2")
        serving.start().wait_line("ready")
        working.start().wait_line("ready")
        cases = {town.accept(name)["case"]}
        town.wait("it is at the county", lambda: town.status(name)["pending"] == 0)
        serving.signal(signal.SIGSTOP)
        cases.add(town.accept(name)["case"])
        error.write_text("1")
        serving.signal(signal.SIGCONT)
        said(town.accept(name, env=CHINESE, check=False), "store_read_only")
        serving.wait_line("store_read_only")
        assert (working.terminate(), serving.terminate()) == (0, 0)
        shutil.copytree(disk / OLD_DISK, town.room / OLD_DISK)
        shutil.rmtree(hub)
        shutil.copytree(disk / "hub", hub)
    town.start("hub")
    town.start(OLD_DISK)
    town.wait("all is at the county", lambda: town.settled(OLD_DISK) and cases <= set(town.digests("hub")))
    cases.add(town.accept(OLD_DISK)["case"])
    town.wait("the next arrives too", lambda: town.settled(OLD_DISK) and cases <= set(town.digests("hub")))


def cut_log(store: Path) -> None:
    """Leave the first half of a store's log, as a disk does that forgot what it had not written yet."""
    log = store.with_name(store.name + "-wal")
    os.truncate(log, log.stat().st_size // 2)


def test_a_log_that_was_cut_is_an_older_store_and_the_other_side_gives_the_rest(town: Town) -> None:
    """Drill 8: at the hub (offices offer again), then at an office (as drill 1: new keys, everything comes back)."""
    running(town, CUT)
    cases = {town.accept(CUT)["case"] for _ in range(4)}
    town.wait("all is at the county", lambda: town.settled(CUT) and cases <= set(town.digests("hub")))
    town.kill("hub")
    cut_log(town.hub_dir / "hub.db")
    assert cases - set(town.digests("hub"))
    town.start("hub")
    cases.add(town.accept(CUT)["case"])
    town.wait("the hub has everything again", lambda: town.settled(CUT) and cases <= set(town.digests("hub")), 300)
    assert "hub_restored" in notices(town, CUT)
    before = town.status(CUT)["device"]
    town.kill(CUT)
    cut_log(town.room / CUT / "edge.db")
    assert len(town.digests(CUT)) < 4
    town.start(CUT)
    town.wait("the office has all its cases again", lambda: set(town.digests(CUT)) == cases)
    town.wait("it goes on under new keys", lambda: town.status(CUT)["device"] != before)
    assert "succeeded" in notices(town, CUT)


def test_a_damaged_hub_does_not_start_and_a_backup_and_the_offices_make_it_whole(town: Town) -> None:
    """Drill 8 at the county."""
    running(town, CUT)
    backup, spoiled = town.room / "hub.backup", town.room / "spoiled"
    town.run("backup", "--dir", town.hub_dir, "--to", backup)
    later = town.accept(CUT)["case"]
    town.wait("it is at the county", lambda: later in town.digests("hub"))
    town.procs["hub"].terminate()
    before = town.digests("hub")
    store = town.hub_dir / "hub.db"
    with closing(sqlite3.connect(store)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'ops'").fetchone()[0]
    with store.open("rb+") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xff" * PAGE)
    said(town.run("hub", "run", "--dir", town.hub_dir, env=CHINESE, check=False), "store_damaged")
    town.hub_dir.rename(spoiled)
    town.run("restore", "--dir", town.hub_dir, "--from", backup)
    town.start("hub")
    town.wait("the office has offered again what the backup lacked", lambda: later in town.digests("hub"))
    town.wait("all digests are as before", lambda: town.digests("hub") == before)


def test_unsafe_places_and_second_daemons_are_refused_and_commands_work_beside_the_first(town: Town) -> None:
    """Drill 7."""
    running(town, CUT)
    directory = town.room / CUT
    said(town.run("hub", "run", "--dir", town.hub_dir, env=CHINESE, check=False), "already_running")
    said(town.run("edge", "run", "--dir", directory, env=CHINESE, check=False), "already_running")
    assert town.run("hub", "nodes", "--dir", town.hub_dir)["nodes"]
    case = town.accept(CUT)["case"]
    town.wait("the daemon sends what a command beside it saved", lambda: case in town.digests("hub"))
    assert town.procs.pop(CUT).terminate() == 0
    key = directory / "keys" / "device.key"
    key.chmod(0o644)
    town.start(CUT)
    assert key.stat().st_mode & 0o077 == 0
    assert "others could read device.key" in town.procs[CUT].output()
    assert town.procs.pop(CUT).terminate() == 0
    if reason := why_not():
        pytest.skip(f"a disk without locks cannot be played: {reason}")
    words = [sys.executable, "-m", "ops.cli", "edge", "run", "--dir", str(directory), "--json"]
    traced = ["strace", "-f", "-o", os.devnull, "-e", "trace=flock", "-e", "inject=flock:error=ENOLCK", *words]
    done = subprocess.run(traced, capture_output=True, env=python_env(CHINESE), cwd=ROOT, timeout=120)
    refusal = json.loads(done.stdout)
    said(Answer((), done.returncode, "", "", refusal), "store_unsafe")
