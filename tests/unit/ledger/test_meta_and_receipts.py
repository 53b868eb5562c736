"""Small facts, signed documents, receipts and what they say of ops."""

from __future__ import annotations

from conflict.ledger import meta, receipts
from conflict.ledger.append import append_many
from conflict.ledger.meta import StoredDocument
from conflict.ledger.receipts import OpOutcome
from conflict.ledger.store import Store
from tests.unit.ledger.author import Author


def test_values_by_key(store: Store) -> None:
    with store.write() as tx:
        assert meta.get_meta(tx, "a", "none") == "none"
        meta.put_meta(tx, "a", {"时间": [1, None, b"\x00"]})
        meta.put_meta(tx, "b", None)
        meta.put_meta(tx, "a", {"时间": [2]})
    with store.write() as tx:
        assert meta.get_meta(tx, "a") == {"时间": [2]}
        assert meta.get_meta(tx, "b", "none") is None
        meta.delete_meta(tx, "a")
        meta.delete_meta(tx, "a")
        assert meta.get_meta(tx, "a") is None


def test_documents_by_kind_and_version(store: Store) -> None:
    made = [StoredDocument("roster", number, 0 if number == 1 else number - 1, 5, b"signed") for number in (1, 2, 3)]
    calendar = StoredDocument("calendar", 7, 0, 5, b"signed")
    with store.write() as tx:
        for document in (*reversed(made), calendar):
            meta.save_document(tx, document, arrived_ms=9)
        meta.save_document(tx, StoredDocument("roster", 2, 0, 6, b"another"), arrived_ms=10)
    with store.read() as tx:
        assert meta.document(tx, "roster") == made[2]
        assert meta.document(tx, "roster", 2) == made[1]
        assert meta.document(tx, "roster", 9) is None
        assert meta.document(tx, "catalogue") is None
        assert meta.documents_after(tx, "roster", 1) == made[1:]
        assert meta.document_versions(tx) == {"roster": 3, "calendar": 7}


def test_receipts_are_kept_once_and_tell_the_hub_time(store: Store) -> None:
    author = b"device 1"
    with store.write() as tx:
        assert receipts.last_hub_ms(tx) == 0
        for blob, hub_ms in ((b"one", 100), (b"two", 300), (b"three", 200), (b"two", 300)):
            receipts.save_receipt(tx, blob, author=author, hub_ms=hub_ms, arrived_ms=1)
        receipt_id = receipts.save_receipt(tx, b"other", author=b"device 2", hub_ms=250, arrived_ms=1)
    with store.read() as tx:
        assert receipts.receipts_of(tx, author) == [b"two", b"three", b"one"]
        assert receipts.receipts_of(tx, author, limit=1) == [b"two"]
        assert receipts.receipt(tx, receipt_id) == b"other"
        assert receipts.receipt(tx, bytes(32)) is None
        assert receipts.last_hub_ms(tx) == 300


def test_later_word_of_the_hub_replaces_the_earlier(store: Store) -> None:
    one, two, three = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32
    with store.write() as tx:
        receipts.save_outcomes(
            tx,
            [
                OpOutcome(one, "waiting", "missing_parents", "", 10),
                OpOutcome(one, "refused", "not_allowed", "超出权限", 20),
                OpOutcome(two, "accepted", hub_ms=20),
            ],
        )
        receipts.save_outcomes(
            tx, [OpOutcome(one, "waiting", "missing_parents", "", 15), OpOutcome(three, "waiting", "a", "", 1)]
        )
        receipts.save_outcomes(tx, [])
    with store.read() as tx:
        assert receipts.outcomes_of(tx, [one, two, bytes(32)]) == {
            one: OpOutcome(one, "refused", "not_allowed", "超出权限", 20),
            two: OpOutcome(two, "accepted", "", "", 20),
        }
        assert [found.op_id for found in receipts.with_outcome(tx, "refused")] == [one]


def test_run_that_a_receipt_names(store: Store) -> None:
    author = Author()
    ops = [author.accept() for _ in range(6)]
    with store.write() as tx:
        append_many(tx, [*ops[:2], *ops[3:]], arrived_ms=1, via="test")
        assert receipts.ops_in_run(tx, author.device, 2, 5) == [(op.seq, op.id) for op in (ops[1], ops[3], ops[4])]
        assert receipts.ops_in_run(tx, b"unknown!", 1, 9) == []
