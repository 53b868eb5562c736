"""A line between devices and hub in memory, with faults that a test switches on: for the loops without a broker.

What travels is the real thing: sealed envelopes of real links. Only the broker between them is missing.
"""

from __future__ import annotations

import random
import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge.join import finish, prepare, request_bytes
from edge.main import Node, open_node
from edge.sync_loop import SyncLoop, listens_to
from hub import enrolment
from hub.config import ROOT_KEY_NAME, read_keys
from hub.init import County as HubCounty
from hub.init import init_county, open_county
from hub.intake import Intake as HubIntake
from hub.sync_loop import SyncLoop as HubLoop
from protocol import topics
from protocol.carriers.inbox import Counters
from protocol.enrol import open_request, seal_answer
from tests.unit.edge.county import NOW_MS, Hands, seeds

DATA = Path(__file__).parents[2] / "data"
COUNTY = "420222"
TOWN = "420222107"
VILLAGE = "420222107201"
NEIGHBOUR = "420222107202"
ITEM = "JF-MZ-001"
STEP_MS = 250


@dataclass
class Line:
    """Topics to inboxes. drop: share of payloads lost; double: share delivered twice; up: whether anything passes."""

    rng: random.Random = field(default_factory=lambda: random.Random(7))
    drop: float = 0.0
    double: float = 0.0
    up: bool = True
    ends: list[End] = field(default_factory=list)
    carried: int = 0

    def publish(self, topic: str, payload: bytes) -> None:
        if self.rng.random() < self.drop:
            return
        for _ in range(2 if self.rng.random() < self.double else 1):
            self.carried += len(payload)
            for end in self.ends:
                if end.hears(topic):
                    end.inbox.append((topic, payload))


@dataclass
class End:
    """One carrier of the line: the shape that both loops ask for."""

    line: Line
    hears: Callable[[str], bool]
    inbox: deque[tuple[str, bytes]] = field(default_factory=deque)
    counters: Counters = field(default_factory=Counters)
    generation: int = 1
    reason: str = "the test has cut the line"

    @property
    def state(self) -> str:
        return "online" if self.line.up else "offline"

    def start(self) -> None: ...
    def stop(self) -> None: ...

    def reconnect(self) -> None:
        self.generation += 1

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        if not self.line.up:
            return False
        self.line.publish(topic, payload)
        return True

    def receive(self, timeout: float = 0.0) -> tuple[str, bytes] | None:
        return self.inbox.popleft() if self.inbox and self.line.up else None

    def wait(self, timeout: float) -> bool:
        return False


def new_hub(directory: Path) -> None:
    """A county to copy: the real tree and the real items."""
    init_county(
        directory,
        areas=DATA / "counties" / "420222_yangxin.csv",
        items=DATA / "items.csv",
        county=COUNTY,
        now_ms=NOW_MS,
        random_bytes=seeds("county"),
    )


class World:
    """A hub and devices of a county, one clock for all, stepped by hand."""

    def __init__(self, directory: Path, hands: Hands, template: Path) -> None:
        self.directory, self.hands = directory, hands
        shutil.copytree(template, directory / "hub")
        self.hub: HubCounty = open_county(directory / "hub")
        self.root = read_keys(directory / "hub", ROOT_KEY_NAME)
        self.card_topic = topics.card(topics.space(self.hub.card.fingerprint))
        self.line = Line()
        self.nodes: dict[str, Node] = {}
        self.loops: dict[str, SyncLoop] = {}
        self.start_hub()

    def start_hub(self) -> None:
        """The hub's loop anew, as after a restart of its process."""
        self.line.ends = [end for end in self.line.ends if not end.hears("ld/x/y/up")]
        end = End(self.line, lambda topic: topic.endswith("/up"))
        self.line.ends.append(end)
        hub = self.hub
        self.hub_intake = HubIntake(hub.store, hub.keys, hub.shelf, now_ms=lambda: self.hands.now_ms)
        self.hub_loop = HubLoop(
            self.hub,
            end,
            self.hub_intake,
            now_ms=lambda: self.hands.now_ms,
            mono_ms=lambda: self.hands.mono_ms,
            fraction=lambda: 0.5,
            random_bytes=seeds("hub loop"),
        )

    def restore_hub(self, backup: Path) -> None:
        """The hub's machine with yesterday's store: same keys, older facts."""
        self.hub_intake.close()
        self.hub.store.close()
        for old in (self.directory / "hub").glob("hub.db*"):
            old.unlink()
        shutil.copy(backup, self.directory / "hub" / "hub.db")
        self.hub = open_county(self.directory / "hub")
        self.start_hub()

    def enrol(self, name: str, office: str) -> Node:
        """A device that joined with files, without documents: those come over the line."""
        with self.hub.store.write() as tx:
            made = enrolment.make_code(
                tx,
                self.hub.config,
                self.hub.shelf.roster,
                office,
                staff="周强",
                now_ms=NOW_MS,
                random_bytes=seeds(name),
            )
        directory = self.directory / name
        _config, code, keys = prepare(directory, made.code.to_text(), self.hub.card)
        request = open_request(request_bytes(code, keys, self.hub.card, reply_box=""), keys=self.hub.keys)
        with self.hub.store.write() as tx:
            done = enrolment.admit(
                tx, self.hub.shelf, self.hub.keys, request, now_ms=self.hands.now_ms, with_documents=False
            )
        sealed = seal_answer(done.answer, keys=self.hub.keys, seal_public=keys.seal_public, device_suite=keys.suite)
        finish(directory, sealed, self.hands.clock())
        self.nodes[name] = open_node(directory, self.hands.clock())
        self.connect(name)
        return self.nodes[name]

    def connect(self, name: str) -> SyncLoop:
        """The device's loop anew, as after a restart of its daemon."""
        node = self.nodes[name]
        own = listens_to(node.keys, node.reference.trust)
        self.line.ends = [end for end in self.line.ends if not end.hears(own[0])]
        end = End(self.line, lambda topic: topic in own)
        loop = SyncLoop(
            node.store, node.keys, node.reference, node.clock, end, random_bytes=seeds(name), fraction=lambda: 0.5
        )
        self.line.ends.append(end)
        self.loops[name] = loop
        return loop

    def run(self, seconds: float) -> None:
        """Let everybody turn while the clock runs."""
        for _ in range(int(seconds * 1000 / STEP_MS)):
            for loop in self.loops.values():
                loop.turn()
            self.hub_loop.step()
            self.hands.forward(STEP_MS)

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()
        self.hub_intake.close()
        self.hub.store.close()
