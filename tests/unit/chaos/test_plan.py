"""The plan: drawn from the seed alone, everything early, nothing beyond the time."""

from __future__ import annotations

from ops.chaos.plan import KILL, LINE_FAULTS, make_plan

PROCESSES, LINES = ("broker", "hub", "a", "b"), ("a", "b")


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    assert make_plan(7, 60, PROCESSES, LINES) == make_plan(7, 60, PROCESSES, LINES)
    assert make_plan(7, 60, PROCESSES, LINES) != make_plan(8, 60, PROCESSES, LINES)


def test_every_process_dies_and_every_fault_comes_before_anything_comes_twice() -> None:
    for seed in range(50):
        first = make_plan(seed, 60, PROCESSES, LINES)[: len(PROCESSES) + len(LINE_FAULTS)]
        assert {event.target for event in first if event.what == KILL} == set(PROCESSES)
        assert {event.what for event in first if event.what != KILL} == set(LINE_FAULTS)


def test_events_come_in_order_within_the_time_and_only_to_what_was_named() -> None:
    for seed in range(50):
        plan = make_plan(seed, 20, PROCESSES, LINES)
        assert [event.at_s for event in plan] == sorted(event.at_s for event in plan)
        assert plan[-1].at_s <= 20
        assert all(event.target in (PROCESSES if event.what == KILL else LINES) for event in plan)
        assert all(event.again_s is None for event in plan if event.what != KILL)
    assert any(event.again_s for event in make_plan(1, 200, PROCESSES, LINES))
