"""One county put together: tree, hub, devices, city, broker, people, and the days they live through.

For: building a county from a seed, enrolling devices as a county does, office hours and lines that open and close.
May not: inject faults (faults/ does); judge (checks.py does).
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from edge.errors import JoinRefused
from edge.identity import write_keys
from edge.join import DRAW_TRIES, finish, prepare
from edge.stick import export as edge_export
from hub import enrolment
from hub.init import init_county
from ops import backup as backups
from ops.simulate import checks, raw, tree
from ops.simulate.book import Book
from ops.simulate.city import SimulatedCity
from ops.simulate.disk import Disks
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.faults.catalogue import NEED_HALLS, Plan
from ops.simulate.halls import Halls
from ops.simulate.hub_node import HubMachine
from ops.simulate.machine import Machine
from ops.simulate.network import HUB_BOX, Broker, Weather
from ops.simulate.options import Options
from ops.simulate.raw import HUB_EPOCH
from ops.simulate.staff import Staff
from ops.simulate.sticks import Stick, cut, put_in_at_hub, put_in_at_office
from ops.simulate.world import DAY, HOUR, MINUTE, START_MS, World
from protocol import keys as device_keys
from protocol import topics
from protocol.enrol import EnrolCode, JoinRequest, open_request, seal_answer, seal_request
from protocol.errors import LiandongError, StoreError
from protocol.keys import DeviceKeys

# (acts a day, windows of the line a day, shortest and longest window)
HABITS = {
    12: (4.0, 2, (3 * MINUTE, 15 * MINUTE)),
    9: (7.0, 4, (5 * MINUTE, 25 * MINUTE)),
    6: (7.0, 6, (5 * MINUTE, 30 * MINUTE)),
}
LINE_DEAD_SHARE = 0.2  # days on which a village has no line at all
HOLIDAY_SHARE = 0.05  # of the usual acts and days with a line
OFFICE_HOURS = 10 * HOUR
NEW_MACHINE_MS = (HOUR, 8 * HOUR)  # until an office has another machine
_T = TypeVar("_T")


class Simulation:
    """See the module. Use in a `with` block."""

    def __init__(self, options: Options, room: Path) -> None:
        self.options = options
        self.room = room
        self.world: World = World(options.seed)
        self.disks = Disks()
        self.broker = Broker(self.world)
        self.tree = tree.plant(options.offices)
        self.staff = Staff(self.world)
        self.book = Book(self.world)
        self.plan = Plan(self)
        self.halls = Halls(self)
        self.edges: list[EdgeMachine] = []
        self.old_hubs: list[HubMachine] = []
        self.moved: set[str] = set()  # offices that came under another one
        self.healing = False
        self.quiet_until_ms = 0  # holidays: few people act, no further faults begin
        self.end_ms = START_MS + int(options.days * DAY)
        self.problems: list[str] = []  # "kind of finding: sentence", of what shows only at its moment
        self.sticks: list[Stick] = []  # all that was ever written and lies about
        self._numbers = 0

    @contextmanager
    def built(self) -> Iterator[Simulation]:
        """The county stands for the block; afterwards everything is closed."""
        with self.disks.installed():
            try:
                self._build()
                yield self
            finally:
                self._close()

    def _build(self) -> None:
        areas, items = self.room / "areas.csv", self.room / "items.csv"
        tree.write_areas(areas, self.tree)
        tree.write_items(items)
        init_county(
            self.room / "hub",
            areas=areas,
            items=items,
            county=tree.COUNTY,
            now_ms=self.world.now_ms,
            random_bytes=self.world.rng.randbytes,
        )
        self.city = SimulatedCity(self.world, self.room / "city")
        line = self.broker.line(HUB_BOX, "hub")
        self.hub = HubMachine(self.world, self.disks, line, self.room / "hub", self.city, "hub")
        self.hub.on_another_hub = lambda: self.world.at(self.world.between(10 * MINUTE, 3 * HOUR), self._take_over)
        self.hub.on_died = lambda: self.problems.extend(checks.receipts_are_covered(self))
        self.hub.start()
        for office in self.tree.offices:
            self.enrol(office)
        if NEED_HALLS & set(self.options.faults):
            self.halls.set_up()

    def _close(self) -> None:
        for machine in (*self.edges, *self.old_hubs, getattr(self, "hub", None)):
            if machine is not None and machine.up:
                machine.up = False
                machine.close()
        if hasattr(self, "city"):
            self.city.close()

    # --- devices ---

    def enrol(self, office: str) -> EdgeMachine:
        """A new machine for an office: a code, keys, a join by file, started. The hub must be up.

        Raises:  StoreError if the hub's store refuses; then there is no machine.
        """
        name = f"{office}#{self._numbers + 1}"
        directory = self.new_directory("edge")
        directory.mkdir()
        made = self.hub.do(lambda: self._code(office))
        if made is None:
            raise StoreError("the hub is down", "县中心停机")
        keys = device_keys.generate(tree.COUNTY, office, "edge", self.world.rng.randbytes)
        write_keys(directory, keys)
        assert self.hub.county is not None
        prepare(directory, made.to_text(), self.hub.county.card)
        answer = self.hub.do(lambda: self._admit(keys, made))
        if answer is None:
            raise StoreError("the hub is down", "县中心停机")
        line = self.broker.line(topics.mailbox(keys.incarnation), name)
        machine = EdgeMachine(self.world, self.disks, line, directory, office, name)
        finish(directory, answer, machine.clock.as_edge_clock())
        self.adopt(machine)
        machine.start()
        self.world.note("enrolled", name, keys.incarnation)
        return machine

    def join_anew(self, machine: EdgeMachine) -> bool:
        """A person brings a new code to a device that has new keys: `edge join --code` in the same directory.

        Returns: False if the county refuses.
        """
        made = self.hub.do(lambda: self._code(machine.office))
        if made is None or self.hub.county is None:
            return True
        machine.stop()
        try:
            return any(self._join_once(machine, made) for _ in range(DRAW_TRIES))
        finally:
            machine.start()

    def _join_once(self, machine: EdgeMachine, made: EnrolCode) -> bool:
        """One question with this code; a refused device has drawn other keys where that helps."""
        assert self.hub.county is not None
        _config, _code, keys = prepare(machine.directory, made.to_text(), self.hub.county.card)
        answer = self.hub.do(lambda: self._admit(keys, made))
        try:
            if answer is not None:
                finish(machine.directory, answer, machine.clock.as_edge_clock())
        except JoinRefused as error:
            self.world.note("not admitted", machine.name, error.facts["reason"])
            return False
        return True

    def carry_by_stick(
        self, machine: EdgeMachine, *, damaged: bool = False, delay_ms: int = 0, everything: bool = False
    ) -> None:
        """`bundle export` at a device, `bundle import` at the hub, and the answer back to the device."""
        node = machine.node
        if node is None:
            return
        stick = self.new_directory("stick")
        stick.mkdir()
        try:
            made = machine.do(
                lambda: edge_export.export(
                    node,
                    stick,
                    everything=everything,
                    random_bytes=self.world.rng.randbytes,
                )
            )
        except LiandongError as error:
            self.world.note("no stick", machine.name, error.code)
            return
        if made is None:
            return
        self.sticks.append(Stick(made.file, machine.incarnation, is_answer=False))
        if damaged:  # somebody pulls the stick out too early
            self.sticks[-1] = cut(self.sticks[-1], 20, made.file)
        self.world.at(delay_ms, self._put_in, machine, self.sticks[-1])

    def _put_in(self, machine: EdgeMachine, stick: Stick) -> None:
        answer = put_in_at_hub(self, stick)
        if answer is not None:
            back_ms = 0 if self.healing else self.world.between(HOUR, DAY)
            self.world.at(back_ms, put_in_at_office, self, machine, answer)

    def worsen(self, machine: EdgeMachine, weather: Weather) -> None:
        """Bad weather that was set for later comes, unless the faults have stopped meanwhile."""
        if not self.healing:
            machine.line.put(weather)

    def adopt(self, machine: EdgeMachine) -> None:
        """Take a machine into the county's life."""
        machine.on_died = lambda: self._look_at_the_dead(machine)
        machine.halls = self.halls.network
        self.edges.append(machine)

    def _look_at_the_dead(self, machine: EdgeMachine) -> None:
        self.book.look_at(machine, told=False)
        if not self.healing:
            self.problems.extend(checks.place_at_death(self, machine))

    def enrol_later(self, office: str) -> None:
        """Somebody brings a new machine to an office within hours."""
        self.world.at(self.world.between(*NEW_MACHINE_MS), self._try_enrol, office)

    def _try_enrol(self, office: str) -> None:
        if self.healing:
            return
        try:
            self.enrol(office)
        except StoreError:
            self.world.at(HOUR, self._try_enrol, office)

    def new_directory(self, what: str) -> Path:
        """A path in the run's room that does not exist yet."""
        self._numbers += 1
        return self.room / f"{what}-{self._numbers:03d}"

    def back_up(self, machine: Machine) -> Path:
        """As `liandong backup` does it, beside the running machine."""
        target = self.new_directory("backup").with_suffix(".tar")
        backups.backup(machine.directory, target, now_ms=self.world.now_ms)
        return target

    def restore(self, machine: Machine, backup: Path) -> None:
        """As `liandong restore` does it; the machine, which is down, goes on in the new directory."""
        directory = self.new_directory("restored")
        backups.restore(backup, directory, now_ms=self.world.now_ms)
        machine.move_to(directory)

    def _take_over(self) -> None:
        """The hub found that another one has been at work: a person switches that off and has this one go on."""
        for old in self.old_hubs:
            self.put_to_sleep(old)
        if not self.hub.up:
            self.hub.take_over()
            self.hub.start()

    def put_to_sleep(self, old: HubMachine) -> None:
        """An old copy of the hub is switched off for good."""
        if not old.gone:
            self.book.seen_elsewhere(old.store_path)
            old.retire()

    def hub_falls_back(self, change: Callable[[], None], *, knowingly: bool = False) -> None:
        """The hub's store becomes an earlier one by `change`, and its daemon starts again."""
        before = self.hub_ops()
        self.hub.stop()
        self.hub.clock.boot()
        change()
        after = self.hub_ops()
        epoch = raw.meta(self.hub.store_path, HUB_EPOCH)[0]
        self.book.hub_fell_back(before, after, epoch, knowingly=knowingly)
        self.world.note("hub fell back", len(before - after))
        self.world.at(self.world.between(MINUTE, HOUR), self.hub.start)

    def at_hub(self, work: Callable[[], _T]) -> _T | None:
        """An administrator's act at the hub; None if it was refused or the hub is down."""
        try:
            return self.hub.do(work)
        except LiandongError as error:
            self.world.note("refused at hub", error.code)
            return None
        finally:
            if self.hub.county is not None:
                self.hub.county.shelf.reset()
            self.hub.wake()

    def _code(self, office: str) -> EnrolCode:
        county = self.hub.county
        assert county is not None
        now_ms = self.hub.county_ms()
        with county.store.write() as tx:
            county.shelf.refresh(tx)
            made = enrolment.make_code(
                tx,
                county.config,
                county.shelf.roster,
                office,
                staff="周强",
                now_ms=now_ms,
                random_bytes=self.world.rng.randbytes,
            )
        return made.code

    def _admit(self, keys: DeviceKeys, code: EnrolCode) -> bytes:
        county = self.hub.county
        assert county is not None
        request = JoinRequest(
            keys.county, keys.office, keys.sign_public, keys.seal_public, keys.suite, code.secret, "simulated", ""
        )
        opened = open_request(seal_request(request, keys=keys, hub=county.card.hub), keys=county.keys)
        now_ms = self.hub.county_ms()
        try:
            with county.store.write() as tx:
                county.shelf.refresh(tx)
                done = enrolment.admit(tx, county.shelf, county.keys, opened, now_ms=now_ms, with_documents=True)
        except BaseException:
            county.shelf.reset()
            raise
        return seal_answer(done.answer, keys=county.keys, seal_public=keys.seal_public, device_suite=keys.suite)

    def devices_of(self, office: str) -> list[EdgeMachine]:
        return [machine for machine in self.edges if machine.office == office and not machine.gone]

    def working(self) -> list[EdgeMachine]:
        """The devices that people still use, in the order of their enrolment."""
        return [machine for machine in self.edges if not machine.gone]

    # --- days ---

    def begin(self) -> None:
        """Plan the first day and the faults; the world then passes through them."""
        self._day(0)
        self.plan.begin()

    def _day(self, number: int) -> None:
        """Plan a day for every device that is in use this morning."""
        if self.world.now_ms >= self.end_ms or self.healing:
            return
        weekend = number % 7 >= 5
        for machine in self.working():
            acts, windows, span = HABITS[len(machine.office)]
            if weekend:
                acts, windows = acts * 0.2, 1
            share = 1.0
            if self.world.now_ms < self.quiet_until_ms:
                share, windows = HOLIDAY_SHARE, int(self.world.chance(HOLIDAY_SHARE))
            for _ in range(windows if not (len(machine.office) == 12 and self.world.chance(LINE_DEAD_SHARE)) else 0):
                self.world.at(self.world.between(0, 14 * HOUR), self.open_line, machine, self.world.between(*span))
            for _ in range(self._count(acts * share)):
                self.world.at(self.world.between(0, OFFICE_HOURS), self.somebody_acts, machine)
            if share == 1.0:
                self.halls.plan_day(machine)
        self.world.at(DAY, self._day, number + 1)

    def holiday(self, span_ms: int) -> None:
        """From now on little happens for so long; the run ends some hours later at the earliest."""
        self.quiet_until_ms = max(self.quiet_until_ms, self.world.now_ms + span_ms)
        self.hub.quiet_until_ms = self.quiet_until_ms
        self.end_ms = max(self.end_ms, self.quiet_until_ms + OFFICE_HOURS)

    def _count(self, mean: float) -> int:
        """How many of something happen, around a mean."""
        return sum(self.world.chance(0.5) for _ in range(round(2 * mean)))

    def open_line(self, machine: EdgeMachine, span_ms: int) -> None:
        if machine.gone or self.healing or machine.office in self.halls.hermits:
            return
        machine.line.open = True
        machine.line.closes_ms = max(machine.line.closes_ms, self.world.now_ms + int(span_ms))
        machine.line.refresh()
        self.world.at(span_ms, self._close_line, machine)

    def _close_line(self, machine: EdgeMachine) -> None:
        if not self.healing and self.world.now_ms >= machine.line.closes_ms:
            machine.line.open = False
            machine.line.refresh()

    def somebody_acts(self, machine: EdgeMachine) -> None:
        """One act at one device; a refusal in words is part of life."""
        if not machine.up or machine.gone or self.healing:
            return
        try:
            chosen = machine.do(lambda: self.staff.next_act(machine.node))  # type: ignore[arg-type]
            if chosen is not None:
                self.perform(machine, *chosen)
        except LiandongError as error:
            self.book.refused_at_desk += 1
            self.world.note("refused at desk", machine.name, error.code)

    def perform(self, machine: EdgeMachine, kind: str, act) -> bool:  # type: ignore[no-untyped-def]
        """Do it; True if the person saw `Saved`. Raises LiandongError as the screen would show it."""
        saved = machine.act(act)
        if saved is None:
            return False
        self.book.acts += 1
        fresh = self.book.look_at(machine, told=True)
        if bytes.fromhex(saved.op) not in {op.id for op in fresh}:
            self.problems.append(
                f"lost: {machine.name} said Saved for {kind} and its store does not hold op {saved.op[:12]}"
            )
        return True

    def hand_something_up(self) -> None:
        """The county's windows take a case that the city decides, and hand it up complete."""
        machine = next((one for one in self.devices_of(tree.COUNTY) if one.up), None)
        if machine is None:
            return
        try:
            for kind, act in self.staff.story_for_the_city():
                if not self.perform(machine, kind, act):
                    return
        except LiandongError as error:
            self.world.note("refused at desk", machine.name, error.code)
        self.open_line(machine, 10 * MINUTE)

    def hub_ops(self) -> set[bytes]:
        return raw.op_ids(self.hub.store_path)
