"""The link: one device's side of its conversation with one peer.

For: turning opened envelopes into events, and committed work into envelopes to send: greeting, heartbeat, offering ops
until a receipt settles them, the downward stream with cumulative acknowledgement, chunks of large content.
May not: open sockets or files, read a clock, draw random bytes, hold the only copy of anything: state that must
survive is in the store, which the link reads through a small port and never writes.
Spec: docs/protocol/link.md.  Vectors: tests/vectors/link/.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from protocol import messages
from protocol.content import Asking, Contents, Serving
from protocol.envelope import Opened, envelope_id, seal_envelope
from protocol.events import (
    AckArrived,
    AheadArrived,
    ChunkArrived,
    CompareArrived,
    DocumentsOffered,
    Event,
    HeldAhead,
    HeldArrived,
    HelloArrived,
    OpsArrived,
    ProblemArrived,
    ShowArrived,
    SliceArrived,
    StreamArrived,
    WelcomeArrived,
)
from protocol.flow import Flow
from protocol.gates import Bucket
from protocol.keys import DeviceKeys
from protocol.lanes import BATCH_PLAIN_BYTES_MAX, TABLE, Gates, Lane, Unlimited, lane_of_rank
from protocol.messages import (
    Ack,
    Ahead,
    Announce,
    Chunk,
    Compare,
    Fetch,
    Held,
    Hello,
    Introduce,
    Message,
    Ops,
    Problem,
    Purged,
    Show,
    Stream,
    Want,
    Welcome,
)
from protocol.offers import SETTLE_MS, OpsSource, Upward
from protocol.roster import Device
from protocol.schedule import backoff_ms

HELLO_MS = 10_000  # without a welcome for so long, greet again
HEARTBEAT_MS = 45_000  # silence after which a device greets again
DEAD_MS = 60_000  # a greeting unanswered for so long: the line is dead although it looks alive
OUT_MAX = 8  # envelopes that one poll hands out
WINDOW_MAX = 16  # messages of the stream on their way
AHEADS_MAX = 2  # sent without a new acknowledgement of the stream
UNLIMITED = Unlimited()


@dataclass(frozen=True, slots=True)
class HelloState:
    """What a device says of itself when it greets; read from its store."""

    software: str
    documents: dict[str, int]
    epoch: bytes
    pos: int
    head_seq: int
    counts: dict[str, int]
    urgent: bool


class EdgeSource(Contents, OpsSource, Protocol):
    """What an edge's link reads from its store."""

    def hello(self) -> HelloState: ...


class HubSource(Contents, Protocol):
    """What the hub's link to one device reads from the hub's store."""

    def welcome(self, hello: Hello) -> Welcome: ...

    def stream(self, after: int, *, bytes_max: int, count_max: int) -> Stream | None:
        """The next positions behind `after` of this device's office, or None if there are none."""

    def ahead(self, after: int, *, bytes_max: int) -> tuple[int, list[bytes]]:
        """Ops of urgent cases from the positions behind `after`, and how far it has looked; `after` at the end."""


class _Side:
    """What both sides share: sealing, chunks asked for and served, control messages waiting to leave."""

    def __init__(self, *, keys: DeviceKeys, peer: Device, fraction: Callable[[], float]) -> None:
        self.peer = peer
        self._keys = keys
        self._fraction = fraction
        self._control: list[Message] = []
        self._asking, self._serving = Asking(), Serving()
        self.heard_ms: int | None = None

    def say(self, message: Message) -> None:
        """Queue a small message (Problem, Compare, Announce) for the next poll."""
        self._control.append(message)

    def _seal(self, batch: list[Message]) -> bytes:
        return seal_envelope(batch, keys=self._keys, recipient=self.peer)

    def _common(self, message: Message, mono_ms: int) -> list[Event]:
        if isinstance(message, Want):
            self._serving.asked_for(message)
            return []
        if isinstance(message, Chunk):
            whole = self._asking.arrived(message, mono_ms)
            return [SliceArrived(message.sha256) if whole is None else ChunkArrived(whole)]
        if isinstance(message, Compare):
            return [CompareArrived(message.session, message.body)]
        if isinstance(message, Problem):
            return [ProblemArrived(message.code, message.text, message.about)]
        return []

    def _content_out(
        self, mono_ms: int, source: Contents, gates: Gates, *, asks_wait: bool, crowded: bool
    ) -> list[bytes]:
        """Wants and served chunks, after everything else."""
        asked: list[Message] = [*self._asking.next(mono_ms, source, crowded=asks_wait)]
        out = [self._seal(asked)] if asked else []
        served = self._serving.hand_out(mono_ms, source, gates, crowded=crowded)
        return [*out, *(self._seal([chunk]) for chunk in served)]

    def _forget_content(self) -> None:
        """A new session: what is missing is asked for again."""
        self._asking.forget()
        self._serving.forget()


