"""Carrying a plan out: each event at its time, faults ended at theirs, kills beside each other.

For: turning plan.Event into calls of the stage and its lines; counting what really happened.
May not: draw chance (plan.py did); judge.
Manual: docs/operating/chaos.md.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from ops.chaos.plan import KILL, SEVER, Event
from ops.chaos.stage import Stage
from ops.demo.processes import DemoFailed

JOIN_SECONDS_MAX = 240.0
SEVER_SECONDS_MAX = 5.0


class Weather:
    """The bad weather of one run. `kills` by process and `faults` by kind are what was done, not what was planned."""

    def __init__(self, stage: Stage, say: Callable[[str], None]) -> None:
        self.stage, self.say = stage, say
        self.kills: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.failed: list[str] = []
        self._threads: list[threading.Thread] = []
        self._until: dict[str, float] = {}  # line -> when its fault ends

    def play(self, plan: Sequence[Event]) -> None:
        """Until the last event has begun and every killed process was started again."""
        begin = time.monotonic()
        for event in plan:
            while (left := begin + event.at_s - time.monotonic()) > 0:
                self._end_faults()
                time.sleep(min(left, 0.1))
            self._begin(event)
        for thread in self._threads:
            thread.join(JOIN_SECONDS_MAX)
        self._until.clear()

    def _begin(self, event: Event) -> None:
        if event.what == KILL:
            self.say(f"SIGKILL {event.target}" + (", and again while it starts" if event.again_s else ""))
            self._beside(self._kill, event)
            return
        if event.what == SEVER:
            self.say(f"one session of {event.target} is ended")
            self._beside(self._sever, event)
            return
        self.say(f"line of {event.target}: {event.what} for {event.lasts_s:.1f} s")
        self.faults[event.what] += 1
        self.stage.lines[event.target].bad(event.what)
        self._until[event.target] = time.monotonic() + event.lasts_s

    def _beside(self, act: Callable[[Event], None], event: Event) -> None:
        thread = threading.Thread(target=act, args=(event,), name=f"{event.what}-{event.target}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _sever(self, event: Event) -> None:
        """As soon as somebody has a session; nobody has one while server or hub are down."""
        until = time.monotonic() + SEVER_SECONDS_MAX
        while not (ended := self.stage.sever()) and time.monotonic() < until:
            time.sleep(0.1)
        self.faults[SEVER] += ended

    def _kill(self, event: Event) -> None:
        try:
            kills = self.stage.strike_down(event.target, down_s=event.lasts_s, again_s=event.again_s)
        except DemoFailed as error:
            self.failed.append(f"{event.target} did not come back: {error}")
            return
        self.kills[event.target] += kills

    def _end_faults(self) -> None:
        for office, ends in list(self._until.items()):
            if time.monotonic() > ends:
                self.stage.lines[office].good()
                del self._until[office]
