"""Admission: after a county-wide outage hundreds of devices come back at once; who may offer now, who a little later.

For: the wait that a welcome names, so that urgent cases go first and each office knows when to come back; and who is
called when there is room, so that the hub never idles while offices wait.
May not: turn anybody away (a device that offers in spite of it is served); read a clock or draw randomness.
Manual: docs/operating/hub.md, "After an outage".  Decision: docs/decisions/0145-called-in-turn.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

INSIDE_OPS = 3_000  # offered by those inside and not brought yet, before others are asked to come later: some seconds
URGENT_OPS = 15_000  # the same for those with urgent cases
SILENT_MS = 60_000  # a device inside that brings nothing for so long holds no place
CALL_MS = 500  # the hub had nothing to do for so long although those inside have work: their lines are thin
CALL_MAX = 4  # so many more are called then
RETRY_MS = 120_000  # who waits is called; longer than a heartbeat, so that it asks again before it comes uncalled


@dataclass(slots=True)
class _Guest:
    """A device inside. left: ops that it said it has and has not brought. seen_ms: when it last brought some."""

    left: int
    seen_ms: int


class Door:
    """Who is inside, who waits, in the order in which they first knocked. Bounded by the number of devices."""

    def __init__(self) -> None:
        self._inside: dict[bytes, _Guest] = {}
        self._waiting: dict[bytes, int] = {}  # device -> ops that it has
        self._busy_ms = 0

    @property
    def crowded(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def is_inside(self, device: bytes) -> bool:
        """Whether it still has ops to bring."""
        return device in self._inside

    def knock(self, device: bytes, pending: int, *, urgent: bool, fraction: float, mono_ms: int) -> int:
        """0 if a device with this backlog may offer now, else after how many ms. Knocking again keeps its place.

        Args:    pending: ops it says it has. urgent: it holds urgent or near-due ones. fraction: uniform in [0, 1).
        """
        if pending <= 0:
            self._inside.pop(device, None)
            self._waiting.pop(device, None)
            return 0
        self._forget_silent(mono_ms)
        room = self._ahead() <= (URGENT_OPS if urgent else INSIDE_OPS)
        if device in self._inside or (room and (urgent or not self._waiting)):
            self._let_in(device, pending, mono_ms)
            return 0
        if not self._waiting:
            self._busy_ms = mono_ms
        self._waiting[device] = pending
        return int(RETRY_MS * (0.75 + 0.5 * fraction))

    def took(self, device: bytes, ops: int, mono_ms: int) -> None:
        """A device brought so many ops."""
        pending = self._waiting.pop(device, None)
        if pending is not None:
            self._let_in(device, pending, mono_ms)  # its time came, or it does not know of doors
        guest = self._inside.get(device)
        if guest is not None:
            guest.left, guest.seen_ms = guest.left - ops, mono_ms
            if guest.left <= 0:
                del self._inside[device]

    def call(self, present: Collection[bytes], *, idle: bool, mono_ms: int) -> list[bytes]:
        """The devices that may offer from now on, in their turn. Tell them.

        Args:    present: devices that can be told. idle: nothing arrived in this round.
        """
        self._forget_silent(mono_ms)
        if not idle:
            self._busy_ms = mono_ms
        extra = CALL_MAX if mono_ms - self._busy_ms >= CALL_MS else 0
        called: list[bytes] = []
        ahead = self._ahead()
        for device, pending in list(self._waiting.items()):
            if ahead > INSIDE_OPS and len(called) >= extra:
                break
            del self._waiting[device]
            if device in present:
                self._let_in(device, pending, mono_ms)
                called.append(device)
                ahead += pending
        if called:
            self._busy_ms = mono_ms
        return called

    def _let_in(self, device: bytes, pending: int, mono_ms: int) -> None:
        self._waiting.pop(device, None)
        self._inside[device] = _Guest(pending, mono_ms)

    def _ahead(self) -> int:
        return sum(guest.left for guest in self._inside.values())

    def _forget_silent(self, mono_ms: int) -> None:
        silent = [one for one, guest in self._inside.items() if mono_ms - guest.seen_ms > SILENT_MS]
        for one in silent:
            del self._inside[one]
