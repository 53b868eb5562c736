"""Purging: only what is concluded, old, receipted and proven equal; and what the device still knows afterwards."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from conflict.ledger.chains import chain
from conflict.ledger.check import check_contents
from conflict.ledger.errors import UnknownCase
from conflict.ledger.files import has_file
from conflict.ledger.schema import ops as ops_table
from conflict.ledger.views import find
from edge import memory, purge
from edge.branch import relay
from edge.branch.schema import relay as relay_table
from edge.branch.schema import scope as scope_table
from edge.errors import CasePurged, NothingPurged
from edge.forms import Application
from edge.main import Node
from edge.schema import outbox
from edge.sync.intake import Intake
from tests.unit.edge.county import GOOD_ID, Hands

DAY_MS = 86_400_000


def withdrawn(node: Node, *papers: Path) -> str:
    actor = node.staff.check()
    number = node.service.accept(actor, Application("DF-1", "王小明", GOOD_ID, attachments=papers)).number
    node.service.withdraw(actor, number, reason="本人撤回")
    return number


def receipted(node: Node) -> None:
    """As after a night: every op has its receipt and a comparison found both sides equal."""
    with node.store.write() as tx:
        tx.execute(update(outbox).values(state="accepted"))
        purge.note_equal(tx, purge.last_position(tx), now_ms=node.clock.now_ms())


def two_old_ones(node: Node, hands: Hands) -> None:
    """Both concluded and receipted; the chain ends in the second, so that the first alone may go."""
    withdrawn(node)
    withdrawn(node)
    hands.forward(40 * DAY_MS)
    receipted(node)


def purged(node: Node, days: int = 30) -> purge.Purge:
    with node.store.write() as tx:
        return purge.purge(tx, older_than_days=days, now_ms=node.clock.now_ms())


def blobs(node: Node) -> list[bytes]:
    with node.store.read() as tx:
        return list(tx.scalars(select(ops_table.c.blob).order_by(ops_table.c.pos)))


def test_an_old_concluded_case_goes_and_comes_back(village: Node, hands: Hands, tmp_path: Path) -> None:
    paper = tmp_path / "paper.txt"
    paper.write_bytes(b"x" * 100)
    old, young = withdrawn(village, paper), ""
    running = village.service.accept(village.staff.check(), Application("DF-1", "张三", GOOD_ID)).number
    hands.forward(40 * DAY_MS)
    young = withdrawn(village)
    before = blobs(village)
    receipted(village)
    with village.store.read() as tx:
        seq, last = chain(tx, village.keys.incarnation)
        first = next(iter(tx.scalars(select(ops_table.c.id).order_by(ops_table.c.pos))))
    done = purged(village)
    assert (done.cases, done.files, done.kept) == (1, 1, 0)
    with village.store.read() as tx:
        with pytest.raises(UnknownCase):
            find(tx, old)
        assert find(tx, running) and find(tx, young)
        assert not has_file(tx, hashlib.sha256(b"x" * 100).digest())
        assert chain(tx, village.keys.incarnation) == (seq, last)
        assert memory.holds_op(tx, village.keys.incarnation, 1, first)  # the hub's word about it is no other history
        assert not memory.holds_op(tx, village.keys.incarnation, seq, b"x" * 32)
        assert check_contents(tx) == []
        assert len(purge.to_tell(tx, limit=9)[0]) == 1
    with village.store.write() as tx:
        assert purge.want_back(tx, old) is not None
        assert len(purge.to_tell(tx, limit=9)[1]) == 1
    Intake(village.store, village.keys, village.reference, village.clock).ops(before, via="test")
    with village.store.write() as tx:
        purge.settle(tx)
        assert find(tx, old)
        assert purge.counts(tx) == 0
        assert check_contents(tx) == []


def test_what_may_not_go_stays(village: Node, hands: Hands) -> None:
    withdrawn(village)
    hands.forward(40 * DAY_MS)
    with pytest.raises(NothingPurged):
        purged(village)
    receipted(village)
    assert purged(village) == purge.Purge(0, 0, 0, 1)  # the chain ends in it
    withdrawn(village)
    with village.store.write() as tx:
        tx.execute(update(outbox).where(outbox.c.seq == 1).values(state="offered"))
    assert purged(village).cases == 0
    receipted(village)
    hands.forward(-35 * DAY_MS)
    assert purged(village, days=1).cases == 0  # seven days at least
    hands.forward(35 * DAY_MS)
    assert purged(village).cases == 1


def test_a_new_op_about_a_purged_case_brings_it_back(village: Node, hands: Hands) -> None:
    withdrawn(village)
    village.service.accept(village.staff.check(), Application("DF-1", "李四", GOOD_ID))
    with village.store.read() as tx:
        last_of_old = list(tx.scalars(select(ops_table.c.blob).order_by(ops_table.c.pos)))[1]
    hands.forward(40 * DAY_MS)
    receipted(village)
    assert purged(village).cases == 1
    with village.store.write() as tx:
        gone = purge.to_tell(tx, limit=9)[0]
        purge.told(tx, gone)
        assert purge.to_tell(tx, limit=9) == ([], [])
    Intake(village.store, village.keys, village.reference, village.clock).ops([last_of_old], via="test")
    with village.store.write() as tx:
        purge.settle(tx)
        assert purge.to_tell(tx, limit=9) == ([], gone)


def test_a_purged_case_says_where_it_is(village: Node, hands: Hands) -> None:
    old = withdrawn(village)
    withdrawn(village)
    hands.forward(40 * DAY_MS)
    receipted(village)
    assert purged(village).cases == 1
    with pytest.raises(CasePurged) as caught:
        village.service.show(old)
    assert "case fetch" in caught.value.text
    with pytest.raises(CasePurged):
        village.service.note(village.staff.check(), old, "后来的备注")
    with village.store.read() as tx, pytest.raises(UnknownCase):
        purge.find_here(tx, "ffffffff")


def test_a_hub_that_began_anew_is_compared_with_before_anything_goes(village: Node, hands: Hands) -> None:
    """Regression: what was equal with the hub before it was put back from a backup let cases go that it had lost."""
    withdrawn(village)
    withdrawn(village)
    hands.forward(40 * DAY_MS)
    with village.store.write() as tx:
        assert not memory.hub_began_anew(tx, b"epoch 1.")
    receipted(village)
    with village.store.write() as tx:
        assert memory.hub_began_anew(tx, b"epoch 2.")
    with pytest.raises(NothingPurged):
        purged(village)
    receipted(village)
    assert purged(village).cases == 1


def test_what_was_carried_and_purged_is_not_offered_for_ever(village: Node, hands: Hands) -> None:
    """Regression: after a restore of the hub ops that were purged here counted as waiting, and nothing could send them."""
    two_old_ones(village, hands)
    with village.store.write() as tx:
        first = tx.scalars(select(ops_table.c.id).order_by(ops_table.c.pos)).first()
        tx.execute(insert(relay_table).values(op_id=first, state=relay.SETTLED, since_ms=0))
    assert purged(village).cases == 1
    with village.store.write() as tx:
        relay.reopen_all(tx, now_ms=0)
        assert relay.pending(tx) == 0


def test_a_case_that_a_township_sends_down_stays(village: Node, hands: Hands) -> None:
    """Regression: what a township had purged was passed over in its stream, and a village without a line of its own never
    learned how its case had ended."""
    two_old_ones(village, hands)
    with village.store.write() as tx:
        case = tx.scalars(select(ops_table.c.case_id).order_by(ops_table.c.pos)).first()
        tx.execute(insert(scope_table).values(office="420222102002", case_id=case))
    assert purged(village) == purge.Purge(0, 0, 0, 2)
    with village.store.write() as tx:
        tx.execute(delete(scope_table))
    assert purged(village).cases == 1
