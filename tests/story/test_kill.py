"""Law 1, 2 and 10 with real processes: whoever is killed when, no case is lost and none doubles."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from tests.story.town import HALL, PU, TUKU, Town

CASES = 6  # for each of two villages


@pytest.mark.timeout(560)
def test_nothing_is_lost_when_everybody_is_killed_in_turn(tmp_path: Path) -> None:
    rng = random.Random(20261126)
    with Town(tmp_path) as town:
        town.start("broker")
        town.start("hub")
        for office in (HALL, PU, TUKU):
            town.join(office)
            town.start(office)
        saved: dict[str, str] = {}

        def enter(office: str) -> None:
            for at in range(CASES):
                case = town.accept(office, "--field", f"序号={at}")
                saved[case["case"]] = case["number"]
                town.case(office, "forward", case["number"], "--to", HALL)

        villages = [threading.Thread(target=enter, args=(office,)) for office in (PU, TUKU)]
        for village in villages:
            village.start()
        while any(village.is_alive() for village in villages):
            victim = rng.choice(["broker", "hub", "hub", PU, TUKU, HALL])
            town.kill(victim)
            town.start(victim)
        for village in villages:
            village.join()
        assert len(saved) == 2 * CASES
        town.wait("everything has arrived everywhere", lambda: town.settled(HALL, PU, TUKU))
        assert set(town.digests("hub")) == set(saved)
        assert town.digests(HALL) == town.digests("hub")
        assert len(set(saved.values())) == len(saved), "a number was given twice"
        for office in (HALL, PU, TUKU):
            assert town.status(office)["refused"] == 0
        report = town.run("reconcile", "--dir", town.hub_dir)
        assert report["equal"] is True
        assert {one["office"] for one in report["offices"]} == {HALL, PU, TUKU}
        for name in (HALL, PU, TUKU, "hub", "broker"):
            assert town.procs[name].terminate() == 0, town.procs[name].output()
