"""Ops: what is signed is kept byte for byte; whatever is not an op is refused with its reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical
from protocol.errors import BadSignature, LiandongError, LocalProtocolError, MalformedBytes, TooLarge, UnknownVersion
from protocol.op import (
    DOMAIN_SIGNATURE,
    OP_BYTES_MAX,
    PARENTS_MAX,
    Draft,
    Op,
    Reference,
    check_signature,
    parse_op,
    sign_op,
)
from protocol.suites import suite
from tests.vectors.protocol_county import NOW_MS, STRANGER, VILLAGE


def opener(body: dict[str, Any] | None = None, **more: Any) -> Op:
    draft = Draft("accept", None, [], "chief", "chief", NOW_MS, body or {"fields": {"a": "乙"}}, **more)
    return sign_op(draft, office=VILLAGE.office, device=VILLAGE.incarnation, seed=VILLAGE.sign_seed, seq=1, prev=None)


def follower(first: Op, seq: int = 2) -> Op:
    draft = Draft("note", first.case, [first.id], "chief", "chief", NOW_MS, {"text": "甲"}, (NOW_MS, 5))
    return sign_op(
        draft, office=VILLAGE.office, device=VILLAGE.incarnation, seed=VILLAGE.sign_seed, seq=seq, prev=first.id
    )


def forged(**changes: Any) -> bytes:
    """The bytes of an op whose signed content was changed key by key (None removes) and signed anew."""
    signed = canonical.decode(opener().blob)[0]
    content = canonical.decode(signed)
    for key, value in changes.items():
        number = int(key[1:])
        if value is None:
            content.pop(number, None)
        else:
            content[number] = value
    signed = canonical.encode(content)
    return canonical.encode([signed, suite(1).sign(VILLAGE.sign_seed, DOMAIN_SIGNATURE, signed)])


def test_an_op_survives_its_bytes() -> None:
    first = opener(reference=Reference(3, 2, 1))
    assert parse_op(first.blob) == first
    assert first.opens and first.case == first.id and first.prev is None
    second = follower(first)
    assert parse_op(second.blob) == second
    assert not second.opens and second.case == first.id and second.parents == (first.id,) and second.prev == first.id
    check_signature(second, VILLAGE.sign_public)
    with pytest.raises(BadSignature):
        check_signature(second, STRANGER.sign_public)


def test_fields_of_a_later_version_are_kept_inside_the_signed_bytes() -> None:
    blob = forged(k40="later")
    op = parse_op(blob)
    assert op.extra == {40: "later"} and op.blob == blob
    check_signature(op, VILLAGE.sign_public)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"k1": 2}, UnknownVersion),
        ({"k2": 77}, UnknownVersion),
        ({"k2": "one"}, MalformedBytes),
        ({"k3": 5}, MalformedBytes),
        ({"k4": b"short"}, MalformedBytes),
        ({"k4": bytes(32)}, MalformedBytes),  # a case but no parents
        ({"k9": []}, MalformedBytes),
        ({"k9": [bytes(32)]}, MalformedBytes),  # parents but no case
        ({"k4": bytes(32), "k9": [bytes(32), bytes(32)]}, MalformedBytes),
        ({"k4": bytes(32), "k9": [b"\x01" * 32, bytes(32)]}, MalformedBytes),
        ({"k6": b"7 bytes"}, MalformedBytes),
        ({"k7": 0}, MalformedBytes),
        ({"k7": 2}, MalformedBytes),  # number 2 without the hash of number 1
        ({"k8": bytes(32)}, MalformedBytes),  # number 1 with one
        ({"k12": True}, MalformedBytes),
        ({"k13": [1]}, MalformedBytes),
        ({"k14": [1, 1]}, MalformedBytes),
        ({"k15": {1: 2}}, MalformedBytes),
        ({"k15": None}, MalformedBytes),
    ],
)
def test_misshapen_ops_are_refused(changes: dict[str, Any], error: type[LiandongError]) -> None:
    with pytest.raises(error):
        parse_op(forged(**changes))


def test_limits_of_size_and_parents() -> None:
    opener({"text": "x" * (OP_BYTES_MAX - 400)})
    with pytest.raises((LocalProtocolError, TooLarge)):
        opener({"text": "x" * OP_BYTES_MAX})
    many = [bytes([number]) * 32 for number in range(PARENTS_MAX + 1)]
    shape = {"office": VILLAGE.office, "device": VILLAGE.incarnation, "seed": VILLAGE.sign_seed, "seq": 1, "prev": None}
    sign_op(Draft("note", many[0], many[:-1], "c", "chief", 1, {}), **shape)
    with pytest.raises(LocalProtocolError):
        sign_op(Draft("note", many[0], many, "c", "chief", 1, {}), **shape)


@given(st.data())
def test_one_changed_byte_is_another_op_or_an_error(data: st.DataObject) -> None:
    op = follower(opener())
    at = data.draw(st.integers(0, len(op.blob) - 1))
    changed = bytearray(op.blob)
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        other = parse_op(bytes(changed))
        check_signature(other, VILLAGE.sign_public)
    except LiandongError:
        return
    raise AssertionError("a changed byte went unnoticed")
