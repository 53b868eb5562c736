"""Purging at an office, and what it took away: only what the county holds for certain may go.

For: `node purge` and `case fetch` on a simulated machine; the store before and after, read by raw.py, against the hub's.
May not: use the product's word on what was purged; purge anything by itself.
Manual: docs/testing.md, "What is checked".  Decision: docs/decisions/0133-purging-at-an-office.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge import purge
from ops.simulate import checks, raw
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.raw import RawOp
from ops.simulate.world import DAY
from protocol.errors import LiandongError

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

LATER_MS = 8 * DAY  # the age of cases proves nothing of where they are: nobody waits for it here


@dataclass(frozen=True, slots=True)
class Held:
    """What a device holds: ops with their bytes, contents with whether they are whole, the word on each own op."""

    ops: dict[bytes, bytes]
    files: dict[bytes, bool]
    words: dict[bytes, tuple[str, str, str]]

    @staticmethod
    def at(machine: EdgeMachine) -> Held:
        path = machine.store_path
        return Held(raw.ops_by_id(path), raw.files(path), raw.outbox(path))


def purge_at(sim: Simulation, machine: EdgeMachine) -> None:
    """Somebody needs room: `node purge`, as if a week had passed."""
    node = machine.node
    if node is None or not machine.up or machine.gone or sim.healing:
        return
    sim.book.look_at(machine, told=False)
    before = Held.at(machine)

    def work() -> purge.Purge:
        with node.store.write(reserve=True) as tx:
            return purge.purge(tx, older_than_days=purge.DAYS_MIN, now_ms=node.clock.now_ms() + LATER_MS)

    try:
        machine.do(work)
    except LiandongError as error:
        sim.world.note("not purged", machine.name, error.code)
        return
    after = Held.at(machine)
    gone = set(before.ops) - set(after.ops)
    sim.problems += _unproven(sim, machine, before, after)
    sim.book.purged(machine, {op_id for op_id in gone if before.words.get(op_id, ("",))[0] in checks.SETTLED}, gone)
    sim.world.note("purged", machine.name, len(gone))
    machine.wake()


def want_back(sim: Simulation, machine: EdgeMachine, share: float) -> None:
    """Somebody asks for purged cases again: `case fetch`, beside the running daemon."""
    node = machine.node
    if node is None or not machine.up or machine.gone or sim.healing:
        return
    cases = [case for case in sorted(raw.purged(machine.store_path)) if sim.world.chance(share)]

    def work() -> None:
        with node.store.write() as tx:
            for case in cases:
                purge.want_back(tx, case.hex())

    try:
        machine.do(work)
    except LiandongError as error:
        sim.world.note("not fetched", machine.name, error.code)
        return
    sim.book.wanted.update((machine, case) for case in cases)
    sim.world.note("wanted back", machine.name, len(cases))
    machine.wake()


def _unproven(sim: Simulation, machine: EdgeMachine, before: Held, after: Held) -> list[str]:
    """Ops that went without the hub's word or that the hub does not hold; bytes that it lacks or another case names.

    What a hub had and has lost since, of which this device cannot know yet, is the price that decision 0133 names.
    """
    hub_path = sim.hub.store_path
    hub = raw.op_ids(hub_path) | raw.hub_elsewhere(hub_path) | sim.book.hub_lost | sim.book.old_hub
    deceived = (sim.book.hub_fell or bool(sim.old_hubs)) and checks.place(sim, machine) is None
    found = []
    for op_id in sorted(set(before.ops) - set(after.ops)):
        if before.words.get(op_id, ("accepted",))[0] not in checks.SETTLED:
            found.append(f"lost: {machine.name} purged op {op_id.hex()[:12]}, of which the hub has said nothing")
        elif op_id not in hub and not deceived:
            found.append(f"lost: {machine.name} purged op {op_id.hex()[:12]}, which the hub does not hold")
    there = raw.files(hub_path)
    still_named = {RawOp.read(blob).body.get("sha256") for blob in after.ops.values()}
    for sha256, whole in sorted(before.files.items()):
        if not whole or after.files.get(sha256):
            continue
        if sha256 in still_named:
            found.append(f"lost: {machine.name} purged file {sha256.hex()[:12]}, which another case here names")
        elif not there.get(sha256) and not deceived:
            found.append(f"lost: {machine.name} purged file {sha256.hex()[:12]}, which the hub does not hold")
    return found
