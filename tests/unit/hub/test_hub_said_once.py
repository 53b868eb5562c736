"""Goal: one transaction says one thing about an op. Found by the simulator, `--faults all`, seed 3: a township handed in a
parent together with the child that had waited for it, and the hub wrote the child down as accepted and as waiting."""

from __future__ import annotations

from conflict.ledger.receipts import outcomes_of
from hub.arrival import Arrival
from hub.init import County
from tests.unit.hub.hub_support import TOWN, VILLAGE, accepted, enrol, new_intake, waiting


def test_a_repeat_that_is_woken_is_not_said_to_wait(either: County) -> None:
    village, town, intake = enrol(either, VILLAGE, seed=1), enrol(either, TOWN, seed=2), new_intake(either)
    opened = village.accept()
    child = village.amend(opened, 备注="后来")
    taken = intake.take_ops([Arrival(town.keys.incarnation, (child.blob,), answer_repeats=True)])
    assert waiting(either, taken.receipts) == {child.id: "missing_parent"}
    both = (opened.blob, child.blob)
    taken = intake.take_ops([Arrival(town.keys.incarnation, both, answer_repeats=True)])
    assert waiting(either, taken.receipts) == {} and accepted(either, taken.receipts) == [(1, 2)]
    with either.store.read() as tx:
        assert {one.outcome for one in outcomes_of(tx, [opened.id, child.id]).values()} <= {"accepted"}


def test_who_offers_a_waiting_op_again_is_told_again(either: County) -> None:
    """Found by the simulator, 75 kinds, seed 3: a hub had been put back, its author offered an op that waits for one that
    is lost for good, and was never answered."""
    village, intake = enrol(either, VILLAGE, seed=1), new_intake(either)
    child = village.amend(village.accept(), 备注="后来")
    for _ in range(2):
        taken = intake.take_ops([Arrival(village.keys.incarnation, (child.blob,), answer_repeats=True)])
        assert waiting(either, taken.receipts) == {child.id: "missing_parent"}
