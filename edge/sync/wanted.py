"""What this device lacks and may get from the hub: newer documents first, then bytes of attachments.

For: choosing what to ask for next; putting documents together from chunks; not insisting on what the hub lacks too.
May not: write the store (edge/sync/intake.py does); believe anything (documents are verified when taken in).
Spec: docs/protocol/chunks.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from protocol import chunks
from protocol.documents import DOCUMENT_BYTES_MAX
from protocol.lanes import Lane, lane_of_document
from protocol.messages import Chunk

PATIENCE_MS = 45_000  # content asked for so long without a new piece makes room for the next one
REST_MS_MAX = 600_000  # what the hub does not give is tried again after a rest that doubles up to this
REST_MS_FIRST = 30_000

EVERY_LANE = tuple(Lane)

MissingChunks = Callable[[bytes, int], list[list[int]]]  # (hash, size) -> inclusive ranges of chunk numbers


@dataclass(slots=True)
class _Quest:
    """One content that is lacked. progress_ms: when a piece came last; rest_until_ms: not asked for before; vain: turns
    without any piece since the last one, also on earlier lines."""

    size: int
    progress_ms: int = 0
    rest_until_ms: int = 0
    rests: int = 0
    vain: int = 0
    pieces: dict[int, bytes] = field(default_factory=dict)


class Wanted:
    """Lives as long as the loop; after a restart everything is asked for again, attachments only for missing pieces."""

    def __init__(self) -> None:
        self._documents: dict[bytes, _Quest] = {}
        self._kinds: dict[str, tuple[int, bytes]] = {}  # newest offered version and hash by kind
        self._files: dict[bytes, _Quest] = {}
        self._turn = b""  # the attachment that is asked for

    def offer_documents(self, offered: Iterable[tuple[str, int, int, bytes, int]], held: dict[str, int]) -> None:
        """Note what the hub offers: [kind, version, base, sha256, size]; only what is newer than held is wanted."""
        for kind, version, base, sha256, size in offered:
            newest = self._kinds.get(kind, (0, b""))
            usable = version > held.get(kind, 0) and base <= held.get(kind, 0) and 0 < size <= DOCUMENT_BYTES_MAX
            if not usable or version < newest[0] or sha256 in self._documents:
                continue
            self._documents.pop(newest[1], None)
            self._kinds[kind] = (version, sha256)
            self._documents[sha256] = _Quest(size)

    def take_piece(self, chunk: Chunk, mono_ms: int) -> bytes | None:
        """Take a chunk of a document; returns the whole when its hash is right. None if there is more to come, or if
        the chunk is of no document that we want (then it is an attachment's)."""
        quest = self._documents.get(chunk.sha256)
        if quest is None or not chunks.fits(quest.size, chunk.index, chunk.data):
            return None
        quest.pieces[chunk.index] = chunk.data
        quest.progress_ms = mono_ms
        if len(quest.pieces) < chunks.count_of(quest.size):
            return None
        whole = b"".join(quest.pieces[index] for index in range(len(quest.pieces)))
        if hashlib.sha256(whole).digest() != chunk.sha256:
            quest.pieces.clear()
            return None
        del self._documents[chunk.sha256]
        return whole

    def is_document(self, sha256: bytes) -> bool:
        """Whether a chunk of this content belongs to a document that is wanted."""
        return sha256 in self._documents

    def slice_came(self, sha256: bytes, mono_ms: int) -> None:
        """A part of a piece is here: on a very thin line a piece takes longer than our patience."""
        quest = self._documents.get(sha256) or self._files.get(sha256)
        if quest is not None:
            quest.progress_ms = mono_ms

    def file_progress(self, sha256: bytes, mono_ms: int, *, whole: bool) -> None:
        """A piece of an attachment was stored."""
        if whole:
            self._files.pop(sha256, None)
        elif sha256 in self._files:
            self._files[sha256].progress_ms = mono_ms
            self._files[sha256].rests = self._files[sha256].vain = 0

    def restart(self) -> None:
        """The line was down: nothing is to blame for silence, every content has its turn again."""
        for quest in (*self._documents.values(), *self._files.values()):
            quest.progress_ms = quest.rest_until_ms = quest.rests = 0

    def excuse(self, lane: Lane, ms: int) -> None:
        """The lane was shut for so long: that its contents made no progress meanwhile says nothing about the hub."""
        documents = [quest for sha256, quest in self._documents.items() if self.lane_of(sha256) == lane]
        for quest in self._files.values() if lane == Lane.ATTACHMENTS else documents:
            if quest.progress_ms and quest.rest_until_ms <= quest.progress_ms:
                quest.progress_ms += ms

    def lane_of(self, sha256: bytes) -> Lane:
        """The lane in which this content travels."""
        kind = next((kind for kind, (_version, digest) in self._kinds.items() if digest == sha256), None)
        return Lane.ATTACHMENTS if kind is None or sha256 not in self._documents else lane_of_document(kind)

    def open_documents(self, lanes: Collection[Lane] = EVERY_LANE) -> int:
        """How many documents of these lanes are still to come."""
        return sum(self.lane_of(sha256) in lanes for sha256 in self._documents)

    def next_wants(
        self,
        files: Iterable[tuple[bytes, int]],
        missing: MissingChunks,
        mono_ms: int,
        lanes: Collection[Lane] = EVERY_LANE,
    ) -> list[tuple[bytes, list[list[int]]]]:
        """The one content to ask for now with its missing ranges, or nothing.

        Of attachments the one that is under way goes on; then come those asked for least often in vain, the newest of
        them first: somebody works on that case, and what nobody has any more holds nobody up.

        Args:    files: (hash, size) of incomplete attachments, newest first. missing: their missing ranges.
                 lanes: those that may travel now.
        """
        documents = {sha256: self.lane_of(sha256) for sha256 in self._documents}
        due = [sha256 for sha256, lane in documents.items() if lane in lanes]
        for sha256 in sorted(due, key=lambda one: documents[one] != Lane.URGENT):
            quest = self._documents[sha256]
            absent = [index for index in range(chunks.count_of(quest.size)) if index not in quest.pieces]
            if self._awake(quest, mono_ms):
                return [(sha256, chunks.ranges(absent))]
        if Lane.ATTACHMENTS not in lanes:
            return []
        for sha256, size in sorted(files, key=self._rank):
            quest = self._files.setdefault(sha256, _Quest(size))
            if self._awake(quest, mono_ms):
                self._turn = sha256
                return [(sha256, missing(sha256, size))]
        return []

    def _rank(self, file: tuple[bytes, int]) -> int:
        """Which of two attachments is asked for first: the lower one."""
        quest = self._files.get(file[0])
        if quest is None:
            return 0
        return -1 if file[0] == self._turn and quest.rest_until_ms <= quest.progress_ms else quest.vain

    def _awake(self, quest: _Quest, mono_ms: int) -> bool:
        """Whether to ask (on) for this now; content without progress is sent to rest so that others have their turn."""
        if mono_ms < quest.rest_until_ms:
            return False
        if quest.progress_ms == 0 or quest.rest_until_ms > quest.progress_ms:
            quest.progress_ms = mono_ms  # the turn begins
            quest.rest_until_ms = 0
        if mono_ms - quest.progress_ms <= PATIENCE_MS:
            return True
        quest.rest_until_ms = mono_ms + min(REST_MS_MAX, REST_MS_FIRST << min(quest.rests, 10))
        quest.rests += 1
        quest.vain += 1
        return False
