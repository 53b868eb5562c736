"""The hub's loop: carrier -> links -> intake, and streams -> links -> carrier, for hundreds of devices in one thread.

For: one round at a time (`step`): take what came, commit it, answer; serve all links fairly.
May not: think about cases (intake does) or about repeats (links do); let one device's bytes stop another's.
Spec: docs/protocol/link.md.  Manual: docs/operating/hub.md, "The daemon".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from conflict.ledger.files import put_chunk
from hub import contents, devices, enrolment, lineage, notices, purges, refusals, state, streams
from hub.admission import Door
from hub.ahead import settle_ahead
from hub.arrival import Arrival
from hub.devices import Contact
from hub.idle import Idle
from hub.init import County
from hub.intake import Intake, Taken
from hub.joining import Joins
from hub.line import Carrier, Comparer, Line
from hub.recall import Recall
from hub.review import look_for_duplicates
from hub.source import Board, DeviceSource
from hub.strangers import Strangers
from protocol import topics
from protocol.envelope import Opened, open_envelope
from protocol.errors import MalformedBytes, RemoteProtocolError, RevokedSender, StoreError, UnknownSender
from protocol.events import (
    AckArrived,
    ChunkArrived,
    CompareArrived,
    DocumentsOffered,
    Event,
    HelloArrived,
    OpsArrived,
    ProblemArrived,
)
from protocol.link import HubLink
from protocol.messages import Announce, Chunk, Compare, Fetch, Problem, Purged, Show, Stream
from protocol.roster import REVOKED, Device
from protocol.succession import is_request

_log = logging.getLogger("liandong.hub")

PAYLOADS_MAX = 200  # taken from the carrier in one round
ROUND_BYTES_MIN, ROUND_BYTES_MAX = 65_536, 262_144  # and no more when they hold so much: 1,000 ops at most
ROUND_MS = 1_000  # a round that took longer is followed by a smaller one: answers leave at its end
COMMIT_OPS_MAX = 500  # ops in one transaction: about a third of a second
IN_FLIGHT_MAX = 150  # payloads given to the carrier and not acknowledged by the broker
POLL_BURST = 8  # what one link may hand out at once
IDLE_POLL_MS = 1_000  # a quiet link is looked at so often
LOOK_MS = 500  # how often changes by other processes are looked for
JOBS_MS = 3_600_000
DUPLICATES_MS = 10_000  # so long nobody looks for duplicates while a backlog comes in
BACK_MS = 3_600_000  # devices heard so lately before we began are asked to greet
CONTACT_MS = 30_000  # a device's last contact is written down so often at most, greetings apart
WAIT_S = 0.2  # longest sleep of a round without work
TROUBLE_S = 5.0  # pause after the store failed


class SyncLoop:
    """Made by hub.main. All calls from one thread."""

    def __init__(
        self,
        county: County,
        carrier: Carrier,
        intake: Intake,
        *,
        now_ms: Callable[[], int],
        mono_ms: Callable[[], int],
        fraction: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        comparer: Comparer | None = None,
        hourly: Callable[[Connection], None] = lambda tx: None,
    ) -> None:
        self._hourly = hourly
        self._county, self._carrier, self._intake = county, carrier, intake
        self._idle = Idle(county.store)
        self._store, self._shelf, self._keys = county.store, county.shelf, county.keys
        self._now_ms, self._mono_ms, self._fraction = now_ms, mono_ms, fraction
        self._random_bytes, self._comparer = random_bytes, comparer
        self._space = topics.space(county.card.fingerprint)
        self._joins = Joins(county.directory, self._store, self._shelf, self._keys)
        self._door = Door()
        self._recall = Recall(county, now_ms=now_ms, mono_ms=mono_ms, random_bytes=random_bytes)
        self._strangers = Strangers(county.keys, self._recall, fraction=fraction)
        self._lines: dict[bytes, Line] = {}
        self._contacts: dict[bytes, Contact] = {}  # to be written down
        self._chunks: list[tuple[Device, Chunk]] = []
        self._turn = 0
        self._round_bytes = ROUND_BYTES_MAX
        self._generation = 0  # of the carrier's connections: none yet
        self._unanswered = 0  # payloads that earlier connections took with them
        self._look_ms = self._jobs_ms = self._duplicates_ms = 0
        self._may_be_due = False  # whether cases wait to be looked at for duplicates
        self._data_version = -1
        with self._store.read() as tx:
            self._board = Board(state.epoch_of(tx), county.card.certificate, streams.lengths(tx))
            self._board.asked = contents.devices_with_wants(tx)
            self._board.papers = self._recall.wants
            self._known = devices.load(tx)

    def run_forever(self, stop: threading.Event) -> None:
        """Rounds until `stop` is set. A store that fails costs a pause and no op: nothing was answered.

        So does a file beside the store that cannot be written: the broker's password file on a full or read-only disk.
        """
        while not stop.is_set():
            try:
                busy = self.step()
            except StoreError as error:
                _log.error("the store failed: %s (%s)", error.text, error.code)
                stop.wait(TROUBLE_S)
                continue
            except OSError:
                _log.exception("a file of the hub cannot be read or written; trying again in %d s", TROUBLE_S)
                stop.wait(TROUBLE_S)
                continue
            if not busy:
                self._carrier.wait(WAIT_S)

    def step(self) -> bool:
        """One round. True if there was anything to do, so that the next should follow at once."""
        mono_ms = self._mono_ms()
        self._greet_broker()
        self._look_around(mono_ms)
        payloads = self._drain()
        arrivals: list[Arrival] = []
        bad: list[refusals.Refusal] = []
        for topic, payload in payloads:
            try:
                arrivals += self._receive(topic, payload, mono_ms)
            except RemoteProtocolError as error:
                bad.append(refusals.of_envelope(payload, error))
        if bad:
            self._intake.refuse(bad)
        self._take(sorted(arrivals, key=lambda one: not one.urgent), mono_ms)
        self._take_back(mono_ms)
        self._write_down()
        self._call_in(mono_ms, idle=not payloads)
        sent = self._serve(mono_ms)
        self._pace(self._mono_ms() - mono_ms)
        return bool(payloads) or sent or self._look_for_duplicates(mono_ms) or self._idle.turn()

    def _call_in(self, mono_ms: int, *, idle: bool) -> None:
        """There is room: tell devices that were asked to wait."""
        if not self._door.crowded:
            return
        present = {name for name, line in self._lines.items() if line.link.present(mono_ms)}
        for name in self._door.call(present, idle=idle, mono_ms=mono_ms):
            self._board.retry_ms[name] = 0
            self._lines[name].link.welcome_again()
            self._lines[name].due_ms = mono_ms

    def _pace(self, took_ms: int) -> None:
        """A weak or busy machine takes less at once, so that devices are answered before they take it for dead."""
        size = self._round_bytes // 2 if took_ms > ROUND_MS else self._round_bytes * 2 if took_ms < ROUND_MS // 2 else 0
        if size:
            self._round_bytes = min(ROUND_BYTES_MAX, max(ROUND_BYTES_MIN, size))

    def _drain(self) -> list[tuple[str, bytes]]:
        payloads: list[tuple[str, bytes]] = []
        size = 0
        while len(payloads) < PAYLOADS_MAX and size < self._round_bytes:
            one = self._carrier.receive()
            if one is None:
                break
            payloads.append(one)
            size += len(one[1])
        return payloads

    def _receive(self, topic: str, payload: bytes, mono_ms: int) -> list[Arrival]:
        """What one payload brings. Raises RemoteProtocolError if it is not from a device of ours."""
        box = topics.mailbox_of(topic)
        if box.startswith(f"{topics.JOIN_USER}-") or is_request(payload):
            sealed, changed = self._joins.answer(box, payload, now_ms=self._now_ms())
            if sealed is not None:
                self._carrier.publish(topics.down(self._space, box), sealed)
            if changed:
                self._announce()
            return []
        try:
            opened = self._open(payload)
        except UnknownSender:
            self._strangers.receive(box, payload, self._shelf.roster, mono_ms)
            return []
        if opened.sender.state == REVOKED:
            return _late(opened)
        line = self._line(opened.sender)
        if line is None:
            raise MalformedBytes("an envelope from ourselves", "来自本中心自身的数据。")
        line.due_ms = mono_ms
        now_ms = self._now_ms()
        if now_ms - line.contact.contact_ms > CONTACT_MS:
            line.contact = replace(line.contact, contact_ms=now_ms)
            self._contacts[line.device.incarnation] = line.contact
        arrivals = []
        for event in line.link.receive(opened, mono_ms):
            if isinstance(event, OpsArrived):
                self._door.took(line.device.incarnation, len(event.blobs), mono_ms)
                caught_up = line.link.acked >= self._board.lengths.get(line.device.office, 0)
                arrivals.append(
                    Arrival(line.device.incarnation, event.blobs, answer_repeats=caught_up, urgent=event.urgent)
                )
            else:
                self._note(line, event, mono_ms)
        if not line.greeted:
            self._ask_to_greet(line)
        return arrivals

    def _ask_to_greet(self, line: Line) -> None:
        """A device that goes on talking although we were restarted: it greets when it sees a gap in its stream, and
        then learns at once what became of its ops."""
        beyond = self._board.lengths.get(line.device.office, 0) + 2
        line.link.say(Stream(self._board.epoch, beyond, beyond, []))
        line.greeted = True

    def _open(self, payload: bytes) -> Opened:
        """Open an envelope; of a revoked device too, for its late ops go to a person instead of being lost."""
        roster = self._shelf.roster
        try:
            return open_envelope(payload, keys=self._keys, speaker=roster.speaker)
        except RevokedSender:
            return open_envelope(payload, keys=self._keys, speaker=lambda name: roster.devices[name])

    def _note(self, line: Line, event: Event, mono_ms: int) -> None:
        name = line.device.incarnation
        if isinstance(event, HelloArrived):
            hello = event.hello
            self._need_newest(hello.epoch)
            line.greeted = True
            line.contact = devices.greeted(line.device, hello, now_ms=self._now_ms())
            line.announced = dict(hello.documents)
            self._contacts[name] = line.contact
            wait_ms = self._door.knock(
                name,
                line.contact.counts.get("pending", 0) if line.contact.counts else 0,
                urgent=hello.urgent,
                fraction=self._fraction(),
                mono_ms=mono_ms,
            )
            self._board.retry_ms[name] = wait_ms
            if hello.epoch == self._board.epoch and hello.pos > self._board.lengths.get(line.device.office, 0):
                self._is_ahead(line.device, hello.pos)
            self._ask(line, self._recall.question(name, hello.documents))
        elif isinstance(event, DocumentsOffered):
            self._ask(line, self._recall.named(name, event.documents, mono_ms))
        elif isinstance(event, AckArrived):
            line.contact = replace(line.contact, epoch=event.epoch, pos=event.pos)
            self._contacts[name] = line.contact
        elif isinstance(event, ChunkArrived):
            if not self._recall.piece(line.device, event.chunk, mono_ms):
                self._chunks.append((line.device, event.chunk))
        elif isinstance(event, CompareArrived) and self._comparer is not None:
            for body in self._comparer.arrived(line.device, event.session, event.body):
                line.link.say(Compare(event.session, body))
        elif isinstance(event, ProblemArrived):
            self._tell_problem(line.device, event)
        elif isinstance(event, Fetch | Purged):
            self._note_cases(line, event)

    def _take(self, arrivals: list[Arrival], mono_ms: int) -> None:
        """Commit in portions; what a failing store does not take is offered again by its senders."""
        portion: list[Arrival] = []
        count = 0
        for arrival in arrivals:
            if portion and count + len(arrival.blobs) > COMMIT_OPS_MAX:
                self._after(self._intake.take_ops(portion), mono_ms)
                portion, count = [], 0
            portion.append(arrival)
            count += len(arrival.blobs)
        if portion:
            self._after(self._intake.take_ops(portion), mono_ms)

    def _after(self, taken: Taken, mono_ms: int) -> None:
        """The commit is done: let it be known."""
        self._idle.wake()
        for one in taken.rejected:
            line = self._lines.get(one.sender)
            if line is not None:
                line.link.say(Problem(one.code, one.reason, one.id))
        with self._store.read() as tx:
            self._board.lengths.update(streams.lengths(tx, taken.offices))
            self._board.asked = contents.devices_with_wants(tx)
        for line in self._lines.values():
            if line.device.office in taken.offices:
                line.due_ms = mono_ms
        if taken.roster_changed:
            self._announce()

    def _ask(self, line: Line, question: Show | None) -> None:
        if question is not None:
            line.link.say(question)

    def _take_back(self, mono_ms: int) -> None:
        """Documents that this hub had lost and that came back: let devices know, and greet those that they name."""
        taken = self._recall.settle(self._intake, mono_ms)
        if taken is None:
            return
        self._after(taken, mono_ms)
        self._data_version = -1  # look around: a device may be revoked again
        for box, greeting in self._strangers.known_now(self._shelf.roster):
            try:
                self._receive(topics.up(self._space, box), greeting, mono_ms)
            except RemoteProtocolError as error:
                _log.warning("a device is known again and its greeting is not taken: %s", error.code)

    def _write_down(self) -> None:
        """Contacts, acknowledgements and chunks of this round, in one transaction."""
        if not self._contacts and not self._chunks:
            return
        whole: set[bytes] = set()
        with self._store.write() as tx:
            devices.save(tx, self._contacts)
            for device, chunk in self._chunks:
                result = put_chunk(tx, chunk.sha256, chunk.index, chunk.data)
                if result == "mismatch":
                    notices.tell_mismatch(tx, device, now_ms=self._now_ms())
                if result in ("complete", "mismatch", "repeat"):
                    whole.add(chunk.sha256)
        self._contacts, self._chunks = {}, []
        if whole:
            with self._store.read() as tx:
                self._board.asked = contents.devices_with_wants(tx)

    def _serve(self, mono_ms: int) -> bool:
        """Let links that are due hand out envelopes, beginning with another one each round."""
        if self._carrier.state != "online":
            return False
        sent = False
        for box, envelope in self._strangers.envelopes(mono_ms):
            sent |= self._carrier.publish(topics.down(self._space, box), envelope)
        lines = list(self._lines.values())
        if not lines:
            return sent
        self._turn = (self._turn + 1) % len(lines)
        for line in (*lines[self._turn :], *lines[: self._turn]):
            if line.due_ms > mono_ms:
                continue
            if self._in_flight() > IN_FLIGHT_MAX - POLL_BURST:
                break  # the others are due still and come first in a later round
            envelopes = line.link.poll(mono_ms, line.source)
            line.due_ms = mono_ms if envelopes else mono_ms + IDLE_POLL_MS
            for envelope in envelopes:
                sent |= self._carrier.publish(line.topic, envelope)
        return sent

    def _in_flight(self) -> int:
        """Payloads of this connection that the broker has not acknowledged."""
        counters = self._carrier.counters
        return counters.published - counters.acknowledged - self._unanswered

    def _line(self, device: Device) -> Line | None:
        line = self._lines.get(device.incarnation)
        if line is None and device.role == "edge":
            link = HubLink(keys=self._keys, peer=device, fraction=self._fraction)
            source = DeviceSource(self._store, self._shelf, self._board, device, self._now_ms)
            topic = topics.down(self._space, topics.mailbox(device.incarnation))
            contact = self._known.get(device.incarnation, Contact(device.incarnation, device.office))
            line = self._lines[device.incarnation] = Line(device, link, source, topic, contact)
        return line

    def _greet_broker(self) -> None:
        """After each new connection leave the county's card for machines that want to join."""
        if self._carrier.generation != self._generation:
            if self._generation == 0:
                self._ask_those_before()
            self._generation = self._carrier.generation
            counters = self._carrier.counters
            self._unanswered = counters.published - counters.acknowledged
            self._carrier.publish(topics.card(self._space), self._county.card.to_bytes(), retain=True)

    def _ask_those_before(self) -> None:
        """We were restarted: devices that were connected then, and have nothing to say now, would not notice."""
        since_ms = self._now_ms() - BACK_MS
        for name, contact in self._known.items():
            device = self._shelf.roster.device(name)
            if contact.contact_ms < since_ms or device is None or device.state == REVOKED:
                continue
            line = self._line(device)
            if line is not None:
                line.link.expect(self._mono_ms())
                self._ask_to_greet(line)

    def _look_around(self, mono_ms: int) -> None:
        """See what other processes of ours have changed, and do what is due once an hour."""
        if mono_ms < self._look_ms:
            return
        self._look_ms = mono_ms + LOOK_MS
        if mono_ms >= self._jobs_ms:
            self._jobs_ms = mono_ms + JOBS_MS
            with self._store.write() as tx:
                enrolment.tidy_accounts(tx, self._county.directory, now_ms=self._now_ms())
                self._hourly(tx)
        self._may_be_due = True
        if mono_ms >= self._duplicates_ms:
            self._look_for_duplicates(mono_ms)
        self._see_changes(mono_ms)
        if self._comparer is not None:
            for name, session, body in self._comparer.begin(self._at_leisure(mono_ms)):
                self._lines[name].link.say(Compare(session, body))
                self._lines[name].due_ms = mono_ms

    def _at_leisure(self, mono_ms: int) -> set[bytes]:
        """Devices that are present and have nothing to bring; none while offices wait: comparing can wait for them."""
        if self._door.crowded:
            return set()
        return {
            name for name, line in self._lines.items() if line.link.present(mono_ms) and not self._door.is_inside(name)
        }

    def _look_for_duplicates(self, mono_ms: int) -> bool:
        """One portion: in quiet rounds, and once in a while when there are none. True if there may be more."""
        if self._may_be_due:
            self._may_be_due = look_for_duplicates(self._county, now_ms=self._now_ms()) > 0
            self._duplicates_ms = mono_ms + DUPLICATES_MS
        return self._may_be_due

    def _see_changes(self, mono_ms: int) -> None:
        """Streams that grew and documents that were published, by whichever process or thread."""
        version = self._store.data_version()
        if version == self._data_version:
            return
        with self._store.read() as tx:
            self._shelf.refresh(tx)
            self._board.epoch = state.epoch_of(tx)
            self._board.asked = contents.devices_with_wants(tx)
            before, self._board.lengths = self._board.lengths, streams.lengths(tx)
        self._data_version = version  # only now: a store that fails under the look is looked at again
        known = self._shelf.roster.devices
        self._lines = {name: line for name, line in self._lines.items() if known[name].state != REVOKED}
        for line in self._lines.values():
            if self._board.lengths.get(line.device.office, 0) != before.get(line.device.office, 0):
                line.due_ms = mono_ms
        self._announce()

    def _announce(self) -> None:
        """Tell present devices of newer documents, each version once."""
        mono_ms = self._mono_ms()
        for line in self._lines.values():
            offers = self._shelf.offers(line.announced) if line.link.present(mono_ms) else []
            if offers:
                line.announced |= {kind: version for kind, version, *_rest in offers}
                line.link.say(Announce(offers))
                line.due_ms = mono_ms

    def _note_cases(self, line: Line, event: Fetch | Purged) -> None:
        """Cases that a device has purged, or wants back."""
        with self._store.write() as tx:
            if isinstance(event, Purged):
                purges.note(tx, line.device, event.cases, now_ms=self._now_ms())
            else:
                purges.bring_back(tx, line.device, event.cases)
            self._board.lengths.update(streams.lengths(tx, [line.device.office]))

    def _need_newest(self, epoch: bytes) -> None:
        """Stop if this device has heard a hub of this county that began later: this one is an old copy."""
        if epoch == self._board.epoch:
            return
        with self._store.read() as tx:
            later = lineage.is_later(tx, epoch, self._board.epoch)
        if later:
            with self._store.write(reserve=True) as tx:
                lineage.note_later(tx, epoch)
            raise lineage.another_hub(epoch)

    def _is_ahead(self, device: Device, pos: int) -> None:
        with self._store.write() as tx:
            settle_ahead(
                tx,
                device,
                pos,
                hub=self._keys.incarnation,
                random_bytes=self._random_bytes,
                now_ms=self._now_ms(),
            )
            self._board.epoch = state.epoch_of(tx)
            self._shelf.refresh(tx)

    def _tell_problem(self, device: Device, event: ProblemArrived) -> None:
        with self._store.write() as tx:
            notices.tell(
                tx,
                code="device_problem",
                about=f"{device.incarnation.hex()}:{event.code[:40]}",
                office=device.office,
                text=f"The device could not handle something: {event.code[:40]}.",
                text_zh=f"设备报告无法处理的内容：{event.code[:40]}。",
                now_ms=self._now_ms(),
            )


def _late(opened: Opened) -> list[Arrival]:
    """The ops in an envelope of a revoked device; nothing else of it counts."""
    blobs = tuple(blob for message in opened.messages for blob in getattr(message, "blobs", ()))
    return [Arrival(opened.sender.incarnation, blobs)] if blobs else []
