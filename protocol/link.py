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

from protocol import chunks, messages
from protocol.envelope import Opened, envelope_id, seal_envelope
from protocol.keys import DeviceKeys
from protocol.messages import (
    Ack,
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
from protocol.offers import (
    BATCH_PLAIN_BYTES_FIRST,
    SETTLE_MS,
    WINDOW_ENVELOPES,
    Offers,
    OpsSource,
)
from protocol.offers import BATCH_PLAIN_BYTES_MAX as BATCH_PLAIN_BYTES_MAX
from protocol.roster import Device
from protocol.schedule import backoff_ms

HELLO_MS = 10_000  # without a welcome for so long, greet again
HEARTBEAT_MS = 45_000  # silence after which a device greets again
DEAD_MS = 60_000  # a greeting unanswered for so long: the line is dead although it looks alive
WANT_MS = 15_000  # without a chunk for so long, ask again
WANT_MS_MAX = 120_000  # and ever later up to this, where nothing comes at all: the peer may keep to a time window
WANTS_EAGER = 3  # so often before it gets later
SERVE_MAX = 64  # chunks that a peer may have asked for at once; more are asked for again
OUT_MAX = 8  # envelopes that one poll hands out


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


class Contents(Protocol):
    """Large content in a store."""

    def wants(self) -> list[tuple[bytes, list[list[int]]]]:
        """Hash and missing ranges of what this side lacks and the peer may have, most needed first."""

    def chunk(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        """(size of the whole, bytes of this piece), or None if not held."""


class Lane(Protocol):
    """When bytes of attachments may leave; edge.lanes.AttachmentLane has it."""

    def is_open(self, mono_ms: int) -> bool: ...
    def ready(self, mono_ms: int) -> bool: ...
    def spend(self, size: int, mono_ms: int) -> None: ...


class EdgeSource(Contents, OpsSource, Protocol):
    """What an edge's link reads from its store."""

    def hello(self) -> HelloState: ...


class HubSource(Contents, Protocol):
    """What the hub's link to one device reads from the hub's store."""

    def welcome(self, hello: Hello) -> Welcome: ...

    def stream(self, after: int, *, bytes_max: int, count_max: int) -> Stream | None:
        """The next positions behind `after` of this device's office, or None if there are none."""


@dataclass(frozen=True, slots=True)
class HelloArrived:
    hello: Hello


@dataclass(frozen=True, slots=True)
class WelcomeArrived:
    welcome: Welcome


@dataclass(frozen=True, slots=True)
class OpsArrived:
    """Op blobs, form and signatures not checked yet, nothing stored yet. envelope: id of the bytes they came in."""

    envelope: bytes
    blobs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StreamArrived:
    """The next positions of the stream. After the commit call `stream_committed(epoch, last)`."""

    epoch: bytes
    first: int
    last: int
    items: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class AckArrived:
    epoch: bytes
    pos: int


@dataclass(frozen=True, slots=True)
class HeldArrived:
    """A township holds all that was offered to it up to this position of our own."""

    pos: int


@dataclass(frozen=True, slots=True)
class DocumentsOffered:
    """[kind, version, base_version, sha256, size] each."""

    documents: tuple[tuple[str, int, int, bytes, int], ...]


@dataclass(frozen=True, slots=True)
class ShowArrived:
    """The hub asks for documents in these ranges: [kind, above, below] each. Answer with `EdgeLink.show`."""

    ranges: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class ChunkArrived:
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class CompareArrived:
    session: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class ProblemArrived:
    code: str
    text: str
    about: bytes


Event = (
    HelloArrived
    | WelcomeArrived
    | OpsArrived
    | StreamArrived
    | AckArrived
    | HeldArrived
    | DocumentsOffered
    | ShowArrived
    | ChunkArrived
    | CompareArrived
    | ProblemArrived
    | Fetch
    | Purged
)


class _Side:
    """What both sides share: sealing, chunks asked for and served, control messages waiting to leave."""

    def __init__(self, *, keys: DeviceKeys, peer: Device, fraction: Callable[[], float]) -> None:
        self.peer = peer
        self._keys = keys
        self._fraction = fraction
        self._control: list[Message] = []
        self._serve: deque[tuple[bytes, int]] = deque()
        self._wanted: dict[bytes, tuple[int, int, int]] = {}  # hash -> (asked or got at, outstanding, asked in vain)
        self.heard_ms: int | None = None

    def say(self, message: Message) -> None:
        """Queue a small message (Problem, Compare, Announce) for the next poll."""
        self._control.append(message)

    def _seal(self, batch: list[Message]) -> bytes:
        return seal_envelope(batch, keys=self._keys, recipient=self.peer)

    def _common(self, message: Message, mono_ms: int) -> list[Event]:
        if isinstance(message, Want):
            for index in chunks.first_of(message.ranges, chunks.WINDOW):
                if len(self._serve) < SERVE_MAX and (message.sha256, index) not in self._serve:
                    self._serve.append((message.sha256, index))
            return []
        if isinstance(message, Chunk):
            _asked, left, _vain = self._wanted.get(message.sha256, (mono_ms, 0, 0))
            self._wanted[message.sha256] = (mono_ms, left - 1, 0)  # the rest is on its way: a thin line takes long
            return [ChunkArrived(message)]
        if isinstance(message, Compare):
            return [CompareArrived(message.session, message.body)]
        if isinstance(message, Problem):
            return [ProblemArrived(message.code, message.text, message.about)]
        return []

    def _content_out(self, mono_ms: int, source: Contents, lane: Lane | None = None) -> list[bytes]:
        """Wants and served chunks, after everything else: an attachment never delays an op."""
        out: list[bytes] = []
        asking: list[Message] = []
        wants = source.wants()[:1]  # one content at a time, most needed first: it is whole sooner
        for sha256, missing in wants:
            asked, left, vain = self._wanted.get(sha256, (mono_ms, 0, 0))
            if left > 0 and mono_ms - asked < min(WANT_MS << max(0, vain - WANTS_EAGER), WANT_MS_MAX):
                continue
            indexes = chunks.first_of(missing, chunks.WINDOW)
            self._wanted = {sha256: (mono_ms, len(indexes), min(vain + 1, 10) if left > 0 else 0)}
            asking.append(Want(sha256, chunks.ranges(indexes)))
        if asking:
            out.append(self._seal(asking))
        if lane is not None and not lane.is_open(mono_ms):
            self._serve.clear()  # by the time it opens the peer may have them from elsewhere; it asks again
        while self._serve and len(out) < 2 and (lane is None or lane.ready(mono_ms)):
            sha256, index = self._serve.popleft()
            piece = source.chunk(sha256, index)
            if piece is not None:
                if lane is not None:
                    lane.spend(len(piece[1]), mono_ms)
                out.append(self._seal([Chunk(sha256, piece[0], index, piece[1])]))
        return out


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
        self._own, self._relayed = Offers(fraction), Offers(fraction)
        self._epoch, self._pos = b"", 0
        self._shown: set[bytes] = set()  # hashes of documents that the hub may ask for
        self._papers: deque[tuple[bytes, int]] = deque()

    def connected(self, mono_ms: int) -> None:
        """The carrier has a connection: greet at once under a new session."""
        self._session = self._random_bytes(8)
        self.open, self._hello_ms, self._greet_ms = False, None, mono_ms
        self._forget_flight()
        self._wanted, self._serve, self._papers = {}, deque(), deque()

    def lost(self) -> None:
        """The carrier has no connection: nothing can leave."""
        self.open, self._session, self._hello_ms = False, b"", None
        self._forget_flight()

    def dead(self, mono_ms: int) -> bool:
        """True when the line looks alive but a greeting stayed unanswered: let the carrier reconnect."""
        return bool(self._session) and self._hello_ms is not None and mono_ms - self._hello_ms > DEAD_MS

    def receive(self, opened: Opened, mono_ms: int) -> list[Event]:
        """What an envelope from the hub means, oldest first. A repeat gives the same events."""
        self.heard_ms = mono_ms
        events: list[Event] = []
        for message in opened.messages:
            if isinstance(message, Welcome):
                events.extend(self._welcome(message, mono_ms))
            elif isinstance(message, Stream):
                events.extend(self._stream(message))
            elif isinstance(message, Announce):
                events.append(_offered(message.documents))
            elif isinstance(message, Show):
                events.append(ShowArrived(tuple((kind, above, below) for kind, above, below in message.ranges)))
            elif isinstance(message, Want) and message.sha256 in self._shown:
                for index in chunks.first_of(message.ranges, chunks.WINDOW):
                    if len(self._papers) < SERVE_MAX and (message.sha256, index) not in self._papers:
                        self._papers.append((message.sha256, index))
            elif isinstance(message, Held):
                reached = self._own.held(message.envelope)
                events.extend([] if reached is None else [HeldArrived(reached)])
            else:
                events.extend(self._common(message, mono_ms))
        return events

    def show(self, rows: list[list[object]]) -> None:
        """Name the documents that the hub asked about, as in Announce; it may then ask for their bytes."""
        self._shown = {bytes(row[3]) for row in rows if type(row[3]) is bytes}
        self._control.append(Announce(rows))

    def under_way(self) -> bool:
        """Whether ops were offered that are not settled."""
        return self._own.under_way or self._relayed.under_way

    def stream_committed(self, epoch: bytes, pos: int) -> None:
        """The store holds the stream up to `pos`; only now may its acknowledgement leave."""
        self._control = [message for message in self._control if not isinstance(message, Ack)]
        self._control.append(Ack(epoch, pos))
        if epoch == self._epoch:
            self._pos = max(self._pos, pos)

    def stream_failed(self, pos: int) -> None:
        """The store could not take a batch: expect from `pos` again."""
        self._pos = pos

    def content_settled(self, sha256: bytes) -> None:
        """Content is whole, or was given up: ask for the next."""
        self._wanted.pop(sha256, None)

    def poll(
        self, mono_ms: int, source: EdgeSource, relayed: OpsSource | None = None, lane: Lane | None = None
    ) -> list[bytes]:
        """Envelopes to publish now, most urgent first; call again after each event and at least twice a second.

        Args:    relayed: ops of other offices that this device carries upward, after its own.
                 lane: of attachments that this device serves; for what it asks and when, the source says.
        """
        if not self._session:
            return []
        out: list[bytes] = []
        self._greet(mono_ms, source)
        batch: list[Message] = self._control[: messages.MESSAGES_MAX - 1]
        self._control = self._control[len(batch) :]
        if self.open and mono_ms >= self.hold_until_ms:
            for offers, ops in ((self._own, source), (self._relayed, relayed)):
                while ops is not None and len(out) < OUT_MAX - 2:
                    offer = offers.next(mono_ms, ops)
                    if offer is None:
                        break
                    out.append(self._seal([*batch, offer]))
                    offers.carried_by(envelope_id(out[-1]))
                    batch = []
        if batch:
            out.append(self._seal(batch))
        if self._papers:  # also before a welcome: a hub that was put back may not know us without them
            sha256, index = self._papers.popleft()
            piece = source.chunk(sha256, index)
            if piece is not None:
                out.append(self._seal([Chunk(sha256, piece[0], index, piece[1])]))
        if self.open and mono_ms >= self.hold_until_ms:
            out.extend(self._content_out(mono_ms, source, lane))
        return out

    def _greet(self, mono_ms: int, source: EdgeSource) -> None:
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
        return [WelcomeArrived(welcome), _offered(welcome.documents)]

    def _stream(self, message: Stream) -> list[Event]:
        if message.epoch != self._epoch or not self.open:
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

    def _forget_flight(self) -> None:
        self._own.forget_flight()
        self._relayed.forget_flight()


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
        self._window: deque[tuple[int, int]] = deque()
        self._resend_ms = 0
        self._resend_attempt = 0
        self._budget = BATCH_PLAIN_BYTES_FIRST

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
        events: list[Event] = []
        for message in opened.messages:
            if isinstance(message, Hello):
                self._hello = message
                if message.session != self._session:
                    self._wanted, self._serve = {}, deque()
                self._session = message.session
                events.append(HelloArrived(message))
            elif isinstance(message, Ops):
                events.append(OpsArrived(opened.id, tuple(message.blobs)))
            elif isinstance(message, Ack):
                events.extend(self._ack(message))
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
            batch = []
        if batch:
            out.append(self._seal(batch))
        if more:
            out.extend(self._content_out(mono_ms, source))
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

    def _ack(self, ack: Ack) -> list[Event]:
        if ack.epoch != self._epoch or ack.pos <= self.acked:
            return []
        self.acked = ack.pos
        self._sent = max(self._sent, ack.pos)
        while self._window and self._window[0][0] <= ack.pos:
            self._window.popleft()
            self._budget = min(BATCH_PLAIN_BYTES_MAX, self._budget * 2)
        self._resend_attempt = 0
        return [AckArrived(ack.epoch, ack.pos)]

    def _next(self, mono_ms: int, source: HubSource) -> Stream | None:
        if not self._epoch:
            return None
        if self._window and mono_ms - self._window[0][1] > SETTLE_MS * (1 + self._resend_attempt):
            self._window.clear()
            self._sent = self.acked
            self._budget = max(BATCH_PLAIN_BYTES_FIRST // 4, self._budget // 2)
            self._resend_ms = mono_ms + backoff_ms(self._resend_attempt, self._fraction(), cap_ms=120_000)
            self._resend_attempt = min(self._resend_attempt + 1, 8)
        if len(self._window) >= WINDOW_ENVELOPES or mono_ms < self._resend_ms:
            return None
        stream = source.stream(self._sent, bytes_max=self._budget, count_max=messages.ITEMS_MAX)
        if stream is None:
            return None
        self._sent = stream.last
        self._window.append((stream.last, mono_ms))
        return stream


def _offered(rows: list[list[object]]) -> DocumentsOffered:
    documents = []
    for row in rows:
        if [type(cell) for cell in row] == [str, int, int, bytes, int]:
            documents.append(tuple(row))
    return DocumentsOffered(tuple(documents))  # type: ignore[arg-type]