class EdgeLink(_Side):
    """A device's conversation with its hub, or with its township in the hub's place."""

    def __init__(
        self, *, keys: DeviceKeys, peer: Device, fraction: Callable[[], float], random_bytes: Callable[[int], bytes]
    ) -> None:
        super().__init__(keys=keys, peer=peer, fraction=fraction)
        self._random_bytes = random_bytes
        self._session = b""
        self.open = False
        self._hello_ms: int | None = None
        self._greet_ms = 0
        self._attempt = 0
        self.hold_until_ms = 0
        self._up = Upward(fraction)
        self._epoch, self._pos = b"", 0
        self._shown: set[bytes] = set()  # hashes of documents that the hub may ask for
        self._papers = Serving()

    def connected(self, mono_ms: int) -> None:
        """The carrier has a connection: greet at once under a new session."""
        self._session = self._random_bytes(8)
        self.open, self._hello_ms, self._greet_ms = False, None, mono_ms
        self._up.forget_flight()
        self._forget_content()
        self._papers.forget()

    def lost(self) -> None:
        """The carrier has no connection: nothing can leave."""
        self.open, self._session, self._hello_ms = False, b"", None
        self._up.forget_flight()

    def dead(self, mono_ms: int) -> bool:
        """True when the line looks alive but a greeting stayed unanswered: let the carrier reconnect."""
        return bool(self._session) and self._hello_ms is not None and mono_ms - self._hello_ms > DEAD_MS

    def receive(self, opened: Opened, mono_ms: int) -> list[Event]:
        """What an envelope from the hub means, oldest first. A repeat gives the same events."""
        self.heard_ms = mono_ms
        self._asking.heard(opened)
        events: list[Event] = []
        for message in opened.messages:
            if isinstance(message, Welcome):
                events.extend(self._welcome(message, mono_ms))
            elif isinstance(message, Stream):
                events.extend(self._stream(message))
            elif isinstance(message, Announce):
                events.append(_offered(message.documents))
            elif isinstance(message, Ahead):
                events.append(AheadArrived(tuple(message.blobs)))
            elif isinstance(message, Show):
                events.append(ShowArrived(tuple((kind, above, below) for kind, above, below in message.ranges)))
            elif isinstance(message, Want) and message.sha256 in self._shown:
                self._papers.asked_for(message)
            elif isinstance(message, Held):
                in_order, ahead = self._up.held(message.envelope)
                events.extend([HeldArrived(in_order[-1])] if in_order else [])
                events.extend([HeldAhead(ahead)] if ahead else [])
            else:
                events.extend(self._common(message, mono_ms))
        return events

    def show(self, rows: list[list[object]]) -> None:
        """Name the documents that the hub asked about, as in Announce; it may then ask for their bytes."""
        self._shown = {bytes(row[3]) for row in rows if type(row[3]) is bytes}
        self._control.append(Announce(rows))

    def under_way(self) -> bool:
        """Whether ops were offered that are not settled."""
        return self._up.under_way

    def stream_committed(self, epoch: bytes, pos: int) -> None:
        """The store holds the stream up to `pos`; only now may its acknowledgement leave."""
        self._control = [message for message in self._control if not isinstance(message, Ack)]
        self._control.append(Ack(epoch, pos))
        if epoch == self._epoch:
            self._pos = max(self._pos, pos)

    def content_settled(self, sha256: bytes) -> None:
        """Content is whole, or was given up: ask for the next."""
        self._asking.settled(sha256)

    def poll(
        self,
        mono_ms: int,
        source: EdgeSource,
        relayed: OpsSource | None = None,
        gates: Gates = UNLIMITED,
    ) -> list[bytes]:
        """Envelopes to publish now, most urgent first; call again after each event and at least twice a second.

        Args:    relayed: ops of other offices that this device carries upward, of each rank after its own.
                 gates: of the lanes upward; for what it asks and when, the source says.
        """
        if not self._session:
            return []
        out: list[bytes] = []
        self._greet(mono_ms, source, gates)
        batch: list[Message] = self._control[: messages.MESSAGES_MAX - 1]
        self._control = self._control[len(batch) :]
        waits = mono_ms < self.hold_until_ms
        while self.open and len(out) < OUT_MAX - 2:
            offer = self._up.next(mono_ms, source, relayed, gates=gates, urgent_only=waits)
            if offer is None:
                break
            out.append(self._seal([*batch, offer[0]]))
            self._up.carried_by(envelope_id(out[-1]))
            gates.spend(lane_of_rank(offer[1]), len(out[-1]), mono_ms)
            batch = []
        if batch:
            out.append(self._seal(batch))
        paper = self._papers.next(source)  # also before a welcome: a hub that was put back may not know us without them
        if paper is not None:
            out.append(self._seal([paper]))
        if self.open and not waits:
            crowded = self._up.crowded
            out.extend(self._content_out(mono_ms, source, gates, asks_wait=crowded, crowded=crowded))
        return out

    def _greet(self, mono_ms: int, source: EdgeSource, gates: Gates) -> None:
        silent = self.heard_ms is None or mono_ms - self.heard_ms > HEARTBEAT_MS
        due = mono_ms >= self._greet_ms and (not self.open or silent)
        if not due:
            return
        state = source.hello()
        self._epoch, self._pos = state.epoch, state.pos
        self._control.insert(
            0,
            Hello(
                self._session,
                state.software,
                state.documents,
                state.epoch,
                state.pos,
                state.head_seq,
                state.counts,
                state.urgent,
                gates.rate(Lane.OPS),
            ),
        )
        if not self.open:  # perhaps the hub was put back from a backup and does not know us any more
            self._control.insert(1, Introduce(self._keys.sign_public, self._keys.seal_public, self._keys.suite))
        if self._hello_ms is None:
            self._hello_ms = mono_ms
        self._greet_ms = mono_ms + HELLO_MS + backoff_ms(self._attempt, self._fraction(), cap_ms=60_000)
        self._attempt += 1

    def greet_again(self, mono_ms: int) -> None:
        """Say hello at the next poll: after a gap in the stream, or when documents were applied."""
        self._greet_ms = mono_ms
        self.heard_ms = None

    def _welcome(self, welcome: Welcome, mono_ms: int) -> list[Event]:
        if welcome.session != self._session:
            return []
        self.open, self._hello_ms, self._attempt = True, None, 0
        self._greet_ms = mono_ms
        self.hold_until_ms = mono_ms + welcome.retry_ms if welcome.retry_ms > 0 else 0
        if welcome.epoch != self._epoch:
            self._epoch, self._pos = welcome.epoch, 0
            self._up.forget_flight()  # what another store said or says of them means nothing here
        return [WelcomeArrived(welcome), _offered(welcome.documents)]

    def _stream(self, message: Stream) -> list[Event]:
        if not self.open:
            return []
        if message.epoch != self._epoch:
            self._greet_ms, self.heard_ms = 0, None  # the hub began anew, or this came late: its welcome will say
            return []
        if message.last <= self._pos:
            self.stream_committed(message.epoch, self._pos)  # a repeat: say again how far we are
            return []
        if message.first > self._pos + 1:
            self._greet_ms, self.heard_ms = 0, None  # a gap: greet, the hub goes on from our place
            return []
        self._pos = message.last
        items = tuple((int(kind), bytes(blob)) for kind, blob in message.items)
        return [StreamArrived(message.epoch, message.first, message.last, items)]


