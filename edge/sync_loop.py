"""The sync loop: store -> link -> carrier and back, in conversation with the hub. Owns its clock and its retries.

For: one round (`edge sync`) or running on (`edge run`); every event is saved before it is acknowledged.
May not: think about cases (conflict/), about envelopes (protocol/) or about connections (the carrier); stop because of
one bad envelope, op or document.
Spec: docs/protocol/link.md.  Manual: docs/operating/edge.md, "Synchronising".
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable
from dataclasses import dataclass

from conflict.ledger.store import Store
from edge import outbox
from edge.branch import relay
from edge.clock import Clock
from edge.reference import Reference
from edge.sync.compare import Answerer
from edge.sync.conversation import TURN_S, Carrier, Conversation
from edge.sync.source import StoreSource
from edge.words import CaseWords
from protocol import topics
from protocol.errors import RemoteProtocolError, TransportError
from protocol.events import (
    AheadArrived,
    CompareArrived,
    Event,
    ProblemArrived,
    ShowArrived,
    StreamArrived,
    WelcomeArrived,
)
from protocol.keys import DeviceKeys
from protocol.link import EdgeLink
from protocol.messages import Compare, Problem
from protocol.roster import Device
from protocol.trust import Trust, fingerprint

QUIET_MS = 1_500  # a round ends when nothing came or had to go for so long
CONNECT_MS = 15_000  # one round gives up without a connection after this; TCP and TLS have 10 s for one attempt
ANSWER_MS = 30_000  # and with a connection but without the hub after this
SILENCE_MS = 8_000  # without a word while ops are under way; a round trip on a thin line takes 3 s
VIA = "mqtt"

log = logging.getLogger("liandong.edge.sync")


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did. pending: ops, own and carried, that still have no word of the hub; complete: all was quiet."""

    sent: int
    received: int
    pending: int
    complete: bool


class SyncLoop(Conversation):
    """A device's loop with the hub. Offers its own ops first, then those that it carries for others."""

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
        super().__init__(store, keys, reference, clock, carrier, random_bytes=random_bytes, fraction=fraction)
        self._source = StoreSource(store, keys, reference, self._wanted, clock)
        self._source.lanes = self.lanes
        self._carried = relay.Carried(store, clock.now_ms)
        self._answerer = Answerer(store, clock)
        self._words = CaseWords(store, clock)
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
                if not self.open and self._clock.mono_ms() - begin > self._patience_ms():
                    break
            if not self.open:
                raise self._offline()
            return self._round(complete=False)
        finally:
            self._carrier.stop()

    def _find_peer(self) -> Device:
        return hub_device(self._reference.trust)

    def _handle(self, link: EdgeLink, event: Event) -> None:
        if isinstance(event, StreamArrived):
            self.received += self._intake.stream(event, via=VIA)
            link.stream_committed(event.epoch, event.last)
        elif isinstance(event, AheadArrived):
            self.received += self._intake.ops(event.blobs, via=VIA)
        elif isinstance(event, WelcomeArrived):
            self._welcome(event)
        elif isinstance(event, ShowArrived):
            if not link.open:
                self._intake.not_known()
            link.show(self._source.papers(event.ranges))
        elif isinstance(event, CompareArrived):
            self._compare(link, event)
        elif isinstance(event, ProblemArrived):
            log.warning("the hub reports a problem: %s", event.code)
            self._intake.problem(event.code, event.text, event.about)

    def _welcome(self, event: WelcomeArrived) -> None:
        again = self._intake.welcome(event.welcome)
        if again:
            log.warning("the hub has lost %d ops that it had acknowledged; they are offered again", again)

    def _compare(self, link: EdgeLink, event: CompareArrived) -> None:
        try:
            answer = self._answerer.answer(event.session, event.body)
        except RemoteProtocolError as error:
            link.say(Problem(error.code, error.text, event.session))
            return
        if answer is not None:
            link.say(Compare(event.session, answer))

    def _notice_reopened(self, link: EdgeLink) -> None:
        """An op below those given out is unsettled again (the hub lost it, a comparison found it): start over there."""
        low = self._source.lowest_unsettled()
        if low is not None and low <= self._highest and (self._lowest is None or low < self._lowest):
            link.connected(self._clock.mono_ms())
        self._lowest = low

    def _notice_silence(self, link: EdgeLink) -> None:
        """Ops are under way and nothing is heard: perhaps the hub started anew and forgot our greeting. Greet again."""
        now, heard = self._clock.mono_ms(), link.heard_ms
        under_way = link.under_way() or (self._lowest is not None and self._lowest <= self._highest)
        if link.open and under_way and heard is not None and now - heard > SILENCE_MS:
            link.greet_again(now)

    def _give_out(self, link: EdgeLink) -> None:
        self._words.say(link)
        self._notice_reopened(link)
        self._notice_silence(link)
        envelopes = link.poll(self._clock.mono_ms(), self._source, self._carried, self.lanes)
        for envelope in envelopes:
            self._carrier.publish(self._up, envelope)
        if envelopes:
            self._busy_ms = self._clock.mono_ms()
        given = self._source.taken_out()
        if given:
            self.sent += len(given)
            self._highest = max(self._highest, *given)
            with self._store.write() as tx:
                outbox.offered(tx, given, now_ms=self._clock.now_ms())

    def _settled(self) -> bool:
        """All that can be done now is done: greeted, every op has the hub's word, nothing came for a while."""
        if not self.open or self._documents_due():
            return False
        if self._clock.mono_ms() - self._busy_ms < QUIET_MS:
            return False
        return self._source.lowest_unsettled() is None and self._carried.lowest_unsettled() is None

    def _patience_ms(self) -> int:
        """How long one round waits for the first word: without a connection a person is told soon."""
        return ANSWER_MS if self._carrier.state == "online" else CONNECT_MS

    def _round(self, *, complete: bool) -> Round:
        with self._store.read() as tx:
            counts, carried = outbox.counts(tx), relay.pending(tx)
        return Round(self.sent, self.received, counts["pending"] + counts["offered"] + carried, complete)

    def _offline(self) -> TransportError:
        return offline(self._carrier.reason if self._carrier.state != "online" else "the hub does not answer")


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
