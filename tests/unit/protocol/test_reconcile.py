"""Set comparison: both sides end knowing exactly the difference, whatever the sets."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import MalformedBytes
from protocol.reconcile import BODY_BYTES_MAX, Comparison, item_of

NONCE = b"n" * 16
sets = st.sets(
    st.integers(0, 400).map(lambda number: item_of(b"op", bytes([number % 256, number // 256]))), max_size=300
)


def compare(mine: set[bytes], theirs: set[bytes]) -> tuple[Comparison, Comparison, int, int]:
    """(first, second, bodies, bytes) of a whole comparison."""
    first, second = Comparison(mine, NONCE), Comparison(theirs, NONCE)
    body: bytes | None = first.begin()
    turn, other, bodies, size = second, first, 0, 0
    while body is not None:
        assert len(body) <= BODY_BYTES_MAX
        bodies, size = bodies + 1, size + len(body)
        body = turn.receive(body)
        turn, other = other, turn
    return first, second, bodies, size


@settings(max_examples=60)
@given(sets, sets)
def test_both_sides_learn_exactly_the_difference(mine: set[bytes], theirs: set[bytes]) -> None:
    first, second, _, _ = compare(mine, theirs)
    assert first.done and second.done
    assert first.only_mine == second.only_theirs == mine - theirs
    assert first.only_theirs == second.only_mine == theirs - mine


def test_equality_costs_one_small_body_each_way_at_any_size() -> None:
    items = {item_of(b"op", number.to_bytes(4, "big")) for number in range(20_000)}
    _, _, bodies, size = compare(items, set(items))
    assert bodies == 2 and size < 200


def test_few_differences_among_many_cost_far_less_than_the_whole_list() -> None:
    rng = random.Random(5)
    items = {rng.randbytes(16) for _ in range(20_000)}
    first, _, bodies, size = compare(items | {rng.randbytes(16) for _ in range(3)}, items)
    assert len(first.only_mine) == 3 and bodies <= 10 and size < 20_000 * 16 / 20


def test_an_empty_side_gets_the_whole_list_in_bounded_bodies() -> None:
    rng = random.Random(6)
    items = {rng.randbytes(16) for _ in range(9_000)}
    first, second, _, _ = compare(set(), items)
    assert first.only_theirs == items == second.only_mine


def test_the_fingerprint_depends_on_the_nonce() -> None:
    items = {item_of(b"op", b"1"), item_of(b"op", b"2")}
    assert Comparison(items, b"a" * 16).begin() != Comparison(items, b"b" * 16).begin()[:16]
    with pytest.raises(MalformedBytes):
        Comparison(items, b"a" * 16).receive(Comparison(items, b"b" * 16).begin())


@given(st.binary(max_size=80))
def test_any_bytes_are_refused_clearly(body: bytes) -> None:
    with pytest.raises(MalformedBytes):
        Comparison([], NONCE).receive(body)
