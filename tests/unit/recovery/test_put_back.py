"""A hub that was put back takes its own documents back from devices, and never gives a number twice.

Method: the real hub's loop and real devices with real stores over a line in memory; the store is put back as a file.
"""

from __future__ import annotations

import hashlib

import pytest

from conflict.ledger.meta import StoredDocument, documents_after, save_document
from conflict.ledger.views import digests
from edge import join
from edge.errors import AlreadyJoined
from edge.main import Node
from hub import carriers, refusals
from hub.review import rehome
from protocol import keys as device_keys
from protocol import topics
from protocol.documents import Document, sign_document
from protocol.roster import REVOKED
from tests.unit.edge.county import COUNTY, seeds
from tests.unit.edge.line import NEIGHBOUR, VILLAGE
from tests.unit.recovery.county_put_back import KINDS, PutBack

OTHER_TOWN = "420222108"  # 浮屠镇
SECONDS = 30.0  # until two greetings and what follows from them are over


def documents_of(node: Node) -> dict[str, str]:
    """A hash of what a device works with, by kind."""
    with node.store.read() as tx:
        roster, reference = node.reference.roster(tx), node.reference
        found = {
            "roster": [sorted(map(repr, roster.offices.values())), sorted(map(repr, roster.devices.values()))],
            "catalogue": sorted(map(repr, reference.items(tx).values())),
            "calendar": [reference.calendar(tx).years, reference.versions(tx)],
        }
    return {kind: hashlib.sha256(repr(what).encode()).hexdigest() for kind, what in found.items()}


def all_equal(world: PutBack, *names: str) -> bool:
    return len({tuple(sorted(documents_of(world.nodes[name]).items())) for name in names}) == 1


def test_a_late_device_works_on_and_a_revoked_one_is_refused_again(world: PutBack) -> None:
    """The whole drill: catalogue, calendar, a device enrolled and one revoked after the backup, cases under lost terms."""
    backup, before = world.back_up(), world.versions()
    world.publish_items(promised=[7, "workday"])
    world.publish_calendar("03-09")
    late = world.late()
    world.run(8)
    gone = world.revoke("town")
    world.run(8)
    lost = world.versions()
    assert all(lost[kind] > before[kind] for kind in KINDS)
    world.accept("late")
    world.put_back(backup)
    assert world.state(late) == "unknown" and world.state(gone) == "active"  # as the backup has it
    world.accept("late")
    world.accept("village")
    world.run(SECONDS)
    assert (world.state(late), world.state(gone)) == ("active", REVOKED)
    assert world.outcomes("late") == {"accepted": 2} and world.outcomes("village") == {"accepted": 1}
    assert world.hub.shelf.items["JF-MZ-001"]["promised"] == [7, "workday"]
    assert min(world.versions().values()) > max(lost.values())  # no number was given twice
    assert world.versions("village") == world.versions("late") == world.versions()
    assert all_equal(world, "village", "late")
    assert world.notices() >= {"hub_restored", "documents_recovered", "revocation_recovered"}
    accounts = world.accounts()
    assert topics.mailbox(late) in accounts and topics.mailbox(gone) not in accounts
    with world.hub.store.read() as tx, world.nodes["late"].store.read() as own:
        assert digests(own).items() <= digests(tx).items()


def test_a_device_that_only_itself_remembers_introduces_itself(world: PutBack) -> None:
    """Nobody else heard of it: it shows the hub's signature on its own enrolment."""
    backup = world.back_up()
    for name in ("village", "town"):
        world.loops.pop(name)
    late = world.late()
    world.run(4)
    world.put_back(backup)
    for name in ("village", "town"):
        world.loops.pop(name)
    world.accept("late")
    world.run(SECONDS)
    assert world.state(late) == "active" and world.outcomes("late") == {"accepted": 1}
    with world.hub.store.read() as tx:
        assert not refusals.listed(tx)  # what was refused while nobody knew it was taken and withdrawn


