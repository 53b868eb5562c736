"""Goal: a hub whose machine has a dead battery, a wrong year or a jumping clock signs no absurd time and no earlier one."""

from __future__ import annotations

from typing import Any

from hub import notices, state
from hub.arrival import Arrival
from hub.clock import LEAP_MS_MAX, OFF_MS_MAX, CountyClock
from hub.init import County
from hub.intake import Intake
from ops.cli.county import revoke
from protocol.receipt import Receipt, open_receipt
from protocol.trust import Trust
from tests.unit.hub.hub_support import NOW, VILLAGE, enrol

HOUR, DAY = 3_600_000, 86_400_000


class Machine:
    """A wall clock that anybody may set and a counter that nobody can."""

    def __init__(self, wall: int) -> None:
        self.wall, self.mono = wall, 5_000

    def passes(self, span_ms: int) -> None:
        self.wall += span_ms
        self.mono += span_ms

    def clock(self, signed_ms: int) -> CountyClock:
        return CountyClock(lambda: self.wall, lambda: self.mono, signed_ms=signed_ms)


def test_a_leap_ahead_while_it_runs_is_not_followed() -> None:
    machine = Machine(NOW)
    clock = machine.clock(NOW - DAY)
    assert clock() == NOW
    machine.passes(HOUR)
    machine.wall += 5 * 365 * DAY
    assert clock() == NOW + HOUR and clock.ahead
    machine.passes(HOUR)
    machine.wall -= 5 * 365 * DAY
    assert clock() == NOW + 2 * HOUR and not clock.ahead


def test_years_ahead_at_a_start_are_not_believed_and_a_year_off_is() -> None:
    machine = Machine(NOW + 3 * 365 * DAY)
    clock = machine.clock(NOW)
    assert clock() == NOW
    machine.passes(HOUR)
    assert clock() == NOW + HOUR
    assert Machine(NOW + OFF_MS_MAX).clock(NOW)() == NOW + OFF_MS_MAX
    assert Machine(NOW).clock(0)() == NOW, "the first start of all"


def test_a_clock_that_was_behind_may_be_set_right_at_once() -> None:
    machine = Machine(1_000)
    clock = machine.clock(NOW)
    assert clock() == 1_000, "what is signed has a floor of its own"
    machine.wall = NOW + 20 * DAY
    assert clock() == NOW + 20 * DAY and LEAP_MS_MAX < 20 * DAY


def test_time_that_is_signed_never_goes_back_and_a_person_is_told(county: County) -> None:
    """Found by the simulator: a hub in 1970 bounded the times of all cases that it touched to 1970, for good, and its
    later words lost against earlier ones."""
    village = enrol(county, VILLAGE, seed=1)

    def take(op: object, now_ms: int) -> Receipt:
        intake = Intake(county.store, county.keys, county.shelf, now_ms=lambda: now_ms)
        taken = intake.take_ops([Arrival(village.keys.incarnation, (op.blob,))])  # type: ignore[attr-defined]
        intake.close()
        return open_receipt(taken.receipts[0], Trust.of(county.card))

    first = village.accept()
    assert take(first, NOW + HOUR).hub_ms == NOW + HOUR
    later = take(village.amend(first, 备注="补充"), 1_000)
    assert later.hub_ms == NOW + HOUR
    with county.store.read() as tx:
        assert state.signed_ms(tx) == NOW + HOUR
        assert [one.code for one in notices.open_notices(tx)] == ["clock_wrong"]


def test_a_hub_that_has_signed_nothing_yet_knows_when_its_county_was_made(county: County) -> None:
    """Found by the simulator (hubs, seed 2): the first op of all came to a hub in 1970, and its case was bound there."""
    village = enrol(county, VILLAGE, seed=1)
    with county.store.read() as tx:
        assert state.signed_ms(tx) == NOW
    intake = Intake(county.store, county.keys, county.shelf, now_ms=lambda: 1_000)
    taken = intake.take_ops([Arrival(village.keys.incarnation, (village.accept().blob,))])
    intake.close()
    assert {open_receipt(blob, Trust.of(county.card)).hub_ms for blob in taken.receipts} == {NOW}


def test_a_command_of_the_administrator_does_not_go_by_a_dead_clock_either(county: County, monkeypatch: Any) -> None:
    """Method: the command itself, in a machine that believes in 1970, beside a hub that has signed; then in 2099."""
    name = enrol(county, VILLAGE, seed=9).keys.incarnation
    with county.store.write() as tx:
        state.note_signed(tx, NOW + DAY)
    for said in ("1970-01-01T09:00:00+08:00", "2099-01-01T09:00:00+08:00"):
        monkeypatch.setenv("LIANDONG_NOW", said)
        revoke(county.directory, name.hex(), freeze=said.startswith("1970"), lift=False, staff=None, as_json=True)
        with county.store.read() as tx:
            county.shelf.refresh(tx)
        changed = county.shelf.roster.device(name)
        assert changed is not None and NOW + DAY <= changed.state_ms < NOW + DAY + HOUR
