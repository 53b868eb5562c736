"""Views: kept as folded, found by what people type, listed, and the same whatever the order of arrival."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Sequence

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from conflict import numbers
from conflict.fold import fold
from conflict.ledger import errors, views
from conflict.ledger.append import append_many, touched
from conflict.ledger.check import check_contents, repair_views
from conflict.ledger.store import Store, open_store
from protocol.op import Op
from tests.unit.ledger.author import Author

EXAMPLES = int(os.environ.get("LIANDONG_EXAMPLES", "10"))
VILLAGE, TOWNSHIP, COUNTY = "420222101201", "420222101", "420222"


def save(store: Store, ops: Sequence[Op]) -> None:
    """Append and fold in one transaction, as edge and hub do."""
    with store.write() as tx:
        outcomes = append_many(tx, ops, arrived_ms=1, via="test")
        views.refold(tx, touched(outcomes), fresh=ops)


def test_view_is_the_fold_and_is_kept(store: Store) -> None:
    author = Author(office=VILLAGE)
    root = author.accept("4202221012012026-0001")
    more = author.amend(root, address="一组")
    save(store, [root])
    save(store, [more])
    expected = fold([root, more])
    with store.read() as tx:
        assert views.view(tx, root.case).digest() == expected.digest()
        assert views.view(tx, root.case).record() == expected.record()
        assert views.heads(tx, root.case) == (more.id,)
        assert views.digests(tx) == {root.case: expected.digest()}
        row = views.view_rows(tx, [root.case, bytes(32)])[root.case]
    assert (row.status, row.kind, row.item, row.holder, row.opened_by) == (
        "accepted",
        "committed",
        "NY-001",
        VILLAGE,
        VILLAGE,
    )
    assert (row.urgent, row.open_conflicts, row.waiting, row.due_ms) == (False, 0, 0, None)
    assert row.number == "4202221012012026-0001"
    assert row.opened_ms < row.updated_ms


def test_waiting_ops_are_counted_and_not_folded(store: Store) -> None:
    author = Author()
    root = author.accept()
    middle = author.amend(root, a="1")
    last = author.amend(middle, a="2")
    save(store, [last])
    with store.read() as tx:
        assert views.digests(tx) == {}
        assert views.heads(tx, root.case) == ()
        with pytest.raises(errors.UnknownCase):
            views.view(tx, root.case)
    save(store, [root])
    with store.read() as tx:
        assert views.digests(tx) == {root.case: fold([root]).digest()}
        assert views.view_rows(tx, [root.case])[root.case].waiting == 1
        assert [row.case for row in views.list_views(tx, waiting=True)] == [root.case]
    save(store, [middle])
    with store.read() as tx:
        assert views.digests(tx) == {root.case: fold([root, middle, last]).digest()}
        assert views.list_views(tx, waiting=True) == []


@pytest.mark.parametrize(
    "typed",
    [
        "420222101201-20260101-0007-X",
        "420222101201 20260101 0007 x",
        "４２０２２２１０１２０１－２０２６０１０１－０００７－ｘ",
        "420222101201202601010007x",
    ],
)
def test_number_is_found_in_any_spelling(store: Store, typed: str) -> None:
    root = Author().accept("420222101201-20260101-0007-X")
    save(store, [root, Author(2).accept()])
    with store.read() as tx:
        assert views.find(tx, typed) == root.case


def test_mistyped_number_is_told_as_such(store: Store) -> None:
    number = numbers.make(VILLAGE, 1_767_225_600_000, 7, device=bytes(8))
    root = Author().accept(number)
    save(store, [root])
    with store.read() as tx:
        assert views.find(tx, number.lower().replace("0", "o")) == root.case
        with pytest.raises(numbers.BadCaseNumber):
            views.find(tx, number.replace("000007", "000017"))


def test_find_by_id_and_its_beginning(store: Store) -> None:
    author = Author()
    ops = [author.accept(f"N{number}") for number in range(5)]
    save(store, ops)
    with store.read() as tx:
        for op in ops:
            for length in (6, 7, 20, 63, 64):
                assert views.find(tx, op.id.hex()[:length].upper()) == op.case
        for text_ in ("", "5 characters", "f" * 65, ops[0].id.hex()[:5], "0" * 64, "%", "没有"):
            with pytest.raises(errors.UnknownCase):
                views.find(tx, text_)


def test_number_given_twice_is_ambiguous(store: Store) -> None:
    """A cloned machine gives the same number to two cases: both stand, the person chooses by id."""
    one, two = Author(1).accept("SAME-1"), Author(2).accept("same 1")
    save(store, [one, two])
    with store.read() as tx:
        with pytest.raises(errors.AmbiguousCase) as caught:
            views.find(tx, "SAME1")
        assert one.id.hex()[:16] in caught.value.text
        assert views.find(tx, one.id.hex()) == one.case


def test_lists_by_what_people_ask_for(store: Store) -> None:
    village, township = Author(1, VILLAGE), Author(2, TOWNSHIP)
    mine = [village.accept(f"A{number}") for number in range(6)]
    theirs = township.accept("B")
    forward = village.op("forward", {"to": TOWNSHIP}, case=mine[0].case, parents=[mine[0].id])
    save(store, [*mine, theirs, forward])
    with store.read() as tx:
        assert {row.case for row in views.list_views(tx)} == {op.case for op in [*mine, theirs]}
        assert {row.case for row in views.list_views(tx, holder=TOWNSHIP)} == {theirs.case}
        assert {row.case for row in views.list_views(tx, office=TOWNSHIP)} == {theirs.case, mine[0].case}
        assert {row.case for row in views.list_views(tx, office=VILLAGE)} == {op.case for op in mine}
        assert views.cases_of_office(tx, TOWNSHIP) == {theirs.case, mine[0].case}
        assert views.offices_of(tx, [mine[0].case]) == {mine[0].case: {VILLAGE, TOWNSHIP}}
        assert set(views.digests(tx, office=TOWNSHIP)) == {theirs.case, mine[0].case}
        assert {op_id for op_id, _case in views.op_ids(tx, office=TOWNSHIP)} == {theirs.id, mine[0].id, forward.id}
        assert len(views.list_views(tx, status="accepted")) == 6
        assert len(views.list_views(tx, status=["accepted", "forwarded_up"])) == 7
        assert (
            views.list_views(tx, item="none")
            == views.list_views(tx, kind="reply")
            == views.list_views(tx, urgent=True)
            == []
        )
        assert len(views.list_views(tx, conflicted=False, urgent=False, item="NY-001", kind="committed")) == 7
        everything = views.list_views(tx)
        assert [row.updated_ms for row in everything] == sorted((row.updated_ms for row in everything), reverse=True)
        paged = []
        last = None
        while page := views.list_views(tx, limit=2, after=last):
            paged += page
            last = page[-1]
        assert paged == everything


def test_office_that_no_longer_takes_part_is_taken_off(store: Store) -> None:
    """A veto may void the only act of an office; a row left behind would keep routing the case there."""
    root = Author(1, VILLAGE).accept()
    save(store, [root])
    with store.write() as tx:
        tx.execute(text("INSERT INTO case_offices (office, case_id) VALUES ('420222999', :case)"), {"case": root.case})
        views.refold(tx, [root.case])
        assert views.offices_of(tx, [root.case]) == {root.case: {VILLAGE}}


def test_due_time_stays_when_the_case_is_folded_again(store: Store) -> None:
    author = Author()
    root = author.accept()
    save(store, [root])
    with store.write() as tx:
        views.set_due(tx, {root.case: 1234})
    save(store, [author.amend(root, a="1")])
    with store.read() as tx:
        assert views.view_rows(tx, [root.case])[root.case].due_ms == 1234


def test_fold_that_raises_names_its_case(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Author().accept()

    def broken(_ops: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(views, "fold", broken)
    with pytest.raises(errors.FoldFailed) as caught:
        save(store, [root])
    assert caught.value.facts == {"case": root.case.hex()}


def test_full_check_finds_what_was_changed_behind_our_back(store: Store) -> None:
    author = Author()
    one, two = author.accept(), author.accept()
    lost = author.accept()
    late = author.amend(lost, a="1")
    save(store, [one, two, late])
    with store.read() as tx:
        assert check_contents(tx) == []
    with store.write() as tx:
        tx.execute(text("UPDATE views SET digest = :d WHERE case_id = :c"), {"d": bytes(32), "c": one.case})
        tx.execute(text("UPDATE ops SET blob = :b WHERE id = :i"), {"b": one.blob, "i": two.id})
        tx.execute(text("UPDATE ops SET waiting = 0 WHERE id = :i"), {"i": late.id})
        tx.execute(text("UPDATE chains SET top = 1, op_id = :o"), {"o": bytes(32)})
    with store.read() as tx:
        found = {(problem.what, problem.id) for problem in check_contents(tx)}
    assert {
        ("view", one.case),
        ("op", two.id),
        ("waiting", late.id),
        ("chain", author.device),
    } <= found
    with store.write() as tx:
        tx.execute(text("UPDATE ops SET blob = :b WHERE id = :i"), {"b": two.blob, "i": two.id})
        tx.execute(text("UPDATE ops SET waiting = 1 WHERE id = :i"), {"i": late.id})
        assert repair_views(tx, check_contents(tx)) == 1
        assert [problem.what for problem in check_contents(tx)] == ["chain", "chain"]


def scenario(seed: int) -> list[Op]:
    """Some cases in which three offices act, often without having seen each other; some ops are nonsense."""
    rng = random.Random(seed)
    authors = [Author(1, VILLAGE), Author(2, TOWNSHIP), Author(3, COUNTY), Author(4, "420222101202")]
    ops: list[Op] = []
    for _ in range(rng.randint(1, 4)):
        case = [rng.choice(authors).accept()]
        for _ in range(rng.randint(0, 12)):
            parents = rng.sample(case, min(len(case), rng.choice((1, 1, 1, 2, 3))))
            kind, body = rng.choice(
                [
                    ("amend", {"fields": {rng.choice("abc"): str(rng.random())}}),
                    ("note", {"text": "看过"}),
                    ("forward", {"to": TOWNSHIP}),
                    ("take", {"of": parents[0].id}),
                    ("return", {"of": parents[0].id, "reason": "缺材料"}),
                    ("examine", {"outcome": "agree", "opinion": "同意"}),
                    ("withdraw", {"reason": "不办了"}),
                    ("notice", {"missing": ["身份证"]}),
                    ("no such kind", {"x": 1}),
                    ("decide", {"nonsense": None}),
                ]
            )
            author = rng.choice(authors)
            case.append(author.op(kind, body, case=case[0].case, parents=[op.id for op in parents]))
        ops += case
    return ops


@settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 2**32), order=st.randoms(use_true_random=False))
def test_any_order_and_any_repeats_give_the_same_views(
    tmp_path_factory: pytest.TempPathFactory, seed: int, order: random.Random
) -> None:
    ops = scenario(seed)
    sent = [*ops, *order.sample(ops, order.randint(0, len(ops)))]
    order.shuffle(sent)
    with open_store(tmp_path_factory.mktemp("any") / "node.db", create=True) as store:
        while sent:
            size = order.choice((1, 2, 5, 50))
            save(store, sent[:size])
            del sent[:size]
        by_case: dict[bytes, list[Op]] = {}
        for op in ops:
            by_case.setdefault(op.case, []).append(op)
        with store.read() as tx:
            assert views.digests(tx) == {case: fold(history).digest() for case, history in by_case.items()}
            assert check_contents(tx) == []


def test_writers_side_by_side_keep_true_views(empty_postgres: str) -> None:
    """Two workers get ops of the same cases at once: whoever commits last has seen the other's op."""
    ops = [op for seed in range(12) for op in scenario(seed)][:120]
    opened = {op.case for op in ops if op.opens}
    ops = [op for op in ops if op.case in opened]
    failures: list[BaseException] = []
    with open_store(empty_postgres, create=True) as store:

        def work(seed: int) -> None:
            mine = list(ops)
            random.Random(seed).shuffle(mine)
            try:
                for op in mine:
                    save(store, [op])
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        with store.read() as tx:
            assert check_contents(tx) == []
            for case in opened:
                assert views.digests(tx, [case])[case] == fold(views.ops_of(tx, case)).digest()
