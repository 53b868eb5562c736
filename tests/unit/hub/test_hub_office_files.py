"""Goal: bytes that an earlier device of an office named are asked from its later ones. Found by the simulator: a copied
device went on under new keys with a half sent scan, and nobody was ever asked for the rest."""

from __future__ import annotations

import pytest

from conflict.ledger.meta import put_meta
from hub import contents
from hub.arrival import Arrival
from hub.init import County
from hub.source import Board, DeviceSource
from ops.reconcile.comparer import REQUEST, HubComparer
from protocol import canonical
from protocol.reconcile import Comparison, item_of
from tests.unit.hub.hub_support import NEIGHBOUR, TOWN, VILLAGE, Clock, Machine, enrol, hub_device, new_intake

BODY = {"material": "照片", "size": 9, "media": "image/png", "name": "a.png", "grade": "A"}
MISSING = [(b"s" * 32, [[0, 0]])]


def attach(county: County, machine: Machine, sha256: bytes) -> None:
    opened = machine.accept()
    ops = (opened, machine.op("attach", {**BODY, "sha256": sha256}, [opened]))
    new_intake(county).take_ops([Arrival(machine.keys.incarnation, tuple(op.blob for op in ops))])


def source_of(county: County, machine: Machine) -> DeviceSource:
    with county.store.read() as tx:
        county.shelf.refresh(tx)
        board = Board(b"epoch--1", b"", asked=contents.devices_with_wants(tx))
    device = county.shelf.roster.device(machine.keys.incarnation)
    assert device is not None
    return DeviceSource(county.store, county.shelf, board, device, Clock())


def test_a_later_device_of_the_office_is_asked(county: County) -> None:
    earlier = enrol(county, VILLAGE, seed=1)
    attach(county, earlier, b"s" * 32)
    later, other = enrol(county, VILLAGE, seed=2), enrol(county, NEIGHBOUR, seed=3)
    assert source_of(county, later).wants() == MISSING
    assert source_of(county, other).wants() == []
    assert hub_device(county).incarnation not in {earlier.keys.incarnation, later.keys.incarnation}


@pytest.mark.parametrize("turn", [0, 1])
def test_what_only_it_has_comes_first(county: County, turn: int) -> None:
    """The later device may lack the earlier one's bytes: they must not keep its own waiting."""
    earlier = enrol(county, VILLAGE, seed=1)
    attach(county, earlier, b"s" * 32)
    later = enrol(county, VILLAGE, seed=2)
    attach(county, later, b"t" * 32)
    office = {earlier.keys.incarnation, later.keys.incarnation}
    with county.store.read() as tx:
        wants = contents.wanted_from(tx, later.keys.incarnation, office=office, turn=turn)
    assert [sha256 for sha256, _missing in wants] == [b"t" * 32, b"s" * 32]


def test_what_its_author_has_lost_keeps_nothing_waiting(county: County) -> None:
    """Two files that this device alone named and cannot give, and two that a copy of the office's first device named."""
    earlier = enrol(county, VILLAGE, seed=1)
    for name in b"uv":
        attach(county, earlier, bytes([name]) * 32)
    later = enrol(county, VILLAGE, seed=2)
    for name in b"st":
        attach(county, later, bytes([name]) * 32)
    office = {earlier.keys.incarnation, later.keys.incarnation}
    with county.store.read() as tx:
        first = [
            contents.wanted_from(tx, later.keys.incarnation, office=office, turn=turn)[0][0][:1] for turn in range(16)
        ]
    assert set(first) == {b"s", b"t", b"u", b"v"}, "the link asks for the first one only"
    assert sum(one in (b"s", b"t") for one in first) == 12


def test_bytes_that_a_comparison_finds_at_another_office_are_asked_from_it(county: County) -> None:
    """The machine that attached the file burnt after the hub had handed it on, and the hub was put back from a backup:
    only the township had the bytes, and nobody asked it. Found by the simulator."""
    burnt, town, far = enrol(county, VILLAGE, seed=1), enrol(county, TOWN, seed=2), enrol(county, NEIGHBOUR, seed=3)
    attach(county, burnt, b"s" * 32)
    assert source_of(county, town).wants() == []
    for machine in (town, far):
        compare(county, machine, {item_of(b"file", b"s" * 32), item_of(b"file", b"o" * 32)})
    assert source_of(county, town).wants() == MISSING
    assert source_of(county, far).wants() == [], "the case is none of its own"


def compare(county: County, machine: Machine, theirs: set[bytes]) -> None:
    """A whole comparison of the hub with a device that holds these items."""
    clock = Clock()
    comparer = HubComparer(county, now_ms=clock, mono_ms=clock)
    name = machine.keys.incarnation
    with county.store.write() as tx:
        put_meta(tx, REQUEST, {"id": name, "office": ""})
    started: list[tuple[bytes, bytes, bytes]] = []
    while not started:
        started = comparer.begin({name})
    ((_device, session, body),) = started
    device = county.shelf.roster.device(name)
    assert device is not None
    side = Comparison(theirs, canonical.decode(body)[0])
    waiting = [body]
    while waiting:
        answer = side.receive(waiting.pop())
        if answer is not None:
            waiting += comparer.arrived(device, session, answer)
    assert side.done
