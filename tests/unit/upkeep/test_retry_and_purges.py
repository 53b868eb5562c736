"""At the hub: a fold that stumbles poisons nothing and is tried again; what devices purge and want back."""

from __future__ import annotations

from typing import Any

import pytest

from conflict.ledger import views
from hub import held, purges, streams
from hub.init import County
from hub.intake import Intake
from hub.retry import retry
from protocol.messages import STREAM_OP
from protocol.op import Op
from tests.unit.hub.hub_support import FAR, NOW, TOWN, VILLAGE, enrol
from tests.unit.hub.test_hub_intake import new_intake, offer


def test_a_fold_that_raises_holds_one_op_and_retry_takes_it(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = enrol(county, VILLAGE, seed=1)
    ops = [machine.accept() for _ in range(5)]
    real = views.fold

    def stumbling(history: list[Op], **more: Any) -> Any:
        if any(op.id == ops[2].id for op in history):
            raise ZeroDivisionError("a fault of the program")
        return real(history, **more)

    intake: Intake = new_intake(county)
    with monkeypatch.context() as patched:
        patched.setattr(views, "fold", stumbling)
        taken = offer(intake, machine, *ops)
        assert (taken.stored, taken.held) == (4, 1)
        assert retry(county, staff="周强", now_ms=NOW) == {"tried": 1, "handled": 0, "left": 1}
        with county.store.read() as tx:
            (one,) = held.listed(tx)
            assert "ZeroDivisionError" in one.detail and one.blob == ops[2].blob
    assert retry(county, staff="周强", now_ms=NOW) == {"tried": 1, "handled": 1, "left": 0}
    with county.store.read() as tx:
        assert {row.case for row in views.list_views(tx)} == {op.case for op in ops}
        assert held.listed(tx) == []
    intake.close()


def test_purged_cases_are_the_devices_own_word_within_its_scope(county: County) -> None:
    machine, far = enrol(county, VILLAGE, seed=1), enrol(county, FAR, seed=2)
    town = enrol(county, TOWN, seed=3)
    ops = [machine.accept(), machine.accept()]
    intake = new_intake(county)
    offer(intake, machine, *ops)
    intake.close()
    roster = county.shelf.roster
    village_device, far_device, town_device = (roster.devices[one.keys.incarnation] for one in (machine, far, town))
    with county.store.write() as tx:
        for device in (village_device, far_device):
            purges.note(tx, device, [ops[0].case, b"n" * 32], now_ms=NOW)
        assert purges.cases_of(tx, village_device.incarnation) == {ops[0].case}
        assert purges.cases_of(tx, far_device.incarnation) == set()
        assert purges.cases_of(tx, town_device.incarnation) == set()
        end = streams.length(tx, VILLAGE)
        assert purges.bring_back(tx, far_device, [ops[0].case]) == 0
        assert purges.bring_back(tx, village_device, [ops[0].case]) >= 1
        assert purges.cases_of(tx, village_device.incarnation) == set()
        sent = streams.read(
            tx, VILLAGE, epoch=b"e" * 8, after=end, bytes_max=60_000, count_max=100, without=machine.keys.incarnation
        )
    assert sent is not None and [STREAM_OP, ops[0].blob] in sent.items  # its own op, which it no longer has


def test_a_repeated_old_word_of_a_purge_is_forgotten_when_the_device_hands_the_case_in(county: County) -> None:
    """A broker may repeat the envelope in which a device said that it had purged a case which it has fetched since. The
    comparison left the case out on one side only and could not become equal, until the case was fetched once more."""
    machine = enrol(county, VILLAGE, seed=1)
    opened, other = machine.accept(), machine.accept()
    intake = new_intake(county)
    offer(intake, machine, opened, other)
    device = county.shelf.roster.devices[machine.keys.incarnation]
    with county.store.write() as tx:
        purges.note(tx, device, [opened.case, other.case], now_ms=NOW)
    offer(intake, machine, opened)
    intake.close()
    with county.store.read() as tx:
        assert purges.cases_of(tx, device.incarnation) == {other.case}
