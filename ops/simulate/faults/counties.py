"""What a county does to itself: new catalogue and calendar, offices that move, one person at two windows, sticks, scans.

For: changes and habits that are no faults at all, at moments when they hurt.
May not: write past the product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conflict.ledger.errors import UnknownCase
from edge.attachment import file_of
from edge.desk import Saved
from edge.forms import Application
from edge.main import Node
from hub import admin
from hub.review import rehome
from ops.simulate import tree
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.faults.fault import End, Fault, busy, one_edge, some_edges
from ops.simulate.network import Weather
from ops.simulate.people import somebody
from ops.simulate.staff import CHIEF, Act
from ops.simulate.world import DAY, HOUR, MINUTE, SECOND
from protocol.errors import LiandongError

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

RUSH = 8  # acts at each window on a market day, within two minutes
QUARRELLED = ("applicant_phone", "事由", "人数")


def _catalogue(sim: Simulation, span_ms: int) -> None:
    """A new version of the item list is published while offices work with the old one."""
    busy(sim, some_edges(sim), span_ms)

    sim.world.at(span_ms // 2, publish_items, sim)


def publish_items(sim: Simulation) -> None:
    """A new version of the item list."""
    county = sim.hub.county
    if county is None or sim.healing:
        return
    path = sim.room / "items-next.csv"
    tree.write_items(path, {"SIM-CN-1": sim.world.rng.randint(3, 15), "SIM-CN-2": sim.world.rng.randint(5, 20)})
    sim.at_hub(lambda: admin.publish_items(county, path, now_ms=sim.hub.county_ms()))


def _calendar(sim: Simulation, span_ms: int) -> None:
    busy(sim, some_edges(sim), span_ms)

    def publish() -> None:
        county = sim.hub.county
        if county is None or sim.healing:
            return
        day = f"{sim.world.rng.randint(2, 9):02d}-{sim.world.rng.randint(10, 28)}"
        content = {"years": {"2026": {"off": [day], "work": []}}, "source": "simulated"}

        def write() -> int:
            now_ms = sim.hub.county_ms()
            with county.store.write() as tx:
                return county.shelf.publish_calendar(tx, county.keys, content, now_ms=now_ms)

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
        to = sim.world.rng.choice(towns)
        if sim.at_hub(lambda: rehome(county, village, to, reason="区划调整", staff="周强", now_ms=sim.hub.county_ms())):
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


def _quarrel(sim: Simulation, span_ms: int) -> End:
    """A village hands a case to its township; then both lose their lines, and each corrects the same entry of it."""
    pairs = [
        (village, town)
        for office in sim.tree.villages
        if office not in sim.moved
        for village in sim.devices_of(office)
        for town in sim.devices_of(office[:9])
        if village.up and town.up
    ]
    if not pairs:
        return lambda: None
    village, town = sim.world.rng.choice(pairs)
    both, weather = (village, town), Weather(cut=True)
    name, number = sim.world.rng.choice(QUARRELLED), list[str]()
    for machine in both:
        sim.open_line(machine, span_ms)
    _try(sim, village, "accept", lambda node: _opened(sim, node, number))
    _try(sim, village, "forward", lambda node: node.service.forward(CHIEF, number[0], opinion="拟同意上报"))
    sim.world.at(span_ms * 0.4, _try, sim, town, "take", lambda node: node.service.take(CHIEF, number[0]))
    for machine in both:
        sim.world.at(span_ms * 0.6, sim.worsen, machine, weather)
        sim.world.at(sim.world.between(span_ms * 0.65, span_ms * 0.95), _correct, sim, machine, number, name)

    def end() -> None:
        for machine in both:
            machine.line.lift(weather)

    return end


def _opened(sim: Simulation, node: Node, number: list[str]) -> Saved:
    person = somebody(sim.world.rng)
    saved = node.service.accept(CHIEF, Application("SIM-CN-1", person.name, person.number, fields={"人数": "1"}))
    number.append(saved.case)
    return saved


def _correct(sim: Simulation, machine: EdgeMachine, number: list[str], name: str) -> None:
    said = f"更正为{sim.world.rng.randint(1, 999)}"
    _try(sim, machine, "amend", lambda node: node.service.amend(CHIEF, number[0], {name: said}, reason="录入有误"))


def _try(sim: Simulation, machine: EdgeMachine, kind: str, act: Act) -> None:
    """Somebody wants to do this; what is refused, or not here yet, is part of life."""
    if machine.up and not machine.gone and not sim.healing:
        try:
            sim.perform(machine, kind, act)
        except (LiandongError, UnknownCase, IndexError) as error:
            sim.world.note("refused at desk", machine.name, getattr(error, "code", "nothing to act upon"))


def _market_day(sim: Simulation, span_ms: int) -> None:
    """Everybody comes at once, and what the offices do crosses on the way."""
    begin = span_ms * 0.3
    for machine in some_edges(sim, 0.8):
        sim.open_line(machine, span_ms)
        for _ in range(RUSH):
            sim.world.at(begin + sim.world.between(0, 2 * MINUTE), sim.somebody_acts, machine)


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
    Fault("market_day", "many people come at once, and every window is busy", (5 * MINUTE, 30 * MINUTE), _market_day),
    Fault(
        "quarrel", "two offices without a line correct the same entry of one case", (20 * MINUTE, 2 * HOUR), _quarrel
    ),
    Fault("duplicate_acceptance", "one person applies for one thing at two windows", (2 * HOUR, DAY), _twice),
)
