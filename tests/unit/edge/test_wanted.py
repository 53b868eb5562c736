"""What is asked for next: documents first, one content at a time, and no insisting on what the hub lacks too."""

from __future__ import annotations

import hashlib

from edge.sync.wanted import DOCUMENT_BYTES_MAX, PATIENCE_MS, REST_MS_FIRST, Wanted
from protocol.chunks import CHUNK_BYTES, pieces
from protocol.messages import Chunk

CONTENT = bytes(range(256)) * 300  # three chunks
SHA = hashlib.sha256(CONTENT).digest()
FILE_A, FILE_B = (b"a" * 32, 100), (b"b" * 32, 100)


def missing(_sha256: bytes, _size: int) -> list[list[int]]:
    return [[0, 0]]


def asked(wanted: Wanted, mono_ms: int, *files: tuple[bytes, int]) -> bytes | None:
    wants = wanted.next_wants(files, missing, mono_ms)
    return wants[0][0] if wants else None


def test_only_newer_documents_that_build_on_what_is_held() -> None:
    wanted = Wanted()
    held = {"roster": 4, "catalogue": 2, "calendar": 0}
    wanted.offer_documents(
        [
            ("roster", 4, 0, b"1" * 32, 10),  # held
            ("catalogue", 3, 1, b"2" * 32, 10),  # builds on something older than what is held: fine
            ("calendar", 2, 1, b"3" * 32, 10),  # builds on something that is not held
            ("roster", 5, 4, b"4" * 32, DOCUMENT_BYTES_MAX + 1),  # too large
        ],
        held,
    )
    assert wanted.open_documents() == 1 and asked(wanted, 1) == b"2" * 32
    wanted.offer_documents([("catalogue", 4, 1, b"5" * 32, 10)], held)
    assert wanted.open_documents() == 1 and asked(wanted, 1) == b"5" * 32  # the newer one replaces it


def test_a_document_is_whole_when_its_hash_is_right() -> None:
    wanted = Wanted()
    wanted.offer_documents([("roster", 1, 0, SHA, len(CONTENT))], {})
    chunks = [Chunk(SHA, len(CONTENT), index, data) for index, data in pieces(CONTENT)]
    assert wanted.take_piece(chunks[2], 5) is None
    assert wanted.next_wants([], missing, 6) == [(SHA, [[0, 1]])]
    assert wanted.take_piece(Chunk(SHA, len(CONTENT), 1, b"short"), 6) is None
    assert wanted.take_piece(chunks[0], 7) is None
    assert wanted.take_piece(chunks[1], 8) == CONTENT
    assert wanted.open_documents() == 0


def test_a_document_with_a_wrong_hash_is_asked_for_again() -> None:
    wanted = Wanted()
    wanted.offer_documents([("roster", 1, 0, b"h" * 32, CHUNK_BYTES)], {})
    assert wanted.take_piece(Chunk(b"h" * 32, CHUNK_BYTES, 0, b"x" * CHUNK_BYTES), 5) is None
    assert asked(wanted, 6) == b"h" * 32


def test_documents_come_before_attachments() -> None:
    wanted = Wanted()
    wanted.offer_documents([("roster", 1, 0, SHA, len(CONTENT))], {})
    assert asked(wanted, 1, FILE_A) == SHA


def test_what_does_not_come_makes_room_and_has_its_turn_again() -> None:
    wanted, files = Wanted(), (FILE_A, FILE_B)
    assert asked(wanted, 1_000, *files) == FILE_A[0]
    assert asked(wanted, 1_000 + PATIENCE_MS, *files) == FILE_A[0]
    late = 1_001 + PATIENCE_MS
    assert asked(wanted, late, *files) == FILE_B[0]
    wanted.file_progress(FILE_B[0], late + 10, whole=True)
    assert asked(wanted, late + REST_MS_FIRST, FILE_A) == FILE_A[0]


def test_progress_keeps_the_turn() -> None:
    wanted, now = Wanted(), 1_000
    for _ in range(5):
        assert asked(wanted, now, FILE_A, FILE_B) == FILE_A[0]
        now += PATIENCE_MS
        wanted.file_progress(FILE_A[0], now, whole=False)


def test_slices_keep_the_turn_where_a_piece_takes_longer_than_our_patience() -> None:
    wanted, now = Wanted(), 1_000
    wanted.offer_documents([("roster", 1, 0, SHA, len(CONTENT))], {})
    for _ in range(5):
        assert asked(wanted, now, FILE_A) == SHA
        now += PATIENCE_MS
        wanted.slice_came(SHA, now)
    wanted.slice_came(b"of nothing that is wanted".ljust(32), now)
    assert asked(wanted, now + PATIENCE_MS + 1, FILE_A) == FILE_A[0]


def test_after_a_break_nobody_rests() -> None:
    wanted = Wanted()
    asked(wanted, 1_000, FILE_A)
    assert asked(wanted, 2_000 + PATIENCE_MS, FILE_A) is None
    wanted.restart()
    assert asked(wanted, 3_000 + PATIENCE_MS, FILE_A) == FILE_A[0]


def test_what_nobody_has_any_more_holds_nobody_up() -> None:
    """Found by the simulator, 72 kinds, seed 5: behind ten files that were lost everywhere a new one waited for half an
    hour, and on a line that breaks now and then it would have waited for ever."""
    wanted, dead = Wanted(), [(bytes([number]) * 32, 100) for number in range(10)]
    now = 1_000
    for _line in range(2):
        for _turn in range(20):
            asked(wanted, now, *dead)
            now += PATIENCE_MS + 1
        wanted.restart()
    new = (b"n" * 32, 100)
    asked(wanted, now, *dead)
    assert asked(wanted, now + PATIENCE_MS + 1, new, *dead) == new[0]
    wanted.restart()
    tried = {asked(wanted, now + at * (PATIENCE_MS + 1), new, *dead) for at in range(2, 40)}
    assert tried == {new[0], *(sha256 for sha256, _size in dead)}, "each has its turn"
