"""The branch room: a township serves the devices of its villages on its own broker.

For: one round at a time (`turn`): take what villages hand in, save it, say so; send down what their offices lack.
May not: speak as the hub; take anything from a device that the roster does not put below this office; stop because of
one bad envelope.
Spec: docs/protocol/link.md, "Carrying for others".  Manual: docs/operating/township.md.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from conflict.ledger.store import Store
from edge import aside, memory
from edge.branch import stream as streams
from edge.branch.papers import Papers
from edge.branch.source import Board, VillageSource
from edge.clock import Clock
from edge.errors import BranchProblem
from edge.reference import Reference
from edge.sync.conversation import REST_S, TURN_S
from edge.sync.intake import Intake
from protocol import topics
from protocol.envelope import open_envelope
from protocol.errors import RemoteProtocolError, StoreError, UnknownSender
from protocol.events import ChunkArrived, Event, HelloArrived, OpsArrived, ProblemArrived, SliceArrived
from protocol.keys import DeviceKeys
from protocol.link import HubLink
from protocol.messages import Announce, Stream
from protocol.roster import REVOKED, Device, Roster
from protocol.trust import HubCard, fingerprint

VIA = "branch"
EPOCH_BYTES = 8
PAYLOADS_MAX = 100  # taken from the carrier in one round, 6.5 MB at most

log = logging.getLogger("liandong.edge.branch")


class Carrier(Protocol):
    """What the room needs of a carrier; protocol.carriers.mqtt.MqttCarrier has it."""

    generation: int

    @property
    def state(self) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool: ...
    def receive(self, timeout: float = 0.0) -> tuple[str, bytes] | None: ...
    def wait(self, timeout: float) -> bool: ...


@dataclass
class _Line:
    """One device's link and what the room remembers of it."""

    device: Device
    link: HubLink
    source: VillageSource
    topic: str
    greeted: bool = False
    announced: dict[str, int] = field(default_factory=dict)


