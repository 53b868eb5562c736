"""Appending: once each, waiting and waking, gaps and forks, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from conflict.ledger import chains, waiting
from conflict.ledger.append import Outcome, append, append_many, known, touched
from conflict.ledger.schema import ops as ops_table
from conflict.ledger.schema import waits
from conflict.ledger.store import Store
from conflict.ledger.views import op as stored_op
from conflict.ledger.views import op_ids, ops_by_id, ops_of
from protocol.op import Op
from tests.unit.ledger.author import Author


def put(store: Store, *ops: Op) -> list[Outcome]:
    with store.write() as tx:
        return append_many(tx, ops, arrived_ms=1, via="test")


def test_op_is_kept_byte_for_byte_and_repeats_change_nothing(store: Store) -> None:
    author = Author()
    one, two = author.accept(), author.accept()
    assert [outcome.state for outcome in put(store, one, one, two)] == ["new", "repeat", "new"]
    again = put(store, two, one)
    assert [(outcome.state, outcome.ready) for outcome in again] == [("repeat", True), ("repeat", True)]
    assert touched(again) == []
    with store.read() as tx:
        assert stored_op(tx, one.id) == one
        assert stored_op(tx, bytes(32)) is None
        assert ops_by_id(tx, [two.id, bytes(32)]) == {two.id: two}
        assert list(op_ids(tx)) == [(one.id, one.case), (two.id, two.case)]
        assert known(tx, [one.id, bytes(32)]) == {one.id: True}


def test_a_block_that_raises_keeps_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as tx:
        append(tx, Author().accept(), arrived_ms=1, via="test")
        raise RuntimeError("power cut")
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(ops_table)).scalar() == 0


def test_op_waits_for_its_parents_and_wakes_with_its_children(store: Store) -> None:
    author = Author()
    root = author.accept()
    left = author.amend(root, a="1")
    right = author.amend(root, b="2")
    joined = author.amend(left, right, c="3")
    last = author.amend(joined, d="4")
    early = put(store, last, joined)
    assert [(outcome.state, outcome.ready) for outcome in early] == [("waiting", False), ("waiting", False)]
    assert early[1].missing == tuple(sorted((left.id, right.id)))
    assert early[0].missing == ()  # its parent is here, and waits itself
    assert put(store, joined)[0] == Outcome(joined.id, root.id, "repeat", False)
    assert put(store, left)[0].missing == (root.id,)
    with store.read() as tx:
        assert ops_of(tx, root.id) == []
        assert len(ops_of(tx, root.id, ready=False)) == 3
        assert {parent for _op, parent, _since in waiting.missing_parents(tx)} == {root.id, right.id}
        assert waiting.waiting_of(tx, [root.id, bytes(32)]) == {root.id: 3}
    assert put(store, root)[0].woken == (left.id,)
    assert put(store, right)[0].woken == (joined.id, last.id)
    with store.read() as tx:
        assert {op.id for op in ops_of(tx, root.id)} == {root.id, left.id, right.id, joined.id, last.id}
        assert tx.execute(select(func.count()).select_from(waits)).scalar() == 0


def test_a_batch_in_any_order_waits_for_nothing_that_it_brings(store: Store) -> None:
    author = Author()
    root = author.accept()
    chain = [root]
    for step in range(30):
        chain.append(author.amend(chain[-1], a=str(step)))
    outcomes = put(store, *reversed(chain))
    assert {(outcome.state, outcome.ready, outcome.gap) for outcome in outcomes} == {("new", True, None)}


def test_batch_that_frees_what_its_own_ops_wait_for(store: Store) -> None:
    """The batch holds the child of a stored op that waits, and the op that this one waits for."""
    author = Author()
    root = author.accept()
    middle = author.amend(root, a="1")
    child = author.amend(middle, a="2")
    put(store, middle)
    outcomes = put(store, child, root, middle)
    assert [(outcome.state, outcome.ready) for outcome in outcomes] == [("new", True), ("new", True), ("repeat", True)]
    assert outcomes[1].woken == (middle.id,)


def test_a_repeat_that_goes_on_waiting_beside_new_ops(store: Store) -> None:
    author = Author()
    root = author.accept()
    middle = author.amend(root, a="1")
    last = author.amend(middle, a="2")
    put(store, middle)
    outcomes = put(store, last, middle, author.accept())
    assert [(outcome.state, outcome.ready) for outcome in outcomes] == [
        ("waiting", False),
        ("repeat", False),
        ("new", True),
    ]
    assert set(put(store, root)[0].woken) == {middle.id, last.id}


def test_a_parent_of_another_case_is_never_good(store: Store) -> None:
    author = Author()
    mine, other = author.accept(), author.accept()
    mixed = author.op("amend", {"fields": {"a": "1"}}, case=mine.id, parents=[mine.id, other.id])
    first = put(store, mixed)[0]
    assert (first.state, first.missing) == ("waiting", tuple(sorted((mine.id, other.id))))
    assert [outcome.woken for outcome in put(store, mine, other)] == [(), ()]
    later = author.op("amend", {"fields": {"a": "2"}}, case=mine.id, parents=[mine.id, other.id])
    outcome = put(store, later)[0]
    assert (outcome.state, outcome.missing, outcome.foreign) == ("waiting", (), (other.id,))
    with store.read() as tx:
        assert [op.id for op in ops_of(tx, mine.id)] == [mine.id]


def test_gaps_are_seen_and_close(store: Store) -> None:
    author = Author()
    ops = [author.accept() for _ in range(10)]
    assert put(store, ops[0], ops[1])[-1].gap is None
    outcomes = put(store, ops[4], ops[7])
    assert [outcome.gap for outcome in outcomes] == [(3, 4), (3, 7)]
    with store.read() as tx:
        assert chains.chain(tx, author.device) == (2, ops[1].id)
        assert chains.gaps(tx, author.device) == [(3, 4), (6, 7)]
        assert chains.gaps(tx, author.device, limit=1) == [(3, 4)]
        assert chains.chains_of(tx, [author.device])[author.device].top == 8
        assert chains.chain(tx, b"unknown!") == (0, b"")
    put(store, ops[2], ops[3])
    with store.read() as tx:
        assert chains.chain(tx, author.device) == (5, ops[4].id)
    put(store, *ops)
    with store.read() as tx:
        assert chains.chain(tx, author.device) == (10, ops[9].id)
        assert chains.gaps(tx, author.device) == []
        assert [(one.device, one.seq) for one in chains.all_chains(tx)] == [(author.device, 10)]


def test_a_long_gap_closes_in_one_walk(store: Store) -> None:
    author = Author()
    ops = [author.accept() for _ in range(450)]
    put(store, *ops[1:])
    with store.read() as tx:
        assert chains.chain(tx, author.device) == (0, b"")
    put(store, ops[0])
    with store.read() as tx:
        assert chains.chain(tx, author.device) == (450, ops[-1].id)


def test_clone_is_seen_and_both_histories_are_kept(store: Store) -> None:
    author = Author()
    first = author.accept()
    clone = author.copy()
    mine, theirs = author.accept(), clone.accept("another")
    put(store, first, mine)
    outcome = put(store, theirs)[0]
    assert (outcome.state, outcome.ready) == ("fork", True)
    assert outcome.fork == chains.Fork(author.device, 2, theirs.id, mine.id)
    assert put(store, theirs)[0].state == "repeat"
    with store.read() as tx:
        assert chains.found_forks(tx) == [outcome.fork]
        assert chains.found_forks(tx, b"unknown!") == []
        assert chains.chain(tx, author.device) == (2, mine.id)
        assert set(known(tx, [mine.id, theirs.id])) == {mine.id, theirs.id}


def test_both_histories_in_one_batch(store: Store) -> None:
    author = Author()
    first = author.accept()
    clone = author.copy()
    mine, theirs = author.accept(), clone.accept("another")
    states = {outcome.op_id: outcome.state for outcome in put(store, theirs, mine, first)}
    assert sorted(states.values()) == ["fork", "new", "new"]


def test_denied_previous_op_is_a_fork(store: Store) -> None:
    """The clone's second op names a history that we do not have: nobody's number is double, yet it cannot be true."""
    author = Author()
    first = author.accept()
    clone = author.copy()
    mine = author.accept()
    clone.accept("lost")
    theirs = clone.accept("kept")
    put(store, first, mine)
    outcome = put(store, theirs)[0]
    assert outcome.state == "fork"
    assert outcome.fork == chains.Fork(author.device, 3, theirs.id, mine.id)
    with store.read() as tx:
        assert chains.chain(tx, author.device) == (2, mine.id)


def test_true_op_behind_a_closed_gap_is_found_beside_a_false_one(store: Store) -> None:
    author = Author()
    first, second = author.accept(), author.accept()
    clone = author.copy()
    third = author.accept()
    clone.prev = bytes(32)
    false = clone.accept("false")
    put(store, first, third)
    put(store, false, second)
    with store.read() as tx:
        assert chains.chain(tx, author.device) == (3, third.id)
