"""The device's loop against the hub's real loop, over a line that loses, doubles and is cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conflict.ledger.views import digests
from edge import memory, outbox
from edge.main import Node, open_node
from edge.service import Application, Saved
from edge.staff import Actor
from edge.sync.compare import Answerer, stored_items
from protocol import canonical
from protocol import keys as device_keys
from protocol.reconcile import Comparison
from protocol.trust import HubCertificate, sign_certificate
from tests.unit.edge.county import GOOD_ID, Hands, seeds
from tests.unit.edge.line import ITEM, NEIGHBOUR, TOWN, VILLAGE, World, new_hub

CHIEF = Actor("chief", "chief")


@pytest.fixture(scope="session")
def hub_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("template") / "hub"
    new_hub(directory)
    return directory


@pytest.fixture
def world(tmp_path: Path, hands: Hands, hub_template: Path) -> Iterator[World]:
    made = World(tmp_path, hands, hub_template)
    yield made
    made.close()


def accept(node: Node, **more: object) -> Saved:
    return node.service.accept(CHIEF, Application(ITEM, "张三", GOOD_ID, **more))  # type: ignore[arg-type]


def states(node: Node) -> dict[str, int]:
    with node.store.read() as tx:
        return {name: number for name, number in outbox.counts(tx).items() if number}


def test_documents_then_ops_then_receipts(world: World) -> None:
    village = world.enrol("village", VILLAGE)
    assert village.status()["versions"]["catalogue"] == 0
    world.run(5)
    status = village.status()
    assert status["versions"]["catalogue"] and status["versions"]["calendar"] and status["versions"]["roster"]
    assert status["last_contact"] is not None
    saved = accept(village)
    assert states(village) == {"pending": 1}
    world.run(3)
    assert states(village) == {"accepted": 1}
    with village.store.read() as tx:
        known = memory.hub_time(tx)
    assert known.boot_id == "boot-1" and known.hub_ms > 0  # evidence for the next claimed time
    with world.hub.store.read() as tx:
        assert digests(tx)[bytes.fromhex(saved.case)].hex() == village.service.digest(saved.case)


def test_township_and_village_work_on_one_case(world: World, tmp_path: Path) -> None:
    village, town = world.enrol("village", VILLAGE), world.enrol("town", TOWN)
    other = world.enrol("other", NEIGHBOUR)
    world.run(5)
    scan = tmp_path / "身份证复印件.jpg"
    scan.write_bytes(bytes(range(256)) * 400)  # four chunks
    saved = accept(village, attachments=[scan])
    village.service.forward(CHIEF, saved.case)
    world.run(3)
    shown = town.service.show(saved.number)
    assert shown["holder"] == VILLAGE and len(shown["missing_files"]) == 1  # the op does not wait for the bytes
    world.run(25)
    assert town.service.show(saved.number)["missing_files"] == []
    assert [row["holder"] for row in town.service.list_cases()] == [VILLAGE]
    town.service.take(CHIEF, saved.case)
    town.service.examine(CHIEF, saved.case, opinion="同意")
    world.run(5)
    assert village.service.show(saved.case)["holder"] == TOWN
    assert village.service.digest(saved.case) == town.service.digest(saved.case)
    assert other.service.list_cases() == []  # not its case


@pytest.mark.parametrize("seed", range(int(os.environ.get("LIANDONG_EXAMPLES", "1"))))
def test_nothing_is_lost_on_a_bad_line(world: World, seed: int) -> None:
    village, town = world.enrol("village", VILLAGE), world.enrol("town", TOWN)
    world.run(5)
    world.line.rng.seed(seed)
    world.line.drop, world.line.double = 0.3, 0.2
    cases = []
    for number in range(6):
        saved = accept(village, fields={"序号": str(number)})
        village.service.forward(CHIEF, saved.case)
        cases.append(saved.case)
        world.run(4)
        world.line.up = number % 2 == 0
        if number == 3:
            world.connect("village")  # its daemon was killed
    world.line.up = True
    world.run(120)
    world.line.drop = world.line.double = 0.0
    world.run(180)
    assert states(village) == {"accepted": 12}
    assert town.service.digests() == village.service.digests() and len(town.service.digests()) == 6


def test_a_hub_that_lost_what_it_acknowledged_gets_it_again(world: World, tmp_path: Path) -> None:
    village = world.enrol("village", VILLAGE)
    world.run(5)
    accept(village)
    world.run(3)
    backup = tmp_path / "hub-backup.db"
    world.hub.store.backup_to(backup)
    later = accept(village)
    world.run(3)
    assert states(village) == {"accepted": 2}
    world.restore_hub(backup)
    world.hands.forward(3_600_000)
    world.run(60)
    assert states(village) == {"accepted": 2}
    with world.hub.store.read() as tx:
        assert bytes.fromhex(later.case) in digests(tx)


def test_a_hub_that_started_anew_is_greeted_soon(world: World) -> None:
    """It knows the device no longer, takes the ops and cannot answer; found by killing it between two heartbeats."""
    village = world.enrol("village", VILLAGE)
    world.run(5)
    accept(village)
    world.run(3)
    world.start_hub()
    accept(village)
    world.run(12)
    assert states(village) == {"accepted": 2}


def test_a_hub_with_new_keys_is_known_by_the_root_s_word(world: World) -> None:
    village = world.enrol("village", VILLAGE)
    world.run(5)
    saved = accept(village)
    old = village.reference.trust
    fake = replace(world.hub.card, certificate=_certificate(world, 2, signed_by=seeds("not the root")(32)))
    world.line.publish(world.card_topic, canonical.encode({"v": 1, "no": "card"}))
    world.line.publish(world.card_topic, fake.to_bytes())
    world.run(1)
    assert village.reference.trust == old
    newer = replace(world.hub.card, certificate=_certificate(world, 2, signed_by=world.root.sign_seed))
    world.line.publish(world.card_topic, newer.to_bytes())
    world.line.publish(world.card_topic, world.hub.card.to_bytes())  # the old hub wakes up beside the new one
    world.run(1)
    assert village.reference.trust.hub.serial == 2
    assert village.service.show(saved.case)["status"] == "accepted"  # documents of the old hub stay readable
    with open_node(village.directory, world.hands.clock()) as again:
        assert again.reference.trust.hub.serial == 2
        assert again.status()["versions"]["catalogue"] == 1 and accept(again).status == "accepted"


def _certificate(world: World, serial: int, *, signed_by: bytes) -> bytes:
    keys = device_keys.generate("420222", "420222", "hub", seeds(f"hub {serial}"))
    certificate = HubCertificate("420222", serial, keys.sign_public, keys.seal_public, keys.suite, 0)
    return sign_certificate(certificate, root_seed=signed_by)


def test_a_comparison_proves_equality_and_finds_what_the_hub_lost(world: World) -> None:
    village = world.enrol("village", VILLAGE)
    world.run(5)
    accept(village)
    kept = accept(village)
    world.run(3)
    with village.store.read() as tx:
        mine = stored_items(tx)
    assert len(mine) == 4  # two ops, two views
    answerer = Answerer(village.store, village.clock)
    equal = Comparison(mine, b"n" * 16)
    assert _talk(equal, answerer, b"session1") == (set(), set())
    assert states(village) == {"accepted": 2}
    lost = bytes.fromhex(kept.op)
    poorer = Comparison([item for item, op in mine.items() if op != lost], b"m" * 16)
    _mine, theirs = _talk(poorer, answerer, b"session2")
    assert [mine[item] for item in theirs] == [lost]
    assert states(village) == {"accepted": 1, "pending": 1}
    world.run(5)
    assert states(village) == {"accepted": 2}  # offered again without a restart of the daemon


def _talk(hub: Comparison, device: Answerer, session: bytes) -> tuple[set[bytes], set[bytes]]:
    body: bytes | None = hub.begin()
    while body is not None:
        answer = device.answer(session, body)
        body = None if answer is None else hub.receive(answer)
    return hub.only_mine, hub.only_theirs
