"""Messages: what an envelope carries, in the order their author made them.

For: one dataclass per message, to and from canonical lists `[number, field, …]`.
May not: act on them (protocol/link.py does); look inside ops, receipts or documents.
Spec: docs/protocol/messages.md has the table; a test holds it to this file.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from protocol.chunks import CHUNK_BYTES
from protocol.errors import MalformedBytes, TooLarge
from protocol.gates import RATE_MAX

OPS_MAX = 500  # ops in one message
ITEMS_MAX = 500  # stream items in one message
CASES_MAX = 500  # cases in one message
PAPERS_MAX = 200  # documents named, or ranges of versions asked about, in one message
RANGES_MAX = 64  # missing ranges in one want
MESSAGES_MAX = 64  # messages in one envelope
STREAM_OP, STREAM_RECEIPT, STREAM_NOTICE = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Hello:
    """A device begins or checks a conversation. Answered by Welcome; repeated as heartbeat.

    session: 8 bytes, new for each connection. documents: version held by kind. epoch, pos: its place in the hub's
    stream. head_seq: its own last op. counts: pending, waiting, refused. urgent: it holds urgent or near-due ops.
    rate: bytes a second at which it wants its stream; 0 is no limit.
    """

    number: ClassVar[int] = 1
    session: bytes
    software: str
    documents: dict[str, int]
    epoch: bytes
    pos: int
    head_seq: int
    counts: dict[str, int]
    urgent: bool
    rate: int = 0


@dataclass(frozen=True, slots=True)
class Welcome:
    """The hub's answer: its time, its stream's epoch, how far it holds this device's ops, which documents are current.

    held_seq, held_id: last contiguous op of this device that the hub holds (0, empty for none).
    documents: [kind, version, base_version, sha256, size] that would bring the device up to date.
    end: last position of the device's stream, so that it can tell how much is still to come.
    retry_ms: 0 to go on; else come back after so long (admission after an outage).
    """

    number: ClassVar[int] = 2
    session: bytes
    hub_ms: int
    epoch: bytes
    held_seq: int
    held_id: bytes
    documents: list[list[Any]]
    retry_ms: int
    state: str
    certificate: bytes
    end: int = 0


@dataclass(frozen=True, slots=True)
class Ops:
    """Ops offered upward: blobs, own ones in the order of their sequence, but for urgent ones, which overtake.

    urgent: they are of urgent or nearly due cases; whoever takes them takes them first.
    """

    number: ClassVar[int] = 3
    blobs: list[bytes]
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """Positions `first` to `last` of the receiver's office stream; items may be fewer (its own ops are left out)."""

    number: ClassVar[int] = 4
    epoch: bytes
    first: int
    last: int
    items: list[list[Any]]  # [STREAM_…, bytes]


@dataclass(frozen=True, slots=True)
class Ack:
    """The sender has committed the stream up to `pos` in this epoch. Cumulative."""

    number: ClassVar[int] = 5
    epoch: bytes
    pos: int


@dataclass(frozen=True, slots=True)
class Announce:
    """New documents, as in Welcome. From a device: the documents that it holds and Show asked about, lowest first."""

    number: ClassVar[int] = 6
    documents: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Want:
    """The sender lacks these chunks (inclusive ranges) of the content with this hash.

    most: if not 0, it wants one slice of the first of them now: so many bytes at most, from byte `at` on.
    """

    number: ClassVar[int] = 7
    sha256: bytes
    ranges: list[list[int]]
    at: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of content: `index` from 0; every piece has 32 KiB but the last. `size` of the whole, in bytes.

    at: where in the piece `data` begins, if this is a slice of it.
    """

    number: ClassVar[int] = 8
    sha256: bytes
    size: int
    index: int
    data: bytes
    at: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """The receiver could not handle something: a stable code, plain words, and what it is about (an id, may be empty)."""

    number: ClassVar[int] = 9
    code: str
    text: str
    about: bytes


@dataclass(frozen=True, slots=True)
class Compare:
    """One step of set comparison (protocol/reconcile.py): an opaque body within one `session`."""

    number: ClassVar[int] = 10
    session: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """A township has committed the ops of this envelope and carries them on. No receipt: only the hub gives those.

    envelope: id of the sealed bytes, 32 bytes.
    """

    number: ClassVar[int] = 11
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Fetch:
    """The sender wants every op of these cases of its scope once more, at the end of its stream."""

    number: ClassVar[int] = 12
    cases: list[bytes]


@dataclass(frozen=True, slots=True)
class Purged:
    """The sender no longer stores these concluded cases (all that it has purged, in one or more messages)."""

    number: ClassVar[int] = 13
    cases: list[bytes]


@dataclass(frozen=True, slots=True)
class Show:
    """The hub was put back from a backup: name the documents of its own that you hold in these ranges of versions.

    ranges: [kind, above, below], both exclusive; below 0 means without an end. Answered by Announce.
    """

    number: ClassVar[int] = 14
    ranges: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Introduce:
    """The public keys that the sender's name is made of, for a hub that may not know it (any more)."""

    number: ClassVar[int] = 15
    sign_public: bytes
    seal_public: bytes
    suite: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """Ops of urgent cases that stand further on in the receiver's stream, where they come again. Not acknowledged."""

    number: ClassVar[int] = 16
    blobs: list[bytes]


