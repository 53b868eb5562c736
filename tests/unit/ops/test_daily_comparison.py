"""Goal: every device is compared once a day when it is here, and after the hub began a new epoch, without being asked for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from conflict.ledger.meta import put_meta
from hub import devices, state, streams
from hub.devices import Contact
from hub.init import County, open_county
from hub.streams import Item
from ops.reconcile.comparer import RESULT
from ops.reconcile.daily import DAY_MS, LOOK_MS, Daily
from protocol.messages import STREAM_OP
from protocol.roster import Device
from tests.unit.hub.hub_support import NOW, VILLAGE, Clock, enrol, new_county


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("daily") / "hub"
    new_county(directory).store.close()
    return directory


@pytest.fixture
def county(template: Path, tmp_path: Path) -> Iterator[County]:
    shutil.copytree(template, tmp_path / "hub")
    made = open_county(tmp_path / "hub")
    yield made
    made.store.close()


class Desk:
    """A Daily with its clocks, and the hub's word about how far one device is."""

    def __init__(self, county: County) -> None:
        self.county, self.now, self.mono = county, Clock(), Clock(10_000_000)
        machine = enrol(county, VILLAGE, seed=1)
        device = county.shelf.roster.device(machine.keys.incarnation)
        assert device is not None
        self.device: Device = device
        self.daily = Daily(RESULT, now_ms=self.now, mono_ms=self.mono)

    def heard_at(self, pos: int) -> None:
        with self.county.store.write() as tx:
            name = self.device.incarnation
            devices.save(tx, {name: Contact(name, VILLAGE, state.epoch_of(tx), pos, NOW)})

    def due(self) -> bool:
        self.mono.ms += LOOK_MS
        with self.county.store.read() as tx:
            return self.daily.due(tx, self.device)

    def done(self) -> None:
        with self.county.store.read() as tx:
            self.daily.done(self.device, state.epoch_of(tx))


def test_once_a_day(county: County) -> None:
    desk = Desk(county)
    desk.heard_at(0)
    assert desk.due()
    desk.done()
    assert not desk.due()
    desk.now.ms += DAY_MS - 1
    assert not desk.due()
    desk.now.ms += 1
    assert desk.due()


def test_not_before_the_device_has_its_whole_stream(county: County) -> None:
    desk = Desk(county)
    with county.store.write() as tx:
        streams.extend(tx, {VILLAGE: [Item(STREAM_OP, b"", b"x" * 32)]})
    assert not desk.due(), "never heard"
    desk.heard_at(0)
    assert not desk.due()
    desk.heard_at(1)
    assert desk.due()


def test_again_in_a_new_epoch(county: County) -> None:
    """A hub put back from a backup has lost what only its holders can bring."""
    desk = Desk(county)
    desk.heard_at(0)
    desk.done()
    with county.store.write() as tx:
        state.new_epoch(tx, b"12345678", now_ms=NOW + 1_000_000)
    assert not desk.due(), "it has not loaded the new epoch's stream yet"
    desk.heard_at(0)
    assert desk.due()


def test_a_restart_of_the_hub_compares_nobody_twice(county: County) -> None:
    desk = Desk(county)
    desk.heard_at(0)
    with county.store.write() as tx:
        put_meta(tx, RESULT + desk.device.incarnation.hex(), {"at_ms": NOW, "epoch": state.epoch_of(tx)})
    assert not desk.due()