class HubLink(_Side):
    """The hub's conversation with one device, or a township's with a device of its branch."""

    def __init__(self, *, keys: DeviceKeys, peer: Device, fraction: Callable[[], float]) -> None:
        super().__init__(keys=keys, peer=peer, fraction=fraction)
        self._session = b""
        self._hello: Hello | None = None
        self._answered: Hello | None = None
        self._again = False
        self._epoch = b""
        self.acked = 0
        self._sent = 0
        self._window: deque[tuple[int, int, int]] = deque()  # last position, bytes, when it left
        self._resend_ms = 0
        self._resend_attempt = 0
        self._flow = Flow()
        self._bucket = Bucket(0)
        self._looked_ahead = self._aheads = 0

    def present(self, mono_ms: int) -> bool:
        """Whether the device was heard within the last three heartbeats."""
        return self.heard_ms is not None and mono_ms - self.heard_ms < 3 * HEARTBEAT_MS

    def expect(self, mono_ms: int) -> None:
        """The device was here before we began again: speak to it as to one that was heard just now."""
        self.heard_ms = mono_ms

    def welcome_again(self) -> None:
        """Answer the device's last greeting once more: a wait that it was told is over. Its place in the stream stays."""
        self._again = True

    def gone(self) -> None:
        """The device's last will arrived, or the carrier was lost: send nothing until it greets again."""
        self.heard_ms = None

    def receive(self, opened: Opened, mono_ms: int) -> list[Event]:
        """What an envelope from the device means. Nothing of it is stored yet."""
        self.heard_ms = mono_ms
        self._asking.heard(opened)
        events: list[Event] = []
        for message in opened.messages:
            if isinstance(message, Hello):
                self._hello = message
                if message.session != self._session:
                    self._forget_content()
                if message.rate != self._bucket.bytes_per_s:
                    self._bucket = Bucket(message.rate)
                self._session = message.session
                events.append(HelloArrived(message))
            elif isinstance(message, Ops):
                events.append(OpsArrived(opened.id, tuple(message.blobs), message.urgent))
            elif isinstance(message, Ack):
                events.extend(self._ack(message, mono_ms))
            elif isinstance(message, Announce):
                events.append(_offered(message.documents))
            elif isinstance(message, Fetch | Purged):
                events.append(message)
            else:
                events.extend(self._common(message, mono_ms))
        return events

    def poll(self, mono_ms: int, source: HubSource, *, more: bool = True) -> list[bytes]:
        """Envelopes to publish to this device now. `more` False: control only (other links first)."""
        if not self.present(mono_ms):
            return []
        out: list[bytes] = []
        batch: list[Message] = self._control[: messages.MESSAGES_MAX - 2]
        self._control = self._control[len(batch) :]
        if self._hello is not None:
            welcome = source.welcome(self._hello)
            self._place(self._hello, welcome)
            self._hello, self._answered, self._again = None, self._hello, False
            batch.insert(0, welcome)
        elif self._again and self._answered is not None:
            welcome = source.welcome(self._answered)
            if welcome.epoch != self._epoch:
                self._place(self._answered, welcome)
            self._again = False
            batch.insert(0, welcome)
        while more and len(out) < OUT_MAX - 2:
            stream = self._next(mono_ms, source)
            if stream is None:
                break
            out.append(self._seal([*batch, stream]))
            self._bucket.spend(len(out[-1]), mono_ms)
            batch = []
        if batch:
            out.append(self._seal(batch))
        if more:
            crowded = not self._room()
            out.extend(self._overtaking(source) if crowded else [])
            out.extend(self._content_out(mono_ms, source, UNLIMITED, asks_wait=False, crowded=crowded))
        return out

    def ops_committed(self, envelope: bytes) -> None:
        """A township's store has the ops of this envelope; only now may it say so. The hub gives receipts instead."""
        self._control.append(Held(envelope))

    def _place(self, hello: Hello, welcome: Welcome) -> None:
        self._epoch = welcome.epoch
        self.acked = hello.pos if hello.epoch == welcome.epoch else 0
        self._sent = self.acked
        self._window.clear()
        self._resend_ms = self._resend_attempt = 0
        self._looked_ahead = self._aheads = 0

    def _ack(self, ack: Ack, mono_ms: int) -> list[Event]:
        if ack.epoch != self._epoch or ack.pos <= self.acked:
            return []
        self.acked = ack.pos
        self._sent = max(self._sent, ack.pos)
        while self._window and self._window[0][0] <= ack.pos:
            self._flow.answered(self._window.popleft()[2], mono_ms)
        self._resend_attempt = self._aheads = 0
        return [AckArrived(ack.epoch, ack.pos)]

    def _next(self, mono_ms: int, source: HubSource) -> Stream | None:
        if not self._epoch:
            return None
        if self._window and mono_ms - self._window[0][2] > SETTLE_MS * (1 + self._resend_attempt):
            self._window.clear()
            self._sent = self.acked
            self._flow.unanswered(mono_ms)
            self._resend_ms = mono_ms + backoff_ms(self._resend_attempt, self._fraction(), cap_ms=120_000)
            self._resend_attempt = min(self._resend_attempt + 1, 8)
        if not self._room() or mono_ms < self._resend_ms or not self._bucket.ready(mono_ms):
            return None
        batch = self._flow.batch(BATCH_PLAIN_BYTES_MAX)
        stream = source.stream(self._sent, bytes_max=batch, count_max=messages.ITEMS_MAX)
        if stream is None:
            return None
        self._sent = stream.last
        self._window.append((stream.last, sum(len(blob) for _what, blob in stream.items), mono_ms))
        return stream

    def _room(self) -> bool:
        """Whether more of the stream may be on its way."""
        return sum(size for _last, size, _ms in self._window) < self._flow.limit and len(self._window) < WINDOW_MAX

    def _overtaking(self, source: HubSource) -> list[bytes]:
        """Ops of urgent cases from behind what is on its way; the stream brings them again in their place."""
        after = max(self._sent, self._looked_ahead)
        if self._aheads >= AHEADS_MAX:
            return []
        self._looked_ahead, blobs = source.ahead(after, bytes_max=TABLE[Lane.URGENT].batch)
        if not blobs:
            return []
        self._aheads += 1
        return [self._seal([Ahead(blobs)])]


def _offered(rows: list[list[object]]) -> DocumentsOffered:
    documents = []
    for row in rows:
        if [type(cell) for cell in row] == [str, int, int, bytes, int]:
            documents.append(tuple(row))
    return DocumentsOffered(tuple(documents))  # type: ignore[arg-type]
