"""Pace: how many bytes of content may be asked for now, so that they never stand more than a second before an op.

For: measuring a line by the slices that come over it: what it carries, and what a round trip takes while nothing of ours
is on the way. One for each direction, kept by the side that asks.
May not: read a clock; know what is asked for.
Spec: docs/protocol/link.md, "Content".  Decision: docs/decisions/0155-slices.md.
Source: the window is that of FAST TCP (Wei, Jin, Low, Hegde 2006), the sample of an empty line that of BBR (Cardwell
et al. 2016).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from protocol.chunks import CHUNK_BYTES, GRAIN_BYTES

QUEUE_MS = 600  # so much of the line's time may stand in its queue
SLICE_MS = 800  # and so much a slice may take
ENVELOPE_BYTES = 200  # around a slice
PROBE_BYTES = 512  # of the slice that measures an empty line
SLICE_BYTES_MIN = 1_024  # of all others; smaller ones are mostly envelope
BASE_MS = 60_000  # so long an empty line's round trip is believed; then the line is let run empty once
IDLE_MS = 60_000  # unused for so long, a line may be another one
SOON_MS = 1_000  # what comes within this keeps nobody waiting for long, whatever an empty line would take
LEAD = 1.1  # what the line has carried is asked for a little faster, or nobody would learn that it carries more
JITTER_MS = 100  # of a round trip; two that differ by less say nothing
SHOWN = 2  # so many slices must agree on what the line carries
LIFT = 2  # what comes soon may become so much more
GROWTH = 4  # at most, in one round trip


@dataclass(frozen=True, slots=True)
class Asked:
    """A slice on its way. came, others: bytes of slices and of all else that had come before it was asked for, the last
    of them at `since_ms`. probe: nothing of ours was before it, and it is the smallest."""

    size: int
    asked_ms: int
    since_ms: int
    came: int
    others: int
    probe: bool


class Pace:
    """Bytes here count slices with their envelopes, rates are bytes per ms."""

    def __init__(self) -> None:
        self._came = self._others = 0
        self.forget()

    def forget(self) -> None:
        """Another line, perhaps: begin with the smallest slice."""
        self.flying = 0
        self._rate = self._share = 0.0  # what the line has carried, and how much of it was ours
        self._base_ms = self._probed_ms = 0  # round trip of an empty line; the one before, of which the smaller counts
        self._sampled_ms = self._heard_ms = self._changed_ms = 0
        self._filled_ms = 0  # what was asked for before went over a line that was filling again, and says little
        self._probe = True  # the line is let run empty, then one smallest slice measures its round trip
        self._full = False  # the slice that came last had stood behind others
        self._shown: deque[float] = deque(maxlen=SHOWN)  # what a larger slice took longer than the smallest, as a rate
        self._level, self._level_ms = 0.0, 0  # bytes that may be asked for in one go

    def slice_bytes(self, mono_ms: int) -> int:
        """Bytes of the slice that may be asked for now, without its envelope; 0 for none yet."""
        if self._heard_ms and not self.flying and mono_ms - self._heard_ms > IDLE_MS:
            self.forget()
        self._probe = self._probe or mono_ms - self._sampled_ms > BASE_MS
        if self._probe:
            return 0 if self.flying else PROBE_BYTES
        window = self._rate * QUEUE_MS + (self._share if self._full else self._rate) * self._base_ms
        size = int(min(self._rate * SLICE_MS, window / 2)) - ENVELOPE_BYTES
        size = min(CHUNK_BYTES, max(SLICE_BYTES_MIN, size // GRAIN_BYTES * GRAIN_BYTES))
        half = (size + ENVELOPE_BYTES) // 2  # windows are rounded to slices
        waits = self.flying and (self.flying + half > window or self._tokens(mono_ms) <= 0)
        return 0 if waits else size

    def asked(self, size: int, mono_ms: int) -> Asked:
        """A slice of so many bytes is asked for."""
        since_ms = self._heard_ms if self.flying else mono_ms
        self._level = self._tokens(mono_ms) - size - ENVELOPE_BYTES
        self.flying += size + ENVELOPE_BYTES
        return Asked(size, mono_ms, since_ms, self._came, self._others, self._probe)

    def others(self, size: int) -> None:
        """So many bytes came that are no slice."""
        self._others += size

    def gone(self, one: Asked) -> None:
        """That slice is on its way no more: it came, or it will not come."""
        self.flying -= one.size + ENVELOPE_BYTES

    def stalled(self) -> None:
        """Nothing came for long. All on its way is forgotten; one smallest slice tries again."""
        self.flying, self._probe, self._rate = 0, True, self._rate / 2

    def arrived(self, one: Asked, size: int, mono_ms: int) -> None:
        """That slice came, or so many bytes of it."""
        self.gone(one)
        self._heard_ms = mono_ms
        self._came += size + ENVELOPE_BYTES
        took_ms, passed_ms = max(1, mono_ms - one.asked_ms), max(1, mono_ms - one.since_ms)
        came = self._came - one.came  # all of ours that was on its way with it, and itself
        carried = (came + self._others - one.others) / passed_ms
        if one.probe:
            self._emptied(took_ms, carried, mono_ms)
            return
        self._full = took_ms > max(self._base_ms + QUEUE_MS // 2, SOON_MS)
        if took_ms <= SOON_MS:
            self._sampled_ms = mono_ms
        if took_ms < self._base_ms:
            self._probe = self._probe or took_ms < self._base_ms - QUEUE_MS // 4 > SOON_MS  # others were on it then
            self._base_ms = self._probed_ms = took_ms
        shown = (size - PROBE_BYTES) / (took_ms - self._base_ms + JITTER_MS)
        self._shown.append(shown)
        carried = max(carried, min(self._shown)) if len(self._shown) == SHOWN else carried
        if took_ms <= SOON_MS:
            carried = max(carried, came / took_ms * min(LIFT, SOON_MS / took_ms))
        if one.asked_ms >= self._filled_ms:
            self._share = came / took_ms
        if one.asked_ms < max(self._changed_ms, self._filled_ms):
            return  # one round trip moves it once
        if carried > self._rate:
            self._rate, self._changed_ms = min(carried, self._rate * GROWTH), mono_ms
        elif took_ms > max(self._base_ms + QUEUE_MS, SOON_MS + QUEUE_MS // 2):  # it was full: that is what it carries
            self._rate, self._changed_ms = max(carried, shown, self._rate / 2), mono_ms

    def _emptied(self, took_ms: int, carried: float, mono_ms: int) -> None:
        """The smallest slice came over a line that carried nothing else of ours."""
        self._base_ms = min(took_ms, self._probed_ms or took_ms)
        self._probed_ms, self._sampled_ms, self._probe, self._full = took_ms, mono_ms, False, False
        self._filled_ms = mono_ms + took_ms if self._rate > carried else 0
        self._rate = self._share = max(self._rate, carried)
        self._level, self._level_ms = 0.0, mono_ms

    def _tokens(self, mono_ms: int) -> float:
        passed_ms = mono_ms - self._level_ms
        self._level = min(self._rate * QUEUE_MS, self._level + LEAD * self._rate * passed_ms)
        self._level_ms = mono_ms
        return self._level
