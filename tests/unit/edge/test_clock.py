"""What an op may claim about the time, and when the banner shows."""

from __future__ import annotations

import pytest

from edge.clock import (
    AHEAD_MS_MAX,
    BEHIND_MS_MAX,
    UNSEEN_MS_MAX,
    Clock,
    HubTime,
    elapsed_ms,
    evidence,
    implausible,
    machine_clock,
)

HUB = 1_767_225_600_000


def clock(now: int = HUB, mono: int = 5_000, boot: str = "boot-a") -> Clock:
    return Clock(lambda: now, lambda: mono, boot)


def test_no_evidence_before_the_hub_was_heard() -> None:
    assert evidence(clock(), HubTime()) is None


def test_elapsed_is_counted_within_one_boot() -> None:
    assert evidence(clock(mono=9_000), HubTime(HUB, 5_000, "boot-a")) == (HUB, 4_000)


@pytest.mark.parametrize(
    "known",
    [HubTime(HUB, 5_000, "boot-b"), HubTime(HUB, 5_000, ""), HubTime(HUB, 99_000, "boot-a")],
    ids=["another boot", "learned from a stick", "counter went back"],
)
def test_elapsed_is_unknown_otherwise(known: HubTime) -> None:
    assert elapsed_ms(clock(mono=9_000), known) == -1
    assert evidence(clock(mono=9_000), known) == (HUB, -1)


def test_a_test_clock_never_claims_elapsed_time() -> None:
    made = machine_clock(lambda: HUB)
    assert made.boot_id == "" and made.now_ms() == HUB
    assert elapsed_ms(made, HubTime(HUB, 0, "")) == -1


@pytest.mark.parametrize(
    ("now", "known", "expected"),
    [
        (HUB, HubTime(), ""),
        (0, HubTime(HUB, 5_000, "boot-a"), "behind"),
        (HUB - BEHIND_MS_MAX, HubTime(HUB, 5_000, "boot-a"), ""),
        (HUB - BEHIND_MS_MAX - 1, HubTime(HUB, 5_000, "boot-a"), "behind"),
        (HUB + AHEAD_MS_MAX, HubTime(HUB, 5_000, "boot-a"), ""),
        (HUB + AHEAD_MS_MAX + 1, HubTime(HUB, 5_000, "boot-a"), "ahead"),
        (HUB + UNSEEN_MS_MAX, HubTime(HUB, 5_000, "boot-b"), ""),
        (HUB + UNSEEN_MS_MAX + 1, HubTime(HUB, 5_000, "boot-b"), "ahead"),
        (1, HubTime(HUB, 5_000, "boot-b"), "behind"),
    ],
)
def test_banner(now: int, known: HubTime, expected: str) -> None:
    assert implausible(clock(now=now), known) == expected
