"""Goal: ops of urgent and nearly due cases leave first, in the order of their case, and the author chain stays whole.

Method: the outbox and the link's source by themselves, then whole devices against the real hub and a real township.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from conflict.ledger.chains import gaps
from conflict.ledger.schema import ops as ops_table
from conflict.ledger.store import Store
from edge import outbox
from edge.main import Node
from edge.service import Application, Saved
from edge.staff import Actor
from edge.sync.intake import Intake
from edge.sync.source import StoreSource
from edge.sync.wanted import Wanted
from edge.urgency import NEAR_DUE_MS
from ops.demo.cast import identity
from protocol.events import StreamArrived
from protocol.lanes import EXPRESS, NEAR, REST
from protocol.messages import STREAM_RECEIPT, Welcome
from protocol.op import parse_op
from protocol.receipt import AcceptedRun, Receipt, sign_receipt
from tests.unit.edge.county import COUNTY, NOW_MS, County, Hands
from tests.unit.edge.line import ITEM, TOWN, VILLAGE, World, new_hub

CHIEF = Actor("chief", "chief")
DAY_MS = 86_400_000


def accept(node: Node, applicant: int, *, urgent: bool = False, item: str = "JF-1") -> Saved:
    who = identity("19500101", f"{applicant:03d}")
    return node.service.accept(CHIEF, Application(item, f"申请人{applicant}", who, urgent=urgent))


def source(node: Node) -> StoreSource:
    return StoreSource(node.store, node.keys, node.reference, Wanted(), node.clock)


def offered(node: Node, rank: int | None) -> list[int]:
    return [seq for seq, _blob in source(node).offers(0, bytes_max=10**6, count_max=100, rank=rank)]


def test_the_ranks_part_the_outbox_and_together_they_are_all_of_it(village: Node) -> None:
    for applicant in (1, 2, 3):
        accept(village, applicant)
    urgent = accept(village, 4, urgent=True)
    accept(village, 5)
    village.service.note(CHIEF, urgent.case, "已电话告知")
    assert offered(village, EXPRESS) == [4, 6]  # the ops of one case in their order
    assert offered(village, NEAR) == []
    assert offered(village, REST) == [1, 2, 3, 5]
    assert offered(village, None) == [1, 2, 3, 4, 5, 6]


def test_a_case_due_within_two_days_goes_before_the_rest_and_the_greeting_says_so(village: Node, hands: Hands) -> None:
    accept(village, 1)
    due_ms = NOW_MS + 7 * DAY_MS  # five working days from Monday
    assert not source(village).hello().urgent and offered(village, NEAR) == []
    hands.forward(due_ms - NEAR_DUE_MS - NOW_MS + DAY_MS)
    accept(village, 2)  # fresh, so not due soon
    assert source(village).hello().urgent
    assert offered(village, NEAR) == [1] and offered(village, REST) == [2]
    hands.forward(30 * DAY_MS)
    assert offered(village, NEAR) == [1, 2]  # overdue ones stay before the rest


def test_a_new_urgent_case_is_seen_at_once(village: Node) -> None:
    port = source(village)
    accept(village, 1)
    assert port.lowest_unsettled(EXPRESS) is None and port.lowest_unsettled(REST) == 1
    accept(village, 2, urgent=True)
    assert port.lowest_unsettled(EXPRESS) == 2 and port.more(0, EXPRESS) and not port.more(2, EXPRESS)


def test_what_overtook_is_no_sign_of_a_loss(county: County, village: Node) -> None:
    """The hub's chain ends before the gap; only if it lacks an op that it had accepted next, it lost that."""
    for applicant in (1, 2):
        accept(village, applicant)
    accept(village, 3, urgent=True)
    with village.store.read() as tx:
        ids = {row.seq: row.id for row in tx.execute(select(ops_table.c.seq, ops_table.c.id))}
    intake = Intake(village.store, village.keys, village.reference, village.clock)
    receipt = Receipt(COUNTY, village.keys.incarnation, NOW_MS, accepted=(AcceptedRun(3, 3, ids[3]),))
    item = (STREAM_RECEIPT, sign_receipt(receipt, county.hub))
    intake.stream(StreamArrived(b"epoch--1", 1, 1, (item,)), via="test")

    def welcome(held: int, epoch: bytes = b"epoch--1") -> int:
        answer = Welcome(b"session1", NOW_MS, epoch, held, ids.get(held, b""), [], 0, "active", b"")
        return intake.welcome(answer)

    assert welcome(0) == 0 and offered(village, None) == [1, 2]
    assert welcome(2) == 1 and offered(village, None) == [1, 2, 3]  # up to the gap all is there, and then 3 is not
    intake.stream(StreamArrived(b"epoch--1", 2, 2, (item,)), via="test")
    assert welcome(0, b"epoch--2") == 1, "a hub that began anew may have lost what lay beyond the gap"


@pytest.fixture(scope="session")
def urgency_hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("template") / "hub"
    new_hub(directory)
    return directory


@pytest.fixture
def world(tmp_path: Path, hands: Hands, urgency_hub: Path) -> Iterator[World]:
    made = World(tmp_path, hands, urgency_hub)
    yield made
    made.close()


def arrived(store: Store, device: bytes) -> list[int]:
    """Numbers of a device's ops in the order in which they were stored."""
    query = select(ops_table.c.seq).where(ops_table.c.device == device).order_by(ops_table.c.pos)
    with store.read() as tx:
        return list(tx.execute(query).scalars())


def test_the_hub_takes_an_urgent_case_before_its_author_s_earlier_ops(world: World) -> None:
    village, town = world.enrol("village", VILLAGE), world.enrol("town", TOWN)
    world.run(5)
    for applicant in range(1, 41):
        accept(village, applicant, item=ITEM)
    urgent = accept(village, 41, urgent=True, item=ITEM)
    world.run(30)
    device = village.keys.incarnation
    assert arrived(world.hub.store, device)[0] == 41
    assert sorted(arrived(world.hub.store, device)) == list(range(1, 42))
    with world.hub.store.read() as tx:
        assert gaps(tx, device) == []
    with village.store.read() as tx:
        assert outbox.counts(tx)["accepted"] == 41
    blobs = [parse_op(blob).case for blob in stored(town.store)]
    assert blobs[0].hex() == urgent.case


def stored(store: Store) -> list[bytes]:
    with store.read() as tx:
        return list(tx.execute(select(ops_table.c.blob).order_by(ops_table.c.pos)).scalars())
