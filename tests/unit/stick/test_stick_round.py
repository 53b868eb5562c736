"""Goal: an office that never has a line lives by sticks alone, and line and stick may overlap in any way.

Method: real stores, the real hub and devices; files are carried by the test.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conflict.ledger.files import has_file
from conflict.ledger.schema import files
from conflict.ledger.views import find
from edge import memory, outbox, purge
from edge.branch import relay
from edge.sync.intake import Intake
from protocol.carriers.bundle_errors import BundleEmpty
from tests.unit.edge.county import Hands
from tests.unit.edge.line import TOWN, VILLAGE, World, new_hub
from tests.unit.stick.courier import CHIEF, Courier, content


def scan(directory: Path, size: int = 100_000) -> Path:
    path = directory / f"scan-{size}.jpg"
    path.write_bytes(os.urandom(size))
    return path


def whole_files(courier: Courier, name: str) -> int:
    with (courier.hub if name == "hub" else courier.nodes[name]).store.read() as tx:
        found = [row.sha256 for row in tx.execute(files.select()) if has_file(tx, row.sha256)]
    return len(found)


def test_a_device_that_never_had_a_line(tmp_path: Path) -> None:
    """The first stick fetches the reference data, the second carries a case, the third acknowledges."""
    new_hub(tmp_path / "template")
    (tmp_path / "county").mkdir()
    world = World(tmp_path / "county", Hands(), tmp_path / "template")
    world.enrol("village", VILLAGE)
    world.close()
    courier = Courier(tmp_path / "again", Hands(now_ms=world.hands.now_ms), tmp_path / "county")
    node = courier.nodes["village"]
    assert not any(node.status()["versions"][kind] for kind in ("catalogue", "calendar"))
    courier.trip("village")
    versions = node.status()["versions"]
    assert versions["roster"] and versions["catalogue"] and versions["calendar"]
    saved = courier.accept("village", attachments=[scan(tmp_path)])
    assert courier.states("village") == {"pending": 2}
    exported = courier.export("village")
    assert (exported.ops, exported.chunks, exported.left) == (2, 4, 0)
    assert courier.states("village") == {"offered": 2}  # nothing counts as delivered
    taken, answered = courier.at_hub(exported.file)
    assert (taken.new, taken.repeated, taken.chunks, taken.bad) == (2, 0, 4, 0)
    assert answered is not None
    back = courier.at("village", answered.file)
    assert (back.settled, back.new, back.gaps) == (2, 0, 0)
    assert courier.states("village") == {"accepted": 2}
    assert courier.digests() == courier.digests("village") and len(courier.digests()) == 1
    assert whole_files(courier, "hub") == 1
    assert courier.acked("village") == 0 < courier.place("village")[1]  # a written stick moves no place
    courier.trip("village")
    assert courier.acked("village") == courier.place("village")[1]
    with node.store.read() as tx:
        known = memory.hub_time(tx)
    assert known.hub_ms and not known.boot_id  # a stick is no fresh word: no elapsed time is counted from it
    assert node.service.show(saved.case)["missing_files"] == []
    courier.close()


def test_the_township_works_on_what_the_stick_brought(courier: Courier, tmp_path: Path) -> None:
    saved = courier.accept("village", attachments=[scan(tmp_path)])
    courier.nodes["village"].service.forward(CHIEF, saved.case)
    courier.trip("village", "town")
    town = courier.nodes["town"].service
    assert town.show(saved.number)["missing_files"] == []  # the bytes came with the op, nobody had to ask
    town.take(CHIEF, saved.case)
    town.examine(CHIEF, saved.case, opinion="同意")
    courier.trip("town", "village")
    assert courier.nodes["village"].service.show(saved.case)["holder"] == courier.nodes["town"].keys.office
    assert courier.equal() and courier.digests("town") == courier.digests("village")


def test_what_a_device_lacks_is_asked_for_and_comes_with_the_answer(courier: Courier, tmp_path: Path) -> None:
    """The op came over the line, the line died before its bytes: the stick fetches them, in both directions."""
    saved = courier.accept("village", attachments=[scan(tmp_path, 2_000_000)])
    while courier.states("village") != {"accepted": 2}:
        courier.run(0.25)
    courier.line.up = False
    assert whole_files(courier, "hub") == 0
    assert courier.export("village").chunks == 0  # the hub has the op and will ask
    courier.trip("village")
    assert 0 < courier.export("village").chunks <= 62  # what came by the line is not carried again
    courier.trip("village")
    assert whole_files(courier, "hub") == 1
    courier.line.up = True
    while not courier.nodes["town"].service.list_cases():
        courier.run(0.25)
    courier.line.up = False
    town = courier.nodes["town"].service
    assert len(town.show(saved.number)["missing_files"]) == 1
    courier.trip("town")
    assert town.show(saved.number)["missing_files"] == []
    courier.trip("village")
    assert courier.export("village").chunks == 0  # the hub lacks nothing any more


def test_importing_again_changes_nothing(courier: Courier, tmp_path: Path) -> None:
    courier.accept("village", attachments=[scan(tmp_path)])
    courier.accept("village")
    exported = courier.export("village").file
    first, answered = courier.at_hub(exported)
    assert answered is not None and first.new == 3
    before = content(tmp_path / "hub" / "hub.db")
    again, second = courier.at_hub(exported)
    assert (again.new, again.repeated, again.chunks) == (0, 3, 0) and second is not None
    assert content(tmp_path / "hub" / "hub.db") == before
    courier.at("village", answered.file)
    before = content(tmp_path / "village" / "edge.db")
    assert courier.at("village", answered.file).settled == 0
    courier.at("village", second.file)
    assert content(tmp_path / "village" / "edge.db") == before


def test_line_after_stick_and_stick_after_line(courier: Courier) -> None:
    """The loops run on beside the imports, as daemons do."""
    courier.run(2)
    courier.line.up = False
    courier.accept("village")
    exported = courier.export("village").file
    courier.line.up = True
    courier.run(4)  # the same op by the line
    assert courier.states("village") == {"accepted": 1}
    taken, answered = courier.at_hub(exported)
    assert (taken.new, taken.repeated) == (0, 1) and answered is not None
    courier.accept("village")
    courier.at_hub(courier.export("village").file)
    courier.at("village", answered.file)
    courier.run(4)
    assert courier.equal() and len(courier.digests()) == 2
    assert courier.place("village")[1] == courier.length("village")


def test_one_stick_of_a_courier(courier: Courier) -> None:
    """Exports of all devices in one directory, one answer for all of them, taken by each from the same directory."""
    saved = [courier.accept(name) for name in ("village", "other", "village")]
    for name in courier.nodes:
        courier.export(name, to=courier.pocket)
    taken, answered = courier.at_hub(courier.pocket, to=courier.pocket)
    assert taken.new == 3 and answered is not None and answered.devices == 3
    for name in courier.nodes:
        assert courier.at(name, courier.pocket).bad == 0
    assert courier.equal()
    assert set(courier.digests("town")) == {bytes.fromhex(one.case) for one in saved}
    again, _answered = courier.at_hub(courier.pocket, to=courier.pocket)
    assert (again.new, again.repeated, again.others) == (0, 3, 0)  # its own answer is passed over


def test_the_hub_exports_without_being_asked(courier: Courier) -> None:
    """New reference data and cases of others for offices that sent nothing; a stick written moves no place."""
    courier.run(2)
    courier.line.up = False
    courier.accept("village")
    courier.trip("village")
    made = courier.from_hub()
    assert made.devices == 2 and made.ops == 1  # the township gets the case, the village its receipt once more
    place = courier.acked("town")
    following = courier.from_hub(TOWN, since_last=True)
    assert following.ops == 0  # it goes on where the last stick ended
    courier.at("town", made.file)
    assert courier.digests("town") == courier.digests()
    assert courier.acked("town") == place
    courier.trip("town", "village")
    with pytest.raises(BundleEmpty):
        courier.from_hub()


def test_a_township_carries_its_villages_ops(courier: Courier, tmp_path: Path) -> None:
    """Handed in over the branch's own line, carried to the county by the township's stick, receipted to both."""
    courier.accept("village", attachments=[scan(tmp_path)])
    village, town = courier.nodes["village"], courier.nodes["town"]
    with village.store.read() as tx:
        blobs = [blob for _place, blob in outbox.unsettled(tx, limit=9)]
    Intake(town.store, town.keys, town.reference, town.clock).handed_in(blobs, via="branch")
    courier.accept("town")
    exported = courier.export("town")
    assert (exported.ops, exported.left) == (3, 0) and courier.export("town", since_last=True).ops == 0
    taken, answered = courier.at_hub(exported.file)
    assert taken.new == 3 and answered is not None
    before = content(tmp_path / "hub" / "hub.db")
    courier.at_hub(exported.file)
    assert content(tmp_path / "hub" / "hub.db") == before
    courier.at("town", answered.file)
    with town.store.read() as tx:
        assert relay.pending(tx) == 0
    assert courier.export("town").ops == 0
    taken, answered = courier.at_hub(courier.export("village").file)
    assert (taken.new, taken.repeated, taken.chunks) == (0, 2, 4) and answered is not None
    assert courier.at("village", answered.file).settled == 2
    assert courier.equal()


def test_a_purged_case_comes_back_by_stick_and_only_once(courier: Courier) -> None:
    """Method: a village without a line purges, somebody asks; its stick twice, and another one before the answer."""
    village = courier.nodes["village"]
    number = courier.accept("village").number
    village.service.withdraw(CHIEF, number, reason="本人撤回")
    courier.trip("village", "village")
    courier.hands.forward(40 * 86_400_000)
    with village.store.write() as tx:
        case = find(tx, number)
        purge.note_equal(tx, purge.last_position(tx), now_ms=courier.hands.now_ms)
    courier.accept("village")  # the chain's end lies in a younger case
    courier.trip("village")
    with village.store.write() as tx:
        assert purge.purge(tx, older_than_days=30, now_ms=courier.hands.now_ms).cases == 1
        assert purge.want_back(tx, number) == case
    before = courier.length("village")
    first, second = courier.export("village").file, courier.export("village").file
    answers = [courier.at_hub(file)[1] for file in (first, second, first)]
    assert courier.length("village") == before + 2, "receive and withdraw"
    for answered in answers:
        assert answered is not None
        courier.at("village", answered.file)
    with village.store.read() as tx:
        assert find(tx, number) == case and purge.counts(tx) == 0
    assert courier.equal()
