"""Attachments: resumed, verified whole, shared; false sizes and false chunks harm nobody."""

from __future__ import annotations

import hashlib
import random

import pytest

from conflict.ledger import files
from conflict.ledger.store import Store
from protocol.chunks import CHUNK_BYTES, FILE_BYTES_MAX, count_of, pieces
from protocol.errors import LocalProtocolError, TooLarge

CONTENT = random.Random(1).randbytes(CHUNK_BYTES * 3 + 100)
SHA = hashlib.sha256(CONTENT).digest()
CHUNKS = dict(pieces(CONTENT))


def declare(store: Store, sha256: bytes = SHA, size: int = len(CONTENT)) -> bool:
    with store.write() as tx:
        return files.declare_file(tx, sha256, size, now_ms=1)


def put(store: Store, number: int, data: bytes) -> str:
    with store.write() as tx:
        return files.put_chunk(tx, SHA, number, data)


def missing(store: Store, size: int = len(CONTENT)) -> list[list[int]]:
    with store.read() as tx:
        return files.missing_chunks(tx, SHA, size)


def test_file_fills_in_any_order_and_counts_only_whole(store: Store) -> None:
    assert missing(store) == [[0, 3]]
    assert put(store, 0, CHUNKS[0]) == "unknown"
    assert [declare(store), declare(store)] == [False, False]
    assert put(store, 2, CHUNKS[2]) == "stored"
    assert put(store, 2, CHUNKS[2]) == "repeat"
    assert missing(store) == [[0, 1], [3, 3]]
    assert put(store, 3, CHUNKS[3]) == "stored"
    assert put(store, 0, CHUNKS[0]) == "stored"
    with store.read() as tx:
        assert files.read_file(tx, SHA) is None
        assert files.read_chunk(tx, SHA, 0) is None
        assert not files.has_file(tx, SHA)
        assert [(sha, size) for _row, sha, size in files.incomplete_files(tx)] == [(SHA, len(CONTENT))]
        assert files.file_totals(tx) == {"complete": 0, "complete_bytes": 0, "incomplete": 1}
    assert put(store, 1, CHUNKS[1]) == "complete"
    assert put(store, 1, CHUNKS[1]) == "repeat"
    assert missing(store) == []
    with store.read() as tx:
        assert files.read_file(tx, SHA) == CONTENT
        assert files.read_chunk(tx, SHA, 3) == CHUNKS[3]
        assert files.read_chunk(tx, SHA, 4) is None
        assert files.incomplete_files(tx) == []
        assert files.file_totals(tx) == {"complete": 1, "complete_bytes": len(CONTENT), "incomplete": 0}
    assert declare(store) is True


def test_chunk_of_a_wrong_length_or_number_is_not_kept(store: Store) -> None:
    declare(store)
    for number, data in ((0, CHUNKS[0][:-1]), (4, b"x"), (-1, CHUNKS[0]), (3, CHUNKS[0]), (0, b"")):
        assert put(store, number, data) == "unfit"
    assert missing(store) == [[0, 3]]


def test_false_chunk_is_found_by_the_whole_and_asked_for_again(store: Store) -> None:
    declare(store)
    for number in (0, 1, 2):
        put(store, number, CHUNKS[number])
    assert put(store, 3, bytes(100)) == "mismatch"
    assert missing(store) == [[0, 3]]
    for number in CHUNKS:
        last = put(store, number, CHUNKS[number])
    assert last == "complete"


def test_false_size_does_not_block_the_true_file(store: Store) -> None:
    """Two ops name one hash with different sizes: one of them lies, and we cannot know which before the bytes are here."""
    declare(store, size=len(CONTENT) + CHUNK_BYTES)
    declare(store)
    for number in (0, 1, 2):
        put(store, number, CHUNKS[number])
    assert put(store, 3, CHUNKS[3]) == "complete"
    assert missing(store) == missing(store, len(CONTENT) + CHUNK_BYTES) == []
    with store.read() as tx:
        assert files.read_file(tx, SHA) == CONTENT
        assert files.incomplete_files(tx) == []


def test_whole_file_is_kept_once(store: Store) -> None:
    with store.write() as tx:
        assert files.save_file(tx, CONTENT, now_ms=1) == files.save_file(tx, CONTENT, now_ms=2) == SHA
        assert files.read_file(tx, SHA) == CONTENT
        assert files.file_totals(tx)["complete"] == 1


def test_local_copy_completes_what_was_half_here(store: Store) -> None:
    declare(store)
    put(store, 1, CHUNKS[1])
    with store.write() as tx:
        files.save_file(tx, CONTENT, now_ms=1)
        assert files.read_file(tx, SHA) == CONTENT


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_edges_of_size(store: Store, size: int) -> None:
    content = bytes(size)
    with store.write() as tx:
        sha256 = files.save_file(tx, content, now_ms=1)
        assert files.read_file(tx, sha256) == content
        assert files.missing_chunks(tx, sha256, size) == []
        assert (files.read_chunk(tx, sha256, count_of(size) - 1) or b"") == content[
            (count_of(size) - 1) * CHUNK_BYTES :
        ]


def test_limits(store: Store) -> None:
    assert declare(store, bytes(32), FILE_BYTES_MAX) is False
    for size in (FILE_BYTES_MAX + 1, -1):
        with pytest.raises(TooLarge):
            declare(store, bytes(32), size)
    with pytest.raises(LocalProtocolError):
        declare(store, bytes(31), 1)
    with store.read() as tx:
        assert files.missing_chunks(tx, bytes(32), FILE_BYTES_MAX) == [[0, FILE_BYTES_MAX // CHUNK_BYTES - 1]]
