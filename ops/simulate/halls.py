"""The staff of township halls: who serves a branch, who has a card, when the second lines are plugged in.

For: doing by the product's commands what docs/operating/township.md asks of people, now and again within a day.
May not: write a device's files past the product; decide what a device believes.
Manual: docs/testing.md, "Townships".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.branch import setup
from edge.errors import BadLink
from ops import branch
from ops.simulate.network import Line
from ops.simulate.township import Network
from ops.simulate.world import HOUR, MINUTE
from protocol.errors import InputError, LiandongError
from protocol.roster import ACTIVE

if TYPE_CHECKING:
    from ops.simulate.edge_node import EdgeMachine
    from ops.simulate.simulation import Simulation

LINKED_SHARE = 0.75  # villages that have a second line
LOOK_MS = 5 * HOUR  # how often somebody looks whether cards still fit
WINDOWS = 3  # of the second line a day
WINDOW_MS = (5 * MINUTE, 40 * MINUTE)


class Halls:
    """See the module. linked: villages with a second line. hermits: villages whose first line leads nowhere for ever."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self.network = Network(sim.world)
        self.linked: list[str] = []
        self.hermits: list[str] = []

    @property
    def on(self) -> bool:
        """Whether this county has halls at all."""
        return bool(self.linked)

    def set_up(self) -> None:
        """Every town serves its branch; most villages have a card, one of each town at least."""
        sim = self._sim
        for town in sim.tree.towns:
            villages = [office for office in sim.tree.branch(town) if office != town]
            chosen = [office for office in villages if sim.world.chance(LINKED_SHARE)]
            self.linked += chosen or villages[:1]
        self.look()
        sim.world.at(LOOK_MS, self._look_again)

    def look(self) -> None:
        """Somebody sees to it that each town serves its branch and each linked village has the card that fits."""
        for town in (*self._sim.tree.towns, self._sim.tree.spare_town):
            server = self.server(town)
            if server is None:
                continue
            self._serve(server)
            for office in self.linked:
                for village in self._sim.devices_of(office):
                    if self.town_of(office) == town:
                        self._give_card(server, village)

    def town_of(self, office: str) -> str:
        """The town above a village, as the county knows it."""
        county = self._sim.hub.county
        return office[:9] if county is None else county.shelf.roster.parent(office)

    def server(self, town: str) -> EdgeMachine | None:
        """The device of a town that staff have serve the branch: the oldest that runs under a name in force."""
        county = self._sim.hub.county
        if county is None:
            return None
        for machine in self._sim.devices_of(town):
            device = county.shelf.roster.device(machine.incarnation)
            if machine.up and not machine.renewing and device is not None and device.state == ACTIVE:
                return machine
        return None

    def village_line(self, machine: EdgeMachine) -> Line | None:
        """The second line of a village's device, while it has one that its daemon uses."""
        if len(machine.office) != 12:
            return None
        return machine.sides[0].line if machine.sides else None

    # --- lines ---

    def plan_day(self, machine: EdgeMachine) -> None:
        """When a village's second line is plugged in today."""
        for _ in range(WINDOWS if machine.office in self.linked else 0):
            world = self._sim.world
            world.at(world.between(0, 14 * HOUR), self.plug_in, machine, world.between(*WINDOW_MS))

    def plug_in(self, machine: EdgeMachine, span_ms: float) -> None:
        """Have the second line of a village's device open for a while."""
        line = self.village_line(machine)
        if line is None or machine.gone or self._sim.healing:
            return
        line.open = True
        line.closes_ms = max(line.closes_ms, self._sim.world.now_ms + int(span_ms))
        line.refresh()
        self._sim.world.at(span_ms, self._unplug, line)

    def _unplug(self, line: Line) -> None:
        if not self._sim.healing and self._sim.world.now_ms >= line.closes_ms:
            line.open = False
            line.refresh()

    def all_well(self) -> None:
        """The faults stop: brokers run, no bad weather, second lines are unplugged until the rounds."""
        for broker in self.network.brokers.values():
            broker.start()
        for line in self.network.lines():
            line.weather.clear()
            line.refresh()
        self.plug_all(False)

    def plug_all(self, on: bool) -> None:
        for machine in self._sim.working():
            line = self.village_line(machine)
            if line is not None:
                line.open = on
                line.refresh()

    # --- acts ---

    def _look_again(self) -> None:
        if not self._sim.healing:
            self.look()
            self._sim.world.at(LOOK_MS, self._look_again)

    def _serve(self, server: EdgeMachine) -> None:
        """`liandong edge branch` where it is needed: on a new machine, or beside a copy at the same address."""
        served = setup.read_branch(server.directory)
        others = [machine for machine in self._sim.working() if machine is not server]
        taken = [other for machine in others if (other := setup.read_branch(machine.directory)) is not None]
        if served is not None and served.broker not in {other.broker for other in taken}:
            return
        number = len(self.network.brokers) + 1
        self._do(server, lambda: branch.set_up(server.node, f"mqtt://hall-{number}:1883"))  # type: ignore[arg-type]
        self._sim.world.note("serves", server.name, number)

    def _give_card(self, server: EdgeMachine, village: EdgeMachine) -> None:
        """`edge branch-card` and `edge link-township` where the card that is there does not fit any more."""
        link, served = setup.read_link(village.directory), setup.read_branch(server.directory)
        if village.renewing or not village.up or served is None or village.node is None:
            return
        wanted = (village.incarnation.hex(), server.incarnation.hex(), served.broker)
        if link is not None and (link.device, link.township, link.broker) == wanted:
            return
        try:
            card = server.do(lambda: branch.make_card(server.node, village.office, village.incarnation.hex()))  # type: ignore[arg-type]
        except (BadLink, InputError) as error:
            self._sim.world.note("no card", village.name, error.code)  # the town does not know that device yet
            return
        if card is None:
            return
        keys = village.node.keys
        self._do(village, lambda: setup.take_card(village.directory, card.to_bytes(), keys))
        self._sim.world.note("card", village.name, server.name)

    def _do(self, machine: EdgeMachine, work: object) -> None:
        """A command in the directory of a device; then its daemon is started anew, as the manual says."""
        try:
            machine.do(work)  # type: ignore[arg-type]
        except LiandongError as error:
            self._sim.world.note("refused at hall", machine.name, error.code)
        machine.stop()
        machine.start()
