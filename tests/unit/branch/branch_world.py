"""A county with a township that serves its villages: three lines in memory that a test opens and closes one by one.

Real hub, real devices, real links and stores; only the two brokers and the clock are the test's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from conflict.ledger.views import digests
from edge import outbox
from edge.branch import relay
from edge.branch.room import Branch
from edge.branch.township import TownshipLine
from edge.identity import read_card
from edge.main import Node
from edge.sync_loop import SyncLoop, listens_to
from protocol import topics
from tests.unit.edge.county import Hands, seeds
from tests.unit.edge.line import STEP_MS, End, Line, World


@dataclass
class Switch(End):
    """A carrier of one device, whose own line can be off while the broker is there."""

    on: bool = True

    @property
    def state(self) -> str:
        return "online" if self.line.up and self.on else "offline"

    def turn(self, on: bool) -> None:
        if on and not self.on:
            self.generation += 1
        self.on = on

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        return self.on and super().publish(topic, payload, retain=retain)

    def receive(self, timeout: float = 0.0) -> tuple[str, bytes] | None:
        return super().receive(timeout) if self.on else None


class BranchWorld(World):
    """`county[name]`: a device's line to the hub; `local[name]`: a village's line to its township's broker."""

    def __init__(self, directory: Path, hands: Hands, template: Path) -> None:
        super().__init__(directory, hands, template)
        self.county: dict[str, Switch] = {}
        self.local: dict[str, Switch] = {}
        self.township_broker = Line()
        self.branches: dict[str, Branch] = {}
        self.townships: dict[str, TownshipLine] = {}

    def connect(self, name: str) -> SyncLoop:
        node = self.nodes[name]
        own = listens_to(node.keys, node.reference.trust)
        self.line.ends = [end for end in self.line.ends if end is not self.county.get(name)]
        end = self.county[name] = Switch(self.line, lambda topic: topic in own)
        self.line.ends.append(end)
        loop = SyncLoop(
            node.store, node.keys, node.reference, node.clock, end, random_bytes=seeds(name), fraction=lambda: 0.5
        )
        self.loops[name] = loop
        return loop

    def serve(self, name: str) -> None:
        """The township `name` begins to serve, as after a start of its daemon."""
        node = self.nodes[name]
        self.township_broker.ends = [one for one in self.township_broker.ends if not one.hears("ld/x/y/up")]
        end = Switch(self.township_broker, lambda topic: topic.endswith("/up"))
        self.township_broker.ends.append(end)
        card = read_card(node.directory)
        self.branches[name] = Branch(
            node.store,
            node.keys,
            node.reference,
            node.clock,
            end,
            card,
            county_open=lambda: self.loops[name].open,
            random_bytes=seeds(f"branch {name}"),
            fraction=lambda: 0.5,
        )

    def link(self, name: str, town: str) -> None:
        """The village `name` has a second line, to the township `town`; as after a start of its daemon."""
        node = self.nodes[name]
        box = topics.mailbox(node.keys.incarnation)
        own = {topic for topic in listens_to(node.keys, node.reference.trust) if box in topic or topic.endswith("card")}
        self.township_broker.ends = [one for one in self.township_broker.ends if one is not self.local.get(name)]
        end = self.local[name] = Switch(self.township_broker, lambda topic: topic in own)
        self.township_broker.ends.append(end)
        self.townships[name] = TownshipLine(
            node.store,
            node.keys,
            node.reference,
            node.clock,
            end,
            self.nodes[town].keys.incarnation,
            county_open=lambda: self.loops[name].open,
            random_bytes=seeds(f"township {name}"),
            fraction=lambda: 0.5,
        )

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds * 1000 / STEP_MS)):
            for loop in (*self.loops.values(), *self.branches.values(), *self.townships.values()):
                loop.turn()
            self.hub_loop.step()
            self.hands.forward(STEP_MS)

    def digests(self, name: str) -> dict[bytes, bytes]:
        store = self.hub.store if name == "hub" else self.nodes[name].store
        with store.write() as tx:
            return digests(tx)

    def equal(self, *names: str) -> bool:
        """Whether these hold the same views of the same cases."""
        found = [self.digests(name) for name in names]
        return all(one == found[0] for one in found)

    def states(self, name: str) -> dict[str, int]:
        with self.nodes[name].store.read() as tx:
            return {state: count for state, count in outbox.counts(tx).items() if count}

    def carried(self, name: str) -> int:
        with self.nodes[name].store.read() as tx:
            return relay.pending(tx)

    def quiet_bytes(self, seconds: float) -> int:
        """What both brokers carry while nobody does anything."""
        before = self.line.carried + self.township_broker.carried
        self.run(seconds)
        return self.line.carried + self.township_broker.carried - before


def settled(world: BranchWorld, node: Node) -> bool:
    with node.store.read() as tx:
        return outbox.lowest_unsettled(tx) is None
