"""Goal: whatever the three lines do, nothing is lost or doubled, and once they stay open everybody holds the same.

Method: real hub, township and village in virtual time; a seeded storm opens and closes the lines to the hub and to the
township's broker, loses and doubles payloads, restarts the daemons, and people work on meanwhile. Then calm, in one of three
shapes: all lines open, the village's line to the county never, the township's only.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from conflict.ledger.schema import ops
from protocol.errors import LiandongError
from tests.unit.branch.branch_world import BranchWorld
from tests.unit.branch.test_branch import CHIEF, accept
from tests.unit.edge.county import Hands
from tests.unit.edge.line import TOWN, VILLAGE

EXAMPLES = int(os.environ.get("LIANDONG_EXAMPLES", "4"))
STEPS = 14
CALM_S = 400
CALMS = ("all", "village alone", "township alone")


def storm(world: BranchWorld, rng: random.Random) -> None:
    """One step of bad luck and of work."""
    for switch in (world.county["village"], world.county["town"], world.local["village"]):
        switch.turn(rng.random() < 0.5)
    for line in (world.line, world.township_broker):
        line.drop, line.double = rng.choice([0.0, 0.0, 0.3]), rng.choice([0.0, 0.2])
    chance = rng.random()
    if chance < 0.1:
        world.serve("town")
    elif chance < 0.2:
        world.link("village", "town")
    elif chance < 0.3:
        world.connect(rng.choice(["village", "town"]))
    work(world, rng)
    world.run(rng.uniform(1, 40))


def work(world: BranchWorld, rng: random.Random) -> None:
    """Somebody does something; what the rules refuse is as good as not done."""
    name = rng.choice(["village", "village", "town"])
    service = world.nodes[name].service
    known = sorted(world.digests(name))
    if name == "village" and (not known or rng.random() < 0.4):
        accept(world.nodes[name], rng.randrange(1, 900))
        return
    if not known:
        return
    case = rng.choice(known).hex()
    acts = [
        lambda: service.note(CHIEF, case, f"备注 {rng.random()}"),
        lambda: service.amend(CHIEF, case, {"备注": f"{rng.random()}"}),
        lambda: (
            service.forward(CHIEF, case, to=TOWN, opinion="同意") if name == "village" else service.take(CHIEF, case)
        ),
        lambda: service.examine(CHIEF, case, opinion="同意"),
    ]
    try:
        rng.choice(acts)()
    except LiandongError as error:
        assert error.code


def calm(world: BranchWorld, shape: str) -> None:
    world.line.drop = world.line.double = world.township_broker.drop = world.township_broker.double = 0.0
    world.county["town"].turn(True)
    world.local["village"].turn(shape != "township alone")
    world.county["village"].turn(shape != "village alone")


def ids(world: BranchWorld, name: str) -> list[bytes]:
    store = world.hub.store if name == "hub" else world.nodes[name].store
    with store.read() as tx:
        return sorted(tx.execute(select(ops.c.id)).scalars())


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory, hub_template: Path) -> Path:
    """Only says that the template is there; each example has a world of its own."""
    return hub_template


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="LIANDONG_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32 - 1), shape=st.sampled_from(CALMS))
def test_nothing_is_lost_and_nothing_doubles(
    tmp_path_factory: pytest.TempPathFactory, ready: Path, seed: int, shape: str
) -> None:
    rng = random.Random(seed)
    world = BranchWorld(tmp_path_factory.mktemp("world"), Hands(), ready)
    try:
        for name, office in (("village", VILLAGE), ("town", TOWN)):
            world.enrol(name, office)
        world.run(6)
        world.serve("town")
        world.link("village", "town")
        for _ in range(STEPS):
            storm(world, rng)
        written = set(ids(world, "village")) | set(ids(world, "town"))
        calm(world, shape)
        world.run(CALM_S)
        assert written <= set(ids(world, "hub")), "nothing is lost"
        assert ids(world, "hub") == ids(world, "town") == ids(world, "village")
        assert world.equal("hub", "town", "village")
        assert world.carried("town") == 0
        for name in ("village", "town"):
            assert set(world.states(name)) <= {"accepted", "refused"}, "the hub's word about each op is here"
        assert world.quiet_bytes(300) < 40_000, "nothing is offered again and again"
    finally:
        world.close()
