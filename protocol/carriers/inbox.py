"""What a carrier took in and nobody has fetched yet: a bounded queue, and one bell for everything that changes.

For: handing payloads from a carrier's thread to the thread that works on them.
May not: block the thread that puts; grow beyond its limit: what does not fit is dropped, counted, and offered again
by its sender.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass

from protocol.carriers import PAYLOAD_BYTES_MAX


@dataclass(slots=True)
class Counters:
    """What happened since the start.

    dropped: taken in but not kept, because the inbox was full or the size wrong. refused: not taken from us to be
    published. faults: exceptions in a callback or in the carrier's thread, each with its trace in the log.
    """

    connects: int = 0
    losses: int = 0
    received: int = 0
    dropped: int = 0
    published: int = 0
    acknowledged: int = 0
    refused: int = 0
    faults: int = 0


class Inbox:
    """A bounded queue of (topic, payload) with a bell."""

    def __init__(self, limit: int, counters: Counters) -> None:
        self._queue: queue.Queue[tuple[str, bytes]] = queue.Queue(limit)
        self._bell = threading.Event()
        self._counters = counters

    def put(self, topic: str, payload: bytes) -> None:
        """Keep it if its size is right and there is room. Never waits."""
        if 0 < len(payload) <= PAYLOAD_BYTES_MAX:
            try:
                self._queue.put_nowait((topic, payload))
                self._counters.received += 1
            except queue.Full:
                self._counters.dropped += 1
        else:
            self._counters.dropped += 1
        self._bell.set()

    def get(self, timeout: float) -> tuple[str, bytes] | None:
        """The oldest, or None after `timeout` seconds."""
        try:
            return self._queue.get(timeout > 0, timeout or None)
        except queue.Empty:
            return None

    def ring(self) -> None:
        """Wake whoever waits, without a payload."""
        self._bell.set()

    def wait(self, timeout: float) -> bool:
        """True when a payload is there or the bell rang since the last call; False after `timeout` seconds."""
        woken = not self._queue.empty() or self._bell.wait(timeout)
        self._bell.clear()
        return woken
