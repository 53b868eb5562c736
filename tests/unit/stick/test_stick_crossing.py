"""Goal: line and sticks in any order, with any repeats, lost and late files: nothing is lost, nothing goes back, all are equal.

Method: random days of three offices; every file ever written stays in the pile and may be imported anywhere at any time.
LIANDONG_EXAMPLES sets how many days are played; a seed plays the same day again.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from conflict.ledger.schema import ops as ops_table
from edge.main import Node
from hub import calendar_source, state
from protocol.carriers.stick import BundleNotForUs
from protocol.errors import LiandongError
from tests.unit.stick.courier import CHIEF, Courier

STEPS = 30
SETTLED = ("accepted", "refused")


class Day:
    """A random day and what must hold at each step of it."""

    def __init__(self, courier: Courier, seed: int, directory: Path) -> None:
        self.courier, self.rng, self.directory = courier, random.Random(seed), directory
        self.pile: list[Path] = []
        self.cases: list[str] = []
        self.places = {name: courier.place(name) for name in courier.nodes}
        self.versions = {name: self.versions_of(node) for name, node in courier.nodes.items()}
        self.settled = dict.fromkeys(courier.nodes, 0)
        self.epochs = 0

    def step(self) -> None:
        acts = {
            self.work: 6, self.hand_on: 3, self.export: 5, self.at_hub: 6, self.at_device: 6, self.line: 3,
            self.restart: 1, self.new_epoch: 1, self.publish: 1, self.from_hub: 1,
        }  # fmt: skip
        self.rng.choices(list(acts), list(acts.values()))[0]()
        self.check()

    def name(self) -> str:
        return self.rng.choice(list(self.courier.nodes))

    def work(self) -> None:
        scan = self.directory / f"scan-{len(self.cases)}.jpg"
        scan.write_bytes(self.rng.randbytes(40_000))
        attachments = [scan] if self.rng.random() < 0.4 else []
        self.cases.append(self.courier.accept(self.name(), attachments=attachments).case)

    def hand_on(self) -> None:
        """Somebody changes a case of theirs, or forwards it, as far as the rules let them."""
        name = self.name()
        service = self.courier.nodes[name].service
        cases = service.list_cases()
        if not cases:
            return
        case = self.rng.choice(cases)["case"]
        try:
            if self.rng.random() < 0.5:
                service.amend(CHIEF, case, fields={"备注": f"{name} {self.rng.random()}"})
            else:
                service.forward(CHIEF, case)
        except LiandongError as error:
            assert error.code not in ("internal", "local_protocol")

    def export(self) -> None:
        made = self.courier.export(
            self.name(), since_last=self.rng.random() < 0.3, room=self.rng.choice([1, 50_000, 10**9])
        )
        self.pile.append(made.file)

    def at_hub(self) -> None:
        if self.pile:
            try:
                _taken, answered = self.courier.at_hub(
                    self.rng.choice(self.pile), room=self.rng.choice([1, 50_000, 10**9])
                )
            except BundleNotForUs:
                return
            assert answered is not None
            self.pile.append(answered.file)

    def at_device(self) -> None:
        if self.pile:
            try:
                taken = self.courier.at(self.name(), self.rng.choice(self.pile[-6:]))
            except BundleNotForUs:
                return
            assert taken.bad == 0

    def from_hub(self) -> None:
        office = self.courier.nodes[self.name()].keys.office
        self.pile.append(self.courier.from_hub(office, since_last=self.rng.random() < 0.5).file)

    def line(self) -> None:
        self.courier.line.up = True
        self.courier.line.drop = self.rng.choice([0.0, 0.3])
        self.courier.run(self.rng.choice([0.5, 1.0, 3.0]))
        self.courier.line.up = self.rng.random() < 0.3

    def restart(self) -> None:
        self.courier.connect(self.name())

    def new_epoch(self) -> None:
        """What a restored hub does first."""
        with self.courier.hub.store.write() as tx:
            state.new_epoch(tx, self.courier.random(8), now_ms=self.courier.hands.now_ms)
        self.epochs += 1

    def publish(self) -> None:
        """Another calendar, then the first again: a version each."""
        hub = self.courier.hub
        years = calendar_source.available_years()
        with hub.store.write() as tx:
            content = calendar_source.publishable(years[-1 - hub.shelf.version("calendar") % 2 :])
            hub.shelf.publish_calendar(tx, hub.keys, content, now_ms=self.courier.hands.now_ms)

    def check(self) -> None:
        """Nothing goes back: place within an epoch, epochs, versions, receipts."""
        for name, node in self.courier.nodes.items():
            place, before = self.courier.place(name), self.places[name]
            assert place[0] != before[0] or place[1] >= before[1], name
            self.places[name] = place
            versions = self.versions_of(node)
            assert all(versions[kind] >= version for kind, version in self.versions[name].items()), name
            self.versions[name] = versions
            settled = sum(self.courier.states(name).get(one, 0) for one in SETTLED)
            assert settled >= self.settled[name], name
            self.settled[name] = settled

    def end(self) -> None:
        """Everything that was written becomes the same everywhere, by the line or by sticks alone."""
        courier = self.courier
        courier.line.drop = 0.0
        courier.line.up = self.rng.random() < 0.5
        names = list(courier.nodes)
        if courier.line.up:
            courier.run(150)
        for _ in range(0 if courier.line.up else 4):
            courier.trip(*names)
        assert courier.equal()
        assert set(courier.digests()) == {bytes.fromhex(case) for case in self.cases}
        saved = {blob for node in courier.nodes.values() for blob in blobs(node)}
        with courier.hub.store.read() as tx:
            held = set(tx.execute(ops_table.select().with_only_columns(ops_table.c.blob)).scalars())
        assert saved <= held
        for name, node in courier.nodes.items():
            assert node.status()["attachments"]["incomplete"] == 0, name
            assert node.status()["set_aside"] == [] and node.status()["waiting"] == 0
            assert courier.place(name)[1] == courier.length(name)
        assert courier.digests("town") == courier.digests()

    @staticmethod
    def versions_of(node: Node) -> dict[str, int]:
        with node.store.read() as tx:
            return node.reference.versions(tx)


def blobs(node: Node) -> list[bytes]:
    with node.store.read() as tx:
        return list(tx.execute(ops_table.select().with_only_columns(ops_table.c.blob)).scalars())


@pytest.mark.parametrize("seed", range(int(os.environ.get("LIANDONG_EXAMPLES", "2"))))
def test_line_and_sticks_cross(courier: Courier, tmp_path: Path, seed: int) -> None:
    day = Day(courier, seed, tmp_path)
    for _ in range(STEPS):
        day.step()
    day.end()
