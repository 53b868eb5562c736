"""Back-off as plain arithmetic: how long to wait before the next try.

For: delays that double to a cap, with full jitter, so that 500 offices do not come back in step.
May not: sleep, read a clock, draw randomness (callers pass a fraction).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

FIRST_MS = 1_000
CAP_MS = 300_000


def backoff_ms(attempt: int, fraction: float, *, first_ms: int = FIRST_MS, cap_ms: int = CAP_MS) -> int:
    """Milliseconds before try number `attempt` (0 is the first repeat).

    Args:    fraction: uniform in [0, 1); the delay lies between half and the whole of the doubled step
             ("equal jitter": never zero, never in step).
    """
    step = min(cap_ms, first_ms * 2 ** min(attempt, 30))
    return int(step / 2 + step / 2 * fraction)


def delays_s(fraction: Callable[[], float], *, first_ms: int = FIRST_MS, cap_ms: int = CAP_MS) -> Iterator[float]:
    """Endless delays in seconds for reconnecting."""
    attempt = 0
    while True:
        yield backoff_ms(attempt, fraction(), first_ms=first_ms, cap_ms=cap_ms) / 1000
        attempt += 1
