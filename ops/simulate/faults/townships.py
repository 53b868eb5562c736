"""Faults of townships with brokers of their own: the county away, the hall's machine or broker gone, several ways at once.

For: what happens between a village, its township and the county while ops are handed on.
May not: tell the product what it has to find out by itself; repair a link (the staff of halls.py do, hours later).
Manual: docs/testing.md, "Townships".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hub.review import rehome
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.faults.fault import End, Fault, busy, short
from ops.simulate.faults.identities import clone, replaced, restored, revoked
from ops.simulate.faults.lines import on_lines
from ops.simulate.network import Broker, Weather
from ops.simulate.township import SideLine
from ops.simulate.world import DAY, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

FLAP_MS = 2 * SECOND
TRAPS = 5  # of a township that dies while it carries
STATEMENTS_MAX = 80
Hall = tuple[EdgeMachine, list[EdgeMachine]]  # a township's device, devices of its linked villages


def _hall(sim: Simulation) -> Hall | None:
    """A township that serves now and has linked villages."""
    found = []
    for town in sim.tree.towns:
        server = sim.halls.server(town)
        villages = [
            one for one in sim.working() if one.office in sim.halls.linked and sim.halls.town_of(one.office) == town
        ]
        if server is not None and villages:
            found.append((server, villages))
    return sim.world.rng.choice(found) if found else None


def _at_a_hall(
    work: Callable[[Simulation, int, EdgeMachine, list[EdgeMachine]], End | None],
) -> Callable[[Simulation, int], End | None]:
    """Have it happen at some hall, whose villages and township work over the second lines meanwhile."""

    def begin(sim: Simulation, span_ms: int) -> End | None:
        hall = _hall(sim)
        if hall is None:
            return None
        server, villages = hall
        busy_hall(sim, server, villages, span_ms)
        return work(sim, span_ms, server, villages)

    return begin


def busy_hall(sim: Simulation, server: EdgeMachine, villages: list[EdgeMachine], span_ms: int, acts: int = 3) -> None:
    """People of the branch act, second lines are plugged in several times; the township has the county now and then."""
    world = sim.world
    for village in villages:
        for _ in range(3):
            world.at(
                world.between(0, span_ms), sim.halls.plug_in, village, max(5 * MINUTE, min(span_ms / 3, 40 * MINUTE))
            )
        for _ in range(acts):
            world.at(world.between(0, span_ms), sim.somebody_acts, village)
    busy(sim, [server], span_ms, acts=acts)


def _county_away(sim: Simulation, span_ms: int, server: EdgeMachine, villages: list[EdgeMachine]) -> End:
    """The county's line is dead for the whole branch; it works on, and the township comes back some hours earlier."""
    for number in range(int(span_ms // (6 * HOUR)) + 1):
        sim.world.at(number * 6 * HOUR, busy_hall, sim, server, villages, 6 * HOUR, 2)
    to_villages = on_lines([one.line for one in villages], lambda: Weather(cut=True))
    to_town = on_lines([server.line], lambda: Weather(cut=True))
    sim.world.at(span_ms * 0.7, to_town)
    sim.world.at(span_ms * 0.75, sim.open_line, server, 20 * MINUTE)

    def end() -> None:
        to_town()
        to_villages()

    return end


def _hermit(sim: Simulation, span_ms: int, server: EdgeMachine, villages: list[EdgeMachine]) -> None:
    """From now on a village never reaches the county itself, in this run and in the rounds after it."""
    village = sim.world.rng.choice(villages)
    if village.office not in sim.halls.hermits:
        sim.halls.hermits.append(village.office)
        sim.world.note("hermit", village.office)
    for machine in sim.devices_of(village.office):
        machine.line.open = False
        machine.line.refresh()


def _crashes(sim: Simulation, span_ms: int, server: EdgeMachine, villages: list[EdgeMachine]) -> None:
    """The township's process dies in the middle of carrying, wherever it stands, again and again."""

    def arm() -> None:
        disk, rng = server.disk, sim.world.rng
        if not server.up or sim.healing:
            return
        which = rng.randrange(4)
        disk.crash_before_commit, disk.crash_after_commit = which == 0, which == 1
        disk.crash_at = rng.randint(1, STATEMENTS_MAX) if which == 2 else 0
        disk.crash_at_publish = rng.randint(1, 3) if which == 3 else 0

    for _ in range(TRAPS):
        sim.world.at(sim.world.between(0, span_ms), arm)


def _full(sim: Simulation, span_ms: int, server: EdgeMachine, villages: list[EdgeMachine]) -> End:
    server.disk.full = True

    def end() -> None:
        server.disk.full = False

    return end


def _sides(machines: list[EdgeMachine]) -> list[SideLine]:
    return [side for machine in machines for side in machine.sides]


def _brokers(server: EdgeMachine) -> list[Broker]:
    return [side.line.broker for side in server.sides]


def _broker_forgets(sim: Simulation, span_ms: int, server: EdgeMachine, villages: list[EdgeMachine]) -> None:
    """The hall's broker is killed and loses what it had acknowledged, three times."""

    def kill() -> None:
        for broker in _brokers(server) if not sim.healing else []:
            broker.stop()
            broker.forget()
            sim.world.at(short(sim), broker.start)

    for _ in range(3):
        sim.world.at(sim.world.between(0, span_ms), kill)


def _bad_line(sim: Simulation, span_ms: int, server: EdgeMachine, villages: list[EdgeMachine]) -> End:
    """Second lines flap, and what passes comes late, twice, in another order, or not at all."""
    lines = [side.line for side in _sides([server, *villages])]
    storm = Weather(loss=0.1, double=0.3, jitter_ms=sim.world.between(SECOND, 20 * SECOND))
    gap, ended = Weather(cut=True), [False]
    flapping = lines[-1:]

    def flip(down: bool) -> None:
        for line in flapping:
            (line.put if down else line.lift)(gap)
        if not ended[0]:
            sim.world.at(FLAP_MS, flip, not down)

    for line in lines:
        line.put(storm)
    flip(True)
    sim.world.at(min(span_ms, 10 * MINUTE), ended.__setitem__, 0, True)

    def end() -> None:
        ended[0] = True
        for line in lines:
            line.lift(storm)
            line.lift(gap)

    return end


def _every_way(sim: Simulation, span_ms: int, server: EdgeMachine, villages: list[EdgeMachine]) -> None:
    """The same ops go to the county, to the township, and by the sticks of both, all at once."""
    village = sim.world.rng.choice(villages)
    for _ in range(2):
        sim.somebody_acts(village)
    for machine in (village, server):
        if machine.node is not None:
            sim.carry_by_stick(machine, delay_ms=sim.world.between(SECOND, MINUTE))
        sim.open_line(machine, 10 * MINUTE)
    sim.halls.plug_in(village, 10 * MINUTE)


def _replaced(sim: Simulation, span_ms: int, server: EdgeMachine, villages: list[EdgeMachine]) -> None:
    """The hall's machine burns with its broker and all that it carried."""
    brokers = _brokers(server)
    replaced(sim, span_ms, server)

    def gone() -> None:
        for broker in brokers if server.burnt else []:
            broker.stop()
            broker.forget()

    sim.world.at(span_ms // 2, gone)


def _restored(sim: Simulation, span_ms: int, server: EdgeMachine, villages: list[EdgeMachine]) -> None:
    restored(sim, span_ms, server)


def _cloned(sim: Simulation, span_ms: int, server: EdgeMachine, villages: list[EdgeMachine]) -> None:
    clone(sim, span_ms, server)


def _revoked(sim: Simulation, span_ms: int, server: EdgeMachine, villages: list[EdgeMachine]) -> None:
    sim.world.at(span_ms // 2, revoked, sim, span_ms // 2, server)


def _rehomed(sim: Simulation, span_ms: int, server: EdgeMachine, villages: list[EdgeMachine]) -> None:
    """A village comes under another township while this one carries for it."""
    village = sim.world.rng.choice(villages).office

    def move() -> None:
        county = sim.hub.county
        if county is None or sim.healing:
            return
        now = county.shelf.roster.parent(village)
        to = sim.world.rng.choice([town for town in (*sim.tree.towns, sim.tree.spare_town) if town != now])
        if sim.at_hub(lambda: rehome(county, village, to, reason="区划调整", staff="周强", now_ms=sim.hub.county_ms())):
            sim.world.note("rehomed", village, to)
            sim.moved.add(village)

    sim.world.at(span_ms // 2, move)


CARRYING = (20 * MINUTE, 6 * HOUR)
TOWNSHIPS = (
    Fault(
        "branch_alone",
        "a branch works for days without the county's line",
        (4 * HOUR, 3 * DAY),
        _at_a_hall(_county_away),
    ),
    Fault("village_hermit", "a village never reaches the county itself again", (HOUR, 6 * HOUR), _at_a_hall(_hermit)),
    Fault("township_crash", "a township's process dies while it carries", CARRYING, _at_a_hall(_crashes)),
    Fault("township_full", "a township's disk is full while it carries", CARRYING, _at_a_hall(_full)),
    Fault("township_broker_forgets", "a township's broker loses its store", CARRYING, _at_a_hall(_broker_forgets)),
    Fault("branch_line_bad", "second lines flap, lose, repeat and reorder", CARRYING, _at_a_hall(_bad_line)),
    Fault("every_way", "the same ops over both lines and by stick at once", CARRYING, _at_a_hall(_every_way)),
    Fault("carried_rehomed", "a village leaves the township that carries for it", CARRYING, _at_a_hall(_rehomed)),
)
TOWNSHIP_MACHINES = (
    Fault(
        "township_restored",
        "a township is restored from an old backup while it carries",
        CARRYING,
        _at_a_hall(_restored),
    ),
    Fault("township_replaced", "a township's machine burns and a new one joins", CARRYING, _at_a_hall(_replaced)),
    Fault("township_cloned", "a township's disk is copied and both copies serve", CARRYING, _at_a_hall(_cloned)),
    Fault("township_revoked", "a township's device is revoked while it carries", CARRYING, _at_a_hall(_revoked)),
)
