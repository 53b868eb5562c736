"""The county's time: the clock of the hub's machine, as far as it can be believed.

For: what the daemon signs with. A clock that leaps ahead while it runs, or stands far beyond the last signed time at a
start, is passed over: time goes on from where it was by the counter since boot. That signed time never goes back is
held where it is signed (hub/state.py, `signed_ms`).
May not: touch the store, but for the notice that its caller commits; set the machine's clock.
Manual: docs/operating/hub.md, "Clock".  Decision: docs/decisions/0143-the-hubs-clock.md.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sqlalchemy import Connection

from conflict.ledger.store import Store
from hub import notices, state

LEAP_MS_MAX = 86_400_000  # one day against the counter, while the daemon runs: nobody corrects a clock by more
OFF_MS_MAX = 400 * 86_400_000  # since the last signed time, at a start: no hub was off for longer

log = logging.getLogger("liandong.hub.clock")


def county_clock(store: Store, wall_ms: Callable[[], int], mono_ms: Callable[[], int]) -> Callable[[], int]:
    """The county's time for an act beside the daemon or before it serves: a clock as the daemon's, and never earlier than
    what was signed when this was called. Raises StoreError."""
    with store.read() as tx:
        signed_ms = state.signed_ms(tx)
    clock = CountyClock(wall_ms, mono_ms, signed_ms=signed_ms)
    return lambda: max(signed_ms, clock())


class CountyClock:
    """Used from several threads. Call it for the time, ms since 1970 UTC."""

    def __init__(self, wall_ms: Callable[[], int], mono_ms: Callable[[], int], *, signed_ms: int) -> None:
        """signed_ms: the latest time that this hub has signed, 0 before the first."""
        self._wall_ms, self._mono_ms = wall_ms, mono_ms
        self._lock = threading.Lock()
        self._known_ms, self._at_ms = signed_ms, mono_ms()
        self._room_ms = OFF_MS_MAX
        self.ahead = False

    def __call__(self) -> int:
        with self._lock:
            wall, mono = self._wall_ms(), self._mono_ms()
            reckoned = self._known_ms + max(0, mono - self._at_ms)
            ahead = self._known_ms > 0 and wall > reckoned + self._room_ms
            if ahead and not self.ahead:
                log.error("the machine's clock is %d days ahead; it is not followed", (wall - reckoned) // LEAP_MS_MAX)
            self.ahead = ahead
            if not ahead:
                self._room_ms = LEAP_MS_MAX if wall >= self._known_ms else OFF_MS_MAX
            self._known_ms, self._at_ms = reckoned if ahead else max(wall, self._known_ms), mono
            return self._known_ms if ahead else wall

    def tell(self, tx: Connection) -> None:
        """A notice while the machine's clock cannot be right: ahead, or before what was signed already."""
        now_ms = self()
        if self.ahead or now_ms < state.signed_ms(tx) - notices.CLOCK_MS_MAX:
            notices.tell_clock(tx, now_ms=now_ms)
