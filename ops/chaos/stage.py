"""The stage of a chaos run: database, broker, hub, offices as real processes, and a line of its own for every device.

For: setting the county up, killing and restarting what the plan names, taking everything down.
May not: know the plan; look into a store.
Manual: docs/operating/chaos.md.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.config import read_config, write_config
from ops.chaos.desk import Desk
from ops.chaos.line import Line
from ops.chaos.postgres import Cluster
from ops.demo import cast
from ops.demo.processes import COMMAND, Daemon, DemoFailed, free_port, wait_until

OFFICES = (cast.WINDOWS, cast.HALL, cast.PU, cast.TUKU)
VILLAGES = (cast.PU, cast.TUKU)
PROCESSES = ("broker", "hub", *OFFICES)
DATABASE = "database"
COUNTY = "county"  # the desk of the county's administrator
SUPPLY_SECONDS = 120.0
KILLED = -9  # how Python tells the end by SIGKILL


class Stage:
    """One county in `room`. broker: "embedded" or "mosquitto"; cluster: of a hub on PostgreSQL, None for SQLite."""

    def __init__(self, room: Path, *, broker: str, cluster: Cluster | None) -> None:
        self.room, self.kind, self.cluster = room, broker, cluster
        self.database = cluster.url if cluster else ""
        self.servers = (DATABASE,) if cluster else ()
        self.processes = (*self.servers, *PROCESSES)
        self.hub = room / "hub"
        self.desks: defaultdict[str, Desk] = defaultdict(Desk)  # by office, and the county's
        self.port = free_port()
        self.lines = {office: Line(self.port) for office in OFFICES}
        self.daemons: dict[str, Daemon] = {DATABASE: cluster.server} if cluster else {}
        self.died: list[str] = []  # processes that ended without having been killed
        self._turns = {name: threading.Lock() for name in self.processes}

    def directory(self, office: str) -> Path:
        return self.room / office

    def build(self) -> None:
        """Make the county, start broker and hub, let every office join, start their daemons behind their lines."""
        logs = self.room / "logs"
        logs.mkdir(parents=True)
        cast.write_items(self.room / "items.csv")
        self.desks[COUNTY].must(
            *("county", "init", "--dir", str(self.hub), "--county", cast.COUNTY),
            *("--broker", f"mqtt://127.0.0.1:{self.port}", "--areas", str(cast.DATA / "areas.csv")),
            *("--items", str(self.room / "items.csv"), *(["--database", self.database] if self.database else [])),
        )
        broker = self._mosquitto() if self.kind == "mosquitto" else [*COMMAND, "broker", "run", "--dir", str(self.hub)]
        ready = "running" if self.kind == "mosquitto" else "ready"
        self.daemons["broker"] = Daemon("broker", broker, logs / "broker.log", ready=ready)
        self.daemons["hub"] = Daemon("hub", [*COMMAND, "hub", "run", "--dir", str(self.hub)], logs / "hub.log")
        with ThreadPoolExecutor(2) as both:
            list(both.map(lambda name: self.daemons[name].start(), ("broker", "hub")))
            list(both.map(lambda office: self._join(office, logs), OFFICES))
        wait_until("every office holds the catalogue and the calendar", self._supplied, seconds=SUPPLY_SECONDS)

    def _join(self, office: str, logs: Path) -> None:
        code = str(self.desks[COUNTY].must("county", "enrol", "--dir", str(self.hub), "--office", office)["code"])
        directory = self.directory(office)
        self.desks[office].must("edge", "join", "--dir", str(directory), "--code", code)
        self.lines[office].open()
        address = f"mqtt://127.0.0.1:{self.lines[office].port}"
        write_config(directory, replace(read_config(directory), broker=address))
        words = [*COMMAND, "edge", "run", "--dir", str(directory)]
        self.daemons[office] = Daemon(office, words, logs / f"{office}.log")
        self.daemons[office].start()

    def _mosquitto(self) -> list[str]:
        """Mosquitto as Debian starts it: its own defaults, persistence on, everybody may do everything."""
        program = find_mosquitto()
        if program is None:
            raise DemoFailed("Mosquitto is not installed (apt-get install mosquitto)")
        home = self.room / "mosquitto"
        home.mkdir()
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "persistence true"]
        lines.append(f"persistence_location {home}/")
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            lines.append("user root")  # else it may not write its own store here
        (home / "mosquitto.conf").write_text("\n".join(lines) + "\n", "utf-8")
        return [program, "-c", str(home / "mosquitto.conf")]

    def _supplied(self) -> bool:
        versions = [self.status(office)["versions"] for office in OFFICES]
        return all(one["catalogue"] and one["calendar"] and one["roster"] for one in versions)

    def status(self, office: str) -> dict[str, Any]:
        """What `node status` says there."""
        return self.desks[office].must("node", "status", "--dir", str(self.directory(office)))

    def sever(self) -> int:
        """End one session of the database server; how many were ended."""
        return self.cluster.sever() if self.cluster else 0

    def strike_down(self, name: str, *, down_s: float, again_s: float | None) -> int:
        """SIGKILL a process, wait, start it again; with again_s kill it once more while it starts. Returns the kills."""
        with self._turns[name]:
            daemon = self.daemons[name]
            self._watch(name)
            daemon.kill()
            kills = 1
            time.sleep(down_s)
            if again_s is not None:
                restart = threading.Timer(again_s, daemon.kill)
                restart.start()
                try:
                    daemon.start()
                except DemoFailed:
                    if daemon.process is None or daemon.process.poll() != KILLED:  # it failed by itself: a finding
                        restart.cancel()
                        raise
                restart.join()
                kills += 1
            daemon.start()
            return kills

    def _watch(self, name: str) -> None:
        daemon = self.daemons[name]
        if not daemon.alive():
            self.died.append(f"{name}: ended by itself with {daemon.process and daemon.process.returncode}")

    def heal(self) -> None:
        """Every line good. Processes that ended by themselves are noted and started."""
        for line in self.lines.values():
            line.good()
        for name, daemon in self.daemons.items():
            with self._turns[name]:
                if not daemon.alive():
                    self._watch(name)
                    daemon.start()

    def end(self) -> list[str]:
        """SIGTERM to all, offices first; the processes that did not end with exit code 0."""
        codes = {name: self.daemons[name].stop() for name in reversed(list(self.daemons))}
        self.abandon()
        return [f"{name}: exit code {code} at SIGTERM" for name, code in codes.items() if code != 0]

    def abandon(self) -> None:
        """Kill what still runs; nothing if all has ended."""
        for desk in self.desks.values():
            desk.close()
        for daemon in self.daemons.values():
            daemon.kill()
        for line in self.lines.values():
            line.close()


def find_mosquitto() -> str | None:
    """The program, or None where it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
