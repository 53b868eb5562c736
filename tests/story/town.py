"""A county of real processes for story tests: broker, hub, offices, each act a command.

For: setting up, killing, waiting and comparing, in as few lines as a story needs.
May not: look into a process; assert what a single story is about.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ops.demo.cast import identity
from tests.support.cli import Answer, daemon, liandong
from tests.support.process import ROOT, Proc, free_port

DATA = ROOT / "tests" / "data"
COUNTY, HALL, PU, TUKU = "420222", "420222107", "420222107205", "420222107208"
WAIT_S = 120.0  # for anything to settle on a loaded machine
ITEM = "JF-MZ-001"  # 低保: villages accept, the county decides


class Town:
    """One county in `room`. Use as a context manager; leaving it kills what runs."""

    def __init__(self, room: Path, *, items: Path | None = None, database: str = "") -> None:
        self.room = room
        self.hub_dir = room / "hub"
        self.port = free_port()
        self.procs: dict[str, Proc] = {}
        self.cases = 0
        areas, items = DATA / "counties" / "420222_yangxin.csv", items or DATA / "items.csv"
        url = f"mqtt://127.0.0.1:{self.port}"
        self.run(
            *("county", "init", "--dir", self.hub_dir, "--areas", areas, "--items", items, "--county", COUNTY),
            *("--broker", url, *(["--database", database] if database else [])),
        )

    def __enter__(self) -> Town:
        return self

    def __exit__(self, *_: object) -> None:
        for proc in self.procs.values():
            proc.kill()

    @staticmethod
    def run(*words: Any, **options: Any) -> Answer:
        """One command of `liandong` with --json; must succeed unless check=False."""
        return liandong(*words, **options)

    def start(self, name: str, **env: str) -> Proc:
        """Start "broker", "hub", or the daemon of an office, and wait until it says ready."""
        if name not in self.procs:
            words = {
                "broker": ("broker", "run", "--dir", self.hub_dir),
                "hub": ("hub", "run", "--dir", self.hub_dir),
            }.get(name, ("edge", "run", "--dir", self.room / name))
            self.procs[name] = daemon(*words, log=self.room / f"{name}.log", env=env)
        self.procs[name].start().wait_line("ready")
        return self.procs[name]

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.procs[name].kill()

    def join(self, office: str, name: str = "") -> Path:
        """A new device of `office`, its daemon not started. Needs broker and hub. Its directory."""
        directory = self.room / (name or office)
        code = self.run("county", "enrol", "--dir", self.hub_dir, "--office", office)["code"]
        self.run("edge", "join", "--dir", directory, "--code", code)
        return directory

    def case(self, office: str, verb: str, *words: Any, **options: Any) -> Answer:
        return self.run("case", verb, "--dir", self.room / office, *words, **options)

    def accept(self, office: str, *words: Any, **options: Any) -> Answer:
        """A new 低保 case of a new applicant."""
        self.cases += 1
        number = identity("19500101", f"{self.cases:03d}")
        applicant = ("--item", ITEM, "--applicant", f"申请人{self.cases}", "--id-number", number)
        return self.case(office, "accept", *applicant, *words, **options)

    def status(self, name: str) -> Any:
        return self.run("node", "status", "--dir", self.room / name).data

    def digests(self, name: str) -> dict[str, str]:
        found: dict[str, str] = self.run("case", "digest", "--dir", self.room / name)["digests"]
        return found

    def settled(self, *offices: str) -> bool:
        """Every op of these offices has the hub's word, and each of their views is the hub's."""
        for office in offices:
            status = self.status(office)
            if status["pending"] or status["waiting"]:
                return False
        hub = self.digests("hub")
        return all(self.digests(office).items() <= hub.items() for office in offices)

    @staticmethod
    def wait(what: str, check: Callable[[], bool], seconds: float = WAIT_S) -> None:
        """Until `check` holds."""
        end = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < end, f"waited {seconds:.0f} s in vain: {what}"
            time.sleep(0.3)
