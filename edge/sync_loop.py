"""The sync loop: store -> link -> carrier and back. Owns the clock of the conversation and its retries.

For: one round (`edge sync`) or running on (`edge run`); every event is saved before it is acknowledged.
May not: think about cases (conflict/), about envelopes (protocol/) or about connections (the carrier); stop because of
one bad envelope, op or document.
Spec: docs/protocol/link.md.  Manual: docs/operating/edge.md, "Synchronising".
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from conflict.ledger.store import Store
from edge import outbox
from edge.clock import Clock
from edge.reference import Reference
from edge.sync.compare import Answerer
from edge.sync.intake import Intake
from edge.sync.source import StoreSource
from edge.sync.wanted import Wanted
from protocol import topics
from protocol.envelope import open_envelope
from protocol.errors import RemoteProtocolError, StoreError, TransportError, UnknownSender
from protocol.keys import DeviceKeys
from protocol.link import (
    ChunkArrived,
    CompareArrived,
    DocumentsOffered,
    EdgeLink,
    Event,
    ProblemArrived,
    StreamArrived,
    WelcomeArrived,
)
from protocol.messages import Compare, Problem
from protocol.roster import Device
from protocol.trust import HubCard, Trust, fingerprint

TURN_S = 0.2  # how often new work of `case` commands is looked for; the wish is at most 1 s
QUIET_MS = 1_500  # a round ends when nothing came or had to go for so long
CONNECT_MS = 15_000  # one round gives up without a connection after this; TCP and TLS have 10 s for one attempt
ANSWER_MS = 30_000  # and with a connection but without the hub after this
SILENCE_MS = 8_000  # without a word while ops are under way; a round trip on a thin line takes 3 s
REST_S = 5.0  # after the store refused (full disk, locked) or an error of ours before the next try
VIA = "mqtt"

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


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did. pending: ops that still have no word of the hub; complete: it ended because all was quiet."""

    sent: int
    received: int
    pending: int
    complete: bool


