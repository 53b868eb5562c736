"""A run in a receipt settles the ops of its own history only. Found by the simulator, `--faults clone`: a copied machine
that had loaded the other copy's ops took a receipt for those as one for its own ops of the same numbers, which the hub
did not have."""

from __future__ import annotations

from conflict.ledger.receipts import outcomes_of
from conflict.ledger.views import op as stored_op
from edge import outbox
from edge.main import Node
from edge.service import Application
from edge.staff import Actor
from edge.sync.intake import Intake
from protocol.events import StreamArrived
from protocol.messages import STREAM_RECEIPT
from protocol.op import Draft, Op, sign_op
from protocol.receipt import AcceptedRun, Receipt, sign_receipt
from tests.unit.edge.county import COUNTY, GOOD_ID, NOW_MS, County

CHIEF = Actor("chief", "chief")
EPOCH = b"epoch--1"


def twin_of(node: Node, op: Op, text: str, *, prev: bytes | None) -> Op:
    """What a copy of this machine wrote under the same number."""
    draft = Draft("note", op.case, (op.case,), "chief", "chief", NOW_MS, {"text": text})
    seq = op.seq if prev is None else op.seq + 1
    return sign_op(draft, office=node.keys.office, device=node.keys.incarnation, seed=node.keys.sign_seed, seq=seq,
                   prev=prev or op.prev)  # fmt: skip


def test_a_run_settles_its_own_history_only(village: Node, county: County) -> None:
    saved = village.service.accept(CHIEF, Application("JF-1", "张三", GOOD_ID))
    noted = village.service.note(CHIEF, saved.case, "本机所写")
    with village.store.read() as tx:
        mine = stored_op(tx, bytes.fromhex(noted.op))
    assert mine is not None and mine.seq == 2
    theirs = twin_of(village, mine, "副本所写", prev=None)
    after = twin_of(village, theirs, "副本又写", prev=theirs.id)
    intake = Intake(village.store, village.keys, village.reference, village.clock)
    intake.ops([theirs.blob, after.blob], via="mqtt")

    run = AcceptedRun(1, 3, after.id)
    blob = sign_receipt(Receipt(COUNTY, village.keys.incarnation, NOW_MS, accepted=(run,)), county.hub)
    intake.stream(StreamArrived(EPOCH, 1, 1, ((STREAM_RECEIPT, blob),)), via="mqtt")
    with village.store.read() as tx:
        states = {entry.op: entry.state for entry in outbox.entries(tx, ["pending", "accepted"])}
        assert states == {bytes.fromhex(saved.op): "accepted", mine.id: "pending"}
        assert set(outcomes_of(tx, [mine.id, theirs.id, after.id])) == {theirs.id, after.id}