class Branch:
    """All calls from one thread; the loop with the hub and `case` commands write the store beside it."""

    def __init__(
        self,
        store: Store,
        keys: DeviceKeys,
        reference: Reference,
        clock: Clock,
        carrier: Carrier,
        card: HubCard,
        *,
        county_open: Callable[[], bool],
        random_bytes: Callable[[int], bytes] = os.urandom,
        fraction: Callable[[], float] = random.random,
    ) -> None:
        self._store, self._keys, self._reference, self._clock = store, keys, reference, clock
        self._carrier, self._hub_card, self._county_open = carrier, card, county_open
        self._random_bytes, self._fraction = random_bytes, fraction
        self._intake = Intake(store, keys, reference, clock)
        self._papers = Papers(store)
        self._space = topics.space(fingerprint(reference.trust.root_public))
        self._lines: dict[bytes, _Line] = {}
        self._generation = 0
        self._board = Board()
        self._roster = Roster(keys.county)
        self._see_changes()

    def run_forever(self, stop: threading.Event) -> None:
        """Turn until `stop` is set. What fails is logged and tried again after a rest: nothing was answered."""
        self._carrier.start()
        try:
            while not stop.is_set():
                self._carrier.wait(TURN_S)
                try:
                    self.turn()
                    continue
                except StoreError as error:
                    log.error("the store refused: %s; trying again in %d s", error.text, REST_S)
                except Exception:
                    log.exception("an error of the program itself; trying again in %d s", REST_S)
                stop.wait(REST_S)
        finally:
            self._carrier.stop()

    def turn(self) -> None:
        """One step: take in what came, bring the streams up to date, give out what is due. Does not wait."""
        self._follow_connection()
        for _ in range(PAYLOADS_MAX):
            arrived = self._carrier.receive()
            if arrived is None:
                break
            try:
                self._receive(*arrived)
            except RemoteProtocolError as error:
                log.warning("an envelope of the branch was passed over: %s", error.code)
        self._see_changes()
        if self._carrier.state == "online":
            for line in self._lines.values():
                for envelope in line.link.poll(self._clock.mono_ms(), line.source):
                    self._carrier.publish(line.topic, envelope)

    def present(self) -> list[str]:
        """Offices of the devices that were heard lately."""
        now = self._clock.mono_ms()
        return sorted(line.device.office for line in self._lines.values() if line.link.present(now))

    def _follow_connection(self) -> None:
        """After each new connection leave the county's card; without one nobody is there."""
        if self._carrier.state != "online":
            for line in self._lines.values():
                line.link.gone()
        elif self._carrier.generation != self._generation:
            self._generation = self._carrier.generation
            self._carrier.publish(topics.card(self._space), self._card().to_bytes(), retain=True)

    def _card(self) -> HubCard:
        return HubCard(
            self._hub_card.county,
            self._hub_card.name,
            self._hub_card.broker,
            self._hub_card.root_public,
            self._board.certificate,
        )

    def _receive(self, topic: str, payload: bytes) -> None:
        topics.mailbox_of(topic)
        opened = open_envelope(payload, keys=self._keys, speaker=self._speaker)
        line = self._line(opened.sender)
        for event in line.link.receive(opened, self._clock.mono_ms()):
            self._handle(line, event)
        if not line.greeted:
            self._ask_to_greet(line)

    def _ask_to_greet(self, line: _Line) -> None:
        """A device that goes on talking although we were restarted: it greets when it sees a gap in its stream."""
        beyond = self._board.lengths.get(line.device.office, 0) + 2
        line.link.say(Stream(self._board.epoch, beyond, beyond, []))
        line.greeted = True

    def _speaker(self, incarnation: bytes) -> Device:
        """Only devices of offices that the roster puts below ours speak here."""
        device = self._roster.speaker(incarnation)
        if device.role != "edge" or not self._roster.is_above(self._keys.office, device.office):
            raise UnknownSender("the envelope is not from a device of this branch", "该设备不属于本乡镇。")
        return device

    def _handle(self, line: _Line, event: Event) -> None:
        if isinstance(event, OpsArrived):
            self._intake.handed_in(event.blobs, via=VIA)
            line.link.ops_committed(event.envelope)
        elif isinstance(event, HelloArrived):
            line.greeted, line.announced = True, dict(event.hello.documents)
            with self._store.write() as tx:
                streams.serve(tx, line.device.office)
                length = streams.lengths(tx)[line.device.office]
                if event.hello.epoch == self._board.epoch and event.hello.pos > length:
                    log.warning("a device is ahead of our stream: this store is an older one; all begin anew")
                    streams.begin_epoch(tx, self._random_bytes(EPOCH_BYTES))
        elif isinstance(event, ChunkArrived):
            state = self._intake.chunk(event.chunk)
            line.source.wanted.file_progress(event.chunk.sha256, self._clock.mono_ms(), whole=state == "complete")
        elif isinstance(event, SliceArrived):
            line.source.wanted.slice_came(event.sha256, self._clock.mono_ms())
        elif isinstance(event, ProblemArrived):
            with self._store.write() as tx:
                error = BranchProblem(f"{line.device.office}: {event.code[:40]}: {event.text[:200]}")
                aside.put(tx, "problem", event.about or event.code.encode(), error, now_ms=self._clock.now_ms())

    def _line(self, device: Device) -> _Line:
        line = self._lines.get(device.incarnation)
        if line is None:
            link = HubLink(keys=self._keys, peer=device, fraction=self._fraction)
            source = VillageSource(
                self._store, self._clock, self._papers, self._board, device, county_open=self._county_open
            )
            topic = topics.down(self._space, topics.mailbox(device.incarnation))
            line = self._lines[device.incarnation] = _Line(device, link, source, topic)
        return line

    def _see_changes(self) -> None:
        """What was stored since, by whomever: streams grow, the roster changes, documents are announced."""
        version = self._store.data_version()
        if version == self._board.version:
            return
        with self._store.read() as tx:
            self._roster = self._reference.roster(tx)
            epoch, behind, newer = streams.epoch_of(tx), streams.behind(tx), memory.certificates(tx)
        if not epoch or behind:
            with self._store.write() as tx:
                if not epoch:
                    streams.begin_epoch(tx, self._random_bytes(EPOCH_BYTES))
                for office in behind:
                    streams.catch_up(tx, office, {one.incarnation for one in self._roster.devices_of(office)})
        with self._store.read() as tx:
            self._board.epoch, self._board.lengths = streams.epoch_of(tx), streams.lengths(tx)
            more = streams.behind(tx)
        newest = newer[-1] if newer else self._hub_card.certificate
        if newest != self._board.certificate:
            self._board.certificate, self._generation = newest, 0
        self._board.version = -1 if more else version
        self._lines = {name: line for name, line in self._lines.items() if self._speaks(name)}
        for line in self._lines.values():
            self._announce(line)

    def _speaks(self, incarnation: bytes) -> bool:
        device = self._roster.device(incarnation)
        return device is not None and device.state != REVOKED

    def _announce(self, line: _Line) -> None:
        offers = self._papers.offers(line.announced) if line.link.present(self._clock.mono_ms()) else []
        if offers:
            line.announced |= {kind: version for kind, version, *_rest in offers}
            line.link.say(Announce(offers))
