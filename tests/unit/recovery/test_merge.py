"""What a restored hub takes over from lost rosters: the later entry, a revocation always, whatever the order.

Method: tables of cases over the pure merge; every case in every order of arrival, with repeats.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from hub.merge import gains
from protocol.documents import Document
from protocol.errors import MalformedBytes
from protocol.roster import ACTIVE, FROZEN, REVOKED, Device, Office, Roster
from tests.unit.edge.county import COUNTY, TOWN, VILLAGE

OTHER_TOWN = "420222103"
BACKUP, FLOOR = 7, 1_000  # the backup's version; the first of the era after it


def device(number: int, state: str = ACTIVE, *, changed: int = 1) -> Device:
    key = bytes([number]) * 32
    return Device(bytes([number]) * 8, VILLAGE, "edge", key, key, 1, 1, state, 0, "", changed)


def office(parent: str = TOWN, *, changed: int = 1) -> Office:
    return Office(VILLAGE, "白沙村", "village", parent, False, changed)


def roster(*entries: Device | Office, version: int = BACKUP) -> Roster:
    made = Roster(COUNTY)
    made.offices = {one.code: one for one in entries if isinstance(one, Office)}
    made.devices = {one.incarnation: one for one in entries if isinstance(one, Device)}
    made.version = version
    return made


def lost(version: int, *entries: Device | Office, base: int = 0) -> Document:
    """A document of the lost line."""
    document = roster(*entries, version=version).changes_since(base)
    return replace(document, base_version=base)


def is_lost(version: int) -> bool:
    return BACKUP < version < FLOOR


def recovered(own: Roster, *batches: tuple[Document, ...]) -> Roster:
    """Ours after these batches, each merged and published as the hub does it."""
    stamps: dict[str, tuple[int, int]] = {}
    own.go_on_from(FLOOR)
    for batch in batches:
        found = gains(own, batch, stamps, is_lost=is_lost)
        stamps |= found.same
        if found:
            for one in found.offices:
                own.put_office(one)
            for each in found.devices:
                own.put_device(each)
            own.publish(0)
            stamps |= {key: (version, own.version) for key, version in found.stamps.items()}
    return own


def states(made: Roster) -> dict[int, str]:
    return {name[0]: one.state for name, one in made.devices.items()}


CASES = {
    "enrolled after the backup": ([], [lost(8, device(1, changed=8), base=7)], {1: ACTIVE}),
    "enrolled and revoked after it": (
        [],
        [lost(8, device(1, changed=8), base=7), lost(9, device(1, REVOKED, changed=9), base=8)],
        {1: REVOKED},
    ),
    "revoked after it": ([device(1)], [lost(8, device(1, REVOKED, changed=8), base=7)], {1: REVOKED}),
    "frozen, then active again": (
        [device(1)],
        [lost(8, device(1, FROZEN, changed=8), base=7), lost(9, device(1, changed=9), base=8)],
        {1: ACTIVE},
    ),
    "frozen in the backup, active after it": (
        [device(1, FROZEN)],
        [lost(9, device(1, changed=9), base=7)],
        {1: ACTIVE},
    ),
    "an old whole takes nothing back": ([device(1, REVOKED, changed=5)], [lost(9, device(1, changed=2))], {1: REVOKED}),
    "revoked since, active in what was lost": (
        [device(1, REVOKED, changed=FLOOR)],
        [lost(9, device(1, changed=9))],
        {1: REVOKED},
    ),
    "active since, revoked in what was lost": (
        [device(1, changed=FLOOR)],
        [lost(9, device(1, REVOKED, changed=9))],
        {1: REVOKED},
    ),
    "one number, two contents: the stricter": (
        [device(1, changed=8)],
        [lost(8, device(1, FROZEN, changed=8))],
        {1: FROZEN},
    ),
    "whole and changes of several devices": (
        [device(1)],
        [
            lost(9, device(1, changed=1), device(2, changed=8), device(3, REVOKED, changed=9)),
            lost(8, device(2, changed=8), base=7),
            lost(10, device(2, REVOKED, changed=10), base=9),
        ],
        {1: ACTIVE, 2: REVOKED, 3: REVOKED},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_order_in_which_documents_arrive_does_not_matter(name: str) -> None:
    own, documents, expected = CASES[name]
    for order in itertools.permutations(documents):
        one_by_one = recovered(roster(*own), *((each,) for each in (*order, *order)))
        together = recovered(roster(*own), order)
        assert states(one_by_one) == states(together) == expected


def test_an_office_follows_the_later_decision_and_the_overruled_one_is_named() -> None:
    moved = lost(8, office(OTHER_TOWN, changed=8), base=7)
    assert recovered(roster(office()), (moved,)).parent(VILLAGE) == OTHER_TOWN
    since = roster(office("420222104", changed=FLOOR), version=FLOOR)
    found = gains(since, [moved], {}, is_lost=is_lost)
    assert not found and found.kept == (VILLAGE,)


def test_an_earlier_lost_decision_is_not_overruled_by_anybody() -> None:
    first, second = lost(8, office("420222104", changed=8), base=7), lost(9, office(OTHER_TOWN, changed=9), base=8)
    own = recovered(roster(office()), (second,))
    stamps = {f"office {VILLAGE}": (9, own.version)}
    found = gains(own, [first], stamps, is_lost=is_lost)
    assert not found and found.kept == ()


def test_what_we_hold_already_adds_nothing() -> None:
    own = roster(device(1), device(2, REVOKED), office())
    assert not gains(own, [own.changes_since(0)], {}, is_lost=lambda _version: True)


def test_hub_entries_are_never_taken_from_a_device() -> None:
    hub = replace(device(9, changed=8), role="hub")
    assert not gains(roster(), [lost(8, hub)], {}, is_lost=is_lost)


def test_a_malformed_roster_is_refused() -> None:
    with pytest.raises(MalformedBytes):
        gains(roster(), [Document("roster", COUNTY, 8, 0, 0, {"offices": [[1]]})], {}, is_lost=is_lost)
