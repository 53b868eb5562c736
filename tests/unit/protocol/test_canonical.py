"""Canonical encoding: one byte form per value, and nothing but that form is read."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical
from protocol.errors import LiandongError, LocalProtocolError, MalformedBytes, TooLarge

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts | st.binary(max_size=12)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(texts, inner, max_size=4)
        | st.dictionaries(st.integers(0, 300), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
def test_decoding_gives_back_the_value_and_encoding_the_bytes(value: Any) -> None:
    blob = canonical.encode(value)
    assert canonical.decode(blob) == value
    assert canonical.encode(canonical.decode(blob)) == blob


@given(st.dictionaries(texts, scalars, min_size=2, max_size=6), st.randoms())
def test_the_order_in_which_a_map_was_filled_does_not_matter(table: dict[str, Any], rng: Any) -> None:
    names = list(table)
    rng.shuffle(names)
    assert canonical.encode({name: table[name] for name in names}) == canonical.encode(table)


@given(st.binary(max_size=60))
def test_any_bytes_are_the_one_form_of_a_value_or_a_clear_error(blob: bytes) -> None:
    try:
        value = canonical.decode(blob)
    except LiandongError as error:
        assert error.code in {"malformed", "too_large"}
    else:
        assert canonical.encode(value) == blob


@pytest.mark.parametrize(
    ("name", "blob"),
    [
        ("float", msgpack.packb(1.5)),
        ("long form of 1", b"\xcd\x00\x01"),
        ("keys out of order", b"\x82\xa1b\x01\xa1a\x02"),
        ("key twice", b"\x82\xa1a\x01\xa1a\x02"),
        ("keys of two types", b"\x82\x01\x01\xa1a\x02"),
        ("negative key", b"\x81\xff\x01"),
        ("extension", msgpack.packb(msgpack.ExtType(1, b"x"))),
        ("timestamp", b"\xd6\xff\x00\x00\x00\x01"),
        ("beyond 2^53", msgpack.packb(2**53 + 1)),
        ("bytes behind the value", b"\x01\x01"),
        ("broken text", b"\xa1\xff"),
        ("cut short", b"\x92\x01"),
        ("nothing", b""),
        ("a list as key", b"\x81\x90\x01"),
        ("deep", b"\x91" * 200 + b"\x01"),
    ],
)
def test_other_forms_are_refused(name: str, blob: bytes) -> None:
    with pytest.raises(MalformedBytes):
        canonical.decode(blob)


def test_limits_hold_at_the_limit_and_break_one_beyond() -> None:
    assert canonical.decode(canonical.encode(b"x" * 10), bytes_max=12) == b"x" * 10
    with pytest.raises(TooLarge):
        canonical.decode(canonical.encode(b"x" * 11), bytes_max=12)
    nested: Any = 1
    for _ in range(canonical.DEPTH_MAX):
        nested = [nested]
    assert canonical.decode(canonical.encode(nested)) == nested
    with pytest.raises(LocalProtocolError):
        canonical.encode([nested])


@pytest.mark.parametrize("value", [1.0, {1: 1, "a": 2}, {-1: 0}, 2**53 + 1, object(), "\ud800", {b"k": 1}])
def test_what_has_no_canonical_form_is_our_own_error(value: Any) -> None:
    with pytest.raises(LocalProtocolError):
        canonical.encode(value)


@given(st.binary(max_size=300), st.binary(max_size=80), st.integers(0, 400), st.integers(0, 255))
def test_a_pair_of_byte_strings_is_read_without_decoding_as_with_it(
    one: bytes, two: bytes, place: int, byte: int
) -> None:
    """Also of bytes that are almost such a pair: whatever is found is what `decode` would have found."""
    blob = canonical.encode([one, two])
    assert canonical.decode_pair(blob) == (one, two)
    bent = blob[: place % len(blob)] + bytes([byte]) + blob[place % len(blob) + 1 :]
    for other in (bent, blob[: place % len(blob)], blob + bytes([byte])):
        found = canonical.decode_pair(other)
        assert found is None or canonical.decode(other) == list(found)


@pytest.mark.parametrize("size", [255, 256, 65_535, 65_536])
def test_a_pair_in_its_shortest_form_only(size: int) -> None:
    blob = canonical.encode([bytes(size), b"x"])
    assert canonical.decode_pair(blob) == (bytes(size), b"x")
    assert canonical.decode_pair(blob, bytes_max=len(blob) - 1) is None
    longer = b"\x92\xc6" + size.to_bytes(4, "big") + bytes(size) + b"\xc4\x01x"
    assert (canonical.decode_pair(longer) is None) == (size < 65_536)
