"""What a county does to itself: new catalogue and calendar, offices that move, one person at two windows, sticks, scans.

For: changes and habits that are no faults at all, at moments when they hurt.
May not: write past the product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conflict.ledger.errors import UnknownCase
from edge.attachment import file_of
from hub import admin
from hub.review import rehome
from ops.simulate import tree
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.faults.fault import Fault, busy, one_edge, some_edges
from ops.simulate.network import Weather
from ops.simulate.staff import CHIEF
from ops.simulate.world import DAY, HOUR, MINUTE, SECOND
from protocol.errors import LiandongError

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation


def _catalogue(sim: Simulation, span_ms: int) -> None:
    """A new version of the item list is published while offices work with the old one."""
    busy(sim, some_edges(sim), span_ms)

    def publish() -> None:
        county = sim.hub.county
        if county is None or sim.healing:
            return
        path = sim.room / "items-next.csv"
        tree.write_items(path, {"SIM-CN-1": sim.world.rng.randint(3, 15), "SIM-CN-2": sim.world.rng.randint(5, 20)})
        sim.at_hub(lambda: admin.publish_items(county, path, now_ms=sim.hub.clock.now_ms()))

    sim.world.at(span_ms // 2, publish)


def _calendar(sim: Simulation, span_ms: int) -> None:
    busy(sim, some_edges(sim), span_ms)

    def publish() -> None:
        county = sim.hub.county
        if county is None or sim.healing:
            return
        day = f"{sim.world.rng.randint(2, 9):02d}-{sim.world.rng.randint(10, 28)}"
        content = {"years": {"2026": {"off": [day], "work": []}}, "source": "simulated"}

        def write() -> int:
            with county.store.write() as tx:
                return county.shelf.publish_calendar(tx, county.keys, content, now_ms=sim.hub.clock.now_ms())

        sim.at_hub(write)

    sim.world.at(span_ms // 2, publish)


def _rehomed(sim: Simulation, span_ms: int) -> None:
    """A village comes under another township with its cases in flight."""
    if not sim.tree.villages:
        return
    village = sim.world.rng.choice(sim.tree.villages)
    busy(sim, sim.devices_of(village), span_ms, acts=2)

    def move() -> None:
        county = sim.hub.county
        if county is None or sim.healing:
            return
        now = county.shelf.roster.parent(village)
        towns = [town for town in (*sim.tree.towns, sim.tree.spare_town) if town != now]
        to, now_ms = sim.world.rng.choice(towns), sim.hub.clock.now_ms()
        if sim.at_hub(lambda: rehome(county, village, to, reason="区划调整", staff="周强", now_ms=now_ms)):
            sim.world.note("rehomed", village, to)
            sim.moved.add(village)

    sim.world.at(span_ms // 2, move)


def _twice(sim: Simulation, span_ms: int) -> None:
    """One person applies for one thing at two windows."""

    def apply() -> None:
        machine = one_edge(sim)
        if not machine.up or sim.healing:
            return
        again = sim.staff.same_person_again(machine.office)
        if again is None:
            return
        try:
            chosen = machine.do(lambda: sim.staff.new_case(machine.node, person=again[0], item=again[1]))  # type: ignore[arg-type]
            if chosen is not None:
                sim.perform(machine, *chosen)
        except LiandongError as error:
            sim.world.note("refused at desk", machine.name, error.code)

    for _ in range(3):
        sim.world.at(sim.world.between(0, span_ms), apply)
    busy(sim, some_edges(sim), span_ms)


def _stick(sim: Simulation, span_ms: int) -> None:
    """What an office could not send goes on a stick, hours late, twice, or damaged; the answer comes back the same way."""
    machine = one_edge(sim)
    sim.somebody_acts(machine)
    if machine.node is None:
        return
    damaged = sim.world.chance(0.3)
    for _ in range(2):
        sim.carry_by_stick(machine, damaged=damaged, delay_ms=sim.world.between(MINUTE, span_ms))


def _attachment_cut(sim: Simulation, span_ms: int) -> None:
    """A large scan is on its way and the line breaks every few seconds."""
    machine = one_edge(sim)
    _attach_scan(sim, machine)
    sim.open_line(machine, span_ms)

    def snip() -> None:
        weather = Weather(cut=True)
        machine.line.put(weather)
        sim.world.at(sim.world.between(SECOND, 20 * SECOND), machine.line.lift, weather)

    for _ in range(10):
        sim.world.at(sim.world.between(0, min(span_ms, 20 * MINUTE)), snip)


def _attach_scan(sim: Simulation, machine: EdgeMachine) -> None:
    rng = sim.world.rng
    scan = file_of("扫描件.dat", rng.randbytes(rng.randint(150_000, 400_000)), material="扫描件", grade="B")
    try:
        cases = machine.do(lambda: machine.node.service.list_cases(limit=10)) or []  # type: ignore[union-attr]
        if cases:
            case = rng.choice(cases)["case"]
            sim.perform(machine, "attach", lambda node: node.service.attach_file(CHIEF, case, scan))
    except (LiandongError, UnknownCase) as error:
        sim.world.note("refused at desk", machine.name, error.code)


COUNTIES = (
    Fault(
        "usb_crossing", "envelopes are carried by file and put in late, twice, or damaged", (3 * HOUR, 2 * DAY), _stick
    ),
    Fault(
        "attachment_cut",
        "the line breaks in the middle of an attachment, again and again",
        (10 * MINUTE, HOUR),
        _attachment_cut,
    ),
    Fault("catalogue_published", "a new catalogue is published while cases travel", (HOUR, 8 * HOUR), _catalogue),
    Fault("calendar_published", "a new calendar is published while cases travel", (HOUR, 8 * HOUR), _calendar),
    Fault("office_rehomed", "a village comes under another township while its cases travel", (HOUR, DAY), _rehomed),
    Fault("duplicate_acceptance", "one person applies for one thing at two windows", (2 * HOUR, DAY), _twice),
)
