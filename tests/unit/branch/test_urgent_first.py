"""Goal: an urgent case overtakes a backlog on the line with a township too, and what the township holds stays gapless."""

from __future__ import annotations

from sqlalchemy import select

from conflict.ledger.meta import get_meta
from conflict.ledger.schema import ops
from edge.branch.given import GIVEN
from edge.service import Application
from ops.demo.cast import identity
from tests.unit.branch.branch_world import BranchWorld
from tests.unit.branch.test_branch import CHIEF, county_down
from tests.unit.edge.line import ITEM


def test_urgent_first_at_the_township_and_then_from_there_at_the_county(world: BranchWorld) -> None:
    county_down(world)
    village = world.nodes["village"]
    for applicant in range(1, 31):
        village.service.accept(CHIEF, Application(ITEM, f"申请人{applicant}", identity("19500101", f"{applicant:03d}")))
    who = identity("19500101", "099")
    urgent = bytes.fromhex(village.service.accept(CHIEF, Application(ITEM, "急件", who, urgent=True)).case)
    world.run(20)

    def cases(store: object) -> list[bytes]:
        with store.read() as tx:  # type: ignore[attr-defined]
            query = select(ops.c.case_id).where(ops.c.device == village.keys.incarnation).order_by(ops.c.pos)
            return list(tx.execute(query).scalars())

    held = cases(world.nodes["town"].store)
    assert held[0] == urgent and len(held) == 31
    with village.store.read() as tx:
        township, _epoch, position, _seq = get_meta(tx, GIVEN)
        last = max(tx.execute(select(ops.c.pos)).scalars())
    assert township == world.nodes["town"].keys.incarnation and position == last
    world.county["town"].turn(True)  # the village's own line to the county stays down
    world.run(30)
    at_hub = cases(world.hub.store)
    assert at_hub[0] == urgent and len(at_hub) == 31
    assert world.carried("town") == 0
