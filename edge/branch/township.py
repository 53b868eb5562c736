"""The second line of a village's device: its conversation with its township over the township's own broker.

For: handing everything that the township lacks to it, taking what it has for our office; county's line up or down.
May not: take the township's word for the hub's: only a receipt settles an op in the outbox (law 2).
Spec: docs/protocol/link.md, "Carrying for others".  Manual: docs/operating/township.md.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable

from conflict.ledger.store import Store
from edge import outbox
from edge.branch import given as handed
from edge.branch import setup
from edge.branch.given import TownshipSource
from edge.clock import Clock
from edge.errors import BranchProblem
from edge.reference import Reference
from edge.sync.conversation import TURN_S, Carrier, Conversation
from edge.sync_loop import CONNECT_MS, QUIET_MS, SILENCE_MS, Round, offline
from protocol.events import (
    AheadArrived,
    Event,
    HeldAhead,
    HeldArrived,
    ProblemArrived,
    StreamArrived,
    WelcomeArrived,
)
from protocol.keys import DeviceKeys
from protocol.link import EdgeLink
from protocol.roster import Device

VIA = handed.VIA

log = logging.getLogger("liandong.edge.township")


class TownshipLine(Conversation):
    """A device's loop with its township. `township`: incarnation of the township's device, from its card."""

    def __init__(
        self,
        store: Store,
        keys: DeviceKeys,
        reference: Reference,
        clock: Clock,
        carrier: Carrier,
        township: bytes,
        *,
        county_open: Callable[[], bool],
        random_bytes: Callable[[int], bytes] = os.urandom,
        fraction: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(store, keys, reference, clock, carrier, random_bytes=random_bytes, fraction=fraction)
        self._township = township
        self._source = TownshipSource(store, keys, reference, self._wanted, clock, township, county_open=county_open)
        self._source.lanes = self.lanes
        self._known: Device | None = None
        self._version = -1
        self.received = 0

    def run_once(self, timeout_s: float) -> Round:
        """One round with the township, until all is quiet or time is up.

        Raises:  TransportError (`offline`) if the township did not answer within the time.
        """
        begin = self._clock.mono_ms()
        self._carrier.start()
        try:
            while self._clock.mono_ms() - begin < timeout_s * 1000:
                self._carrier.wait(min(TURN_S, timeout_s))
                self.turn()
                if self._settled():
                    break
                if not self.open and self._clock.mono_ms() - begin > CONNECT_MS:
                    break
            if not self.open:
                raise offline(self._carrier.reason or "the township does not answer")
            with self._store.read() as tx:
                counts = outbox.counts(tx)
            return Round(self._source.given, self.received, counts["pending"] + counts["offered"], self._settled())
        finally:
            self._carrier.stop()

    def _find_peer(self) -> Device | None:
        """The township's device as the roster names it, if that puts it above us and lets it speak."""
        version = self._store.data_version()
        if version != self._version:
            self._version = version
            with self._store.read() as tx:
                roster = self._reference.roster(tx)
            device = setup.server(roster, self._township, self._keys.office)
            if device is None and self._known is None:
                log.info("the roster does not name the township's device above this office (yet)")
            self._known = device
        return self._known

    def _handle(self, link: EdgeLink, event: Event) -> None:
        if isinstance(event, StreamArrived):
            self.received += self._intake.stream(event, via=VIA, place=self._source.note_place)
            link.stream_committed(event.epoch, event.last)
        elif isinstance(event, WelcomeArrived):
            with self._store.write() as tx:
                self._source.greeted(tx, event.welcome)
        elif isinstance(event, HeldArrived):
            with self._store.write() as tx:
                self._source.note_given(tx, event.pos)
        elif isinstance(event, HeldAhead):
            self._source.note_ahead(event.positions)
        elif isinstance(event, AheadArrived):
            self.received += self._intake.ops(event.blobs, via=VIA)
        elif isinstance(event, ProblemArrived):
            log.warning("the township reports a problem: %s", event.code)
            self._intake.keep_problem(BranchProblem(f"{event.code}: {event.text}"), event.about or event.code.encode())

    def _give_out(self, link: EdgeLink) -> None:
        now = self._clock.mono_ms()
        if link.open and link.under_way() and link.heard_ms is not None and now - link.heard_ms > SILENCE_MS:
            link.greet_again(now)
        envelopes = link.poll(now, self._source, gates=self.lanes)
        for envelope in envelopes:
            self._carrier.publish(self._up, envelope)
        if envelopes:
            self._busy_ms = now

    def _settled(self) -> bool:
        if not self.open or self._documents_due():
            return False
        quiet = self._clock.mono_ms() - self._busy_ms >= QUIET_MS
        return quiet and self._source.lowest_unsettled() is None
