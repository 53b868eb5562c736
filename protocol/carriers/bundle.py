"""The bundle carrier: envelopes in one file, for a stick that a person carries.

For: writing a bundle so that it is whole or absent, and reading one as something that an enemy may have written.
May not: open envelopes; use anything in a file as a path or a name; change anything but the file it was asked for.
Spec: docs/protocol/bundle.md.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from protocol.carriers.bundle_errors import (
    BundleDamaged,
    BundleEmpty,
    BundleExists,
    BundleForeign,
    BundleNotWritten,
    BundleTooLarge,
    BundleUnreadable,
)
from protocol.carriers.bundle_format import (
    BUNDLE_BYTES_MAX,
    ENVELOPE_BYTES_MAX,
    ENVELOPES_MAX,
    LENGTH_BYTES,
    TRAILER_BYTES,
    Header,
    prefix,
    read_header,
    read_records,
)
from protocol.carriers.durable import sync_directory
from protocol.errors import LiandongError, LocalProtocolError

PART_SUFFIX = ".part"


@dataclass(frozen=True, slots=True)
class BundleSummary:
    """What a bundle holds as far as a carrier can tell. size: of the whole file. sha256: of all before itself."""

    header: Header
    envelopes: int
    size: int
    sha256: bytes


def write_bundle(
    path: Path, envelopes: Iterable[bytes], *, county: str, sender: bytes, created_ms: int
) -> BundleSummary:
    """Write `path` whole or not at all: temporary name, synced, read back from the medium, renamed, directory synced.

    Args:    envelopes: each 1 to ENVELOPE_BYTES_MAX bytes, ENVELOPES_MAX at most; may be a generator.
             county: 1 to 12 digits.  sender: 8 bytes.  created_ms: wall clock in ms UTC, for people only.
    Raises:  BundleEmpty, BundleTooLarge (export in parts), BundleExists, BundleNotWritten (medium full, pulled out or
             bad: nothing counts as carried); LocalProtocolError for an argument out of bounds.
    """
    header = Header(county, sender, created_ms)
    part = path.with_name(path.name + PART_SUFFIX)
    try:
        if path.exists() or path.is_symlink():
            raise BundleExists()
        part.unlink(missing_ok=True)  # of an export that was cut off; a link is removed, not followed
        try:
            summary = _write(part, envelopes, header)
            _check_medium(part, summary)
            part.replace(path)
            sync_directory(path.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise BundleNotWritten(error.strerror or str(error)) from error
    return summary


def verify_bundle(path: Path, *, county: str | None = None) -> BundleSummary:
    """Read the whole file and say what it holds. Nothing is believed before the end.

    Args:    county: if given, the county that the bundle must be of.
    Raises:  BundleTruncated, BundleDamaged, BundleForeign, BundleTooLarge, BundleEmpty, BundleUnreadable.
    """
    try:
        with _open(path) as file:
            return _summarise(file, county)
    except OSError as error:
        raise BundleUnreadable(error.strerror or str(error)) from error


def peek_header(path: Path) -> Header:
    """What a bundle says of itself at its beginning, the rest unread: for a first look. Raises as `verify_bundle`."""
    try:
        with _open(path) as file:
            return read_header(file)[0]
    except OSError as error:
        raise BundleUnreadable(error.strerror or str(error)) from error


def read_bundle(path: Path, *, county: str | None = None) -> Iterator[bytes]:
    """The envelopes of a bundle, in order, after the whole file was verified once.

    Raises:  what `verify_bundle` raises, before the first envelope; BundleDamaged after the last one if the file
             changed between the two readings.
    """
    try:
        with _open(path) as file:
            summary = _summarise(file, county)
            file.seek(0)
            _, raw = read_header(file)
            digest = hashlib.sha256(raw)
            yield from read_records(file, digest)
    except OSError as error:
        raise BundleUnreadable(error.strerror or str(error)) from error
    if digest.digest() != summary.sha256:
        raise BundleDamaged("it changed while it was read")


def _write(part: Path, envelopes: Iterable[bytes], header: Header) -> BundleSummary:
    digest, count, size = hashlib.sha256(), 0, 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(part, flags, 0o644), "wb") as out:

        def put(data: bytes) -> None:
            nonlocal size
            digest.update(data)
            size += out.write(data)

        put(header.to_bytes())
        for envelope in envelopes:
            if not 0 < len(envelope) <= ENVELOPE_BYTES_MAX:
                raise LocalProtocolError(f"an envelope of {len(envelope)} bytes; 1 to {ENVELOPE_BYTES_MAX} are allowed")
            count += 1
            if count > ENVELOPES_MAX or size + LENGTH_BYTES + len(envelope) + TRAILER_BYTES > BUNDLE_BYTES_MAX:
                raise BundleTooLarge("more than one bundle may hold")
            put(prefix(len(envelope)) + envelope)
        if count == 0:
            raise BundleEmpty()
        put(prefix(0) + prefix(count))
        sha256 = digest.digest()
        size += out.write(sha256)
        out.flush()
        os.fsync(out.fileno())
    return BundleSummary(header, count, size, sha256)


def _check_medium(part: Path, summary: BundleSummary) -> None:
    """Read back what the medium holds, past the page cache where the system lets us."""
    with part.open("rb") as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        try:
            found = _summarise(file, summary.header.county)
        except LiandongError as error:
            raise BundleNotWritten("what the medium gives back is damaged") from error
    if found != summary:
        raise BundleNotWritten("the medium gives back something else")


def _open(path: Path) -> BinaryIO:
    """The file, if it is a plain one: a stick may offer a pipe that never ends. Raises OSError, BundleForeign."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BundleForeign("it is not a file")
    return os.fdopen(handle, "rb")


def _summarise(file: BinaryIO, county: str | None) -> BundleSummary:
    """Read all of `file` and check it."""
    size = os.fstat(file.fileno()).st_size
    if size > BUNDLE_BYTES_MAX:
        raise BundleTooLarge("larger than a bundle may be")
    header, raw = read_header(file)
    if county is not None and header.county != county:
        raise BundleForeign("it belongs to another county")
    digest = hashlib.sha256(raw)
    count = sum(1 for _ in read_records(file, digest))
    return BundleSummary(header, count, size, digest.digest())
