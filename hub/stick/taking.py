"""Taking exports of devices from a stick: ops by the ordinary intake, chunks, greetings; then the answer for the way back.

For: `bundle import` at the hub, beside the running daemon or without it; one file or a courier's directory of many.
May not: let an old stick take a device's place or last word back; let one bad envelope or file stop the others.
Spec: docs/protocol/bundle.md.  Manual: docs/operating/sticks.md.  Decisions: 0110, 0111, 0112.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, select, update

from conflict.ledger.append import known
from conflict.ledger.files import put_chunk
from conflict.ledger.receipts import outcomes_of
from hub import contents, devices, held, lineage, notices, purges, refusals, schema, state, streams
from hub.ahead import settle_ahead
from hub.arrival import Arrival
from hub.devices import Contact
from hub.init import County, settle_restored
from hub.intake import Intake
from hub.review import look_for_duplicates
from hub.stick.answer import Answered, Asked, answer, as_heard
from hub.stick.receipted import Receipted
from protocol.carriers.bundle import read_bundle
from protocol.carriers.bundle_errors import BundleExists, BundleNotWritten, BundleUnreadable
from protocol.carriers.stick import MIB, ROOM_MIB, BundleNotForUs, Taken, bundles_in, new_file, written_by
from protocol.envelope import Opened, open_envelope, peek_parties
from protocol.errors import MalformedBytes, RemoteProtocolError, RevokedSender
from protocol.messages import Ack, Chunk, Fetch, Hello, Message, Ops, Problem, Want
from protocol.op import Op, parse_op
from protocol.roster import REVOKED, Device

COMMIT_OPS_MAX = 500  # ops in one transaction: about a third of a second
CHUNKS_TOGETHER = 32  # of attachments in one transaction: 1 MiB
PROBLEMS_MAX = 20  # told to one device by one answer; the hub keeps them all as refusals
SESSION_BYTES = 8
log = logging.getLogger("liandong.hub.stick")


def take(
    county: County,
    place: Path,
    *,
    answer_to: Path | None = None,
    now_ms: Callable[[], int],
    room_bytes: int = ROOM_MIB * MIB,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> tuple[Taken, Answered | None]:
    """Take a bundle, or every bundle of a directory, and write one answer for all devices in it. Repeating is harmless.

    Args:    answer_to: a new file, or a directory; beside `place` unless named. room_bytes: of envelopes in the answer.
    Returns: what was taken; the answer, None if no device in it may be answered.
    Raises:  for a single file what `read_bundle` raises; BundleNotForUs; NoBundle; BundleExists: nothing was changed
             then. AnotherHub: this store is an old copy. BundleNotWritten: what came in is stored, there is no answer. StoreError: repeat it.
    """
    files = bundles_in(place)
    if answer_to is not None and not answer_to.is_dir() and os.path.lexists(answer_to):
        raise BundleExists()
    settle_restored(county, now_ms=now_ms(), random_bytes=random_bytes)
    with county.store.read() as tx:
        lineage.need_newest(tx)
    intake = Intake(county.store, county.keys, county.shelf, now_ms=now_ms)
    taking = _Taking(county, intake, now_ms, random_bytes)
    try:
        for file in files:
            if place.is_dir() and written_by(file, county.keys.incarnation):
                continue
            try:
                taking.file(file)
            except (RemoteProtocolError, BundleUnreadable) as error:
                if file == place:
                    raise
                taking.taken.set_aside(file, 0, error)
    finally:
        intake.close()
    if not taking.taken.envelopes and not taking.taken.aside:
        raise BundleNotForUs()
    look_for_duplicates(county, now_ms=now_ms())
    asked = taking.asked()
    if not asked:
        return taking.taken, None
    stem = f"answer-{now_ms()}" if place.is_dir() else f"{place.stem}.answer"
    target = new_file(answer_to or (place if place.is_dir() else place.parent), stem)
    try:
        return taking.taken, answer(county, asked, target, now_ms=now_ms, room_bytes=room_bytes)
    except BundleNotWritten as error:
        raise BundleNotWritten(f"{error.detail}; what came in is stored, import again for the answer") from error


class _Taking:
    """One import, file by file."""

    def __init__(
        self, county: County, intake: Intake, now_ms: Callable[[], int], random_bytes: Callable[[int], bytes]
    ) -> None:
        self.taken = Taken()
        self._county, self._store, self._shelf = county, county.store, county.shelf
        self._intake, self._now_ms, self._random_bytes = intake, now_ms, random_bytes
        self._senders: dict[bytes, Asked] = {}  # devices in this import, each with its newest greeting
        self._greeted: dict[bytes, Asked] = {}  # in the file that is being read
        self._receipted: dict[bytes, Receipted] = {}
        self._problems: dict[bytes, list[Problem]] = {}
        self._speaker: Device | None = None  # whose ops wait to be committed
        self._blobs: dict[bytes, None] = {}
        self._chunks: list[tuple[Device, Chunk]] = []
        with self._store.read() as tx:
            self._shelf.refresh(tx)

    def file(self, path: Path) -> None:
        """One bundle. Raises what `read_bundle` raises before anything of it is taken."""
        self._greeted, self._receipted = {}, {}
        unreadable: list[tuple[int, bytes, RemoteProtocolError]] = []
        mine = 0
        for number, envelope in enumerate(read_bundle(path, county=self._county.config.county), 1):
            try:
                recipient = peek_parties(envelope)[2]
            except RemoteProtocolError as error:
                unreadable.append((number, envelope, error))
                continue
            if recipient != self._county.keys.incarnation:
                self.taken.others += 1
                continue
            mine += 1
            self._envelope(path, number, envelope)
        self._flush()
        if mine:
            for number, envelope, why in unreadable:
                self._set_aside(path, number, envelope, why)
        for name, asked in self._greeted.items():
            before = self._senders.get(name)
            if before is None or _age(asked.hello) >= _age(before.hello):
                self._senders[name] = asked

    def asked(self) -> list[Asked]:
        """The devices that get an answer, in the order in which they were met."""
        for name, asked in self._senders.items():
            asked.problems = self._problems.get(name, [])
        return list(self._senders.values())

    def _envelope(self, path: Path, number: int, envelope: bytes) -> None:
        try:
            opened = self._open(envelope)
            if opened.sender.role != "edge":
                raise MalformedBytes("an envelope that does not come from a device", "不是来自机构设备的数据。")
            self.taken.envelopes += 1
            for message in opened.messages:
                self._message(opened.sender, message)
        except RemoteProtocolError as error:
            self._set_aside(path, number, envelope, error)

    def _open(self, envelope: bytes) -> Opened:
        """Also of a revoked device: its late ops go to a person instead of being lost."""
        roster = self._shelf.roster
        try:
            return open_envelope(envelope, keys=self._county.keys, speaker=roster.speaker)
        except RevokedSender:
            return open_envelope(envelope, keys=self._county.keys, speaker=lambda name: roster.devices[name])

    def _set_aside(self, path: Path, number: int, envelope: bytes, error: RemoteProtocolError) -> None:
        if self.taken.set_aside(path, number, error):
            log.warning("an envelope of a bundle was refused: %s", error.code)
            self._intake.refuse([refusals.of_envelope(envelope, error)])

    def _message(self, device: Device, message: Message) -> None:
        if isinstance(message, Ops):
            self._offered(device, message.blobs)
            return
        if device.state == REVOKED and not self._is_due(device, message):
            return  # only its ops count, and a person decides on them
        if isinstance(message, Hello):
            self._hello(device, message)
        elif isinstance(message, Ack):
            self._ack(device, message)
        elif isinstance(message, Want) and device.incarnation in self._greeted:
            self._greeted[device.incarnation].wants.append(message)
        elif isinstance(message, Fetch) and device.incarnation in self._greeted:
            self._fetched(device, message)
        elif isinstance(message, Chunk):
            self._flush_ops()  # which declare what the chunk is of
            self._chunks.append((device, message))
            if len(self._chunks) >= CHUNKS_TOGETHER:
                self._flush_chunks()

    def _is_due(self, device: Device, message: Message) -> bool:
        """Whether it is a piece of a file that a released op of this revoked device names: nobody else may have it."""
        if not isinstance(message, Chunk):
            return False
        with self._store.read() as tx:
            return contents.is_named_by(tx, device.incarnation, message.sha256)

    def _hello(self, device: Device, hello: Hello) -> None:
        if len(hello.session) != SESSION_BYTES:
            raise MalformedBytes("a greeting whose session has not 8 bytes", "问候消息的会话标识不正确。")
        self._need_newest(hello.epoch)
        with self._store.write() as tx:
            if hello.epoch == state.epoch_of(tx):
                settle_ahead(
                    tx,
                    device,
                    hello.pos,
                    hub=self._county.keys.incarnation,
                    random_bytes=self._random_bytes,
                    now_ms=self._now_ms(),
                )
            epoch = state.epoch_of(tx)
            _note_contact(tx, devices.greeted(device, hello, now_ms=self._now_ms()), epoch)
        place = max(0, hello.pos) if hello.epoch == epoch else 0
        self._greeted[device.incarnation] = Asked(device, hello)
        self._receipted[device.incarnation] = Receipted(self._store, device, after=place)

    def _need_newest(self, epoch: bytes) -> None:
        """Stop if this device has heard a hub of this county that began later: this one is an old copy."""
        with self._store.read() as tx:
            later = lineage.is_later(tx, epoch, state.epoch_of(tx))
        if later:
            with self._store.write(reserve=True) as tx:
                lineage.note_later(tx, epoch)
            raise lineage.another_hub(epoch)

    def _ack(self, device: Device, ack: Ack) -> None:
        with self._store.write() as tx:
            if ack.epoch != state.epoch_of(tx) or ack.pos > streams.length(tx, device.office):
                return
            one = (schema.device.c.incarnation == device.incarnation) & (schema.device.c.epoch == ack.epoch)
            tx.execute(update(schema.device).where(one, schema.device.c.pos < ack.pos).values(pos=ack.pos))

    def _fetched(self, device: Device, fetch: Fetch) -> None:
        """Purged cases go down once more, unless they do already behind the place of this greeting: the same stick
        again, or the next one before the answer was taken, asks for nothing new."""
        hello = self._greeted[device.incarnation].hello
        with self._store.write() as tx:
            place = max(0, hello.pos) if hello.epoch == state.epoch_of(tx) else 0
            under_way = streams.sent_again(tx, device.office, after=place)
            purges.bring_back(tx, device, set(fetch.cases) - under_way)

    def _offered(self, device: Device, blobs: list[bytes]) -> None:
        if device.state != REVOKED and device.incarnation not in self._greeted:
            self._greeted[device.incarnation] = Asked(device, self._as_heard(device))
        if self._speaker != device:
            self._flush_ops()
            self._speaker = device
        self._blobs.update(dict.fromkeys(blobs))
        if len(self._blobs) >= COMMIT_OPS_MAX:
            self._flush_ops()

    def _as_heard(self, device: Device) -> Hello:
        """For a device whose greeting is missing from its stick."""
        with self._store.read() as tx:
            row = tx.execute(select(schema.device).where(schema.device.c.incarnation == device.incarnation)).first()
            epoch = state.epoch_of(tx)
        contact = Contact(device.incarnation, device.office)
        if row is not None:
            contact = Contact(device.incarnation, device.office, row.epoch, row.pos, head_seq=row.head_seq)
        return as_heard(contact, epoch)

    def _flush(self) -> None:
        self._flush_ops()
        self._flush_chunks()

    def _flush_ops(self) -> None:
        """Commit what was offered so far. Of repeats only those are receipted again whose receipt is not on its way."""
        device, blobs = self._speaker, list(self._blobs)
        self._blobs = {}
        if device is None or not blobs:
            return
        ops = _parsed(blobs)
        with self._store.read() as tx:
            before = set(known(tx, ops))
            before |= held.known(tx, (op_id for op_id in ops if op_id not in before))
        owed = self._receipted.get(device.incarnation)
        again = [
            op.blob
            for op in ops.values()
            if owed is not None and op.id in before and owed.lacks(op, self._shelf.roster)
        ]
        via, repeats = f"bundle:{device.incarnation.hex()[:8]}", set(again)
        arrivals = [
            Arrival(device.incarnation, tuple(blob for blob in blobs if blob not in repeats), via),
            Arrival(device.incarnation, tuple(again), via, answer_repeats=True),
        ]
        taken = self._intake.take_ops([one for one in arrivals if one.blobs])
        told = self._problems.setdefault(device.incarnation, [])
        told += [Problem(one.code, one.reason, one.id) for one in taken.rejected][: PROBLEMS_MAX - len(told)]
        self._count(ops, before, malformed=len(blobs) - len(ops))

    def _count(self, ops: dict[bytes, Op], before: set[bytes], *, malformed: int) -> None:
        fresh = [op_id for op_id in ops if op_id not in before]
        with self._store.read() as tx:
            stored, words, waits = known(tx, fresh), outcomes_of(tx, fresh), held.known(tx, fresh)
        state_of = {
            op_id: "waiting" if op_id in waits else words[op_id].outcome if op_id in words else "accepted"
            for op_id in fresh
            if op_id in stored or op_id in waits
        }
        self.taken.repeated += len(ops) - len(fresh)
        self.taken.refused += malformed + len(fresh) - len(state_of)
        self.taken.refused += sum(state == "refused" for state in state_of.values())
        self.taken.waiting += sum(state == "waiting" for state in state_of.values())
        self.taken.new += sum(state == "accepted" for state in state_of.values())

    def _flush_chunks(self) -> None:
        if not self._chunks:
            return
        with self._store.write() as tx:
            for device, chunk in self._chunks:
                result = put_chunk(tx, chunk.sha256, chunk.index, chunk.data)
                self.taken.chunks += result in ("stored", "complete")
                if result == "mismatch":
                    notices.tell_mismatch(tx, device, now_ms=self._now_ms())
        self._chunks = []


def _parsed(blobs: list[bytes]) -> dict[bytes, Op]:
    """The well-formed ops by id; the intake says what is wrong with the others."""
    ops: dict[bytes, Op] = {}
    for blob in blobs:
        try:
            op = parse_op(blob)
        except RemoteProtocolError:
            continue
        ops.setdefault(op.id, op)
    return ops


def _age(hello: Hello) -> tuple[int, int]:
    """Later greetings of a device have higher numbers: both only grow."""
    return hello.head_seq, hello.pos


def _note_contact(tx: Connection, said: Contact, epoch: bytes) -> None:
    """Write a greeting down, unless we know a later word of the device: a stick may be weeks old."""
    row = tx.execute(select(schema.device).where(schema.device.c.incarnation == said.incarnation)).first()
    if row is not None:
        older = said.head_seq < row.head_seq
        older |= said.epoch == row.epoch and said.pos < row.pos
        older |= said.epoch != row.epoch and row.epoch == epoch
        if older:
            return
    devices.save(tx, {said.incarnation: said})
