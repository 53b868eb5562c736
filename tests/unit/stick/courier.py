"""A county that lives by sticks: the hub and three devices with real stores, and a courier who carries files.

The loops of the line world are there too, so a test can let line and stick overlap.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from conflict.ledger.views import digests
from edge import memory, outbox
from edge.main import open_node
from edge.service import Application, Saved
from edge.staff import Actor
from edge.stick import export as edge_export
from edge.stick import taking as edge_taking
from edge.stick.export import Exported
from hub import devices, streams
from hub.init import open_county
from hub.stick import answer as hub_answer
from hub.stick import taking as hub_taking
from hub.stick.answer import Answered
from protocol.carriers.stick import Taken
from tests.unit.edge.county import GOOD_ID, Hands, seeds
from tests.unit.edge.line import ITEM, NEIGHBOUR, TOWN, VILLAGE, World, new_hub

CHIEF = Actor("chief", "chief")
OFFICES = {"village": VILLAGE, "other": NEIGHBOUR, "town": TOWN}
# What an import may write although it changes nothing: when something was last heard or tried.
RESTLESS = {"hub_device": {"contact_ms"}, "edge_aside": {"tries"}, "hub_refusal": {"times"}, "hub_notice": {"times"}}
FORGETFUL = ("edge.contact_ms", "edge.stick.said_ms", "hub.stick.written", "hub.duplicates")


class Courier(World):
    """The world with sticks in it. `pocket` is where the files are."""

    def __init__(self, directory: Path, hands: Hands, template: Path) -> None:
        super().__init__(directory, hands, template / "hub")
        self.pocket = directory / "stick"
        self.pocket.mkdir()
        self.number = 0
        self.random = seeds("sessions")
        for name in OFFICES:
            if (template / name).exists():
                shutil.copytree(template / name, directory / name)
                self.nodes[name] = open_node(directory / name, hands.clock())
                self.connect(name)

    def file(self, what: str) -> Path:
        """A new name on the stick."""
        self.number += 1
        return self.pocket / f"{self.number:03d}-{what}.ldb"

    def export(
        self,
        name: str,
        *,
        since_last: bool = False,
        everything: bool = False,
        room: int = 10**9,
        to: Path | None = None,
    ) -> Exported:
        self.hands.forward(1_000)
        return edge_export.export(
            self.nodes[name],
            to or self.file(name),
            since_last=since_last,
            everything=everything,
            room_bytes=room,
            random_bytes=self.random,
        )

    def at_hub(self, place: Path, *, to: Path | None = None, room: int = 10**9) -> tuple[Taken, Answered | None]:
        """Import at the hub; the answer has a new name on the stick."""
        self.hands.forward(1_000)
        return hub_taking.take(
            self.hub,
            place,
            answer_to=to or self.file("answer"),
            now_ms=lambda: self.hands.now_ms,
            room_bytes=room,
            random_bytes=self.random,
        )

    def from_hub(self, *offices: str, since_last: bool = False, room: int = 10**9) -> Answered:
        """What the hub exports by itself."""
        self.hands.forward(1_000)
        return hub_answer.export(
            self.hub,
            self.file("county"),
            offices=offices,
            since_last=since_last,
            now_ms=lambda: self.hands.now_ms,
            room_bytes=room,
        )

    def at(self, name: str, place: Path) -> Taken:
        """Import at a device."""
        self.hands.forward(1_000)
        return edge_taking.take(self.nodes[name], place)

    def trip(self, *names: str, room: int = 10**9) -> None:
        """Up and back for each of these devices in turn."""
        for name in names:
            _taken, answered = self.at_hub(self.export(name, room=room).file, room=room)
            assert answered is not None
            self.at(name, answered.file)

    def accept(self, name: str, **more: object) -> Saved:
        self.hands.forward(1_000)
        application = Application(ITEM, f"张三{self.number}", GOOD_ID, **more)  # type: ignore[arg-type]
        return self.nodes[name].service.accept(CHIEF, application)

    def states(self, name: str) -> dict[str, int]:
        with self.nodes[name].store.read() as tx:
            return {state: count for state, count in outbox.counts(tx).items() if count}

    def place(self, name: str) -> tuple[bytes, int]:
        with self.nodes[name].store.read() as tx:
            return memory.stream_place(tx)

    def acked(self, name: str) -> int:
        """The device's place as the hub knows it."""
        with self.hub.store.read() as tx:
            return devices.load(tx)[self.nodes[name].keys.incarnation].pos

    def length(self, name: str) -> int:
        with self.hub.store.read() as tx:
            return streams.length(tx, OFFICES[name])

    def digests(self, name: str = "hub") -> dict[bytes, bytes]:
        with (self.hub.store if name == "hub" else self.nodes[name].store).read() as tx:
            return digests(tx)

    def equal(self) -> bool:
        """Every op has the hub's word, and every view at a device is the hub's."""
        known = self.digests()
        return all(
            set(self.states(name)) <= {"accepted", "refused"} and self.digests(name).items() <= known.items()
            for name in self.nodes
        )

    def restart_hub_store(self) -> None:
        """Another process opens the county: nothing is remembered in memory."""
        self.hub_intake.close()
        self.hub.store.close()
        self.hub = open_county(self.directory / "hub")
        self.start_hub()


def content(store: Path, *, strict: bool = False) -> dict[str, str]:
    """A hash of every table of a store; unless `strict` without what a repeat may touch."""
    found: dict[str, str] = {}
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        names = connection.execute("select name from sqlite_master where type='table' order by name").fetchall()
        for (name,) in names:
            columns = [row[1] for row in connection.execute(f"pragma table_info({name})")]
            kept = [column for column in columns if strict or column not in RESTLESS.get(name, set())]
            rows = connection.execute(f"select {', '.join(kept)} from {name}").fetchall()
            if name == "meta" and not strict:
                rows = [row for row in rows if row[0] not in FORGETFUL]
            found[name] = hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()
    return found


def make_template(directory: Path) -> None:
    """A county whose three devices have joined and hold the reference data; copying it takes a few milliseconds."""
    new_hub(directory / "new")
    world = World(directory / "made", Hands(), directory / "new")
    for name, office in OFFICES.items():
        world.enrol(name, office)
    world.run(6)
    world.close()
