"""The ground for kills at writes: a small county at rest, with ops under way in both directions, to be copied for every trial.

For: setting it up by real processes (hub and village traced, so that the order of sync and answer is checked on the way).
May not: run where strace cannot; let a copy meet another copy (they have one device's keys).
Manual: docs/operating/chaos.md, "System calls".  Decision: docs/decisions/0146-daemons-at-every-write.md.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.config import STORE_NAME, read_config, write_config
from hub.config import STORE_NAME as HUB_STORE_NAME
from ops.chaos.desk import Desk
from ops.chaos.order import check_edge, check_hub
from ops.chaos.staff import ITEM
from ops.chaos.stage import find_mosquitto
from ops.chaos.syscalls import read_trace, recording
from ops.demo import cast
from ops.demo.processes import COMMAND, Daemon, free_port, wait_until
from ops.simulate.raw import RawOp, all_ops, op_ids, outbox
from protocol import topics

SETTLE_SECONDS_MAX = 60.0
QUIET_S = 0.8  # without anything under way, so that what leaves next is about the op that is looked at


@dataclass(frozen=True, slots=True)
class Ground:
    """Nothing runs. hub: has ops that the village has not got. village: has ops that the hub has not got.

    expected: ids of all ops of offices; both must hold exactly these in the end. findings: what was wrong with the order.
    """

    hub: Path
    village: Path
    expected: frozenset[bytes]
    findings: tuple[str, ...]


def prepare(room: Path) -> Ground:
    """Make it in the empty directory `room`, with processes that end here. Raises DemoFailed if it does not come to be."""
    desk, port = Desk(), free_port()
    maker = _Maker(room, desk, port)
    try:
        return maker.make()
    finally:
        maker.abandon()
        desk.close()


class _Maker:
    def __init__(self, room: Path, desk: Desk, port: int) -> None:
        self.room, self.desk, self.port = room, desk, port
        self.hub, self.village, self.hall = room / "hub", room / "village", room / "hall"
        self.daemons: list[Daemon] = []

    def make(self) -> Ground:
        cast.write_items(self.room / "items.csv")
        self.desk.must(
            *("county", "init", "--dir", str(self.hub), "--county", cast.COUNTY),
            *("--broker", f"mqtt://127.0.0.1:{self.port}", "--areas", str(cast.DATA / "areas.csv")),
            *("--items", str(self.room / "items.csv")),
        )
        broker = self._run(broker_of(self.room, self.hub, self.port))
        hub = self._start("hub", recording(self.room / "hub.trace", hub_words(self.hub)))
        for office, directory in ((cast.PU, self.village), (cast.HALL, self.hall)):
            code = self.desk.must("county", "enrol", "--dir", str(self.hub), "--office", office)["code"]
            self.desk.must("edge", "join", "--dir", str(directory), "--code", code)
        village = self._start("village", recording(self.room / "village.trace", edge_words(self.village)))
        hall = self._start("hall", edge_words(self.hall))
        case = self._act(self.village, "accept", *applicant(1))["case"]
        self._act(self.village, "forward", case, "--to", cast.HALL)
        self._everywhere(self.village, self.hall)
        up = self._act(self.village, "note", case, "--text", "上行")["op"]
        self._everywhere(self.village, self.hall)
        down = self._act(self.hall, "take", case)["op"]
        self._everywhere(self.village, self.hall)
        findings = self._end(village, "village")
        for number in (2, 3):
            later = self._act(self.village, "accept", *applicant(number))["case"]
        self._act(self.village, "forward", later, "--to", cast.HALL)
        self._act(self.village, "note", case, "--text", "待传")
        for text in ("一", "二"):
            self._act(self.hall, "note", case, "--text", text)
        wait_until("the hall's notes are at the hub", lambda: settled(self.hall), seconds=SETTLE_SECONDS_MAX)
        findings += [*self._end(hall, "hall"), *self._end(hub, "hub")]
        broker.stop()
        mailbox = topics.mailbox(bytes.fromhex(read_config(self.village).incarnation))
        findings += [f"hub: {text}" for text in check_hub(read_trace(self.room / "hub.trace"), up, mailbox)]
        findings += [f"edge: {text}" for text in check_edge(read_trace(self.room / "village.trace"), down, mailbox)]
        expected = offices_ops(self.hub / HUB_STORE_NAME) | offices_ops(self.village / STORE_NAME)
        return Ground(self.hub, self.village, frozenset(expected), tuple(findings))

    def _act(self, directory: Path, verb: str, *words: str) -> dict[str, Any]:
        return self.desk.must("case", verb, "--dir", str(directory), *words)

    def _everywhere(self, *directories: Path) -> None:
        """Until the hub and these devices hold the same ops and every one has its receipt; then a moment of quiet."""

        def same() -> bool:
            at_hub = op_ids(self.hub / HUB_STORE_NAME)
            return all(settled(one) and op_ids(one / STORE_NAME) == at_hub for one in directories)

        wait_until("hub and devices are equal", same, seconds=SETTLE_SECONDS_MAX)
        time.sleep(QUIET_S)

    def _start(self, name: str, command: list[str]) -> Daemon:
        return self._run(Daemon(name, command, self.room / f"{name}.log"))

    def _run(self, daemon: Daemon) -> Daemon:
        self.daemons.append(daemon)
        daemon.start()
        return daemon

    @staticmethod
    def _end(daemon: Daemon, name: str) -> list[str]:
        return [] if (code := daemon.stop()) == 0 else [f"{name}: exit code {code} at SIGTERM"]

    def abandon(self) -> None:
        for daemon in self.daemons:
            daemon.kill()


def applicant(number: int) -> tuple[str, ...]:
    """The words of `case accept` for one more person."""
    who = ("--applicant", f"申请人{number}", "--id-number", cast.identity("19490312", f"{number:03d}"))
    return ("--item", ITEM, *who)


def hub_words(directory: Path, url: str = "") -> list[str]:
    return [*COMMAND, "hub", "run", "--dir", str(directory), *(["--broker", url] if url else [])]


def edge_words(directory: Path) -> list[str]:
    return [*COMMAND, "edge", "run", "--dir", str(directory)]


def broker_of(room: Path, hub: Path, port: int) -> Daemon:
    """A broker of its own for one trial, with nothing left in it: Mosquitto where it is installed, for it starts at once."""
    program = find_mosquitto()
    if program is None:
        words = [*COMMAND, "broker", "run", "--dir", str(hub), "--port", str(port)]
        return Daemon("broker", words, room / "broker.log")
    config = room / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n", "utf-8")
    return Daemon("broker", [program, "-c", str(config)], room / "broker.log", ready="running")


def dial(directory: Path, port: int) -> None:
    """Let a copied device find the broker of its trial."""
    write_config(directory, replace(read_config(directory), broker=f"mqtt://127.0.0.1:{port}"))


def settled(device: Path) -> bool:
    """Whether every op of a device has the hub's word, by its own book."""
    return all(state == "accepted" for state, _code, _reason in outbox(device / STORE_NAME).values())


def offices_ops(store: Path) -> set[bytes]:
    """Ids, computed anew, of the ops of offices in a store; the hub's own additions are left out."""
    found = (RawOp.read(blob) for _row, _waits, blob in all_ops(store))
    return {op.id for op in found if op.role != "hub"}
