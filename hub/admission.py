"""Admission: after a county-wide outage hundreds of devices come back at once; who may offer now, who a little later.

For: the wait that a welcome names, so that urgent cases go first and each office knows when to come back.
May not: turn anybody away (a device that offers in spite of it is served); read a clock or draw randomness.
Manual: docs/operating/hub.md, "After an outage".
"""

from __future__ import annotations

RATE_OPS_S = 1_000  # what a hub on one core surely takes in a second
AHEAD_S_MAX = 3.0  # work that may be waiting before others are asked to come later
RETRY_MS_MAX = 120_000


class Door:
    """How much work the devices that were let in still have, as they said themselves."""

    def __init__(self) -> None:
        self._ahead_ops = 0.0
        self._seen_ms = 0

    def retry_ms(self, pending: int, *, urgent: bool, fraction: float, mono_ms: int) -> int:
        """0 if a device with this backlog may offer now, else after how many ms.

        Args:    pending: ops it says it has. urgent: it holds urgent or near-due ones. fraction: uniform in [0, 1).
        """
        passed_s = max(0, mono_ms - self._seen_ms) / 1000
        self._seen_ms = mono_ms
        self._ahead_ops = max(0.0, self._ahead_ops - passed_s * RATE_OPS_S)
        ahead_s = self._ahead_ops / RATE_OPS_S
        if pending <= 0:
            return 0
        self._ahead_ops += pending
        if urgent or ahead_s <= AHEAD_S_MAX:
            return 0
        return min(RETRY_MS_MAX, int(1000 * ahead_s * (0.75 + 0.5 * fraction)))