Message = (
    Hello
    | Welcome
    | Ops
    | Stream
    | Ack
    | Announce
    | Want
    | Chunk
    | Problem
    | Compare
    | Held
    | Fetch
    | Purged
    | Show
    | Introduce
    | Ahead
)
_TYPES: dict[int, type] = {
    cls.number: cls
    for cls in (
        *(Hello, Welcome, Ops, Stream, Ack, Announce, Want, Chunk, Problem, Compare, Held, Fetch, Purged),
        *(Show, Introduce, Ahead),
    )
}
_LATER: dict[type, int] = {Hello: 1, Ops: 1, Want: 2, Chunk: 1}  # last fields that may be left out: they have defaults
_CHECKS: dict[str, type | tuple[type, ...]] = {
    "bytes": bytes,
    "str": str,
    "int": int,
    "bool": bool,
    "list[bytes]": list,
    "list[list[Any]]": list,
    "list[list[int]]": list,
    "dict[str, int]": dict,
}


def to_wire(message: Message) -> list[Any]:
    """The canonical list of a message."""
    row = [message.number, *(getattr(message, name) for name in message.__slots__)]
    for last in fields(message)[: -_LATER.get(type(message), 0) - 1 : -1]:
        if getattr(message, last.name) != last.default:
            break
        row.pop()
    return row


def from_wire(row: Any) -> Message | None:
    """The message in `row`; None for a number we do not know (a later version's message: passed over, counted).

    Raises:  MalformedBytes for a wrong shape; TooLarge for a list above its limit.
    """
    if not isinstance(row, list) or not row or type(row[0]) is not int:
        raise MalformedBytes("a message is a list that begins with its number")
    cls = _TYPES.get(row[0])
    if cls is None:
        return None
    names = list(cls.__annotations__)
    names.remove("number")
    if len(row) < len(names) + 1 - _LATER.get(cls, 0):
        raise MalformedBytes(f"a {cls.__name__} with missing fields")
    values = row[1 : len(names) + 1]  # more fields than we know are a later version's
    for name, value in zip(names, values, strict=False):
        if type(value) is not _CHECKS[cls.__annotations__[name]]:
            raise MalformedBytes(f"{cls.__name__}.{name} has a wrong type")
    _check_limits(cls, values)
    message: Message = cls(*values)
    return message


def _check_limits(cls: type, values: list[Any]) -> None:
    for limit, kind in (
        (OPS_MAX, Ops),
        (OPS_MAX, Ahead),
        (ITEMS_MAX, Stream),
        (RANGES_MAX, Want),
        (CASES_MAX, Fetch),
        (CASES_MAX, Purged),
        (PAPERS_MAX, Show),
        (PAPERS_MAX, Announce),
    ):
        if cls is kind and any(isinstance(value, list) and len(value) > limit for value in values):
            raise TooLarge(f"more than {limit} entries in one {cls.__name__}")
    if cls in (Ops, Ahead) and any(type(blob) is not bytes for blob in values[0]):
        raise MalformedBytes(f"{cls.__name__}.blobs holds bytes")
    if cls is Hello and len(values) > 8 and not 0 <= values[8] <= RATE_MAX:
        raise MalformedBytes("Hello.rate is no rate")
    if cls in (Fetch, Purged) and any(type(case) is not bytes or len(case) != 32 for case in values[0]):
        raise MalformedBytes(f"{cls.__name__}.cases holds case ids")
    if cls is Stream and any(
        not (isinstance(item, list) and len(item) == 2 and type(item[0]) is int and type(item[1]) is bytes)
        for item in values[3]
    ):
        raise MalformedBytes("Stream.items holds pairs of number and bytes")
    if cls is Want and any(
        not (isinstance(pair, list) and len(pair) == 2 and all(type(end) is int and end >= 0 for end in pair))
        for pair in values[1]
    ):
        raise MalformedBytes("Want.ranges holds pairs of numbers")
    if cls is Want and any(not 0 <= value <= CHUNK_BYTES for value in values[2:]):
        raise MalformedBytes("Want.at and Want.most lie within a piece")
    if cls is Chunk and any(not 0 <= value < CHUNK_BYTES for value in values[4:]):
        raise MalformedBytes("Chunk.at lies within a piece")
    if cls is Show and any(
        not (isinstance(row, list) and [type(cell) for cell in row] == [str, int, int]) for row in values[0]
    ):
        raise MalformedBytes("Show.ranges holds rows of kind, above, below")
    if cls is Hello and any(type(key) is not str or type(value) is not int for key, value in values[2].items()):
        raise MalformedBytes("Hello.documents maps kinds to versions")