class SyncLoop:
    """One device's loop over one carrier. Runs in one thread; `case` commands write the store beside it.

    The carrier is subscribed to what `listens_to` names.
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
        self._source = StoreSource(store, keys, reference, self._wanted, clock.mono_ms)
        self._intake = Intake(store, keys, reference, clock)
        self._answerer = Answerer(store, clock)
        self._link = self._new_link()
        space, box = topics.space(fingerprint(reference.trust.root_public)), topics.mailbox(keys.incarnation)
        self._up, self._down, self._card = topics.up(space, box), topics.down(space, box), topics.card(space)
        self._generation = 0
        self._busy_ms = 0
        self._lowest: int | None = None  # oldest unsettled op when last looked
        self._highest = 0  # newest op given out
        self.sent = 0
        self.received = 0

    def run_once(self, timeout_s: float) -> Round:
        """One round: offer what has no receipt, take what the hub has for us, until all is quiet or time is up.

        Raises:  TransportError (`offline`) if the hub did not answer within the time, or is out of reach.
        """
        begin = self._clock.mono_ms()
        self._carrier.start()
        try:
            while self._clock.mono_ms() - begin < timeout_s * 1000:
                self._carrier.wait(min(TURN_S, timeout_s))
                self.turn()
                if self._settled():
                    return self._round(complete=True)
                if not self._link.open and self._clock.mono_ms() - begin > self._patience_ms():
                    break
            if not self._link.open:
                raise self._offline()
            return self._round(complete=False)
        finally:
            self._carrier.stop()

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
                self._link = self._new_link()
                self._generation = 0
                stop.wait(REST_S)
        finally:
            self._carrier.stop()

    def turn(self) -> None:
        """One step: follow the connection, take in what came, give out what is due. Does not wait."""
        self._follow_connection()
        while (arrived := self._carrier.receive()) is not None:
            topic, payload = arrived
            if topic == self._down:
                self._open(payload)
            elif topic == self._card:
                self._look_at_card(payload)
        if self._carrier.state == "online":
            self._give_out()

    def _follow_connection(self) -> None:
        now = self._clock.mono_ms()
        if self._carrier.state != "online":
            if self._generation:
                self._generation = 0
                self._link.lost()
        elif self._carrier.generation != self._generation:
            self._generation = self._carrier.generation
            self._wanted.restart()
            self._link.connected(now)
            self._busy_ms = now
        elif self._link.dead(now):
            log.info("the line looks alive but nobody answers; dialling again")
            self._link.lost()
            self._generation = 0
            self._carrier.reconnect()

    def _open(self, payload: bytes) -> None:
        try:
            opened = open_envelope(payload, keys=self._keys, speaker=self._speaker)
        except RemoteProtocolError as error:
            log.warning("an envelope was passed over: %s", error.code)
            return
        self._busy_ms = self._clock.mono_ms()
        if opened.unknown:
            log.info("%d messages of a later version were passed over", opened.unknown)
        for event in self._link.receive(opened, self._clock.mono_ms()):
            self._handle(event)

    def _handle(self, event: Event) -> None:
        if isinstance(event, StreamArrived):
            self.received += self._intake.stream(event, via=VIA)
            self._link.stream_committed(event.epoch, event.last)
        elif isinstance(event, WelcomeArrived):
            self._welcome(event)
        elif isinstance(event, DocumentsOffered):
            with self._store.read() as tx:
                held = self._reference.versions(tx)
            self._wanted.offer_documents(event.documents, held)
        elif isinstance(event, ChunkArrived):
            self._chunk(event)
        elif isinstance(event, CompareArrived):
            self._compare(event)
        elif isinstance(event, ProblemArrived):
            log.warning("the hub reports a problem: %s", event.code)
            self._intake.problem(event.code, event.text, event.about)

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
            self._link = self._new_link()
            self._generation = 0

    def _welcome(self, event: WelcomeArrived) -> None:
        again = self._intake.welcome(event.welcome)
        if again:
            log.warning("the hub has lost %d ops that it had acknowledged; they are offered again", again)

    def _chunk(self, event: ChunkArrived) -> None:
        now = self._clock.mono_ms()
        sha256 = event.chunk.sha256
        if self._wanted.is_document(sha256):
            whole = self._wanted.take_piece(event.chunk, now)
            if whole is not None:
                self._link.content_settled(sha256)
                if self._intake.document(whole):
                    self._link.greet_again(now)  # perhaps there are changes on top of it, or ops that waited for it
            return
        state = self._intake.chunk(event.chunk)
        self._wanted.file_progress(sha256, now, whole=state == "complete")
        if state in ("complete", "mismatch"):
            self._link.content_settled(sha256)

    def _compare(self, event: CompareArrived) -> None:
        try:
            answer = self._answerer.answer(event.session, event.body)
        except RemoteProtocolError as error:
            self._link.say(Problem(error.code, error.text, event.session))
            return
        if answer is not None:
            self._link.say(Compare(event.session, answer))

    def _notice_reopened(self) -> None:
        """An op below those given out is unsettled again (the hub lost it, a comparison found it): start over there."""
        low = self._source.lowest_unsettled()
        if low is not None and low <= self._highest and (self._lowest is None or low < self._lowest):
            self._link.connected(self._clock.mono_ms())
        self._lowest = low

    def _notice_silence(self) -> None:
        """Ops are under way and nothing is heard: perhaps the hub started anew and forgot our greeting. Greet again."""
        now, heard = self._clock.mono_ms(), self._link.heard_ms
        under_way = self._lowest is not None and self._lowest <= self._highest
        if self._link.open and under_way and heard is not None and now - heard > SILENCE_MS:
            self._link.greet_again(now)

    def _give_out(self) -> None:
        self._notice_reopened()
        self._notice_silence()
        envelopes = self._link.poll(self._clock.mono_ms(), self._source)
        for envelope in envelopes:
            self._carrier.publish(self._up, envelope)
        if envelopes:
            self._busy_ms = self._clock.mono_ms()
        given = self._source.taken_out()
        if given:
            self.sent += sum(last - first + 1 for first, last in given)
            self._highest = max(self._highest, *(last for _first, last in given))
            with self._store.write() as tx:
                for first, last in given:
                    outbox.offered(tx, first, last, now_ms=self._clock.now_ms())

    def _settled(self) -> bool:
        """All that can be done now is done: greeted, every op has the hub's word, nothing came for a while."""
        if not self._link.open or self._wanted.open_documents():
            return False
        if self._clock.mono_ms() - self._busy_ms < QUIET_MS:
            return False
        return self._source.lowest_unsettled() is None

    def _patience_ms(self) -> int:
        """How long one round waits for the first word: without a connection a person is told soon."""
        return ANSWER_MS if self._carrier.state == "online" else CONNECT_MS

    def _round(self, *, complete: bool) -> Round:
        with self._store.read() as tx:
            counts = outbox.counts(tx)
        return Round(self.sent, self.received, counts["pending"] + counts["offered"], complete)

    def _offline(self) -> TransportError:
        return offline(self._carrier.reason if self._carrier.state != "online" else "the hub does not answer")

    def _new_link(self) -> EdgeLink:
        return EdgeLink(
            keys=self._keys,
            peer=hub_device(self._reference.trust),
            fraction=self._fraction,
            random_bytes=self._random_bytes,
        )

    def _speaker(self, incarnation: bytes) -> Device:
        """Only the certified hub speaks to a device."""
        hub = hub_device(self._reference.trust)
        if incarnation != hub.incarnation:
            raise UnknownSender("the envelope is not from the hub that the county root certifies")
        return hub


def listens_to(keys: DeviceKeys, trust: Trust) -> list[str]:
    """The topics that a device's carrier subscribes to: its mailbox and the county's card."""
    space = topics.space(fingerprint(trust.root_public))
    return [topics.down(space, topics.mailbox(keys.incarnation)), topics.card(space)]


def hub_device(trust: Trust) -> Device:
    """The hub as the peer of a link: what the root certified, whatever the roster says of it."""
    hub = trust.hub
    return Device(hub.incarnation, trust.county, "hub", hub.sign_public, hub.seal_public, hub.suite, hub.since_ms)


def offline(reason: str) -> TransportError:
    """The error for a county out of reach: normal life, nothing is lost."""
    return TransportError(
        f"The county cannot be reached ({reason}). Nothing is lost; everything is sent when the line is back.",
        f"暂时无法连接县中心（{reason}）。数据已保存在本机，线路恢复后会自动发送。",
    )
