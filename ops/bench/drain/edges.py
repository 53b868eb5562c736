"""Simulated devices: hundreds in one process, each with its own keys, connection, mailbox and link.

For: the device's side of the drain. What is real: carrier, envelopes, `EdgeLink` with its windows, patience and waits,
receipts verified. What is light: ops lie in memory, what comes down is counted and acknowledged, not folded and stored.
May not: be quicker to offer, or more patient, than `edge.sync_loop` is.
Manual: docs/performance.md, "After an outage".
"""

from __future__ import annotations

import os
import random
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from edge.sync.conversation import TURN_S
from edge.sync_loop import SILENCE_MS, hub_device
from ops.clock import mono_ms
from protocol import topics
from protocol.carriers.mqtt import MqttCarrier
from protocol.envelope import open_envelope
from protocol.events import StreamArrived, WelcomeArrived
from protocol.keys import DeviceKeys
from protocol.lanes import EXPRESS, REST, Lane
from protocol.link import EdgeLink, HelloState
from protocol.messages import STREAM_RECEIPT
from protocol.receipt import open_receipt
from protocol.roster import Device
from protocol.schedule import delays_s
from protocol.trust import Trust, fingerprint

SOFTWARE = "bench"
TURN_MS = int(TURN_S * 1000)


@dataclass
class Tally:
    """What one device saw. Times in ms since the start; bytes of payloads."""

    done_ms: int | None = None
    urgent_done_ms: int | None = None
    first_ms: int | None = None
    settled: int = 0
    refused: int = 0
    waiting: int = 0
    offered: int = 0
    told_later: int = 0
    wait_ms_max: int = 0
    greetings: int = 0
    connects: int = 0
    messages_up: int = 0
    messages_down: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    stream_items: int = 0


