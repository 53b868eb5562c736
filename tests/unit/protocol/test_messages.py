"""Messages, topics, chunks, back-off: small things with limits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical, chunks, messages, topics
from protocol.errors import MalformedBytes, TooLarge
from protocol.messages import from_wire, to_wire
from protocol.schedule import backoff_ms, delays_s

EXAMPLES = [
    messages.Hello(b"s" * 8, "0.1.0", {"roster": 2}, b"e" * 8, 5, 7, {"pending": 1}, True, 2_000),
    messages.Welcome(b"s" * 8, 1, b"e" * 8, 3, b"i" * 32, [["roster", 2, 1, b"h" * 32, 9]], 0, "active", b"", 7),
    messages.Ops([b"a", b"b"], True),
    messages.Stream(b"e" * 8, 1, 3, [[1, b"op"], [2, b"receipt"]]),
    messages.Ack(b"e" * 8, 3),
    messages.Announce([["calendar", 2, 0, b"h" * 32, 9]]),
    messages.Want(b"h" * 32, [[7, 7]], 256, 1_024),
    messages.Chunk(b"h" * 32, 40_000, 1, b"data", 256),
    messages.Problem("malformed", "text", b"about"),
    messages.Compare(b"s" * 8, b"body"),
    messages.Held(b"h" * 32),
    messages.Fetch([b"c" * 32]),
    messages.Purged([b"c" * 32, b"d" * 32]),
    messages.Show([["roster", 7, 0], ["calendar", 1, 9]]),
    messages.Introduce(b"s" * 32, b"e" * 32, 1),
    messages.Ahead([b"a", b"b"]),
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_messages_survive_their_bytes(message: messages.Message) -> None:
    row = canonical.decode(canonical.encode(to_wire(message)))
    assert from_wire(row) == message
    assert from_wire([*row, "a field of a later version"]) == message
    for short in (row[: -1 - messages._LATER.get(type(message), 0)], [row[0]]):
        with pytest.raises(MalformedBytes):
            from_wire(short)
    for at in range(1, len(row)):
        with pytest.raises(MalformedBytes):
            from_wire([*row[:at], None, *row[at + 1 :]])


def test_what_an_earlier_version_says_is_understood_and_said() -> None:
    hello = messages.Hello(b"s" * 8, "0.1.0", {}, b"e" * 8, 5, 7, {}, True)
    want, chunk = messages.Want(b"h" * 32, [[0, 3], [7, 7]]), messages.Chunk(b"h" * 32, 40_000, 1, b"data")
    for message, fields in ((hello, 8), (messages.Ops([b"a"]), 1), (want, 2), (chunk, 4)):
        row = to_wire(message)
        assert len(row) == fields + 1 and from_wire(row) == message


def test_every_message_has_an_example() -> None:
    assert {type(message).number for message in EXAMPLES} == set(messages._TYPES)


@pytest.mark.parametrize("row", [[], 5, ["1"], None, {}, [True]])
def test_what_is_no_message_is_refused(row: Any) -> None:
    with pytest.raises(MalformedBytes):
        from_wire(row)


def test_counts_at_the_limit_and_one_beyond() -> None:
    from_wire(to_wire(messages.Ops([b"x"] * messages.OPS_MAX)))
    from_wire(to_wire(messages.Want(b"h", [[1, 1]] * messages.RANGES_MAX)))
    for message in (
        messages.Ops([b"x"] * (messages.OPS_MAX + 1)),
        messages.Stream(b"e", 1, 2, [[1, b"x"]] * (messages.ITEMS_MAX + 1)),
        messages.Want(b"h", [[1, 1]] * (messages.RANGES_MAX + 1)),
        messages.Show([["roster", 1, 2]] * (messages.PAPERS_MAX + 1)),
        messages.Announce([["roster", 1, 0, b"h", 9]] * (messages.PAPERS_MAX + 1)),
    ):
        with pytest.raises(TooLarge):
            from_wire(to_wire(message))
    for message in (
        messages.Ops(["x"]),  # type: ignore[list-item]
        messages.Stream(b"e", 1, 2, [[1]]),
        messages.Want(b"h", [[-1, 1]]),
        messages.Want(b"h", [[1, 1]], -1, 5),
        messages.Want(b"h", [[1, 1]], 0, chunks.CHUNK_BYTES + 1),
        messages.Chunk(b"h", 40_000, 0, b"", chunks.CHUNK_BYTES),
        messages.Show([["roster", 1]]),
        messages.Show(["roster"]),  # type: ignore[list-item]
        messages.Show([["roster", True, 2]]),
    ):
        with pytest.raises(MalformedBytes):
            from_wire(to_wire(message))


def test_topics_are_opaque_and_only_up_topics_have_a_mailbox() -> None:
    space, box = topics.space(b"f" * 16), topics.mailbox(b"incarnat")
    assert topics.mailbox_of(topics.up(space, box)) == box and len(box) == 16 and len(space) == 8
    for topic in (topics.down(space, box), topics.card(space), "a", "ld/x/y/up/z", "xx/a/b/up"):
        with pytest.raises(MalformedBytes):
            topics.mailbox_of(topic)
    assert topics.join_mailbox(b"n" * 10).startswith("join-")


@given(st.integers(1, 300_000))
def test_pieces_have_the_lengths_that_fit_expects(size: int) -> None:
    content = bytes(size)
    parts = list(chunks.pieces(content))
    assert len(parts) == chunks.count_of(size) and b"".join(data for _, data in parts) == content
    assert all(chunks.fits(size, index, data) for index, data in parts)
    assert not chunks.fits(size, len(parts), b"") and not chunks.fits(size, 0, parts[0][1] + b"x")


@given(st.sets(st.integers(0, 200)))
def test_ranges_name_exactly_the_indexes(indexes: set[int]) -> None:
    assert set(chunks.first_of(chunks.ranges(indexes), 10_000)) == indexes


def test_hostile_ranges_cost_nothing() -> None:
    assert chunks.first_of([[0, 2**53]], 4) == [0, 1, 2, 3]
    assert chunks.first_of([[5, 2]], 4) == []


def test_backoff_doubles_to_its_cap_and_never_is_zero() -> None:
    assert [backoff_ms(attempt, 0.999999) for attempt in (0, 1, 2)] == [999, 1999, 3999]
    assert backoff_ms(99, 0.0) == 150_000 and backoff_ms(99, 0.99999) < 300_000
    wait = delays_s(lambda: 0.0)
    assert [next(wait) for _ in range(3)] == [0.5, 1.0, 2.0]
