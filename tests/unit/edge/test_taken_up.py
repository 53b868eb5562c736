"""What the hub has lost of others comes back from whoever holds it. Found by the simulator, `--faults hub_restored`."""

from __future__ import annotations

from sqlalchemy import select

from conflict.ledger.schema import ops as ops_table
from edge.branch import relay
from edge.main import Node
from edge.service import Application
from edge.staff import Actor
from edge.sync.intake import Intake
from protocol.events import StreamArrived
from protocol.messages import STREAM_OP
from tests.unit.edge.county import GOOD_ID, carry

CHIEF = Actor("chief", "chief")
EPOCH = b"epoch--1"


def stored(node: Node) -> dict[bytes, bytes]:
    with node.store.read() as tx:
        return dict(tx.execute(select(ops_table.c.id, ops_table.c.blob).order_by(ops_table.c.pos)).all())


def offered(node: Node) -> list[bytes]:
    return [
        blob for _pos, blob in relay.Carried(node.store, node.clock.now_ms).offers(0, bytes_max=10**6, count_max=100)
    ]


def take_up(node: Node, missing: list[bytes]) -> None:
    with node.store.write() as tx:
        relay.take_up(tx, missing, now_ms=1)


def test_ops_of_others_are_offered_and_own_ones_are_not(village: Node, centre: Node) -> None:
    """The centre is above the village, so this is no carrying of a branch: any holder hands in what the hub lacks."""
    village.service.accept(CHIEF, Application("JF-1", "张三", GOOD_ID))
    own = set(stored(village))
    centre.service.accept(CHIEF, Application("XK-1", "李四", GOOD_ID))
    carry(centre, village)
    foreign = [op_id for op_id in stored(village) if op_id not in own]
    take_up(village, [*own, *foreign, b"\7" * 32])
    assert offered(village) == [stored(village)[op_id] for op_id in foreign], "neither own ops nor ops that nobody has"
    take_up(village, foreign)
    assert len(offered(village)) == len(foreign), "a repeat changes nothing"


def test_the_hubs_stream_settles_them(village: Node, centre: Node) -> None:
    centre.service.accept(CHIEF, Application("XK-1", "李四", GOOD_ID))
    carry(centre, village)
    [(op_id, blob)] = stored(village).items()
    take_up(village, [op_id])
    assert offered(village) == [blob]
    intake = Intake(village.store, village.keys, village.reference, village.clock)
    intake.stream(StreamArrived(EPOCH, 1, 1, ((STREAM_OP, blob),)), via="mqtt")
    assert offered(village) == [], "what the hub sends, the hub has"
    take_up(village, [op_id])
    assert offered(village) == [blob], "lost once more"
