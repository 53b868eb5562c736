"""How long to wait before the next try: exponential, with full jitter, capped.

For: turning a count of failures into milliseconds; the queue keeps the result, so a restart forgets nothing.
May not: sleep or read a clock.
Manual: docs/operating/upward.md, "When the city does not answer".
"""

from __future__ import annotations

FIRST_S = 1.0  # the first wait is 1 to 2 seconds
ROW_S_MAX = 900.0  # one bundle: at least every quarter of an hour
CITY_S_MAX = 120.0  # the city as a whole: one cheap call every two minutes at least
RETRY_AFTER_MS_MAX = 6 * 3_600_000  # a city that says "come back next week" is asked again after six hours
WAIT_MS_MAX = 24 * 3_600_000  # we never wait so long; a time further ahead was written under a wrong clock


def row_wait_ms(failures: int) -> int:
    """Milliseconds to wait with one bundle after its `failures`-th failure in a row (from 1)."""
    return _wait_ms(ROW_S_MAX, failures)


def city_wait_ms(failures: int) -> int:
    """Milliseconds to leave the city alone after `failures` calls in a row that found nobody (from 1)."""
    return _wait_ms(CITY_S_MAX, failures)


def _wait_ms(longest_s: float, failures: int) -> int:
    from tenacity import RetryCallState, Retrying
    from tenacity.wait import wait_random_exponential

    wait = wait_random_exponential(multiplier=FIRST_S, max=longest_s, min=FIRST_S)
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = failures + 1  # tenacity doubles from its second attempt on
    return int(wait(state) * 1000)
