"""The sender is killed at every commit of a case's way to the city and back; and the hub is restored from a backup.

For: law 10 at the county's upper edge: whatever is lost in the middle, the city has one case and the county one answer.
May not: prove anything about fsync (a killed process loses no written bytes).
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.upward import resume
from hub.upward.forwards import idempotency_key
from ops.city import CitySettings, CityThread
from tests.contract.city_sender import run
from tests.contract.city_world import TOKEN, County, cases_at, client_of, grant, operator_of
from tests.support.process import ROOT, python_env

COMMITS = range(1, 8)  # resume, feed, claim, receipt, take, feed, decision


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[CityThread]:
    with CityThread(CitySettings(tmp_path / "city", TOKEN, automatic="grant")) as running:
        yield running


def waiting_case(directory: Path) -> bytes:
    """A store with one case on its way up, closed again."""
    county = County(directory)
    case = county.new_case()
    county.forward(case)
    county.store.close()
    return case


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("commit", COMMITS)
def test_killed_at_a_commit(tmp_path: Path, platform: CityThread, commit: int, moment: str) -> None:
    case = waiting_case(tmp_path / "hub")
    command = [sys.executable, "-m", "tests.contract.city_sender", str(tmp_path / "hub"), platform.url]
    killed = subprocess.run([*command, str(commit), moment], env=python_env(), cwd=ROOT, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    run(tmp_path / "hub", platform.url, 0, "after")
    county = County(tmp_path / "hub")
    with operator_of(platform.url) as operator:
        assert len(cases_at(operator)) == 1
    assert (len(county.ops(case, "take")), len(county.ops(case, "decide"))) == (1, 1)
    assert county.row(case)["state"] == "answered"
    county.store.close()


def back_up(county: County, directory: Path) -> None:
    directory.mkdir()
    county.store.backup_to(directory / "hub.db")


@pytest.mark.parametrize("since", ["forwarded", "accepted"])
@pytest.mark.parametrize("changed", [False, True])
def test_hub_restored_from_a_backup(tmp_path: Path, since: str, changed: bool) -> None:
    """Yesterday's backup knows the case up to `since`; the offices offer what they have, the hub's own ops too."""
    with CityThread(CitySettings(tmp_path / "city", TOKEN)) as platform, client_of(platform.url) as city:
        county = County(tmp_path / "hub")
        case = county.new_case()
        if since == "accepted":
            back_up(county, tmp_path / "restored")
        forward = county.forward(case)
        if since == "forwarded":
            back_up(county, tmp_path / "restored")
        county.step(city)
        with operator_of(platform.url) as operator:
            grant(operator, county.row(case)["receipt"])
        county.step(city, after_ms=10_000)
        lost = county.ops(case, "forward") + county.ops(case, "take") + county.ops(case, "decide")
        assert [op.kind for op in lost] == ["forward", "take", "decide"]
        county.store.close()

        restored = County(tmp_path / "restored")
        resume(restored.store, now_ms=restored.now_ms)
        offered = lost[:1] if changed else lost
        with restored.store.write() as tx:
            for op in offered:
                restored.put(tx, op)
        if changed:  # an office has added something since, so the bundle would now be another one
            restored.attach(case, b"more", material="补充说明")
        for _ in range(3):
            restored.step(city, after_ms=10_000)
        with operator_of(platform.url) as operator:
            assert len(cases_at(operator)) == 1
            assert cases_at(operator)[0]["key"] == idempotency_key(forward)
            assert restored.row(case)["receipt"] == cases_at(operator)[0]["receipt"]
        assert (len(restored.ops(case, "take")), len(restored.ops(case, "decide"))) == (1, 1)
        assert (restored.status(case), restored.row(case)["state"]) == ("decided", "answered")
        assert (restored.overview()["set_aside"], restored.overview()["strays"]) == ([], [])
        restored.store.close()


def test_a_copy_of_the_store_does_not_double_a_case(tmp_path: Path, platform: CityThread) -> None:
    """An old hub that wakes up beside the new one hands the same forward in: same key, one case."""
    waiting_case(tmp_path / "hub")
    shutil.copytree(tmp_path / "hub", tmp_path / "old")
    for directory in (tmp_path / "hub", tmp_path / "old"):
        run(directory, platform.url, 0, "after")
    with operator_of(platform.url) as operator:
        assert len(cases_at(operator)) == 1
