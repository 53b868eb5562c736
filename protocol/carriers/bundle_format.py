"""The bytes of a bundle: magic, header, envelopes with their lengths, trailer with count and hash.

For: bundle.py, which has the files; everything here reads as if an enemy had written what it reads.
May not: open files; allocate more than one envelope; believe anything before the trailer was checked.
Spec: docs/protocol/bundle.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from protocol import canonical
from protocol.carriers import PAYLOAD_BYTES_MAX
from protocol.carriers.bundle_errors import BundleDamaged, BundleEmpty, BundleForeign, BundleTooLarge, BundleTruncated
from protocol.errors import LocalProtocolError, MalformedBytes, TooLarge

MAGIC = b"\x89LDB\r\n\x1a\n"  # a copy in text mode or over a 7-bit line breaks it visibly
VERSION = 1
HEADER_BYTES_MAX = 1_024
ENVELOPE_BYTES_MAX = PAYLOAD_BYTES_MAX
ENVELOPES_MAX = 200_000
BUNDLE_BYTES_MAX = 2**31  # 2 GiB: fits FAT32, which most sticks have
LENGTH_BYTES = 4
HASH_BYTES = 32
TRAILER_BYTES = LENGTH_BYTES + LENGTH_BYTES + HASH_BYTES
COUNTY_CHARS_MAX = 12
SENDER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Header:
    """Who wrote a bundle, for people and for a first look: not signed, the envelopes are.

    county: 1 to 12 digits. sender: incarnation of the device, 8 bytes. created_ms: its wall clock, ms UTC.
    """

    county: str
    sender: bytes
    created_ms: int

    def to_bytes(self) -> bytes:
        """Magic, length and header. Raises LocalProtocolError for fields out of bounds."""
        if not self.plausible:
            raise LocalProtocolError("a bundle names its county by digits and its sender by 8 bytes")
        body = canonical.encode([VERSION, self.county, self.sender, self.created_ms])
        return MAGIC + prefix(len(body)) + body

    @property
    def plausible(self) -> bool:
        digits = self.county.isascii() and self.county.isdigit() and len(self.county) <= COUNTY_CHARS_MAX
        return digits and len(self.sender) == SENDER_BYTES


def read_header(file: BinaryIO) -> tuple[Header, bytes]:
    """The header at the start of `file` and the bytes it took. Raises BundleTruncated, BundleForeign, BundleDamaged."""
    head = file.read(len(MAGIC))
    if head != MAGIC:
        if MAGIC.startswith(head):
            raise BundleTruncated("it ends too early")
        raise BundleForeign("it does not begin like a bundle")
    length = exactly(file, LENGTH_BYTES)
    if int.from_bytes(length, "big") > HEADER_BYTES_MAX:
        raise BundleDamaged("its header is too long")
    body = exactly(file, int.from_bytes(length, "big"))
    try:
        fields = canonical.decode(body, bytes_max=HEADER_BYTES_MAX)
    except (MalformedBytes, TooLarge) as error:
        raise BundleDamaged("its header cannot be read") from error
    if isinstance(fields, list) and fields and type(fields[0]) is int and fields[0] > VERSION:
        raise BundleForeign("a newer program wrote it")
    if not (isinstance(fields, list) and [type(field) for field in fields] == [int, str, bytes, int]):
        raise BundleDamaged("its header cannot be read")
    header = Header(*fields[1:])
    if fields[0] != VERSION or not header.plausible:
        raise BundleDamaged("its header cannot be read")
    return header, head + length + body


def read_records(file: BinaryIO, digest: hashlib._Hash) -> Iterator[bytes]:
    """The envelopes from here on; then the trailer is checked: count, hash, and that nothing follows.

    Args:    digest: has taken everything before; takes everything up to the hash in the trailer.
    Raises:  BundleTruncated, BundleDamaged, BundleTooLarge, BundleEmpty.
    """
    count = 0
    while length := _next_length(file, digest):
        count += 1
        if length > ENVELOPE_BYTES_MAX:
            raise BundleDamaged(f"envelope {count} is longer than an envelope may be")
        if count > ENVELOPES_MAX:
            raise BundleTooLarge("more envelopes than a bundle may hold")
        envelope = exactly(file, length)
        digest.update(envelope)
        yield envelope
    declared = _next_length(file, digest)
    if exactly(file, HASH_BYTES) != digest.digest():
        raise BundleDamaged("its hash does not match")
    if declared != count:
        raise BundleDamaged("its count does not match")
    if file.read(1):
        raise BundleDamaged("something follows its end")
    if count == 0:
        raise BundleEmpty()


def prefix(length: int) -> bytes:
    """A length or count: 4 bytes, big end first."""
    return length.to_bytes(LENGTH_BYTES, "big")


def exactly(file: BinaryIO, length: int) -> bytes:
    """`length` bytes. Raises BundleTruncated."""
    data = file.read(length)
    if len(data) < length:
        raise BundleTruncated("it ends too early")
    return data


def _next_length(file: BinaryIO, digest: hashlib._Hash) -> int:
    data = exactly(file, LENGTH_BYTES)
    digest.update(data)
    return int.from_bytes(data, "big")