def test_a_stranger_without_our_signature_stays_one(world: PutBack) -> None:
    """Keys of its own and a made-up roster gain nothing, whatever it says it holds."""
    backup = world.back_up()
    liar = world.late("liar")
    world.put_back(backup)
    node = world.nodes["liar"]
    keys = node.keys
    with node.store.write() as tx:
        tx.exec_driver_sql("DELETE FROM documents")
        row = [keys.incarnation, keys.office, "edge", keys.sign_public, keys.seal_public, 1, 0, "active", 0, "", 9]
        content = {"suites": [1], "offices": [], "devices": [row]}
        blob = sign_document(Document("roster", COUNTY, 9, 0, 0, content), keys)
        save_document(tx, StoredDocument("roster", 9, 0, 0, blob), arrived_ms=0)
    before = world.versions()
    world.run(SECONDS)
    assert world.state(liar) == "unknown" and world.versions() == before
    with world.hub.store.read() as tx:
        assert {one.code for one in refusals.listed(tx) if one.what == "document"} == {"bad_signature"}


def test_a_device_that_nothing_names_tells_its_office_and_comes_back_by_a_code(world: PutBack) -> None:
    """Admitted, and minutes later the hub's disk fell back, unmarked, before any roster with its name had left. Nobody
    could say who it is, and nobody was told: its ops lay there for ever. Found by the simulator (47 kinds, seed 3)."""
    backup = world.back_up()
    with world.nodes["village"].store.read() as tx:
        before = documents_after(tx, "roster", 0)
    late, node = world.late(), world.nodes["late"]
    world.run(4)
    world.accept("late")
    for holder in world.nodes.values():
        with holder.store.write() as tx:
            tx.exec_driver_sql("DELETE FROM documents WHERE kind = 'roster'")
            for one in before:
                save_document(tx, one, arrived_ms=0)
    world.put_back(backup, marked=False)
    with pytest.raises(AlreadyJoined):
        join.prepare(node.directory, world.code_text(NEIGHBOUR), world.hub.card)
    world.run(4 * SECONDS)
    assert "unknown_device" in world.notices() and "unknown_at_county" in world.banners("late")
    world.join_again("late")
    world.run(SECONDS)
    assert node.keys.incarnation == late and world.state(late) == "active"
    assert world.outcomes("late") == {"accepted": 1} and "unknown_at_county" not in world.banners("late")


def test_damaged_and_foreign_documents_change_nothing(world: PutBack) -> None:
    """A known device shows a forged calendar, one of another county, and one that the hub signed without a sense."""
    backup = world.back_up()
    world.put_back(backup)
    keys, node = world.hub.keys, world.nodes["village"]
    another = device_keys.generate("331123", "331123", "hub", seeds("another"))
    bad = {
        5: sign_document(Document("calendar", COUNTY, 5, 0, 0, {"years": {}, "source": ""}), node.keys),
        6: sign_document(Document("calendar", "331123", 6, 0, 0, {"years": {}, "source": ""}), another),
        7: sign_document(Document("calendar", COUNTY, 7, 0, 0, {"years": 5}), keys),
        8: b"\x01garbage",
    }
    with node.store.write() as tx:
        for version, blob in bad.items():
            save_document(tx, StoredDocument("calendar", version, 0, 0, blob), arrived_ms=0)
    before = world.versions()
    world.run(SECONDS)
    assert world.versions() == before
    with world.hub.store.read() as tx:
        codes = sorted(one.code for one in refusals.listed(tx) if one.what == "document")
    assert codes == ["bad_signature", "bad_signature", "malformed", "malformed"]


def test_two_lines_of_one_number_are_merged(world: PutBack) -> None:
    """The fork: the hub publishes before the device with the lost versions is heard. Both enrolments and the later
    catalogue count; nobody ever sees two contents under one number."""
    backup = world.back_up()
    late = world.late()
    world.publish_items(promised=[7, "workday"])
    world.run(8)
    lost = world.versions()
    world.loops.clear()
    world.put_back(backup)
    loops, world.loops = world.loops, {}
    fresh = world.late("fresh", VILLAGE)
    world.publish_items(promised=[9, "workday"])
    assert min(world.versions()["roster"], world.versions()["catalogue"]) > max(lost.values())
    world.loops = {**loops, "fresh": world.connect("fresh")}
    world.accept("late")  # under the lost catalogue
    world.run(SECONDS)
    assert (world.state(late), world.state(fresh)) == ("active", "active")
    assert world.hub.shelf.items["JF-MZ-001"]["promised"] == [9, "workday"]  # published since: the later word
    assert world.outcomes("late") == {"accepted": 1}  # its terms are known all the same
    assert "recovery_overruled" in world.notices()
    assert all_equal(world, "village", "late", "fresh", "town")


