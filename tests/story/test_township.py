"""A village and its township while the county's line is down, with real processes and two brokers.

The county's hub and broker are killed; both offices work on over the township's broker. Then the county comes back, but only
the township has a line to it: everything is at the hub once, and the receipts reach the village over the township.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.story.town import HALL, PU, Town
from tests.support.cli import daemon
from tests.support.process import free_port


def _link(town: Town) -> None:
    """The township serves its branch on a broker of its own; the village has a card for it."""
    hall, village, card = town.room / HALL, town.room / PU, town.room / "village.card"
    port = free_port()
    town.run("edge", "branch", "--dir", hall, "--broker", f"mqtt://127.0.0.1:{port}")
    town.run("edge", "branch-card", "--dir", hall, "--office", PU, "--out", card)
    assert card.stat().st_mode & 0o077 == 0
    town.run("edge", "link-township", "--dir", village, "--card", card)
    town.procs["hall broker"] = daemon("broker", "run", "--dir", hall, log=town.room / "hall-broker.log")
    town.procs["hall broker"].start().wait_line("ready")


def _status(town: Town, office: str, number: str) -> str:
    shown = town.case(office, "show", number, check=False)
    return str(shown["status"]) if shown.status == 0 else ""


@pytest.mark.timeout(560)
def test_village_and_township_work_on_without_the_county(tmp_path: Path) -> None:
    with Town(tmp_path) as town:
        town.start("broker")
        town.start("hub")
        for office in (HALL, PU):
            town.join(office)
        town.run("edge", "sync", "--dir", town.room / HALL)
        _link(town)
        town.kill("hub")
        town.kill("broker")
        for office in (HALL, PU):
            town.start(office)

        number = town.accept(PU)["number"]
        town.case(PU, "forward", number, "--to", HALL, "--opinion", "情况属实")
        town.wait("the township sees the case", lambda: bool(_status(town, HALL, number)))
        town.wait("and that it was forwarded", lambda: town.case(HALL, "take", number, check=False).status == 0)
        town.case(HALL, "examine", number, "--opinion", "同意")
        town.case(HALL, "notice", number, "--missing", "户口簿复印件")
        town.wait(
            "the village sees the notice",
            lambda: town.case(PU, "supplement", number, "--text", "已补交", check=False).status == 0,
        )
        town.wait("both have the same view", lambda: town.digests(PU) == town.digests(HALL) != {})
        assert town.status(PU)["pending"] == 3, "no hub, no receipt, not delivered"

        town.kill(PU)
        _cut_off_from_the_county(town)
        town.start(PU)
        town.start("broker")
        town.start("hub")
        town.wait("the receipts reach the village", lambda: town.status(PU)["pending"] == 0)
        town.wait("all three have the same view", lambda: town.digests(PU) == town.digests(HALL) == town.digests("hub"))
        assert town.status(PU)["accepted"] == 3 and town.status(HALL)["accepted"] == 3


def _cut_off_from_the_county(town: Town) -> None:
    """The village's line to the county leads nowhere from now on."""
    config = town.room / PU / "edge.json"
    dead = f"mqtt://127.0.0.1:{free_port()}"
    config.write_text(config.read_text("utf-8").replace(f"mqtt://127.0.0.1:{town.port}", dead), "utf-8")
