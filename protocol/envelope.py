"""Envelopes: messages from one device to one other, compressed, sealed, signed.

For: the only form in which anything of ours leaves a machine, over any carrier.
May not: look inside ops; trust anything before the signature was checked; allocate before the size was.
Spec: docs/protocol/envelope.md.  Vectors: tests/vectors/envelope/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import zstandard

from protocol import canonical
from protocol.errors import (
    BadSeal,
    LocalProtocolError,
    MalformedBytes,
    TooLarge,
    UnknownSender,
    UnknownVersion,
    WrongRecipient,
)
from protocol.keys import DeviceKeys, incarnation_of
from protocol.messages import MESSAGES_MAX, Introduce, Message, from_wire, to_wire
from protocol.roster import Device
from protocol.suites import suite

VERSION = 1
ENVELOPE_BYTES_MAX = 65_536  # one MQTT payload; below the 256 KB that some brokers allow at most
PLAIN_BYTES_MAX = 1_048_576  # after decompression: a bomb is refused before it is unpacked
DOMAIN_SIGNATURE = b"liandong envelope v1"
DOMAIN_SEAL = b"liandong seal v1"
DOMAIN_ID = b"liandong envelope id v1"
DICTIONARY = 1  # the newest dictionary that we compress with; older ones stay readable
COMPRESSION_LEVEL = 3
SMALL_BYTES = 8_192  # up to here the hardest level costs a millisecond and saves a thin line 40 bytes in 600
SMALL_LEVEL = 19

_VERSION, _SUITE, _COUNTY, _SENDER, _RECIPIENT, _DICTIONARY = range(1, 7)


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope whose signature and seal held. unknown: messages of a later version that were passed over. size: of
    the sealed bytes."""

    id: bytes
    sender: Device
    messages: tuple[Message, ...]
    unknown: int
    size: int = 0


def seal_envelope(messages: Sequence[Message], *, keys: DeviceKeys, recipient: Device) -> bytes:
    """The bytes for `recipient`.

    Args:    messages: 1 to MESSAGES_MAX; together at most PLAIN_BYTES_MAX bytes and, sealed, ENVELOPE_BYTES_MAX.
    Raises:  TooLarge if they do not fit (send fewer), LocalProtocolError for an empty list.
    Source:  docs/protocol/envelope.md, "Sealing"; RFC 9180.
    """
    if not 0 < len(messages) <= MESSAGES_MAX:
        raise LocalProtocolError(f"an envelope carries 1 to {MESSAGES_MAX} messages")
    plain = canonical.encode([to_wire(message) for message in messages])
    if len(plain) > PLAIN_BYTES_MAX:
        raise TooLarge(f"{len(plain)} bytes of messages, at most {PLAIN_BYTES_MAX} fit one envelope")
    header = canonical.encode(
        {
            _VERSION: VERSION,
            _SUITE: recipient.suite,
            _COUNTY: keys.county,
            _SENDER: keys.incarnation,
            _RECIPIENT: recipient.incarnation,
            _DICTIONARY: DICTIONARY,
        }
    )
    packed = _compressor(DICTIONARY, SMALL_LEVEL if len(plain) <= SMALL_BYTES else COMPRESSION_LEVEL).compress(plain)
    sealed = suite(recipient.suite).seal(recipient.seal_public, DOMAIN_SEAL + b"\0" + header, packed)
    signature = suite(keys.suite).sign(keys.sign_seed, DOMAIN_SIGNATURE, header + sealed)
    blob = canonical.encode([header, sealed, signature])
    if len(blob) > ENVELOPE_BYTES_MAX:
        raise TooLarge(f"an envelope of {len(blob)} bytes, at most {ENVELOPE_BYTES_MAX} are allowed")
    return blob


def open_envelope(blob: bytes, *, keys: DeviceKeys, speaker: Callable[[bytes], Device]) -> Opened:
    """The messages of an envelope for us.

    Args:    speaker: the device that may speak under an incarnation now (Roster.speaker); raises UnknownSender,
             RevokedSender, SuiteNotAllowed, which pass through.
    Raises:  TooLarge, MalformedBytes, UnknownVersion, WrongRecipient, BadSignature, BadSeal. Nothing else: any bytes.
    Source:  docs/protocol/envelope.md, "Opening".
    """
    header, sealed, signature = _split(blob)
    fields = _for_us(header, keys)
    sender = speaker(fields[_SENDER])
    suite(sender.suite).verify(sender.sign_public, DOMAIN_SIGNATURE, header + sealed, signature)
    known, unknown = _inside(header, sealed, fields[_DICTIONARY], keys)
    return Opened(envelope_id(blob), sender, known, unknown, len(blob))


