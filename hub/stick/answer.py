"""The way back: for each device its welcome, newer documents, its office's stream, bytes of attachments.

For: the answer to imported exports, and `bundle export` at the hub; both begin at the place that the device named last.
May not: move a device's place: writing a stick proves nothing, only an Ack does; give content outside an office's scope.
Spec: docs/protocol/bundle.md.  Manual: docs/operating/sticks.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from conflict.ledger.meta import get_meta, put_meta
from hub import contents, devices, lineage, state, streams
from hub.devices import Contact
from hub.init import County
from hub.source import Board, DeviceSource
from protocol import chunks
from protocol.carriers.bundle import write_bundle
from protocol.carriers.bundle_errors import BundleEmpty
from protocol.carriers.stick import MIB, ROOM_MIB, Room
from protocol.envelope import seal_envelope
from protocol.lanes import BATCH_PLAIN_BYTES_MAX
from protocol.messages import (
    ITEMS_MAX,
    MESSAGES_MAX,
    RANGES_MAX,
    STREAM_OP,
    Chunk,
    Hello,
    Message,
    Problem,
    Stream,
    Want,
)
from protocol.op import parse_op
from protocol.roster import REVOKED, Device

WRITTEN = "hub.stick.written"  # how far the last stick for each device goes
WANTS_MAX = 500  # files that a device is asked for, and that it may ask for, by one stick
NOT_HELLO = bytes(8)  # session of a bundle that answers no greeting


@dataclass(slots=True)
class Asked:
    """A device that gets a bundle. hello: its newest greeting. wants: what it asked for with it."""

    device: Device
    hello: Hello
    wants: list[Want] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answered:
    """A bundle for devices. ops: of all streams in it. left: stream positions and chunks that found no room."""

    file: Path
    envelopes: int
    devices: int
    ops: int
    chunks: int
    bytes: int
    left: int


def answer(
    county: County,
    asked: Sequence[Asked],
    file: Path,
    *,
    now_ms: Callable[[], int],
    room_bytes: int = ROOM_MIB * MIB,
) -> Answered:
    """Write one bundle for all of `asked` to `file`. Each gets an equal share of the room and what others leave of it;
    its welcome, its documents and one batch of its stream go in any case.

    Raises:  BundleEmpty, BundleExists, BundleNotWritten, StoreError. What was imported before stays imported.
    """
    with county.store.read() as tx:
        county.shelf.refresh(tx)
        board = Board(state.epoch_of(tx), county.card.certificate, streams.lengths(tx))
    loads = [_Load(county, board, one, now_ms) for one in asked]

    def envelopes() -> Iterator[bytes]:
        left = room_bytes
        for number, load in enumerate(loads):
            room = Room(left // (len(loads) - number))
            before = room.left
            yield from load.envelopes(room)
            left -= before - room.left

    summary = write_bundle(
        file, envelopes(), county=county.config.county, sender=county.keys.incarnation, created_ms=now_ms()
    )
    with county.store.write() as tx:
        _remember(tx, {load.name: [board.epoch, load.reached] for load in loads})
    return Answered(
        file,
        summary.envelopes,
        len(loads),
        sum(load.ops for load in loads),
        sum(load.chunks for load in loads),
        summary.size,
        sum(load.left for load in loads),
    )


def export(
    county: County,
    file: Path,
    *,
    offices: Sequence[str] = (),
    since_last: bool = False,
    now_ms: Callable[[], int],
    room_bytes: int = ROOM_MIB * MIB,
) -> Answered:
    """A bundle that nobody asked for: for the devices of `offices`, or for all that lack something, from where each was
    when it was last heard.

    Args:    since_last: from where the last stick for each ended, although nothing says that it arrived.
    Raises:  BundleEmpty if nobody lacks anything; AnotherHub; otherwise as `answer`.
    """
    with county.store.read() as tx:
        lineage.need_newest(tx)
        county.shelf.refresh(tx)
        epoch, lengths = state.epoch_of(tx), streams.lengths(tx)
        contacts, written = devices.load(tx), get_meta(tx, WRITTEN, {})
    asked = []
    for device in county.shelf.roster.devices.values():
        if device.role != "edge" or device.state == REVOKED or (offices and device.office not in offices):
            continue
        hello = as_heard(contacts.get(device.incarnation, Contact(device.incarnation, device.office)), epoch)
        if since_last:
            known_epoch, reached = written.get(device.incarnation.hex(), [b"", 0])
            hello = _from(hello, reached) if known_epoch == epoch and reached > hello.pos else hello
        lacks = hello.pos < lengths.get(device.office, 0) or bool(county.shelf.offers(hello.documents))
        if lacks or offices:
            asked.append(Asked(device, hello))
    if not asked:
        raise BundleEmpty()
    return answer(county, asked, file, now_ms=now_ms, room_bytes=room_bytes)


class _Load:
    """One device's part of a bundle."""

    def __init__(self, county: County, board: Board, asked: Asked, now_ms: Callable[[], int]) -> None:
        self._county, self._board, self._asked = county, board, asked
        self._source = DeviceSource(county.store, county.shelf, board, asked.device, now_ms)
        self._named: dict[bytes, int] = {}  # files named by ops of this part, and their sizes
        self.reached = max(0, asked.hello.pos) if asked.hello.epoch == board.epoch else 0
        self.ops = self.chunks = self.left = 0

    @property
    def name(self) -> str:
        return self._asked.device.incarnation.hex()

    def envelopes(self, room: Room) -> Iterator[bytes]:
        """Greeting, documents, stream, chunks. Documents before ops: they name the authors of the ops."""
        welcome = self._source.welcome(self._asked.hello)
        greeting: list[Message] = [welcome, *self._asked.problems, *self._lacking()]
        rest = iter(greeting)
        while batch := list(islice(rest, MESSAGES_MAX)):
            yield self._seal(room, batch)
        for _kind, _version, _base, sha256, size in welcome.documents:
            for number in range(chunks.count_of(size)):
                piece = self._source.chunk(sha256, number)
                if piece is not None:
                    yield self._seal(room, [Chunk(sha256, size, number, piece[1])])
        yield from self._stream(room)
        yield from self._chunks(room)

    def _lacking(self) -> list[Want]:
        """What the hub lacks of this device's attachments, for its next stick."""
        with self._county.store.read() as tx:
            device = self._asked.device
            office = {one.incarnation for one in self._county.shelf.roster.devices_of(device.office)}
            found = contents.wanted_from(tx, device.incarnation, office=office, limit=WANTS_MAX)
        return [Want(sha256, missing[:RANGES_MAX]) for sha256, missing in found]

    def _stream(self, room: Room) -> Iterator[bytes]:
        first = True
        while True:
            part = self._source.stream(self.reached, bytes_max=BATCH_PLAIN_BYTES_MAX, count_max=ITEMS_MAX)
            if part is None:
                return
            envelope = self._sealed([part])
            if not room.take(envelope, must=first):
                self.left += self._board.lengths[self._asked.device.office] - self.reached
                return
            first = False
            self.reached = part.last
            self._note(part)
            yield envelope

    def _note(self, part: Stream) -> None:
        blobs = [blob for kind, blob in part.items if kind == STREAM_OP]
        self.ops += len(blobs)
        for blob in blobs:
            op = parse_op(blob)
            if op.kind in contents.NAMING:
                self._named.update(contents.named(op))

    def _chunks(self, room: Room) -> Iterator[bytes]:
        """What the device asked for, and the files of the ops that go with this stick: it will want them too."""
        pending = [(sha256, number) for sha256, numbers in self._due().items() for number in numbers]
        for at, (sha256, number) in enumerate(pending):
            piece = self._source.chunk(sha256, number)
            if piece is None:
                continue  # beyond its end
            envelope = self._sealed([Chunk(sha256, piece[0], number, piece[1])])
            if self.left or not room.take(envelope):
                self.left += len(pending) - at
                return
            self.chunks += 1
            yield envelope

    def _due(self) -> dict[bytes, list[int]]:
        """Numbers of chunks by file, of files that are whole here and in the scope of the device's office."""
        most = chunks.count_of(chunks.FILE_BYTES_MAX)
        due = {sha256: list(range(chunks.count_of(size))) for sha256, size in self._named.items()}
        for want in self._asked.wants[:WANTS_MAX]:
            due.setdefault(want.sha256, sorted(set(chunks.first_of(want.ranges, most))))
        return {
            sha256: numbers for sha256, numbers in due.items() if numbers and self._source.chunk(sha256, numbers[0])
        }

    def _seal(self, room: Room, messages: list[Message]) -> bytes:
        envelope = self._sealed(messages)
        room.take(envelope, must=True)
        return envelope

    def _sealed(self, messages: list[Message]) -> bytes:
        return seal_envelope(messages, keys=self._county.keys, recipient=self._asked.device)


def as_heard(contact: Contact, epoch: bytes) -> Hello:
    """The greeting that a device would give if it still stood where it was last heard."""
    pos = contact.pos if contact.epoch == epoch else 0
    documents, counts = dict(contact.documents or {}), dict(contact.counts or {})
    return Hello(NOT_HELLO, contact.software, documents, epoch, pos, contact.head_seq, counts, False)


def _from(hello: Hello, pos: int) -> Hello:
    return Hello(
        hello.session, hello.software, hello.documents, hello.epoch, pos, hello.head_seq, hello.counts, hello.urgent
    )


def _remember(tx: Connection, reached: dict[str, list[Any]]) -> None:
    put_meta(tx, WRITTEN, get_meta(tx, WRITTEN, {}) | reached)
