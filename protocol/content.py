"""Large content on a link: one content asked for at a time, no more of it at once than the line carries soon.

For: which slices of which chunks to ask for now, putting them together, which of those asked for to hand out; the same
in both directions.
May not: hold more than a few chunks; seal; know whether it is a document or an attachment (the store's port does).
Spec: docs/protocol/link.md, "Content".  Decision: docs/decisions/0155-slices.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from protocol import chunks
from protocol.chunks import CHUNK_BYTES, GRAIN_BYTES
from protocol.envelope import Opened
from protocol.lanes import Gates, Lane
from protocol.messages import Chunk, Want
from protocol.pace import Asked, Pace

WANT_MS = 15_000  # without a slice for so long, ask again
WANT_MS_MAX = 120_000  # and ever later up to this, where nothing comes at all: the peer may keep to a time window
WANTS_EAGER = 3  # so often before it gets later
SERVE_MAX = 64  # slices that a peer may have asked for at once; more are asked for again
BYTES_OUT = 2 * CHUNK_BYTES  # handed out in one turn
PASSED_MAX = 3  # a slice that so many later ones have passed will not come
UNFINISHED_MAX = 2 * chunks.WINDOW  # chunks of which only a part is here


class Contents(Protocol):
    """Large content in a store."""

    def wants(self) -> list[tuple[bytes, list[list[int]]]]:
        """Hash and missing ranges of what this side lacks and the peer may have, most needed first."""

    def chunk(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        """(size of the whole, bytes of this piece), or None if not held."""

    def lane_of(self, sha256: bytes) -> Lane:
        """The lane in which this content travels."""


@dataclass(slots=True)
class _Slice:
    """Asked for. at: where it begins within the chunk. passed: slices asked for after it that came before it."""

    sha256: bytes
    index: int
    at: int
    asked: Asked
    passed: int = 0


class Asking:
    """What one side asks for. It forgets what is on its way with the session, and keeps parts of a few chunks."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._unfinished: dict[tuple[bytes, int], dict[int, bytes]] = {}  # (hash, chunk) -> grain -> its bytes
        self._took_ms = 0  # what the last slice took to come
        self.forget()

    def forget(self) -> None:
        """A new session."""
        self._pace.forget()
        self._flying: list[_Slice] = []  # in the order in which they were asked for
        self._sha256, self._size = b"", 0  # asked for; its size is known when the first slice is here
        self._moved_ms = self._vain = 0

    def heard(self, opened: Opened) -> None:
        """An envelope came; what carries no slice tells what else the line carries."""
        if not any(isinstance(message, Chunk) for message in opened.messages):
            self._pace.others(opened.size)

    def arrived(self, chunk: Chunk, mono_ms: int) -> Chunk | None:
        """A slice came; the chunk, if it is whole now. What is out of shape is handed on for the store to judge."""
        self._landed(chunk, mono_ms)
        if chunk.sha256 == self._sha256:
            self._size = chunk.size
        length, key = chunks.length_of(chunk.size, chunk.index), (chunk.sha256, chunk.index)
        if chunk.at == 0 and (len(chunk.data) == length or not _fits(chunk, length)):
            self._unfinished.pop(key, None)
            return chunk
        if not _fits(chunk, length) or (chunk.sha256 != self._sha256 and key not in self._unfinished):
            return None
        part = self._unfinished.pop(key, {})
        for at in range(0, len(chunk.data), GRAIN_BYTES):
            part[(chunk.at + at) // GRAIN_BYTES] = chunk.data[at : at + GRAIN_BYTES]
        if len(part) * GRAIN_BYTES >= length:
            return Chunk(chunk.sha256, chunk.size, chunk.index, b"".join(part[grain] for grain in sorted(part)))
        self._unfinished[key] = part  # the one that grew last stands last
        if len(self._unfinished) > UNFINISHED_MAX:
            del self._unfinished[next(iter(self._unfinished))]
        return None

    def _landed(self, chunk: Chunk, mono_ms: int) -> None:
        """See what it was asked as. A line keeps the order, more or less: what many have passed was lost."""
        place = (chunk.sha256, chunk.index, chunk.at)
        found = next((one for one in self._flying if (one.sha256, one.index, one.at) == place), None)
        if found is None:
            if chunk.sha256 == self._sha256:  # later than we waited for it
                self._moved_ms, self._vain = mono_ms, 0
            return
        for one in self._flying[: self._flying.index(found)]:
            one.passed += 1
            if one.passed == PASSED_MAX:
                self._pace.gone(one.asked)
        self._flying = [one for one in self._flying if one is not found and one.passed < PASSED_MAX]
        self._pace.arrived(found.asked, len(chunk.data), mono_ms)
        self._took_ms, self._moved_ms, self._vain = mono_ms - found.asked.asked_ms, mono_ms, 0

    def settled(self, sha256: bytes) -> None:
        """Content is whole, or was given up: ask for the next."""
        for one in [one for one in self._flying if one.sha256 == sha256]:
            self._pace.gone(one.asked)
            self._flying.remove(one)
        self._unfinished = {key: part for key, part in self._unfinished.items() if key[0] != sha256}

    def next(self, mono_ms: int, source: Contents, *, crowded: bool) -> list[Want]:
        """What to ask for now: of one content at a time, most needed first, so that it is whole sooner.

        Args:    crowded: ops wait for room, and their receipts shall not come behind an attachment.
        """
        found = source.wants()[:1]
        if not found or (crowded and source.lane_of(found[0][0]) == Lane.ATTACHMENTS):
            return []
        sha256, missing = found[0]
        if sha256 != self._sha256:
            self._sha256, self._size, self._vain = sha256, 0, 0
        if self._flying:
            patience = max(WANT_MS << max(0, self._vain - WANTS_EAGER), 3 * self._took_ms)
            if mono_ms - self._moved_ms >= min(patience, WANT_MS_MAX):
                self._flying.clear()
                self._pace.stalled()
                self._vain = min(self._vain + 1, 10)
        wants: list[Want] = []
        for index in chunks.first_of(missing, chunks.WINDOW):
            while slice_ := self._slice(mono_ms, index, last=index == missing[-1][1]):
                at, size = slice_
                if not self._flying:
                    self._moved_ms = mono_ms
                self._flying.append(_Slice(sha256, index, at, self._pace.asked(size, mono_ms)))
                wants.append(Want(sha256, [[index, index]], *(() if size == CHUNK_BYTES else (at, size))))
        return wants

    def _slice(self, mono_ms: int, index: int, *, last: bool) -> tuple[int, int] | None:
        """(at, bytes) of the next slice of this chunk that is neither here nor on its way, if the line has room now.

        Args:    last: it is the last that is missing, and shorter than the others, perhaps.
        """
        most = self._pace.slice_bytes(mono_ms) // GRAIN_BYTES
        if not most:
            return None
        here = self._unfinished.get((self._sha256, index), {})
        flying = [one for one in self._flying if (one.sha256, one.index) == (self._sha256, index)]
        if last and not self._size and flying:
            return None  # its length comes with the first slice
        length = chunks.length_of(self._size, index) if self._size else CHUNK_BYTES
        taken = set(here)
        for one in flying:
            taken.update(range(one.at // GRAIN_BYTES, (one.at + one.asked.size) // GRAIN_BYTES))
        count = -(-length // GRAIN_BYTES)
        first = next((grain for grain in range(count) if grain not in taken), None)
        if first is None:
            return None
        end = next((grain for grain in range(first, count) if grain in taken), count)
        even = -(-(end - first) // -(-(end - first) // most))  # slices of one length, none of them a rest
        return first * GRAIN_BYTES, even * GRAIN_BYTES


class Serving:
    """What one side hands out of what its peer asked for. It forgets everything with the session."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A new session."""
        self._due: dict[tuple[bytes, int, int], int] = {}  # hash, chunk, at -> bytes at most, in the order of asking
        self._held: tuple[bytes, int, int, bytes] | None = None  # the chunk that was handed out last: hash, index, …

    def asked_for(self, want: Want) -> None:
        """The peer lacks these."""
        most, at = (want.most, want.at) if want.most else (CHUNK_BYTES, 0)
        for index in chunks.first_of(want.ranges, 1 if want.most else chunks.WINDOW):
            place = (want.sha256, index, at)
            if len(self._due) < SERVE_MAX or place in self._due:
                self._due[place] = most

    def next(self, source: Contents) -> Chunk | None:
        """The first slice that is due and held, whatever its lane."""
        while self._due:
            place = next(iter(self._due))
            piece = self._cut(source, place, self._due.pop(place))
            if piece is not None:
                return piece
        return None

    def hand_out(self, mono_ms: int, source: Contents, gates: Gates, *, crowded: bool) -> list[Chunk]:
        """Slices that the peer asked for, if their lanes let them leave.

        Args:    crowded: ops or stream items wait for room; attachments let them go first.
        """
        out: list[Chunk] = []
        for place in list(self._due):
            lane = source.lane_of(place[0])
            if not gates.is_open(lane, mono_ms):
                del self._due[place]  # by the time it opens the peer may have it from elsewhere; it asks again
            elif gates.ready(lane, mono_ms) and not (crowded and lane == Lane.ATTACHMENTS):
                most, rate = self._due.pop(place), gates.rate(lane)
                if rate:  # no more than a second's worth at once; the peer asks for the rest
                    most = min(most, max(GRAIN_BYTES, rate // GRAIN_BYTES * GRAIN_BYTES))
                piece = self._cut(source, place, most)
                if piece is not None:
                    gates.spend(lane, len(piece.data), mono_ms)
                    out.append(piece)
            if sum(len(one.data) for one in out) >= BYTES_OUT:
                break
        return out

    def _cut(self, source: Contents, place: tuple[bytes, int, int], most: int) -> Chunk | None:
        sha256, index, at = place
        if self._held is None or self._held[:2] != (sha256, index):
            piece = source.chunk(sha256, index)
            self._held = None if piece is None else (sha256, index, *piece)
        if self._held is None or at >= max(1, len(self._held[3])):
            return None
        return Chunk(sha256, self._held[2], index, self._held[3][at : at + most], at)


def _fits(chunk: Chunk, length: int) -> bool:
    """Whether it is a slice of a chunk of this length: whole grains, but for the chunk's last."""
    end = chunk.at + len(chunk.data)
    whole = end == length or len(chunk.data) % GRAIN_BYTES == 0
    return bool(chunk.data) and end <= length and chunk.at % GRAIN_BYTES == 0 and whole
