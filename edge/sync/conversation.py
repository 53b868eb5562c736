"""One conversation of a device with one peer over one carrier: what the hub's and the township's have in common.

For: following the connection, opening envelopes, fetching documents and attachments, waiting and trying again.
May not: know whether the peer is the hub or a township (the two loops do); stop because of one bad envelope.
Spec: docs/protocol/link.md.  Manual: docs/operating/edge.md, "Synchronising".
"""

from __future__ import annotations

import logging
import os
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from conflict.ledger.store import Store
from edge import unsent
from edge.clock import Clock
from edge.lanes import Lanes
from edge.reference import Reference
from edge.sync.intake import Intake
from edge.sync.wanted import Wanted
from protocol import topics
from protocol.envelope import open_envelope
from protocol.errors import RemoteProtocolError, StoreError, UnknownSender
from protocol.events import ChunkArrived, DocumentsOffered, Event, SliceArrived
from protocol.keys import DeviceKeys
from protocol.lanes import Lane
from protocol.link import EdgeLink
from protocol.roster import Device
from protocol.trust import HubCard, fingerprint

TURN_S = 0.2  # how often new work of `case` commands is looked for; the wish is at most 1 s
REST_S = 5.0  # after the store refused (full disk, locked) or an error of ours before the next try

log = logging.getLogger("liandong.edge.sync")


