"""Goal: village and township work on without the county's line; later everything is at the hub once, nothing doubles."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections import Counter
from pathlib import Path

from sqlalchemy import func, select

from conflict.ledger.files import has_file
from conflict.ledger.schema import ops
from conflict.ledger.store import Store
from edge.attachment import FileToAttach
from edge.branch import stream
from edge.main import Node, open_node
from edge.service import Application, Saved
from edge.staff import Actor
from edge.stick import export
from edge.stick import taking as edge_taking
from hub.stick import taking as hub_taking
from ops.demo.cast import identity
from protocol.op import parse_op
from tests.unit.branch.branch_world import BranchWorld
from tests.unit.edge.line import ITEM, NEIGHBOUR, TOWN, VILLAGE

CHIEF = Actor("chief", "chief")
NAMES = ("village", "neighbour", "town")


def accept(node: Node, applicant: int = 1) -> Saved:
    return node.service.accept(CHIEF, Application(ITEM, f"申请人{applicant}", identity("19500101", f"{applicant:03d}")))


def count(store: Store) -> int:
    with store.read() as tx:
        return int(tx.execute(select(func.count()).select_from(ops)).scalar_one())


def kinds(store: Store) -> dict[str, int]:
    with store.read() as tx:
        return dict(Counter(parse_op(blob).kind for blob in tx.execute(select(ops.c.blob)).scalars()))


def county_down(world: BranchWorld, *names: str) -> None:
    for name in names or NAMES:
        world.county[name].turn(False)


def work_without_the_county(world: BranchWorld) -> Saved:
    """Accepted and forwarded in the village, taken and examined in the township, a notice, the supplement."""
    village, town = world.nodes["village"].service, world.nodes["town"].service
    saved = accept(world.nodes["village"])
    village.forward(CHIEF, saved.number, to=TOWN, opinion="情况属实")
    world.run(4)
    town.take(CHIEF, saved.number)
    town.examine(CHIEF, saved.number, opinion="同意")
    town.notice(CHIEF, saved.number, missing=["户口簿复印件"])
    world.run(4)
    village.supplement(CHIEF, saved.number, said="已补交户口簿复印件")
    world.run(4)
    return saved


def test_village_and_township_work_without_the_county(world: BranchWorld) -> None:
    county_down(world)
    saved = work_without_the_county(world)
    assert world.equal("village", "town")
    notices = world.nodes["village"].service.show(saved.number)["notices"]
    assert notices[0]["open"] is False, notices
    assert world.digests("town").keys() == {bytes.fromhex(saved.case)}
    assert world.states("village") == {"pending": 3}, "only the hub's receipt means delivered"
    assert world.carried("town") == 3
    assert count(world.hub.store) == 0


def test_then_the_line_opens_only_at_the_township(world: BranchWorld) -> None:
    county_down(world)
    saved = work_without_the_county(world)
    world.county["town"].turn(True)
    world.run(15)
    assert world.equal("hub", "town", "village")
    assert count(world.hub.store) == count(world.nodes["town"].store) == count(world.nodes["village"].store)
    assert world.states("village") == {"accepted": 3}, "the receipts came over the township"
    assert world.states("town") == {"accepted": 3} and world.carried("town") == 0
    assert bytes.fromhex(saved.case) in world.digests("hub")


def test_then_all_lines_open_and_nothing_doubles(world: BranchWorld) -> None:
    county_down(world)
    work_without_the_county(world)
    for name in NAMES:
        world.county[name].turn(True)
    world.run(20)
    accept(world.nodes["neighbour"], 2)
    world.run(20)
    assert world.equal("hub", "town")
    assert kinds(world.hub.store) == kinds(world.nodes["town"].store)
    written = {kind: number for kind, number in kinds(world.hub.store).items() if kind != "note"}  # the hub's own
    assert written == {"accept": 2, "forward": 1, "take": 1, "examine": 1, "notice": 1, "supplement": 1}
    assert world.states("village") == {"accepted": 3} and world.states("neighbour") == {"accepted": 1}
    assert world.carried("town") == 0
    world.run(120)
    assert world.quiet_bytes(600) < 60_000, "only heartbeats"


def test_a_village_that_never_reaches_the_county(world: BranchWorld) -> None:
    """Ops up, receipts, the county's acts and new documents down, all through the township."""
    county_down(world, "village")
    saved = accept(world.nodes["village"])
    world.run(10)
    assert world.states("village") == {"accepted": 1}
    world.nodes["village"].service.forward(CHIEF, saved.number, to=TOWN, opinion="情况属实")
    world.run(5)
    world.nodes["town"].service.take(CHIEF, saved.number)
    world.enrol("centre", "420222")
    world.run(10)
    assert world.equal("hub", "town", "village", "centre")
    assert world.states("village") == {"accepted": 2}
    versions = [world.nodes[name].status()["versions"]["roster"] for name in ("village", "town")]  # type: ignore[index]
    assert versions[0] == versions[1], "the roster with the new device came over the township"


def test_the_township_starts_anew(world: BranchWorld) -> None:
    """A restart of its daemon in the middle: what was not said to be held is handed in again."""
    county_down(world)
    for _ in range(5):
        accept(world.nodes["village"])
        world.run(0.5)
        world.serve("town")
    world.run(40)
    assert world.equal("village", "town") and world.carried("town") == 5


