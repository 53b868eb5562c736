"""The same county with PostgreSQL and Mosquitto: what a county has when SQLite and the embedded broker are outgrown."""

from __future__ import annotations

import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.story.town import HALL, PU, Town
from tests.support.brokers import AS_US, find_mosquitto
from tests.support.database import Cluster


def reload_often(broker: subprocess.Popen[bytes], done: threading.Event) -> None:
    """Mosquitto reads its password file at SIGHUP only; the manual gives the systemd units that send it on a change."""
    while not done.wait(0.3) and broker.poll() is None:
        broker.send_signal(signal.SIGHUP)


@pytest.mark.timeout(400)
def test_the_way_up_and_down_with_postgresql_and_mosquitto(tmp_path: Path, postgres_cluster: Cluster) -> None:
    mosquitto = find_mosquitto()
    with Town(tmp_path, database=postgres_cluster.new_database()) as town:
        refused = town.run("hub", "run", "--dir", town.hub_dir, check=False)  # drill 7: the tests' server does not sync
        assert refused["error"]["code"] == "store_unsafe" and "fsync is off" in refused["error"]["message"]
        postgres_cluster.set("fsync", "on")
        town.start("hub")
        codes = {
            office: town.run("county", "enrol", "--dir", town.hub_dir, "--office", office)["code"]
            for office in (HALL, PU)
        }
        made = town.run("broker", "mosquitto", "--dir", town.hub_dir, "--port", town.port)
        config = Path(made["config"])
        config.write_text(config.read_text("utf-8") + AS_US, "utf-8")
        broker = subprocess.Popen([mosquitto, "-c", config], stderr=subprocess.DEVNULL)
        done = threading.Event()
        threading.Thread(target=reload_often, args=(broker, done), daemon=True).start()
        try:
            for office, code in codes.items():
                town.run("edge", "join", "--dir", tmp_path / office, "--code", code)
                town.start(office)
            case = town.accept(PU)["case"]
            town.case(PU, "forward", case, "--to", HALL)
            town.wait("the case is at the hall", lambda: case in town.digests(HALL))
            town.case(HALL, "take", case)
            town.case(HALL, "examine", case, "--opinion", "情况属实。")
            town.kill("hub")
            town.start("hub")
            town.wait("all is quiet", lambda: town.settled(HALL, PU))
            shown = town.case(PU, "show", case)
            assert (shown["status"], shown["holder"]) == ("processing", HALL)
            assert town.run("reconcile", "--dir", town.hub_dir)["equal"] is True
            answer = town.run("backup", "--dir", town.hub_dir, "--to", tmp_path / "backup", check=False)
            assert (answer.status, answer["error"]["code"]) == (1, "bad_input")
        finally:
            done.set()
            broker.kill()
            broker.wait()
            postgres_cluster.set("fsync", "off")
