"""The world: one clock, one queue of what happens next, one source of chance, one trace.

For: everything in a run that has a time or is drawn; two runs of one seed pass through the same events.
May not: read a real clock or draw other randomness; know machines, lines or cases.
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable
from typing import Any

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000  # ms
START_MS = 1_767_571_200_000  # 2026-01-05 08:00 in the county, a Monday
ZONE_MS = 8 * HOUR  # the county's time is UTC+8 the whole year


class Event:
    """Something that will happen at `at_ms`. Set `gone` and it does not."""

    __slots__ = ("args", "at_ms", "call", "gone", "number")

    def __init__(self, at_ms: int, number: int, call: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.at_ms, self.number, self.call, self.args, self.gone = at_ms, number, call, args, False

    def __lt__(self, other: Event) -> bool:
        return (self.at_ms, self.number) < (other.at_ms, other.number)


class Trace:
    """A running hash over what happened: times, machines, op ids, digests. No ciphertext and no sizes: sealing draws
    randomness of its own."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.events = 0

    def note(self, at_ms: int, what: str, *facts: object) -> None:
        """Add one event. Facts are text, numbers, bytes, or lists of them."""
        words = [fact.hex() if isinstance(fact, bytes) else str(fact) for fact in facts]
        self._hash.update(f"{at_ms}|{what}|{'|'.join(words)}\n".encode())
        self.events += 1

    def digest(self) -> str:
        return self._hash.hexdigest()


class World:
    """Time and chance of one run."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now_ms = START_MS
        self.trace = Trace()
        self._queue: list[Event] = []
        self._numbers = 0

    def at(self, delay_ms: float, call: Callable[..., object], *args: Any) -> Event:
        """Have `call(*args)` happen after `delay_ms`, after everything that was set for the same moment before."""
        self._numbers += 1
        event = Event(self.now_ms + max(0, int(delay_ms)), self._numbers, call, args)
        heapq.heappush(self._queue, event)
        return event

    def run_until(self, end_ms: int, *, stop: Callable[[], bool] = lambda: False) -> bool:
        """Let everything happen up to `end_ms`, or until `stop` says so; True in that case."""
        while self._queue and self._queue[0].at_ms <= end_ms:
            event = heapq.heappop(self._queue)
            if event.gone:
                continue
            self.now_ms = event.at_ms
            event.call(*event.args)
            if stop():
                return True
        self.now_ms = max(self.now_ms, end_ms)
        return False

    def note(self, what: str, *facts: object) -> None:
        self.trace.note(self.now_ms, what, *facts)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def between(self, low_ms: float, high_ms: float) -> int:
        """A time span drawn evenly, ms."""
        return int(self.rng.uniform(low_ms, high_ms))

    def about(self, mean_ms: float) -> int:
        """A time span as between two rare events, at most ten times the mean, ms."""
        return int(min(self.rng.expovariate(1 / mean_ms), 10 * mean_ms))
