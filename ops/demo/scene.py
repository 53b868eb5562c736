"""The stage of the demonstration: directories, ports, the county, its daemons, and one hand per office.

For: setting up everything that the day needs, and taking it down again.
May not: know the story.
Manual: docs/operating/demo.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from conflict.ledger.errors import UnknownCase
from edge.clock import machine_clock
from ops.cases import show_case
from ops.demo import cast
from ops.demo.processes import COMMAND, Daemon, DemoFailed, free_port, must, wait_until
from ops.nodes import find_node
from ops.status import node_status

WAIT_SECONDS = 90.0  # for anything to travel between two offices on a loaded machine; normally a second or two
CITY_DELAY_MS = 1_500  # between the city's receipt and its decision


class Desk:
    """The hand of one office's worker: every act is one run of `liandong case`."""

    def __init__(self, office: str, directory: Path) -> None:
        self.office = office
        self.directory = directory

    @property
    def name(self) -> str:
        return cast.NAMES[self.office]

    def act(self, verb: str, *words: str) -> dict[str, Any]:
        """One `case` command that must succeed; its JSON document."""
        return must("case", verb, "--dir", str(self.directory), *words)

    def show(self, number: str) -> dict[str, Any]:
        """The case as `case show` gives it here."""
        return self.act("show", number)

    def has(self, number: str, check: Callable[[dict[str, Any]], bool]) -> bool:
        """Whether this office's store has the case and `check` holds for it; read directly, it is asked often."""
        try:
            return check(show_case(self.directory, machine_clock(), None, number))
        except UnknownCase:
            return False

    def status(self) -> dict[str, Any]:
        """The same as `node status`, read directly."""
        return node_status(find_node(self.directory))

    def wait_for(self, number: str, what: str, check: Callable[[dict[str, Any]], bool]) -> None:
        """Look at the case here until `check` holds. Raises DemoFailed naming `what`."""

        wait_until(f"{self.name}: {what} ({number})", lambda: self.has(number, check), seconds=WAIT_SECONDS)


class Scene:
    """A county in `room`: hub, broker, city and the offices of the cast."""

    def __init__(self, room: Path, say: Callable[[str], None]) -> None:
        self.room = room
        self.say = say
        self.hub = room / "hub"
        self.attachments = room / "scans"
        self.logs = room / "logs"
        self.port = free_port()
        self.token = secrets.token_hex(16)
        self.desks = {office: Desk(office, room / office) for office in cast.OFFICES}
        self.daemons: dict[str, Daemon] = {}

    def build(self) -> None:
        """Make the county, start city, broker and hub, let every office join, start their daemons."""
        self.logs.mkdir(parents=True)
        cast.write_attachments(self.attachments)
        cast.write_items(self.room / "items.csv")
        broker = f"mqtt://127.0.0.1:{self.port}"
        made = must(
            *("county", "init", "--dir", str(self.hub), "--county", cast.COUNTY, "--broker", broker),
            *("--areas", str(cast.DATA / "areas.csv"), "--items", str(self.room / "items.csv")),
        )
        self.say(f"县级中心已建立:{made['name']},{made['offices']} 个机构,{made['items']} 个事项")
        city = self.start("city", "city", "run", "--dir", str(self.room / "city"), "--automatic", "grant",
                          "--delay-ms", str(CITY_DELAY_MS), token=True)  # fmt: skip
        url = city.said().split("ready ")[1].split()[0]
        must("hub", "upward", "connect", "--dir", str(self.hub), "--url", url, environment=self._token())
        self.start("broker", "broker", "run", "--dir", str(self.hub))
        self.start("hub", "hub", "run", "--dir", str(self.hub))
        self.say(f"市级平台 {url},消息服务 {broker},县级中心进程已启动")
        with ThreadPoolExecutor(2) as both:
            list(both.map(self._join, self.desks.values()))
        wait_until("every office holds the catalogue and the calendar", self._all_supplied, seconds=WAIT_SECONDS)

    def _join(self, desk: Desk) -> None:
        code = must("county", "enrol", "--dir", str(self.hub), "--office", desk.office)["code"]
        must("edge", "join", "--dir", str(desk.directory), "--code", code)
        self.start(desk.office, "edge", "run", "--dir", str(desk.directory))
        self.say(f"{desk.name} 已入网")

    def start(self, name: str, *words: str, token: bool = False) -> Daemon:
        """Start a daemon of `liandong` under `name`, or start the known one again."""
        if name not in self.daemons:
            environment = self._token() if token else {}
            self.daemons[name] = Daemon(name, [*COMMAND, *words], self.logs / f"{name}.log", environment=environment)
        self.daemons[name].start()
        return self.daemons[name]

    def cut_the_line(self) -> None:
        """The broker dies without a word: no office reaches the county any more."""
        self.daemons["broker"].kill()

    def open_the_line(self) -> None:
        """The broker is back, with nothing remembered."""
        self.daemons["broker"].start()

    def strike(self) -> None:
        """End every daemon, offices first. Raises DemoFailed if one does not end cleanly by itself."""
        dirty = []
        for name in reversed(list(self.daemons)):
            code = self.daemons[name].stop()
            if code != 0:
                dirty.append(f"{name} ({code})")
        if dirty:
            raise DemoFailed(f"did not end cleanly at SIGTERM: {', '.join(dirty)}")

    def abandon(self) -> None:
        """Kill what still runs; for the way out after a failure."""
        for daemon in self.daemons.values():
            daemon.kill()

    def _token(self) -> dict[str, str]:
        return {"LIANDONG_CITY_TOKEN": self.token}

    def _all_supplied(self) -> bool:
        held = [desk.status()["versions"] for desk in self.desks.values()]
        return all(one["catalogue"] and one["calendar"] and one["roster"] for one in held)
