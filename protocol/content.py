"""Large content on a link: one content asked for at a time, no more of it at once than the line carries soon.

For: which chunks to ask for now, which of those asked for to hand out; the same in both directions.
May not: hold content; seal; know whether it is a document or an attachment (the store's port does).
Spec: docs/protocol/link.md, "Content".  Decision: docs/decisions/0152-one-chunk-on-a-thin-line.md.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from protocol import chunks
from protocol.lanes import Gates, Lane
from protocol.messages import Chunk, Want

WANT_MS = 15_000  # without a chunk for so long, ask again
WANT_MS_MAX = 120_000  # and ever later up to this, where nothing comes at all: the peer may keep to a time window
WANTS_EAGER = 3  # so often before it gets later
SOON_MS = 1_500  # a line that brings a chunk within this is asked for more at once
SERVE_MAX = 64  # chunks that a peer may have asked for at once; more are asked for again
CHUNKS_OUT = 2  # handed out in one turn


class Contents(Protocol):
    """Large content in a store."""

    def wants(self) -> list[tuple[bytes, list[list[int]]]]:
        """Hash and missing ranges of what this side lacks and the peer may have, most needed first."""

    def chunk(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        """(size of the whole, bytes of this piece), or None if not held."""

    def lane_of(self, sha256: bytes) -> Lane:
        """The lane in which this content travels."""


class ContentFlow:
    """One side's asking and serving. It forgets everything with the session: what is missing is asked for again."""

    def __init__(self) -> None:
        self._window = 1  # chunks asked for at once
        self._took_ms = 0  # what the last one took to come
        self.forget()

    def forget(self) -> None:
        """A new session."""
        self._serve: deque[tuple[bytes, int]] = deque()
        self._asked = b""
        self._asked_ms = self._left = self._vain = 0

    def asked_for(self, want: Want) -> None:
        """The peer lacks these."""
        for index in chunks.first_of(want.ranges, chunks.WINDOW):
            if len(self._serve) < SERVE_MAX and (want.sha256, index) not in self._serve:
                self._serve.append((want.sha256, index))

    def arrived(self, chunk: Chunk, mono_ms: int) -> None:
        """A chunk came: the rest is on its way, and the line has shown what it carries."""
        if chunk.sha256 != self._asked or self._left <= 0:
            return
        self._took_ms = mono_ms - self._asked_ms
        self._window = min(chunks.WINDOW, self._window * 2) if self._took_ms <= SOON_MS else 1
        self._asked_ms, self._left, self._vain = mono_ms, self._left - 1, 0

    def settled(self, sha256: bytes) -> None:
        """Content is whole, or was given up: ask for the next."""
        if sha256 == self._asked:
            self._left = self._vain = 0

    def ask(self, mono_ms: int, source: Contents, *, crowded: bool) -> list[Want]:
        """What to ask for now: of one content at a time, most needed first, so that it is whole sooner.

        Args:    crowded: ops wait for room, and their receipts shall not come behind an attachment.
        """
        for sha256, missing in source.wants()[:1]:
            if crowded and source.lane_of(sha256) == Lane.ATTACHMENTS:
                return []
            if sha256 != self._asked:
                self._asked, self._left, self._vain = sha256, 0, 0
            if self._left > 0:
                patience = max(WANT_MS << max(0, self._vain - WANTS_EAGER), 3 * self._took_ms)
                if mono_ms - self._asked_ms < min(patience, WANT_MS_MAX):
                    return []
            self._vain = min(self._vain + 1, 10) if self._left > 0 else 0
            indexes = chunks.first_of(missing, self._window)
            self._asked_ms, self._left = mono_ms, len(indexes)
            return [Want(sha256, chunks.ranges(indexes))]
        return []

    def serve(self, mono_ms: int, source: Contents, gates: Gates, *, crowded: bool) -> list[Chunk]:
        """Chunks that the peer asked for, if their lanes let them leave.

        Args:    crowded: ops or stream items wait for room; attachments let them go first.
        """
        out: list[Chunk] = []
        later: list[tuple[bytes, int]] = []
        while self._serve and len(out) < CHUNKS_OUT:
            sha256, index = self._serve.popleft()
            lane = source.lane_of(sha256)
            if not gates.is_open(lane, mono_ms):
                continue  # by the time it opens the peer may have it from elsewhere; it asks again
            if (crowded and lane == Lane.ATTACHMENTS) or not gates.ready(lane, mono_ms):
                later.append((sha256, index))
                continue
            piece = source.chunk(sha256, index)
            if piece is not None:
                gates.spend(lane, len(piece[1]), mono_ms)
                out.append(Chunk(sha256, piece[0], index, piece[1]))
        self._serve.extendleft(reversed(later))
        return out