def test_a_stranger_hands_in_nothing(world: BranchWorld) -> None:
    """A device of another township speaks at this township's broker: passed over."""
    world.enrol("far", "420222108201")
    world.run(5)
    world.link("far", "town")
    county_down(world, "far", *NAMES)
    accept(world.nodes["far"])
    world.run(5)
    assert world.digests("town") == {} and world.nodes["far"].status()["pending"] == 1
    with world.nodes["town"].store.read() as tx:
        assert "420222108201" not in stream.lengths(tx)


def has(world: BranchWorld, name: str, sha256: bytes) -> bool:
    store = world.hub.store if name == "hub" else world.nodes[name].store
    with store.read() as tx:
        return has_file(tx, sha256)


def attach(node: Node, case: str, content: bytes) -> bytes:
    sha256 = hashlib.sha256(content).digest()
    node.service.attach_file(
        CHIEF, case, FileToAttach("a.bin", "照片", "application/octet-stream", content, sha256, "A")
    )
    return sha256


def test_attachments_go_by_the_township_in_both_directions(world: BranchWorld) -> None:
    """Bytes from a village that never reaches the county arrive at the hub; the township's bytes arrive in the village."""
    county_down(world)
    saved = accept(world.nodes["village"])
    photo = attach(world.nodes["village"], saved.number, random.Random(1).randbytes(100_000))
    world.run(15)
    assert has(world, "town", photo) and not has(world, "hub", photo)
    world.nodes["village"].service.forward(CHIEF, saved.number, to=TOWN, opinion="情况属实")
    world.run(4)
    world.nodes["town"].service.take(CHIEF, saved.number)
    report = attach(world.nodes["town"], saved.number, random.Random(2).randbytes(70_000))
    world.run(15)
    assert has(world, "village", report)
    world.county["town"].turn(True)
    world.run(40)
    assert has(world, "hub", photo) and has(world, "hub", report)


def test_a_neighbour_gets_no_bytes_of_cases_that_are_not_its_own(world: BranchWorld) -> None:
    county_down(world)
    saved = accept(world.nodes["village"])
    photo = attach(world.nodes["village"], saved.number, b"p" * 1_000)
    accept(world.nodes["neighbour"], 2)
    world.run(15)
    with world.nodes["town"].store.read() as tx:
        assert stream.may_have(tx, VILLAGE, photo) == 1_000
        assert stream.may_have(tx, NEIGHBOUR, photo) is None
    assert world.digests("neighbour").keys() != world.digests("village").keys()


def test_a_restored_hub_gets_carried_ops_again(world: BranchWorld, tmp_path: Path) -> None:
    """The hub's backup is older than what the township carried for a village that does not reach the county."""
    county_down(world, "village")
    accept(world.nodes["village"])
    world.run(10)
    backup = tmp_path / "backup.db"
    world.hub.store.backup_to(backup)
    accept(world.nodes["village"], 2)
    world.run(10)
    assert world.states("village") == {"accepted": 2}
    world.restore_hub(backup)
    world.hands.forward(3_600_000)
    world.run(90)
    assert world.equal("hub", "town", "village") and len(world.digests("hub")) == 2
    assert world.carried("town") == 0


def test_a_township_restored_from_a_backup_is_given_everything_again(world: BranchWorld, tmp_path: Path) -> None:
    county_down(world)
    accept(world.nodes["village"])
    world.run(5)
    town = world.nodes["town"]
    backup = tmp_path / "town.db"
    town.store.backup_to(backup)
    accept(world.nodes["village"], 2)
    world.run(5)
    assert world.equal("village", "town")
    town.close()
    for old in town.directory.glob("edge.db*"):
        old.unlink()
    shutil.copy(backup, town.directory / "edge.db")
    world.nodes["town"] = open_node(town.directory, world.hands.clock())
    world.connect("town")
    county_down(world, "town")
    world.serve("town")
    world.run(90)
    assert world.equal("village", "town") and len(world.digests("town")) == 2
    assert world.carried("town") == 2


def test_a_stick_of_the_township_carries_for_the_villages_too(world: BranchWorld, tmp_path: Path) -> None:
    """The township's own line stays dead: its stick brings the village's ops to the hub, and their receipts back."""
    county_down(world)
    work_without_the_county(world)
    town, answer = world.nodes["town"], tmp_path / "answer.ldb"
    made = export.export(town, tmp_path / "stick.ldb")
    assert made.ops == 6 and made.left == 0
    hub_taking.take(world.hub, made.file, answer_to=answer, now_ms=lambda: world.hands.now_ms)
    edge_taking.take(town, answer)
    assert world.carried("town") == 0 and world.states("town") == {"accepted": 3}
    world.run(4)
    assert world.states("village") == {"accepted": 3}
    assert world.equal("hub", "town", "village")


def test_what_a_village_has_from_the_county_reaches_a_township_without_a_line(world: BranchWorld) -> None:
    """The village answers the county's word; without that word its answer would wait at the township for its parent."""
    centre = world.enrol("centre", "420222")
    world.run(6)
    county_down(world, "town")
    saved = accept(world.nodes["village"])
    world.run(6)
    centre.service.note(CHIEF, saved.number, "县里来电")
    world.run(8)
    world.nodes["village"].service.note(CHIEF, saved.number, "已转告申请人")
    world.run(6)
    assert kinds(world.nodes["town"].store) == {"accept": 1, "note": 2}
    assert world.equal("village", "town")
