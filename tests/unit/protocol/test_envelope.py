"""Envelopes: sealed to one, signed by one, bounded before anything is allocated."""

from __future__ import annotations

from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical, envelope
from protocol.errors import (
    BadSeal,
    BadSignature,
    LiandongError,
    LocalProtocolError,
    MalformedBytes,
    RevokedSender,
    TooLarge,
    UnknownSender,
    UnknownVersion,
    WrongRecipient,
)
from protocol.keys import DeviceKeys
from protocol.messages import MESSAGES_MAX, Ack, Chunk, Ops
from protocol.suites import suite
from tests.vectors.protocol_county import FOREIGN, HUB, REVOKED, STRANGER, TOWNSHIP, VILLAGE, device, roster

ROSTER = roster()
MESSAGES = [Ack(b"12345678", 7), Ops([b"one", b"two"])]


def sealed(keys: DeviceKeys = VILLAGE, to: DeviceKeys = HUB) -> bytes:
    return envelope.seal_envelope(MESSAGES, keys=keys, recipient=device(to))


def opened(blob: bytes, keys: DeviceKeys = HUB) -> envelope.Opened:
    return envelope.open_envelope(blob, keys=keys, speaker=ROSTER.speaker)


def rebuilt(plain: bytes, header: dict[int, Any] | None = None, keys: DeviceKeys = VILLAGE) -> bytes:
    """An envelope with any inside, rightly sealed and signed."""
    fields = {1: 1, 2: 1, 3: keys.county, 4: keys.incarnation, 5: HUB.incarnation, 6: 1} | (header or {})
    head = canonical.encode(fields)
    part = suite(1).seal(HUB.seal_public, envelope.DOMAIN_SEAL + b"\0" + head, plain)
    signature = suite(1).sign(keys.sign_seed, envelope.DOMAIN_SIGNATURE, head + part)
    return canonical.encode([head, part, signature])


def test_what_was_sealed_is_opened() -> None:
    result = opened(sealed())
    assert list(result.messages) == MESSAGES and result.sender.office == VILLAGE.office and result.unknown == 0


@pytest.mark.parametrize(
    ("blob", "error"),
    [
        (sealed(to=TOWNSHIP), WrongRecipient),
        (sealed(keys=FOREIGN), WrongRecipient),
        (sealed(keys=STRANGER), UnknownSender),
        (sealed(keys=REVOKED), RevokedSender),
        (rebuilt(b"", {1: 2}), UnknownVersion),
        (rebuilt(b"", {6: 9}), MalformedBytes),
        (rebuilt(b"not compressed"), MalformedBytes),
        (rebuilt(b"", {2: "1"}), MalformedBytes),
        (b"", MalformedBytes),
        (b"x" * (envelope.ENVELOPE_BYTES_MAX + 1), TooLarge),
    ],
)
def test_what_cannot_be_opened_says_why(blob: bytes, error: type[LiandongError]) -> None:
    with pytest.raises(error):
        opened(blob)


def test_a_header_moved_to_another_sender_or_a_part_swapped_is_noticed() -> None:
    one, two = canonical.decode(sealed()), canonical.decode(sealed(keys=TOWNSHIP))
    for parts in ([two[0], one[1], one[2]], [one[0], two[1], one[2]], [one[0], one[1], two[2]]):
        with pytest.raises(BadSignature):
            opened(canonical.encode(parts))


def test_a_part_sealed_under_another_header_does_not_open() -> None:
    head = canonical.decode(sealed())[0]
    part = suite(1).seal(HUB.seal_public, b"another header", b"x")
    signature = suite(1).sign(VILLAGE.sign_seed, envelope.DOMAIN_SIGNATURE, head + part)
    with pytest.raises(BadSeal):
        opened(canonical.encode([head, part, signature]))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zstandard.ZstdCompressor(level=3).compress(bytes(50_000_000))
    assert len(bomb) < 10_000
    with pytest.raises(TooLarge):
        opened(rebuilt(bomb))
    unsized = zstandard.ZstdCompressor(level=3, write_content_size=False).compress(bytes(1000))
    with pytest.raises(TooLarge):
        opened(rebuilt(unsized))


def test_limits_on_the_sending_side() -> None:
    with pytest.raises(LocalProtocolError):
        envelope.seal_envelope([], keys=VILLAGE, recipient=device(HUB))
    with pytest.raises(LocalProtocolError):
        envelope.seal_envelope([MESSAGES[0]] * (MESSAGES_MAX + 1), keys=VILLAGE, recipient=device(HUB))
    noise = b"".join(suite(1).hash(b"noise", bytes([number % 256, number // 256])) for number in range(2100))
    with pytest.raises(TooLarge):
        envelope.seal_envelope([Chunk(b"h" * 32, 1, 0, noise)], keys=VILLAGE, recipient=device(HUB))


def test_a_message_of_a_later_version_is_passed_over() -> None:
    rows = canonical.encode([[200, "later"], [5, b"12345678", 7, "a later field"]])
    result = opened(rebuilt(envelope._compressor(1).compress(rows)))
    assert result.messages == (Ack(b"12345678", 7),) and result.unknown == 1


@given(st.binary(max_size=300))
def test_any_bytes_give_a_remote_error(blob: bytes) -> None:
    with pytest.raises(LiandongError) as caught:
        opened(blob)
    assert caught.value.code in {"malformed", "too_large", "unknown_version", "wrong_recipient"}


@given(st.data())
def test_one_changed_byte_is_noticed(data: st.DataObject) -> None:
    blob = bytearray(sealed())
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LiandongError):
        opened(bytes(blob))