@dataclass
class Held:
    """A device's ops in memory, as `edge.outbox` would hold them: `protocol.link.EdgeSource` over a list.

    ops: (id, signed bytes) of its ops from number 1 on. urgent_ops: so many of the first belong to an urgent case.
    """

    ops: list[tuple[bytes, bytes]]
    documents: dict[str, int]
    urgent_ops: int
    tally: Tally
    epoch: bytes = b""
    pos: int = 0
    unsettled: set[int] = field(default_factory=set)
    highest: int = 0

    def __post_init__(self) -> None:
        self.unsettled = set(range(1, len(self.ops) + 1))
        self._order = sorted(self.unsettled)

    def hello(self) -> HelloState:
        self.tally.greetings += 1
        counts = {"pending": len(self.unsettled), "waiting": 0, "refused": 0}
        urgent = any(seq in self.unsettled for seq in range(1, self.urgent_ops + 1))
        return HelloState(SOFTWARE, self.documents, self.epoch, self.pos, len(self.ops), counts, urgent)

    def offers(self, after: int, *, bytes_max: int, count_max: int, rank: int | None = None) -> list[tuple[int, bytes]]:
        chosen: list[tuple[int, bytes]] = []
        size = 0
        for seq in self._order[bisect_left(self._order, after + 1) :]:
            if seq not in self.unsettled or not self._ranks(seq, rank):
                continue
            blob = self.ops[seq - 1][1]
            size += len(blob)
            if chosen and (size > bytes_max or len(chosen) == count_max):
                break
            chosen.append((seq, blob))
        if chosen:
            self.tally.offered += len(chosen)
            self.highest = max(self.highest, chosen[-1][0])
        return chosen

    def lowest_unsettled(self, rank: int | None = None) -> int | None:
        while self._order and self._order[0] not in self.unsettled:
            del self._order[0]
        return next((seq for seq in self._order if seq in self.unsettled and self._ranks(seq, rank)), None)

    def more(self, after: int, rank: int | None = None) -> bool:
        behind = self._order[bisect_left(self._order, after + 1) :]
        return any(seq in self.unsettled and self._ranks(seq, rank) for seq in behind)

    def _ranks(self, seq: int, rank: int | None) -> bool:
        return rank is None or rank == (EXPRESS if seq <= self.urgent_ops else REST)

    def lane_of(self, sha256: bytes) -> Lane:
        return Lane.ATTACHMENTS

    def wants(self) -> list[tuple[bytes, list[list[int]]]]:
        return []

    def chunk(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        return None


class Edge:
    """One device. `turn` often; it does nothing between two turns of the real loop unless something came."""

    def __init__(self, keys: DeviceKeys, held: Held, trust: Trust, *, broker: str, password: str) -> None:
        self.keys, self.held, self.tally = keys, held, held.tally
        self._trust, self._hub = trust, hub_device(trust)
        space, box = topics.space(fingerprint(trust.root_public)), topics.mailbox(keys.incarnation)
        self._up = topics.up(space, box)
        self._link = EdgeLink(keys=keys, peer=self._hub, fraction=random.random, random_bytes=os.urandom)
        self.carrier = MqttCarrier(
            broker,
            client_id=box,
            username=box,
            password=password,
            subscriptions=[topics.down(space, box)],
            delays=partial(delays_s, random.random),
        )
        self._generation = 0
        self._due_ms = 0
        self._begin_ms = 0

    @property
    def waits(self) -> bool:
        """Whether it was told to come back later and is waiting."""
        return self._link.open and mono_ms() < self._link.hold_until_ms

    def begin(self, begin_ms: int) -> None:
        """The line is back. Times are counted from `begin_ms`."""
        self._begin_ms = begin_ms
        self.carrier.start()

    def turn(self, now: int) -> bool:
        """One step, as `edge.sync.conversation.Conversation.turn` makes it. True if anything came."""
        came = False
        while (arrived := self.carrier.receive()) is not None:
            came = True
            self._take(arrived[1], now)
        if not came and now < self._due_ms:
            return False
        self._due_ms = now + TURN_MS
        if self._follow_connection(now):
            self._give_out(now)
        return came

    def _follow_connection(self, now: int) -> bool:
        if self.carrier.state != "online":
            if self._generation:
                self._generation = 0
                self._link.lost()
            return False
        if self.carrier.generation != self._generation:
            self._generation = self.carrier.generation
            self.tally.connects += 1
            self._link.connected(now)
        elif self._link.dead(now):
            self._link.lost()
            self._generation = 0
            self.carrier.reconnect()
            return False
        return True

    def _give_out(self, now: int) -> None:
        link, low = self._link, self.held.lowest_unsettled()
        under_way = link.under_way() or (low is not None and low <= self.held.highest)
        if link.open and under_way and link.heard_ms is not None and now - link.heard_ms > SILENCE_MS:
            link.greet_again(now)
        for envelope in link.poll(now, self.held):
            self.tally.messages_up += 1
            self.tally.bytes_up += len(envelope)
            self.carrier.publish(self._up, envelope)

    def _take(self, payload: bytes, now: int) -> None:
        self.tally.messages_down += 1
        self.tally.bytes_down += len(payload)
        opened = open_envelope(payload, keys=self.keys, speaker=self._speaker)
        for event in self._link.receive(opened, now):
            if isinstance(event, WelcomeArrived):
                self.held.epoch = event.welcome.epoch
                self.tally.told_later += event.welcome.retry_ms > 0
                self.tally.wait_ms_max = max(self.tally.wait_ms_max, event.welcome.retry_ms)
            elif isinstance(event, StreamArrived):
                self.tally.stream_items += len(event.items)
                for what, blob in event.items:
                    if what == STREAM_RECEIPT:
                        self._settle(blob, now)
                self.held.epoch, self.held.pos = event.epoch, event.last
                self._link.stream_committed(event.epoch, event.last)

    def _speaker(self, _incarnation: bytes) -> Device:
        return self._hub

    def _settle(self, blob: bytes, now: int) -> None:
        """Take over a receipt that the hub signed; one about another history than ours would be an error of ours."""
        receipt = open_receipt(blob, self._trust)
        if receipt.author != self.keys.incarnation:
            return
        named = {one.seq for one in receipt.refused} | {one.seq for one in receipt.waiting}
        self.tally.refused += len(receipt.refused)
        self.tally.waiting += len(receipt.waiting)
        for run in receipt.accepted:
            if self.held.ops[run.last_seq - 1][0] != run.last_op:
                raise RuntimeError("a receipt names another op than ours")
            named.update(range(run.first_seq, run.last_seq + 1))
        self._count(named, now - self._begin_ms)

    def _count(self, named: set[int], after_ms: int) -> None:
        tally, unsettled = self.tally, self.held.unsettled
        tally.settled += len(named & unsettled)
        unsettled -= named
        tally.first_ms = after_ms if tally.first_ms is None else tally.first_ms
        urgent = range(1, self.held.urgent_ops + 1)
        if tally.urgent_done_ms is None and urgent and unsettled.isdisjoint(urgent):
            tally.urgent_done_ms = after_ms
        if tally.done_ms is None and not unsettled:
            tally.done_ms = after_ms


def serve(edges: list[Edge], *, jitter_ms: int, say: Callable[[], None], ended: Callable[[], bool]) -> None:
    """Bring all lines back within `jitter_ms` and turn all devices until `ended`; `say` is called once a second."""
    begin = said = mono_ms()
    waiting = sorted(((begin + random.randrange(jitter_ms + 1), edge) for edge in edges), key=lambda one: one[0])
    live: list[Edge] = []
    while not ended():
        now = mono_ms()
        while waiting and waiting[0][0] <= now:
            live.append(waiting.pop(0)[1])
            live[-1].begin(begin)
        busy = False
        for edge in live:
            busy |= edge.turn(mono_ms())
        if now - said >= 1_000:
            said = now
            say()
        if not busy:
            time.sleep(0.01)
    say()
