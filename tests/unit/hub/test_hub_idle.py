"""Quiet rounds: views that intake kept in brief become whole; a fault there costs nothing but the wait."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from conflict.fold import fold
from conflict.ledger.errors import FoldFailed
from conflict.ledger.schema import views
from conflict.ledger.views import brief_views, digests, ops_of
from hub import idle
from hub.init import County
from tests.unit.hub.hub_support import VILLAGE, enrol, new_intake


def test_brief_views_are_completed_in_quiet_rounds(either: County) -> None:
    machine = enrol(either, VILLAGE, seed=1)
    ops = [machine.accept() for _ in range(3)]
    new_intake(either).take([machine.envelope(*ops)])
    with either.store.read() as tx:
        assert sorted(brief_views(tx, limit=10)) == sorted(op.case for op in ops)
        asked = digests(tx)  # before they were completed: reckoned for whoever asks
    quiet = idle.Idle(either.store)
    assert quiet.turn() is False
    with either.store.read() as tx:
        assert brief_views(tx, limit=10) == []
        assert digests(tx) == asked == {op.case: fold(ops_of(tx, op.case)).digest() for op in ops}
        assert all(tx.execute(select(views.c.record)).scalars())


def test_a_fold_that_fails_stops_no_daemon(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = enrol(county, VILLAGE, seed=2)
    new_intake(county).take([machine.envelope(machine.accept())])

    def fail(*_: object) -> None:
        raise FoldFailed("the fold raised")

    quiet = idle.Idle(county.store)
    monkeypatch.setattr(idle, "complete_views", fail)
    assert quiet.turn() is False
    monkeypatch.undo()
    quiet.wake()
    quiet.turn()
    with county.store.read() as tx:
        assert brief_views(tx, limit=10) == []
