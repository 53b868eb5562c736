"""Goal: after an outage every office gets its turn, the hub has work as long as anybody waits, and no line is believed
to be faster than it is.

Method: the door alone, then the loop with devices around it; time turned by hand.
"""

from __future__ import annotations

import pytest

from hub import admission, sync_loop
from hub.admission import CALL_MAX, CALL_MS, INSIDE_OPS, SILENT_MS, URGENT_OPS, Door
from hub.refusals import Refusal
from protocol.events import WelcomeArrived
from protocol.link import HEARTBEAT_MS
from protocol.roster import Device
from tests.unit.hub.hub_support import FAR, NEIGHBOUR, VILLAGE
from tests.unit.hub.test_hub_loop import Stage
from tests.unit.hub.test_hub_loop import stage as stage  # the fixture

OFFICES = [bytes([number // 256, number % 256]) for number in range(500)]
EACH = 200
ROOM = INSIDE_OPS // EACH + 1


def crowd(door: Door, *, offices: list[bytes] = OFFICES, mono_ms: int = 0) -> list[int]:
    return [door.knock(one, EACH, urgent=False, fraction=0.5, mono_ms=mono_ms) for one in offices]


def test_door_lets_the_first_in_and_names_a_time_to_the_others() -> None:
    waits = crowd(Door())
    assert waits[:ROOM] == [0] * ROOM
    assert min(waits[ROOM:]) > HEARTBEAT_MS, "it asks again before it comes uncalled"


def test_urgent_cases_and_empty_hands_do_not_wait() -> None:
    door = Door()
    crowd(door)
    assert door.knock(b"urgent", 5, urgent=True, fraction=0.9, mono_ms=1) == 0
    assert door.knock(b"empty", 0, urgent=False, fraction=0.9, mono_ms=1) == 0
    assert door.knock(b"other", 5, urgent=False, fraction=0.9, mono_ms=1) > 0


def test_where_everybody_is_urgent_not_everybody_comes_at_once() -> None:
    door = Door()
    waits = [door.knock(one, EACH, urgent=True, fraction=0.5, mono_ms=0) for one in OFFICES]
    assert waits.count(0) == URGENT_OPS // EACH + 1


def test_a_device_that_greets_while_it_waits_keeps_its_place_and_is_counted_once() -> None:
    """The bench's finding: each heartbeat was counted as another backlog, and 320 of 500 offices waited for ever."""
    door = Door()
    crowd(door)
    for mono_ms in range(0, 450_000, HEARTBEAT_MS):
        crowd(door, offices=OFFICES[ROOM:], mono_ms=mono_ms)
        door.took(OFFICES[0], 1, mono_ms)
    called: list[bytes] = []
    for mono_ms in range(450_000, 900_000, 1_000):
        for one in door.call(OFFICES, idle=False, mono_ms=mono_ms):
            called.append(one)
            door.took(one, EACH, mono_ms)
    assert called == OFFICES[ROOM:] and not door.crowded


def test_those_who_wait_are_called_in_turn_when_work_was_done() -> None:
    door = Door()
    crowd(door)
    assert door.call(OFFICES, idle=False, mono_ms=100) == []
    door.took(OFFICES[0], EACH, 200)
    door.took(OFFICES[1], EACH, 200)
    assert door.call(OFFICES, idle=False, mono_ms=300) == OFFICES[ROOM : ROOM + 2]


def test_thin_lines_of_those_inside_do_not_idle_the_hub() -> None:
    door = Door()
    crowd(door)
    assert door.call(OFFICES, idle=True, mono_ms=CALL_MS - 1) == []
    assert len(door.call(OFFICES, idle=True, mono_ms=CALL_MS)) == CALL_MAX
    assert door.call(OFFICES, idle=True, mono_ms=CALL_MS + 1) == [], "they get the time to come"
    assert door.call(OFFICES, idle=False, mono_ms=3 * CALL_MS) == [], "the hub has work"


def test_who_brings_nothing_holds_no_place() -> None:
    door = Door()
    crowd(door)
    assert len(door.call(OFFICES, idle=False, mono_ms=SILENT_MS + 1)) == ROOM


def test_who_went_away_is_not_called_and_loses_its_place() -> None:
    door = Door()
    crowd(door)
    gone = OFFICES[ROOM]
    present = [one for one in OFFICES if one != gone]
    door.took(OFFICES[0], EACH, 1)
    door.took(OFFICES[1], EACH, 1)
    assert door.call(present, idle=False, mono_ms=2) == OFFICES[ROOM + 1 : ROOM + 3]


def test_a_device_that_comes_before_it_is_called_is_inside() -> None:
    door = Door()
    crowd(door)
    door.took(OFFICES[-1], 20, 10)
    assert door.knock(OFFICES[-1], EACH - 20, urgent=False, fraction=0.5, mono_ms=20) == 0


# --- with the loop ---------------------------------------------------------------------------------------------------


def test_offices_that_wait_are_called_by_a_second_welcome(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "INSIDE_OPS", 2)
    villages = [stage.device(office, seed, cases=3) for seed, office in enumerate((VILLAGE, FAR, NEIGHBOUR), start=1)]
    stage.run(2)
    waits = [[one.welcome.retry_ms for one in far.events if isinstance(one, WelcomeArrived)] for far in villages]
    assert waits[0] == [0] and all(told > HEARTBEAT_MS for one in waits[1:] for told in one)
    stage.run(12)
    assert [len(far.settled) for far in villages] == [3, 3, 3]


def test_duplicates_are_looked_for_when_no_backlog_comes_in(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bench's finding: half of the hub's time went into looking for duplicates while offices waited."""
    looked: list[int] = []

    def look(_county: object, *, now_ms: int) -> int:
        looked.append(now_ms)
        return 0

    monkeypatch.setattr(sync_loop, "look_for_duplicates", look)
    village = stage.device(VILLAGE, 1, cases=40)
    stage.loop.step()  # the first look
    looked.clear()
    for _ in range(40):
        stage.room.inbox.append((village.up, b"there is always something to read"))
        stage.run(1)
    assert len(looked) <= 40 * 200 // sync_loop.DUPLICATES_MS + 1
    stage.run(5)
    assert len(looked) > 1, "quiet rounds"


def test_after_a_long_round_less_is_taken_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bench's finding: rounds of ten seconds on a busy machine, and every office greeted anew in each."""
    village = stage.device(VILLAGE, 1)
    refuse = stage.intake.refuse

    def slowly(bad: list[Refusal]) -> None:
        stage.mono_ms += 5_000
        refuse(bad)

    monkeypatch.setattr(stage.intake, "refuse", slowly)
    taken = []
    for _ in range(8):
        stage.room.inbox.clear()
        stage.room.inbox.extend((village.up, bytes(8_192)) for _ in range(100))
        stage.loop.step()
        taken.append(100 - len(stage.room.inbox))
    assert taken[0] == sync_loop.ROUND_BYTES_MAX // 8_192 and taken[1] == taken[0] // 2
    assert taken[-1] == sync_loop.ROUND_BYTES_MIN // 8_192


def test_nobody_is_compared_while_offices_wait_or_with_a_backlog(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bench's finding: after an outage the daily comparison was due for every office, before they brought anything."""
    asked: list[set[bytes]] = []

    class Watching:
        def arrived(self, device: Device, session: bytes, body: bytes) -> list[bytes]:
            return []

        def begin(self, present: set[bytes]) -> list[tuple[bytes, bytes, bytes]]:
            asked.append(present)
            return []

    monkeypatch.setattr(admission, "INSIDE_OPS", 2)
    stage.loop._comparer = Watching()
    first, second = stage.device(VILLAGE, 1, cases=3), stage.device(FAR, 2, cases=3)
    first.outbox.clear()
    stage.run(1)
    stage.devices.remove(second)  # its line is thin
    stage.run(5)
    assert asked[-1] == {first.machine.keys.incarnation}, "the other has ops to bring"
    stage.devices.append(second)
    stage.run(12)
    assert asked[-1] == {one.machine.keys.incarnation for one in (first, second)}
    stage.loop._door.knock(b"a", 10, urgent=False, fraction=0.5, mono_ms=stage.mono_ms)
    stage.loop._door.knock(b"b", 10, urgent=False, fraction=0.5, mono_ms=stage.mono_ms)
    stage.run(3)
    assert asked[-1] == set()
