"""Events: what an opened envelope means to a link, for the loops that save it.

For: one dataclass per thing that can arrive.
May not: act on anything.
Spec: docs/protocol/link.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.messages import Chunk, Fetch, Hello, Purged, Welcome


@dataclass(frozen=True, slots=True)
class HelloArrived:
    hello: Hello


@dataclass(frozen=True, slots=True)
class WelcomeArrived:
    welcome: Welcome


@dataclass(frozen=True, slots=True)
class OpsArrived:
    """Op blobs, form and signatures not checked yet, nothing stored yet. envelope: id of the bytes they came in.
    urgent: by the sender's word they are of urgent or nearly due cases."""

    envelope: bytes
    blobs: tuple[bytes, ...]
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class StreamArrived:
    """The next positions of the stream. After the commit call `stream_committed(epoch, last)`."""

    epoch: bytes
    first: int
    last: int
    items: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class AckArrived:
    epoch: bytes
    pos: int


@dataclass(frozen=True, slots=True)
class HeldArrived:
    """A township holds all that was offered to it up to this position of our own."""

    pos: int


@dataclass(frozen=True, slots=True)
class HeldAhead:
    """A township holds the ops at these positions, which overtook others."""

    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AheadArrived:
    """Ops of urgent cases from further on in the stream. They come again in their place; nothing is acknowledged."""

    blobs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class DocumentsOffered:
    """[kind, version, base_version, sha256, size] each."""

    documents: tuple[tuple[str, int, int, bytes, int], ...]


@dataclass(frozen=True, slots=True)
class ShowArrived:
    """The hub asks for documents in these ranges: [kind, above, below] each. Answer with `EdgeLink.show`."""

    ranges: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class ChunkArrived:
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class SliceArrived:
    """A part of a chunk of this content came; the chunk is not whole yet."""

    sha256: bytes


@dataclass(frozen=True, slots=True)
class CompareArrived:
    session: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class ProblemArrived:
    code: str
    text: str
    about: bytes


Event = (
    HelloArrived
    | WelcomeArrived
    | OpsArrived
    | StreamArrived
    | AckArrived
    | HeldArrived
    | HeldAhead
    | AheadArrived
    | DocumentsOffered
    | ShowArrived
    | ChunkArrived
    | SliceArrived
    | CompareArrived
    | ProblemArrived
    | Fetch
    | Purged
)
