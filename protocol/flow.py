"""Flow: how many bytes may be on their way to a peer without its word, so that what comes last is never far behind.

For: a limit that grows while the line answers soon and shrinks when it answers late; one for each direction of a link.
May not: read a clock; know what the bytes are.
Spec: docs/protocol/link.md, "Flow".
"""

from __future__ import annotations

LIMIT_BYTES_FIRST = 16_000  # a thin line is tried with less
LIMIT_BYTES_MIN = 8_000
LIMIT_BYTES_MAX = 240_000
BATCH_BYTES_MIN = 4_000
SOON_MS = 4_000  # answered within this: more may be on its way
LATE_MS = 8_000  # answered after this: less; what is entered now waits no longer than about so long


class Flow:
    """Plain bytes on their way, bounded."""

    def __init__(self) -> None:
        self.limit = LIMIT_BYTES_FIRST
        self._changed_ms = 0

    def batch(self, most: int) -> int:
        """Bytes for one envelope: half of what may be on its way, so that the line never falls silent."""
        return min(most, max(BATCH_BYTES_MIN, self.limit // 2))

    def answered(self, sent_ms: int, mono_ms: int) -> None:
        """The peer's word about a batch of then came now. One round trip moves the limit once."""
        if sent_ms < self._changed_ms:
            return
        if mono_ms - sent_ms <= SOON_MS:
            self._set(min(LIMIT_BYTES_MAX, self.limit * 2), mono_ms)
        elif mono_ms - sent_ms > LATE_MS:
            self._set(max(LIMIT_BYTES_MIN, self.limit // 2), mono_ms)

    def unanswered(self, mono_ms: int) -> None:
        """A batch got no word at all."""
        self._set(max(LIMIT_BYTES_MIN, self.limit // 2), mono_ms)

    def _set(self, limit: int, mono_ms: int) -> None:
        self.limit, self._changed_ms = limit, mono_ms
