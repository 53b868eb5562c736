"""Machines that are not who they were: cloned, restored, replaced, revoked; a second hub that wakes up.

For: what happens to disks and names of machines over the years, at the worst moment.
May not: tell the product what it has to find out by itself.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from hub import enrolment
from ops.simulate import raw
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.faults.fault import Fault, busy, one_edge, some_edges
from ops.simulate.hub_node import HubMachine
from ops.simulate.network import HUB_BOX
from ops.simulate.world import DAY, HOUR, MINUTE
from protocol.roster import REVOKED

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation


def clone(sim: Simulation, span_ms: int, victim: EdgeMachine | None = None) -> None:
    """A disk image is copied, and both machines go on under one name."""
    victim = victim or one_edge(sim)
    directory = sim.new_directory("clone")
    was_up = victim.up
    victim.stop()
    shutil.copytree(victim.directory, directory)
    line = sim.broker.line(victim.line.box, f"{victim.name}-clone")
    twin = EdgeMachine(sim.world, sim.disks, line, directory, victim.office, f"{victim.name}-clone")
    twin.incarnation = victim.incarnation
    sim.adopt(twin)
    sim.book.same_past(twin, victim)
    twin.start()
    if was_up:
        victim.start()
    busy(sim, [victim], span_ms, acts=3)
    busy(sim, [twin], span_ms, acts=3)


def restored(sim: Simulation, span_ms: int, victim: EdgeMachine | None = None) -> None:
    """The backup of the beginning is put back at the end, by the commands that people use."""
    victim = victim or one_edge(sim)
    backup = sim.back_up(victim)
    busy(sim, [victim], span_ms, acts=3)

    def put_back() -> None:
        if victim.gone or sim.healing:
            return
        sim.book.look_at(victim, told=False)
        victim.stop()
        sim.restore(victim, backup)
        lost = sim.book.fell_back(victim)
        sim.world.note("restored", victim.name, lost)
        victim.start()
        busy(sim, [victim], HOUR, acts=2)

    sim.world.at(span_ms, put_back)


def replaced(sim: Simulation, span_ms: int, victim: EdgeMachine | None = None) -> None:
    """The machine dies with its disk; another one joins for its office."""
    victim = victim or one_edge(sim)
    if sim.world.chance(0.7):  # usually it had a line shortly before
        busy(sim, [victim], span_ms // 2, acts=2)

    def burn() -> None:
        if victim.gone or sim.healing:
            return
        sim.book.look_at(victim, told=False)
        victim.retire()
        victim.burnt = True
        sim.book.destroyed(victim)
        sim.world.note("burnt", victim.name)
        sim.enrol_later(victim.office)

    sim.world.at(span_ms // 2, burn)


def _hub_restored(sim: Simulation, span_ms: int) -> None:
    """Yesterday's backup of the hub is put back."""
    backup = sim.back_up(sim.hub)
    busy(sim, some_edges(sim), span_ms)
    sim.hand_something_up()

    def put_back() -> None:
        if not sim.healing:
            sim.hub_falls_back(lambda: sim.restore(sim.hub, backup), knowingly=True)
            busy(sim, some_edges(sim), HOUR, acts=1)

    sim.world.at(span_ms, put_back)


def _old_hub(sim: Simulation, span_ms: int) -> None:
    """A copy of the hub as it was wakes up beside it, and answers under its name for a while."""
    directory = sim.new_directory("old-hub")
    was_up = sim.hub.up
    sim.hub.stop()
    shutil.copytree(sim.hub.directory, directory)
    if was_up:
        sim.hub.start()
    busy(sim, some_edges(sim), span_ms)

    def wake() -> None:
        if sim.healing:
            return
        line = sim.broker.line(HUB_BOX, "old hub")
        old = HubMachine(sim.world, sim.disks, line, directory, sim.city, "old hub")
        sim.old_hubs.append(old)
        old.on_another_hub = lambda: sim.put_to_sleep(old)
        old.start()
        busy(sim, some_edges(sim), HOUR, acts=1)
        sim.world.at(sim.world.between(5 * MINUTE, 2 * HOUR), sim.put_to_sleep, old)

    sim.world.at(span_ms // 2, wake)


def revoked(sim: Simulation, span_ms: int, victim: EdgeMachine | None = None) -> None:
    """A device is revoked while it still has things to send; its office gets another one."""
    victim = victim or one_edge(sim)
    busy(sim, [victim], span_ms, acts=3)
    county = sim.hub.county
    if county is None:
        return
    name = victim.incarnation

    def revoke() -> bool:
        now_ms = sim.hub.county_ms()
        with county.store.write() as tx:
            enrolment.set_state(tx, county.shelf, county.keys, name, REVOKED, staff="周强", now_ms=now_ms)
        return True

    if sim.at_hub(revoke):
        sim.book.revoked[name] = raw.op_ids_of(sim.hub.store_path, name)
        sim.world.note("revoked", victim.name)
        sim.enrol_later(victim.office)


IDENTITIES = (
    Fault("clone", "an edge's disk is copied and both copies run", (HOUR, 12 * HOUR), clone),
    Fault("edge_restored", "an edge is restored from an old backup", (HOUR, DAY), restored),
    Fault("edge_replaced", "an edge dies with its disk and a new machine joins", (HOUR, 6 * HOUR), replaced),
    Fault("hub_restored", "the hub is restored from yesterday's backup", (2 * HOUR, DAY), _hub_restored),
    Fault("old_hub_wakes", "an old copy of the hub wakes up beside it", (HOUR, 12 * HOUR), _old_hub),
    Fault("device_revoked", "a device is revoked while it has things to send", (HOUR, 12 * HOUR), revoked),
)
