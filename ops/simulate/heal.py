"""Healing: the faults stop, people do what notices and banners ask of them, and every office connects three times.

For: the second half of a run, after which everything must be equal. The rounds are a day apart, so that what is due
daily happens in each.
May not: repair a store; do for the product what it should do by itself.
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.lanes import LANES_NAME
from hub import admin
from ops.simulate import branches, raw
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.raw import STREAM_PLACE
from ops.simulate.world import DAY, HOUR, MINUTE, SECOND
from protocol.errors import StoreError
from protocol.roster import REVOKED

if TYPE_CHECKING:
    from ops.simulate.machine import Machine
    from ops.simulate.simulation import Simulation

ROUNDS = 3
CALLS_FOR_A_CODE = {"needs_code", "unknown_at_county"}  # banners upon which a person asks the county for a code
ROUND_MS_MIN, ROUND_MS_MAX = 2 * MINUTE, 40 * MINUTE
STALLED_MS = (
    10 * MINUTE
)  # a round in which nothing changed for so long has ended too: the longest back-off is 5 minutes
LOOK_MS = 20 * SECOND


def heal(sim: Simulation) -> list[int]:
    """Stop the faults and play the rounds; how long each took, ms."""
    sim.healing = True
    _all_well(sim)
    _visit_hermits(sim, codes=True)
    spans = []
    for number in range(ROUNDS):
        began = sim.world.now_ms
        _round(sim)
        spans.append(sim.world.now_ms - began)
        sim.world.note("round", number, spans[-1] // MINUTE)
        if number < ROUNDS - 1:
            _people_act(sim)
            sim.world.run_until(sim.world.now_ms + DAY)
    _visit_hermits(sim, codes=False)
    return spans


def _all_well(sim: Simulation) -> None:
    """Lines, disks, clocks, broker and city are as they should be; everybody's process runs."""
    sim.plan.end_all()
    sim.broker.start()
    for old in sim.old_hubs:
        sim.put_to_sleep(old)
    for machine in (sim.hub, *sim.working()):
        machine.line.weather.clear()
        machine.disk.full = machine.disk.read_only = False
        machine.disk.disarm()
        machine.clock.set_to(sim.world.now_ms)
        machine.line.open = machine is sim.hub
        machine.line.refresh()
        _unsettle_lanes(machine)
        machine.start()
    sim.halls.all_well()
    for office in sim.tree.offices:
        if not sim.devices_of(office):
            sim.world.at(MINUTE, _enrol, sim, office)
    sim.city.nobody_works = True  # from now on the city answers between the rounds only
    sim.city.decide_all()
    sim.world.run_until(sim.world.now_ms + 4 * HOUR)


def _unsettle_lanes(machine: Machine) -> None:
    """No lane is shut or slow any more, also on a machine whose disk is a copy of one where they were."""
    settings = machine.directory / LANES_NAME
    if settings.exists():
        settings.unlink()
        machine.stop()


def _enrol(sim: Simulation, office: str) -> None:
    """A machine for an office that has none, as soon as the hub is up: it may have stopped beside another one."""
    if sim.devices_of(office):
        return
    try:
        sim.enrol(office)
    except StoreError as error:
        sim.world.note("not enrolled", office, error.code)
        sim.world.at(HOUR, _enrol, sim, office)


def _round(sim: Simulation) -> None:
    """Every office connects once, and the round ends when all is quiet."""
    world = sim.world
    sim.halls.look()
    sim.halls.plug_all(True)
    for machine in sim.working():
        machine.line.open = machine.office not in sim.halls.hermits
        world.at(world.between(0, MINUTE), machine.line.refresh)
    began, revoked = world.now_ms, _revoked(sim)
    heard = [machine for machine in sim.working() if machine.incarnation not in revoked]
    before, changed_ms = "", world.now_ms
    while world.now_ms - began < ROUND_MS_MAX and world.now_ms - changed_ms < STALLED_MS:
        world.run_until(world.now_ms + LOOK_MS)
        now = _standing(sim)
        before, changed_ms = now, (changed_ms if now == before else world.now_ms)
        if world.now_ms - began >= ROUND_MS_MIN and all(_quiet(sim, machine) for machine in heard):
            break
    for machine in sim.working():
        machine.line.open = False
        machine.line.refresh()
    sim.halls.plug_all(False)


