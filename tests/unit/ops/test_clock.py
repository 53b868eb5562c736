"""ops/clock.py: the test clock starts where it is told, runs on, and refuses what is no time."""

from __future__ import annotations

import pytest

from ops.clock import BadClock, chosen_now_ms, local_text, machine_ms, parse_ms, wall_clock


def test_offset_is_honoured_and_none_means_the_county() -> None:
    assert parse_ms("2026-03-02T09:00:00+08:00") == parse_ms("2026-03-02T01:00:00+00:00") == 1_772_413_200_000
    assert parse_ms("2026-03-02T09:00:00") == parse_ms("2026-03-02T01:00:00Z")


def test_the_test_clock_starts_there_and_runs_on() -> None:
    clock = wall_clock({"LIANDONG_NOW": "1970-01-01T08:00:00"})
    first = clock()
    assert 0 <= first < 60_000
    assert clock() >= first


def test_without_the_variable_it_is_the_machine() -> None:
    assert chosen_now_ms({}) is None
    assert wall_clock({}) is machine_ms


@pytest.mark.parametrize("text", ["tomorrow", "2026-02-30T00:00:00", "1772413200", "2026"])
def test_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadClock) as caught:
        wall_clock({"LIANDONG_NOW": text})
    assert caught.value.code == "bad_clock"


def test_local_text_never_raises() -> None:
    assert local_text(1_772_413_200_000) == "2026-03-02 09:00:00"
    assert local_text(None) == "-"
    assert local_text(2**53) == f"{2**53} ms"
