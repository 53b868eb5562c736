"""Which of two copies of a hub is the older, and that nobody else can say so."""

from __future__ import annotations

import os

import pytest

from hub import lineage, state
from hub.errors import AnotherHub
from hub.init import County
from hub.takeover import take_over
from tests.unit.hub.hub_support import NOW

YEAR_MS = 31_536_000_000


def test_a_later_epoch_is_known_and_an_invented_one_is_not(county: County) -> None:
    with county.store.write() as tx:
        old = state.epoch_of(tx)
        state.new_epoch(tx, os.urandom(8), now_ms=NOW + 5_000)
        newer = state.epoch_of(tx)
        assert lineage.is_later(tx, newer, old)
        assert not lineage.is_later(tx, old, newer)
        assert not lineage.is_later(tx, newer, newer)
        for lie in (b"", b"\xff" * 8, b"\xff" * 4 + newer[4:], newer + b"x"):
            assert not lineage.is_later(tx, lie, old)


def test_a_clock_that_went_back_makes_no_older_epoch(county: County) -> None:
    with county.store.write() as tx:
        old = state.epoch_of(tx)
        state.new_epoch(tx, os.urandom(8), now_ms=0)
        assert lineage.is_later(tx, state.epoch_of(tx), old)


def test_an_old_copy_does_not_start_again_until_a_person_says_so(county: County) -> None:
    with county.store.write() as tx:
        held = tx.exec_driver_sql("SELECT value FROM meta WHERE key = 'hub.epoch'").scalar_one()
        state.new_epoch(tx, os.urandom(8), now_ms=NOW + YEAR_MS)
        elsewhere = state.epoch_of(tx)
        tx.exec_driver_sql("UPDATE meta SET value = ? WHERE key = 'hub.epoch'", (held,))
        lineage.need_newest(tx)
        lineage.note_later(tx, elsewhere)
    with county.store.read() as tx, pytest.raises(AnotherHub) as caught:
        lineage.need_newest(tx)
    assert "2027-01-01" in caught.value.text and "takeover" in caught.value.text_zh
    take_over(county.directory, clock_of=lambda _store: lambda: NOW)
    with county.store.read() as tx:
        lineage.need_newest(tx)
        assert lineage.is_later(tx, state.epoch_of(tx), elsewhere)