def _standing(sim: Simulation) -> str:
    """How far everything has come: if this stays the same nothing is under way that could still arrive."""
    parts: list[object] = [len(raw.op_ids(sim.hub.store_path)), sorted(raw.files(sim.hub.store_path).items())]
    for machine in sim.working():
        states = sorted((op_id, word[0]) for op_id, word in raw.outbox(machine.store_path).items())
        parts += [states, raw.meta(machine.store_path, STREAM_PLACE), sorted(raw.files(machine.store_path).items())]
        parts += [len(raw.op_ids(machine.store_path)), raw.document_versions(machine.store_path), machine.renewing]
    return repr(parts)


def _quiet(sim: Simulation, machine: EdgeMachine) -> bool:
    """Nothing is under way for this device, by what the stores say."""
    if machine.renewing:
        return True  # it waits for a person
    hermit = machine.office in sim.halls.hermits
    if not machine.up or (machine.line.state != "online" and not hermit) or branches.under_way(sim, machine):
        return False
    if any(state in ("pending", "offered") for state, _code, _reason in raw.outbox(machine.store_path).values()):
        return False
    place = raw.meta(machine.store_path, STREAM_PLACE)
    if not hermit and (place[1] if place else 0) != raw.stream_lengths(sim.hub.store_path).get(machine.office, 0):
        return False
    hub = raw.files(sim.hub.store_path)
    return not any(hub.get(sha256) and not here for sha256, here in raw.files(machine.store_path).items())


def _people_act(sim: Simulation) -> None:
    """What notices and banners ask of people: decide about held ops, give codes, carry what a revoked device still has."""
    _decide_held(sim)
    revoked = _revoked(sim)
    for machine in sim.working():
        if machine.node is None:
            continue
        if machine.office in sim.halls.hermits:
            _visit(sim, machine)
        banners = {str(banner["code"]) for banner in machine.node.status()["banners"]}  # type: ignore[attr-defined]
        if machine.incarnation in revoked or (CALLS_FOR_A_CODE & banners and not sim.join_anew(machine)):
            sim.world.note("retired", machine.name)
            sim.carry_by_stick(machine, everything=True)
            machine.retire()
    for office in sim.tree.offices:
        if not sim.devices_of(office):
            try:
                sim.enrol(office)
            except StoreError as error:
                sim.world.note("not enrolled", office, error.code)
    sim.city.decide_all()
    sim.hub.gateway()


def _visit_hermits(sim: Simulation, *, codes: bool) -> None:
    """Whom no line reaches is connected by a stick and what comes back on it: before the first round and in the last.

    Args:    codes: new keys are taken by a code too; in the last round nobody would hear of them any more.
    """
    for machine in sim.working():
        if machine.node is not None and machine.office in sim.halls.hermits and (codes or not machine.renewing):
            _visit(sim, machine)
    sim.world.run_until(sim.world.now_ms + MINUTE)


def _visit(sim: Simulation, machine: EdgeMachine) -> None:
    """Whom the county never hears by a line: new keys are taken by a code, and a stick brings what no township can."""
    if machine.renewing:
        sim.join_anew(machine)
    if not machine.renewing and not branches.served(sim, machine):
        sim.carry_by_stick(machine)
        sim.world.at(
            10 * SECOND, sim.carry_by_stick, machine
        )  # the courier waits: what the answer asks for goes at once


def _revoked(sim: Simulation) -> set[bytes]:
    """The names that the county has revoked: the administrator knows whom to visit."""
    county = sim.hub.county
    if county is None:
        return set()
    return {bytes.fromhex(row["device"]) for row in admin.list_nodes(county) if row["state"] == REVOKED}


def _decide_held(sim: Simulation) -> None:
    county = sim.hub.county
    if county is None:
        return
    held = [bytes.fromhex(row["op"]) for row in admin.list_held(county)]
    if not held:
        return
    if sim.world.chance(0.7):
        sim.at_hub(lambda: admin.release(county, held, staff="周强", now_ms=sim.hub.county_ms()))
    else:
        sim.at_hub(
            lambda: admin.refuse(county, held, reason="设备已注销，不予采纳", staff="周强", now_ms=sim.hub.county_ms())
        )
