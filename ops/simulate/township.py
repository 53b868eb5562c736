"""Township halls: brokers of their own, the branch room that serves a township's villages, the second lines of villages.

For: building the lines beside the county's from the files of a device's directory, as edge/branch/wiring.py does, each
turned by itself as a thread of the daemon turns it.
May not: make a link or a card (staff of the hall do: halls.py); do anything for the product that it should do by itself.
Manual: docs/testing.md, "Townships".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.branch import setup
from edge.branch.room import Branch
from edge.branch.township import TownshipLine
from edge.identity import read_card
from edge.sync_loop import listens_to
from ops.simulate.machine import POLL_FIRST_MS, POLL_MAX_MS, REST_MS
from ops.simulate.network import Broker, Line
from ops.simulate.world import Event, World
from protocol.errors import StoreError

if TYPE_CHECKING:
    from edge.main import Node
    from ops.simulate.edge_node import EdgeMachine

WAKE_MS = 100


@dataclass
class Network:
    """The brokers of the halls by their addresses, and each device's lines to them."""

    world: World
    brokers: dict[str, Broker] = field(default_factory=dict)
    _lines: dict[tuple[str, str, str], Line] = field(default_factory=dict)

    def broker(self, url: str) -> Broker:
        """The broker that stands at this address; a new one knows nobody."""
        return self.brokers.setdefault(url, Broker(self.world))

    def line(self, machine: EdgeMachine, url: str, user: str) -> Line:
        """This machine's line to that broker under this account; the weather on it outlives the machine's process."""
        key = (machine.name, url, user)
        if key not in self._lines:
            self._lines[key] = self.broker(url).line(user, f"{machine.name} at {url}")
        return self._lines[key]

    def lines(self) -> list[Line]:
        """Every line to a hall's broker."""
        return list(self._lines.values())


class SideLine:
    """One line of a running device beside the county's; over when the process ends."""

    def __init__(self, machine: EdgeMachine, line: Line, talk: Branch | TownshipLine) -> None:
        self.machine, self.line, self.talk = machine, line, talk
        self._over = False
        self._turn: Event | None = None
        self._poll_ms, self._rest_until_ms = POLL_FIRST_MS, 0
        line.on_change = line.on_payload = self.wake
        line.before_publish = lambda: machine.disk.publishing()

    def end(self) -> None:
        """The process is gone, and with it this line's memory."""
        self._over = True
        self.line.on_change = self.line.on_payload = lambda: None
        self.line.process_died()

    def wake(self) -> None:
        """See to it that the line turns soon."""
        self._poll_ms = POLL_FIRST_MS
        self._within(WAKE_MS)

    def _within(self, delay_ms: int) -> None:
        world = self.machine.world
        at_ms = max(world.now_ms + delay_ms, self._rest_until_ms)
        if self._over:
            return
        if self._turn is not None:
            if self._turn.at_ms <= at_ms:
                return
            self._turn.gone = True
        self._turn = world.at(at_ms - world.now_ms, self._step)

    def _step(self) -> None:
        self._turn = None
        if self._over or not self.machine.up:
            return
        before = self.line.sent + self.line.counters.received
        try:
            self.machine.do(self.talk.turn)
        except StoreError:
            self.machine.store_refusals += 1
            self._rest()
        except Exception as error:  # noqa: BLE001 - the thread survives it and rests; the report names it
            self.machine._remember(error)
            self._rest()
        if self._over:
            return
        if self.line.sent + self.line.counters.received > before:
            self._poll_ms = POLL_FIRST_MS
            self.machine.wake()
        if self.line.state == "online":
            self._within(self._poll_ms)
            self._poll_ms = min(POLL_MAX_MS, self._poll_ms * 4)

    def _rest(self) -> None:
        self._rest_until_ms = self.machine.world.now_ms + REST_MS
        if isinstance(self.talk, TownshipLine):
            self.talk._begin_anew()


def beside(network: Network, machine: EdgeMachine, node: Node) -> list[SideLine]:
    """The other lines of a device that has just been opened: to its township, to its villages, or none."""
    sides: list[SideLine] = []
    link, served = setup.read_link(node.directory), setup.read_branch(node.directory)
    if link is not None and link.device == node.keys.incarnation.hex():
        line = network.line(machine, link.broker, link.user)
        line.hears = set(listens_to(node.keys, node.reference.trust))
        sides.append(SideLine(machine, line, _to_township(machine, node, line, link)))
    if served is not None:
        line = network.line(machine, served.broker, served.user)
        line.open = True  # the broker stands in the same hall
        sides.append(SideLine(machine, line, _to_villages(machine, node, line)))
    return sides


def _county_open(machine: EdgeMachine) -> Callable[[], bool]:
    return lambda: machine.loop is not None and machine.loop.open


def _to_township(machine: EdgeMachine, node: Node, line: Line, link: setup.TownshipCard) -> TownshipLine:
    rng = machine.world.rng
    talk = TownshipLine(
        node.store,
        node.keys,
        node.reference,
        node.clock,
        line,
        bytes.fromhex(link.township),
        county_open=_county_open(machine),
        random_bytes=rng.randbytes,
        fraction=rng.random,
    )
    talk.lanes.follow(node.directory)
    return talk


def _to_villages(machine: EdgeMachine, node: Node, line: Line) -> Branch:
    rng = machine.world.rng
    return Branch(
        node.store,
        node.keys,
        node.reference,
        node.clock,
        line,
        read_card(node.directory),
        county_open=_county_open(machine),
        random_bytes=rng.randbytes,
        fraction=rng.random,
    )