class Carrier(Protocol):
    """What the loop needs of a carrier; protocol.carriers.mqtt.MqttCarrier has it."""

    @property
    def generation(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def state(self) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def reconnect(self) -> None: ...
    def publish(self, topic: str, payload: bytes) -> bool: ...
    def receive(self, timeout: float = 0.0) -> tuple[str, bytes] | None: ...
    def wait(self, timeout: float) -> bool: ...


class Conversation(ABC):
    """Runs in one thread; `case` commands and other conversations write the store beside it.

    The carrier is subscribed to what `edge.sync_loop.listens_to` names.
    """

    def __init__(
        self,
        store: Store,
        keys: DeviceKeys,
        reference: Reference,
        clock: Clock,
        carrier: Carrier,
        *,
        random_bytes: Callable[[int], bytes] = os.urandom,
        fraction: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._keys = keys
        self._reference = reference
        self._clock = clock
        self._carrier = carrier
        self._random_bytes = random_bytes
        self._fraction = fraction
        self._wanted = Wanted()
        self.lanes = Lanes(clock)
        self._intake = Intake(store, keys, reference, clock)
        space, box = topics.space(fingerprint(reference.trust.root_public)), topics.mailbox(keys.incarnation)
        self._up, self._down, self._card = topics.up(space, box), topics.down(space, box), topics.card(space)
        self._peer: Device | None = None
        self._link: EdgeLink | None = None
        self._generation = 0
        self._busy_ms = 0

    @abstractmethod
    def _find_peer(self) -> Device | None:
        """Who the peer is now, or None while that is not known."""

    @abstractmethod
    def _handle(self, link: EdgeLink, event: Event) -> None:
        """Save what an event brings, then let the link say so."""

    @abstractmethod
    def _give_out(self, link: EdgeLink) -> None:
        """Publish what is due."""

    @property
    def open(self) -> bool:
        """Whether the peer has greeted us in the present connection."""
        return self._link is not None and self._link.open

    def run_forever(self, stop: threading.Event) -> None:
        """Turn until `stop` is set. What fails is logged and tried again from the stored place after a rest.

        A store that refuses (full disk) and an error of ours are alike in this: nothing was acknowledged.
        """
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
                self._begin_anew()
                stop.wait(REST_S)
        finally:
            self._carrier.stop()

    def turn(self) -> None:
        """One step: follow the connection, take in what came, give out what is due. Does not wait."""
        self._follow_peer()
        if self._link is None:
            return
        self._follow_connection(self._link)
        while (arrived := self._carrier.receive()) is not None:
            topic, payload = arrived
            if topic == self._down:
                self._open(payload)
            elif topic == self._card:
                self._look_at_card(payload)
        if self._carrier.state == "online" and self._link is not None:
            self._give_out(self._link)
            self._note_sent()

    def _note_sent(self) -> None:
        """Attachments whose last piece was given out count no more against the office's quota."""
        if self.lanes.sent:
            with self._store.write() as tx:
                unsent.sent(tx, self.lanes.sent)
            self.lanes.sent.clear()

    def _begin_anew(self) -> None:
        """Forget the conversation; the next turn greets again."""
        self._link, self._generation = None, 0

    def _follow_peer(self) -> None:
        peer = self._find_peer()
        if peer != self._peer:
            self._peer = peer
            self._begin_anew()
        if self._link is None and peer is not None:
            self._link = EdgeLink(keys=self._keys, peer=peer, fraction=self._fraction, random_bytes=self._random_bytes)

    def _follow_connection(self, link: EdgeLink) -> None:
        now = self._clock.mono_ms()
        if self._carrier.state != "online":
            if self._generation:
                self._generation = 0
                link.lost()
        elif self._carrier.generation != self._generation:
            self._generation = self._carrier.generation
            self._wanted.restart()
            link.connected(now)
            self._busy_ms = now
        elif link.dead(now):
            log.info("the line looks alive but nobody answers; dialling again")
            link.lost()
            self._generation = 0
            self._carrier.reconnect()

    def _open(self, payload: bytes) -> None:
        if self._link is None:
            return
        try:
            opened = open_envelope(payload, keys=self._keys, speaker=self._speaker)
        except RemoteProtocolError as error:
            log.warning("an envelope was passed over: %s", error.code)
            self._intake.envelope(payload, error)
            return
        self._busy_ms = self._clock.mono_ms()
        if opened.unknown:
            log.info("%d messages of a later version were passed over", opened.unknown)
        link = self._link
        for event in link.receive(opened, self._clock.mono_ms()):
            if isinstance(event, DocumentsOffered):
                self._documents(event)
            elif isinstance(event, ChunkArrived):
                self._chunk(link, event)
            elif isinstance(event, SliceArrived):
                self._wanted.slice_came(event.sha256, self._clock.mono_ms())
            else:
                self._handle(link, event)

    def _speaker(self, incarnation: bytes) -> Device:
        """Only the peer speaks to this device here."""
        if self._peer is None or incarnation != self._peer.incarnation:
            raise UnknownSender("the envelope is not from the peer of this link")
        return self._peer

    def _documents(self, event: DocumentsOffered) -> None:
        with self._store.read() as tx:
            held = self._reference.versions(tx)
        self._wanted.offer_documents(event.documents, held)

    def _chunk(self, link: EdgeLink, event: ChunkArrived) -> None:
        now = self._clock.mono_ms()
        sha256 = event.chunk.sha256
        self.lanes.spend(self._wanted.lane_of(sha256), len(event.chunk.data), now)
        if self._wanted.is_document(sha256):
            whole = self._wanted.take_piece(event.chunk, now)
            if whole is not None:
                link.content_settled(sha256)
                if self._intake.document(whole):
                    link.greet_again(now)  # perhaps there are changes on top of it, or ops that waited for it
            return
        state = self._intake.chunk(event.chunk)
        self._wanted.file_progress(sha256, now, whole=state == "complete")
        if state in ("complete", "mismatch"):
            link.content_settled(sha256)

    def _documents_due(self) -> bool:
        """Whether documents are still to come that may come now."""
        now = self._clock.mono_ms()
        return self._wanted.open_documents([lane for lane in Lane if self.lanes.is_open(lane, now)]) > 0

    def _look_at_card(self, payload: bytes) -> None:
        """The county's card lies in a public place. A hub with new keys is known by it, if the root certified them."""
        try:
            card = HubCard.from_bytes(payload)
            news = card.root_public == self._reference.trust.root_public and self._intake.certificate(card.certificate)
        except RemoteProtocolError as error:
            log.warning("a hub card was passed over: %s", error.code)
            return
        if news:
            log.info("the county root has certified another hub key")
            self._follow_peer()