def open_introduced(blob: bytes, *, keys: DeviceKeys) -> Opened:
    """The messages of an envelope whose sender nobody names to us and who brings its own keys (Introduce).

    What is proven is only that the sender owns the keys that its name is made of. `sender.office` is empty: nobody has
    said for whom it speaks.

    Raises:  as open_envelope; UnknownSender without an Introduce whose keys make up the sender's name.
    """
    header, sealed, signature = _split(blob)
    fields = _for_us(header, keys)
    known, unknown = _inside(header, sealed, fields[_DICTIONARY], keys)
    said = next((message for message in known if isinstance(message, Introduce)), None)
    if said is None or incarnation_of(said.sign_public, said.seal_public, said.suite) != fields[_SENDER]:
        raise UnknownSender("nobody names this device to us, and it does not prove its name")
    suite(said.suite).check_public(said.sign_public, said.seal_public)
    suite(said.suite).verify(said.sign_public, DOMAIN_SIGNATURE, header + sealed, signature)
    sender = Device(fields[_SENDER], "", "edge", said.sign_public, said.seal_public, said.suite, 0)
    return Opened(envelope_id(blob), sender, known, unknown, len(blob))


def envelope_id(blob: bytes) -> bytes:
    """32 bytes that name these sealed bytes."""
    return suite(1).hash(DOMAIN_ID, blob)


def peek_sender(blob: bytes) -> bytes:
    """The incarnation that an envelope claims to come from, before anything was checked: for counting and quarantine."""
    return bytes(_header(_split(blob)[0])[_SENDER])


def peek_parties(blob: bytes) -> tuple[str, bytes, bytes]:
    """County, sender and recipient that an envelope names, before anything was checked: to pass over those of others.

    Raises:  TooLarge, MalformedBytes, UnknownVersion.
    """
    fields = _header(_split(blob)[0])
    return fields[_COUNTY], fields[_SENDER], fields[_RECIPIENT]


def _split(blob: bytes) -> tuple[bytes, bytes, bytes]:
    parts = canonical.decode(blob, bytes_max=ENVELOPE_BYTES_MAX)
    if not (isinstance(parts, list) and len(parts) == 3 and all(type(part) is bytes for part in parts)):
        raise MalformedBytes("an envelope is header, sealed part and signature")
    return parts[0], parts[1], parts[2]


def _for_us(header: bytes, keys: DeviceKeys) -> dict[int, Any]:
    fields = _header(header)
    if fields[_COUNTY] != keys.county or fields[_RECIPIENT] != keys.incarnation:
        raise WrongRecipient("an envelope for another device or county")
    if fields[_SUITE] != keys.suite:
        raise WrongRecipient("an envelope sealed under another suite than ours")
    return fields


def _inside(header: bytes, sealed: bytes, dictionary: int, keys: DeviceKeys) -> tuple[tuple[Message, ...], int]:
    """The messages that we know, and how many we do not."""
    packed = suite(keys.suite).open(keys.seal_seed, DOMAIN_SEAL + b"\0" + header, sealed)
    rows = canonical.decode(_decompress(packed, dictionary), bytes_max=PLAIN_BYTES_MAX)
    if not isinstance(rows, list) or not 0 < len(rows) <= MESSAGES_MAX:
        raise MalformedBytes(f"an envelope carries 1 to {MESSAGES_MAX} messages")
    messages = [from_wire(row) for row in rows]
    known = tuple(message for message in messages if message is not None)
    return known, len(messages) - len(known)


def _header(header: bytes) -> dict[int, Any]:
    fields = canonical.decode(header)
    if not isinstance(fields, dict):
        raise MalformedBytes("the header of an envelope is a map")
    if fields.get(_VERSION) != VERSION:
        raise UnknownVersion(f"envelope version {fields.get(_VERSION)!r}; this program speaks {VERSION}")
    kinds = {_SUITE: int, _COUNTY: str, _SENDER: bytes, _RECIPIENT: bytes, _DICTIONARY: int}
    if any(type(fields.get(key)) is not kind for key, kind in kinds.items()):
        raise MalformedBytes("a header with a missing or wrong field")
    return fields


def _decompress(packed: bytes, dictionary: int) -> bytes:
    try:
        size = zstandard.frame_content_size(packed)
    except zstandard.ZstdError as error:
        raise MalformedBytes("the opened part is not compressed as it should be") from error
    if size < 0 or size > PLAIN_BYTES_MAX:
        raise TooLarge(f"an envelope that unpacks to {size} bytes, at most {PLAIN_BYTES_MAX} are allowed")
    try:
        return _decompressor(dictionary).decompress(packed)
    except zstandard.ZstdError as error:
        raise BadSeal("the opened part does not unpack") from error


@lru_cache(maxsize=4)
def _dictionary(number: int) -> zstandard.ZstdCompressionDict:
    """Dictionaries are data of this package, trained once and never changed (docs/protocol/envelope.md)."""
    try:
        raw = resources.files("protocol.dictionaries").joinpath(f"{number}.zdict").read_bytes()
    except FileNotFoundError as error:
        raise UnknownVersion(f"compression dictionary {number} is not known to this program") from error
    return zstandard.ZstdCompressionDict(raw)


@lru_cache(maxsize=4)
def _compressor(number: int, level: int = COMPRESSION_LEVEL) -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(
        level=level, dict_data=_dictionary(number), write_content_size=True, write_dict_id=False
    )


@lru_cache(maxsize=4)
def _decompressor(number: int) -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(dict_data=_dictionary(number), max_window_size=2**21)