def test_a_store_that_was_set_back_without_a_mark_is_found_out_by_its_own_signature(world: PutBack) -> None:
    backup = world.back_up()
    world.publish_calendar("03-09")
    late = world.late()
    world.run(8)
    lost = world.versions()
    world.put_back(backup, marked=False)
    world.run(2 * SECONDS)
    assert "hub_restored" in world.notices() and world.state(late) == "active"
    assert min(world.versions()[kind] for kind in ("roster", "calendar")) > max(lost.values())
    assert all_equal(world, "village", "late", "town")


def test_a_village_that_was_rehomed_after_the_backup_is_under_its_new_township(world: PutBack) -> None:
    """And the former township may still hand in what it holds of it."""
    backup = world.back_up()
    before = world.hub.shelf.roster.parent(VILLAGE)
    rehome(world.hub, VILLAGE, OTHER_TOWN, reason="区划调整", staff="周强", now_ms=world.hands.now_ms)
    world.run(8)
    world.put_back(backup)
    assert world.hub.shelf.roster.parent(VILLAGE) == before
    world.run(SECONDS)
    roster = world.hub.shelf.roster
    assert roster.parent(VILLAGE) == OTHER_TOWN
    with world.hub.store.read() as tx:
        assert carriers.was_above(tx, roster, before, VILLAGE)
    assert all_equal(world, "village", "town")


def test_what_was_changed_and_changed_back_is_as_it_was_last(world: PutBack) -> None:
    """The last lost version says what the backup says: an earlier lost one does not count, and nobody keeps a number
    above the hub's."""
    world.publish_calendar("03-09")
    world.run(8)
    backup = world.back_up()
    for day in ("03-10", "03-09"):
        world.publish_calendar(day)
        world.run(8)
    lost = world.versions()["calendar"]
    content = world.hub.shelf.content("calendar")
    world.put_back(backup)
    world.run(SECONDS)
    assert world.hub.shelf.content("calendar") == content
    assert world.versions("village")["calendar"] == world.versions()["calendar"] > lost
    assert all_equal(world, "village", "town")


def test_each_device_is_asked_once_and_what_it_repeats_changes_nothing(world: PutBack) -> None:
    backup = world.back_up()
    world.publish_calendar("03-09")
    world.run(8)
    world.put_back(backup)
    world.run(SECONDS)
    versions = world.versions()
    world.start_hub()  # the hub's process anew: what was asked is in its store
    for name in world.nodes:
        world.connect(name)
    carried = world.line.carried
    world.run(SECONDS)
    assert world.versions() == versions
    assert world.line.carried - carried < 20_000


def test_codes_from_before_the_restore_are_void(world: PutBack) -> None:
    """One was used after the backup; the restored hub cannot know which, so none works, and the user of it is let in."""
    secret, other = world.code(NEIGHBOUR), world.code(NEIGHBOUR)
    backup = world.back_up()
    keys = device_keys.generate(COUNTY, NEIGHBOUR, "edge", seeds("user of the code"))
    thief = device_keys.generate(COUNTY, NEIGHBOUR, "edge", seeds("thief"))
    assert world.ask(secret, keys) == ""
    world.run(4)
    world.put_back(backup)
    assert world.ask(secret, thief) == world.ask(other, thief) == "code_void"
    assert world.ask(secret, keys) == "code_void"  # nobody has shown the roster yet
    world.run(SECONDS)
    assert world.ask(secret, keys) == ""  # its keys are in the roster again
    assert world.ask(secret, thief) == "code_void"
    assert world.ask(world.code(NEIGHBOUR), thief) == ""


@pytest.mark.parametrize("first", ["village", "town"])
def test_devices_with_different_versions_come_in_any_order(world: PutBack, first: str) -> None:
    backup = world.back_up()
    one = world.late("one")
    world.run(4)
    world.loops.pop("village" if first == "town" else "town")  # does not hear of the second
    two = world.late("two", VILLAGE)
    gone = world.revoke("one")
    world.run(4)
    world.put_back(backup)
    loops, world.loops = world.loops, {}
    world.loops = {first: loops[first]}
    world.run(SECONDS)
    assert (world.state(two), world.state(gone)) == ("active", REVOKED)
    world.loops = {name: loop for name, loop in loops.items() if name != "one"}
    world.run(SECONDS)
    assert one == gone and world.state(gone) == REVOKED  # an earlier version does not take the revocation back
    assert all_equal(world, "village", "town", "two")
