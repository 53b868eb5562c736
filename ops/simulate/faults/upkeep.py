"""What staff do with full disks and with sticks that lie about: purge and fetch back; put in again, late, and elsewhere.

For: commands that are harmless if the product keeps its word, at moments when they would hurt.
May not: write past the product, but for the end of a stick that somebody pulled out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conflict.ledger.meta import delete_meta, put_meta
from edge.attachment import FileToAttach, file_of
from edge.desk import Saved
from edge.forms import Application
from edge.main import Node
from ops.reconcile.comparer import REQUEST
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.faults.counties import publish_items
from ops.simulate.faults.fault import End, Fault, busy, one_edge
from ops.simulate.faults.lanes import closed, set_lanes
from ops.simulate.network import Weather
from ops.simulate.people import somebody
from ops.simulate.purges import purge_at, want_back
from ops.simulate.staff import CHIEF
from ops.simulate.sticks import cut, put_in_at_hub, put_in_at_office
from ops.simulate.world import HOUR, MINUTE
from protocol.errors import LiandongError

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

SCAN_BYTES = (1_000, 60_000)
LINE_MS = 15 * MINUTE
FETCHED_SHARE = 0.5  # of purged cases, when somebody asks for them
PUT_IN_AGAIN = 6  # sticks, in one fault
TORN_BYTES = 400  # missing at the end of a stick that was pulled out


# --- purging ---


def _purge(sim: Simulation, span_ms: int) -> End:
    """An office concludes cases, is compared with the county, concludes more without a line, purges, and asks again."""
    victim, world, gap = one_edge(sim), sim.world, Weather(cut=True)
    scan, files_wait = _scan(sim), sim.world.chance(0.5)
    _concluded(sim, victim, scan)
    _attached(sim, victim, scan)  # the same scan stays in a case that goes on
    sim.open_line(victim, LINE_MS)
    world.at(span_ms * 0.30, sim.open_line, victim, LINE_MS)
    world.at(span_ms * 0.30, _reconcile, sim, victim)
    world.at(span_ms * 0.50, sim.worsen, victim, gap)
    if files_wait:  # whoever may send no attachments at this hour has receipts before the county has the files
        world.at(span_ms * 0.50, _shut_lane, sim, victim)
    world.at(span_ms * 0.52, _concluded, sim, victim, _scan(sim))
    world.at(span_ms * 0.55, purge_at, sim, victim)
    world.at(span_ms * 0.60, victim.line.lift, gap)
    world.at(span_ms * 0.60, sim.open_line, victim, LINE_MS)
    world.at(span_ms * 0.75, purge_at, sim, victim)
    world.at(span_ms * 0.85, want_back, sim, victim, FETCHED_SHARE)
    world.at(span_ms * 0.90, sim.open_line, victim, LINE_MS)

    def end() -> None:
        victim.line.lift(gap)
        if files_wait:
            set_lanes(victim, {})

    return end


def _shut_lane(sim: Simulation, victim: EdgeMachine) -> None:
    if not sim.healing:
        set_lanes(victim, closed(sim))


def _scan(sim: Simulation) -> FileToAttach:
    rng = sim.world.rng
    return file_of("扫描件.dat", rng.randbytes(rng.randint(*SCAN_BYTES)), material="扫描件", grade="B")


def _concluded(sim: Simulation, machine: EdgeMachine, scan: FileToAttach) -> None:
    """Two cases that are withdrawn at once, one with a scan; and a note elsewhere, in which the chain ends then."""
    for papers in ((scan,), ()):
        number = _attached(sim, machine, *papers)
        if number:
            _try(
                sim,
                machine,
                "withdraw",
                lambda node, case=number: node.service.withdraw(CHIEF, case, reason="本人撤回"),
            )
    _attached(sim, machine)


def _attached(sim: Simulation, machine: EdgeMachine, *papers: FileToAttach) -> str:
    """A new case with these scans; its number, or "" if the desk refused it."""
    person, number = somebody(sim.world.rng), list[str]()

    def accept(node: Node) -> Saved:
        saved = node.service.accept(CHIEF, Application("SIM-CN-1", person.name, person.number, fields={"人数": "1"}))
        number.append(saved.case)
        return saved

    if not _try(sim, machine, "accept", accept):
        return ""
    for scan in papers:
        _try(sim, machine, "attach", lambda node, one=scan: node.service.attach_file(CHIEF, number[0], one))
    return number[0]


def _try(sim: Simulation, machine: EdgeMachine, kind: str, act) -> bool:  # type: ignore[no-untyped-def]
    """Somebody wants to do this; True if the screen said Saved."""
    if not machine.up or machine.gone or sim.healing:
        return False
    try:
        return sim.perform(machine, kind, act)
    except LiandongError as error:
        sim.world.note("refused at desk", machine.name, error.code)
        return False


def _reconcile(sim: Simulation, machine: EdgeMachine) -> None:
    """The administrator runs `liandong reconcile` for this office; after a while the command gives up."""
    county = sim.hub.county
    if county is None or sim.healing:
        return
    request = {"id": sim.world.rng.randbytes(8), "office": machine.office}

    def ask() -> None:
        with county.store.write() as tx:
            put_meta(tx, REQUEST, request)

    sim.at_hub(ask)
    sim.world.at(LINE_MS, _give_up, sim)


def _give_up(sim: Simulation) -> None:
    county = sim.hub.county
    if county is None:
        return

    def forget() -> None:
        with county.store.write() as tx:
            delete_meta(tx, REQUEST)

    sim.at_hub(forget)


# --- sticks ---


def _old_sticks(sim: Simulation, span_ms: int) -> End:
    """A stick comes back when what it carries is out of date; that one and others are put in again, here and elsewhere."""
    victim, world, gap = one_edge(sim), sim.world, Weather(cut=True)
    victim.line.put(gap)
    busy(sim, [victim], span_ms)
    _attached(sim, victim, _scan(sim))
    publish_items(sim)
    first = len(sim.sticks)
    world.at(span_ms * 0.10, _written, sim, victim, span_ms * 0.05)
    world.at(span_ms * 0.20, publish_items, sim)
    world.at(span_ms * 0.25, victim.line.lift, gap)
    world.at(span_ms * 0.25, sim.open_line, victim, LINE_MS)
    for number in range(PUT_IN_AGAIN):
        world.at(span_ms * (0.5 + 0.5 * number / PUT_IN_AGAIN), _again, sim, victim, first, number)
    return lambda: victim.line.lift(gap)


def _written(sim: Simulation, victim: EdgeMachine, delay_ms: float) -> None:
    """A stick is written, and a copy of it breaks off; that is put in before the whole one."""
    before = len(sim.sticks)
    sim.carry_by_stick(victim, delay_ms=int(delay_ms))
    for stick in sim.sticks[before:]:
        missing = sim.world.rng.randint(1, TORN_BYTES)
        sim.sticks.append(cut(stick, missing, sim.new_directory("torn")))
        put_in_at_hub(sim, sim.sticks[-1])


def _again(sim: Simulation, victim: EdgeMachine, first: int, number: int) -> None:
    """Somebody finds a stick: the one that comes back too late, its export once more, then any anywhere."""
    world, found = sim.world, sim.sticks[first:]
    ours = [stick for stick in found if stick.device == victim.incarnation and not stick.is_cut]
    answers, exports = ([one for one in ours if one.is_answer is kind] for kind in (True, False))
    if sim.healing or not exports:
        return
    if number == 0 and answers:
        put_in_at_office(sim, victim, answers[0])
    elif number == 1:
        put_in_at_hub(sim, exports[0])
    else:
        stick, place = world.rng.choice(sim.sticks), world.rng.choice([None, *sim.working()])
        if place is None:
            put_in_at_hub(sim, stick)
        else:
            put_in_at_office(sim, place, stick)


UPKEEP = (
    Fault("purge", "concluded cases are purged at an office and asked for again", (HOUR, 6 * HOUR), _purge),
    Fault("old_sticks", "sticks are put in again, too late, cut off, and elsewhere", (HOUR, 6 * HOUR), _old_sticks),
)
