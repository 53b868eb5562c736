"""Taking in what the hub sends: ops, receipts, documents, chunks, its greeting. Saved first, acknowledged after.

For: one transaction per event, after which the caller may acknowledge; one bad item stops no other.
May not: send; believe anything that is not signed by someone entitled to say it.
Spec: docs/protocol/link.md.  Decision: docs/decisions/0072-intake-at-the-edge.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection

from conflict.kinds import OpKind
from conflict.ledger.append import append_many, known, touched
from conflict.ledger.errors import FoldFailed
from conflict.ledger.files import declare_file, put_chunk
from conflict.ledger.meta import delete_meta, get_meta, put_meta
from conflict.ledger.store import Store
from conflict.ledger.views import refold
from edge import aside, incarnation, memory, outbox
from edge.branch import relay
from edge.clock import Clock
from edge.due import keep_due, reckon_all
from edge.errors import HubProblem
from edge.reference import Reference, take_document
from edge.sync.receipts import take_receipt
from edge.sync.verify import Faulty, authentic, sort_out
from protocol import chunks
from protocol.errors import BadSignature, RemoteProtocolError, StaleDocument, UnknownSender, UnknownVersion
from protocol.events import StreamArrived
from protocol.keys import DeviceKeys
from protocol.messages import STREAM_OP, STREAM_RECEIPT, Chunk, Welcome
from protocol.op import Op

Place = Callable[[Connection, bytes, int], None]  # notes epoch and position in the caller's transaction

ENVELOPES_MAX = 50  # kept as evidence, 3 MiB; whoever floods a mailbox gains nothing by it

log = logging.getLogger("liandong.edge.intake")


class Intake:
    """The writer's side of synchronising. Not for several threads at once."""

    def __init__(self, store: Store, keys: DeviceKeys, reference: Reference, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._reference = reference
        self._clock = clock

    def welcome(self, welcome: Welcome) -> int:
        """Note the hub's greeting: its time, its word about this device, what it has lost of ours.

        Returns: how many ops are offered again because the hub no longer holds them.
        """
        with self._store.write() as tx:
            now_ms = self._clock.now_ms()
            memory.note_contact(tx, now_ms)
            memory.learn_hub_time(tx, welcome.hub_ms, self._clock, fresh=True)
            put_meta(tx, memory.HUB_STATE, welcome.state)
            delete_meta(tx, memory.UNKNOWN)
            memory.note_stream_end(tx, welcome.epoch, welcome.end)
            anew = memory.hub_began_anew(tx, welcome.epoch)
            if anew:
                relay.reopen_all(tx, now_ms=now_ms)
            if memory.holds_op(tx, self._keys.incarnation, welcome.held_seq, welcome.held_id):
                start = incarnation.base(tx, self._keys.incarnation)
                return outbox.reopen(tx, start + welcome.held_seq, anew=anew, now_ms=now_ms)
            put_meta(tx, memory.OTHER_HISTORY, [welcome.held_seq, welcome.held_id])
            return 0

    def not_known(self) -> None:
        """The hub asks for documents instead of welcoming us: it was put back from a backup and does not know this
        device. If no document that we hold names us either, a person must know; who else may have one will show it."""
        with self._store.read() as tx:
            if get_meta(tx, memory.UNKNOWN) is not None:
                return
            try:
                if self._reference.roster(tx).device(self._keys.incarnation) is not None:
                    return
            except BadSignature:
                log.warning("the stored roster is not signed by any hub of ours: it names nobody")
        with self._store.write() as tx:
            put_meta(tx, memory.UNKNOWN, self._clock.now_ms())

    def certificate(self, blob: bytes) -> bool:
        """Take over a newer hub certificate; False if we hold it already.

        Raises:  BadSignature (not the root's), WrongRecipient, StaleDocument (an old hub is speaking).
        """
        if not self._reference.renew(blob):
            return False
        with self._store.write() as tx:
            memory.add_certificate(tx, blob)
        return True

    def stream(self, arrived: StreamArrived, *, via: str, place: Place | None = None) -> int:
        """Take positions of our office's stream. After the return the caller may acknowledge `arrived.last`.

        Args:    place: notes how far the stream of a township goes; without it, it is the hub's.
        Returns: how many ops were new.
        """
        op_blobs = [blob for what, blob in arrived.items if what == STREAM_OP]
        others = [(what, blob) for what, blob in arrived.items if what != STREAM_OP]

        def rest(tx: Connection) -> None:
            for what, blob in others:
                self._take_other(tx, what, blob)
            if place is not None:
                place(tx, arrived.epoch, arrived.last)
                return
            self._settle_returned(tx, op_blobs)
            memory.set_stream_place(tx, arrived.epoch, arrived.last)
            memory.note_contact(tx, self._clock.now_ms())

        return self.ops(op_blobs, via=via, also=rest)

    def _settle_returned(self, tx: Connection, blobs: Sequence[bytes]) -> None:
        """What the hub sends, the hub has: ops that we hand in because it had lost them, and for which no receipt comes
        to us. Those of offices below ours are settled by their receipts, which we pass down."""
        if relay.pending(tx):
            roster, office = self._reference.roster(tx), self._keys.office
            others = [op.id for op in sort_out(blobs)[0] if not roster.is_above(office, op.office)]
            relay.settle(tx, others, now_ms=self._clock.now_ms())

    def ops(self, blobs: Sequence[bytes], *, via: str, also: Callable[[Connection], None] | None = None) -> int:
        """Verify and take ops in one transaction, together with what `also` writes.

        An op that is not authentic, or whose case the fold stumbles over, is set aside; the others go on.
        Returns: how many ops were new.
        """
        fresh, faulty = sort_out(blobs)
        with self._store.read() as tx:
            held = known(tx, [op.id for op in fresh])
            roster = self._reference.roster(tx)
        good, unproven = authentic((op for op in fresh if op.id not in held), roster, self._reference.trust)
        faulty += unproven
        repeats = [op.blob for op in fresh if op.id in held]
        while True:
            try:
                with self._store.write() as tx:
                    count = self._take_ops(tx, good, via=via)
                    self._set_aside(tx, faulty)
                    aside.handled(tx, [*(op.blob for op in good), *repeats])
                    if also is not None:
                        also(tx)
                return count
            except FoldFailed as error:
                case = bytes.fromhex(str(error.facts["case"]))
                log.error("ops of one case are set aside: %s", error.text)
                faulty += [Faulty(op.blob, op.device, error) for op in good if op.case == case]
                good = [op for op in good if op.case != case]

    def handed_in(self, blobs: Sequence[bytes], *, via: str) -> int:
        """Take ops that a device of an office below ours hands in, and carry upward what has no receipt yet.

        Returns: how many ops were new.
        """
        ids = [op.id for op in sort_out(blobs)[0]]

        def carry(tx: Connection) -> None:
            relay.note(
                tx,
                ids,
                roster=self._reference.roster(tx),
                office=self._keys.office,
                own=incarnation.own(tx, self._keys.incarnation),
                now_ms=self._clock.now_ms(),
            )

        return self.ops(blobs, via=via, also=carry)

    def document(self, blob: bytes) -> str | None:
        """Take a document that is whole; returns its kind if it was news, else None. A bad one is set aside."""
        try:
            with self._store.write() as tx:
                opened = take_document(tx, blob, self._reference.trust, arrived_ms=self._clock.now_ms())
        except StaleDocument:
            return None  # a newer one is here already
        except RemoteProtocolError as error:
            with self._store.write() as tx:
                self._set_aside(tx, [Faulty(blob, b"", error)], what="document")
            return None
        if opened.kind == "roster":
            self.retry(UnknownSender.code)
        if opened.kind == "calendar":
            with self._store.write() as tx:
                reckon_all(tx, self._reference.calendar(tx), now_ms=self._clock.now_ms())
        return opened.kind

    def chunk(self, chunk: Chunk) -> str:
        """Store a piece of an attachment; what became of it in the words of `put_chunk`."""
        with self._store.write() as tx:
            return put_chunk(tx, chunk.sha256, chunk.index, chunk.data)

    def problem(self, code: str, text: str, about: bytes) -> None:
        """Keep what the hub could not handle where a person sees it; it does not take that from us, carried or own."""
        with self._store.write() as tx:
            relay.settle(tx, [about], now_ms=self._clock.now_ms())
        self.keep_problem(HubProblem(f"{code}: {text}"), about or code.encode())

    def keep_problem(self, error: RemoteProtocolError, about: bytes) -> None:
        """Keep what a peer could not handle where a person sees it."""
        with self._store.write() as tx:
            aside.put(tx, "problem", about, error, now_ms=self._clock.now_ms())

    def envelope(self, payload: bytes, error: RemoteProtocolError) -> None:
        """Keep an envelope that does not open, as evidence; its sender sends again what was in it."""
        with self._store.write(reserve=True) as tx:
            if len(aside.listed(tx, what="envelope", limit=ENVELOPES_MAX)) < ENVELOPES_MAX:
                aside.put(tx, "envelope", payload, error, now_ms=self._clock.now_ms())

    def retry(self, code: str | None = None) -> int:
        """Try again what was set aside (with this code, if named). Returns how many ops were new."""
        with self._store.read() as tx:
            blobs = [one.blob for one in aside.listed(tx, what="op", code=code)]
        return self.handed_in(blobs, via="aside") if blobs else 0

    def _take_ops(self, tx: Connection, ops: Sequence[Op], *, via: str) -> int:
        if not ops:
            return 0
        now_ms = self._clock.now_ms()
        outcomes = append_many(tx, ops, arrived_ms=now_ms, via=via)
        views = refold(tx, touched(outcomes), fresh=ops)
        keep_due(tx, views, self._reference.calendar(tx), now_ms=now_ms)
        refused = {op_id for view in views for op_id in view.refused}
        for op in ops:
            if op.kind == OpKind.ATTACH and op.id not in refused:
                declare(tx, op, now_ms)
        return sum(outcome.state != "repeat" for outcome in outcomes)

    def _take_other(self, tx: Connection, what: int, blob: bytes) -> None:
        try:
            if what == STREAM_RECEIPT:
                take_receipt(tx, blob, self._reference.trust, self._keys.incarnation, self._clock)
            else:
                raise UnknownVersion(f"a stream item of kind {what}, which this program does not know")
        except RemoteProtocolError as error:
            self._set_aside(tx, [Faulty(blob, b"", error)], what="receipt" if what == STREAM_RECEIPT else "notice")

    def _set_aside(self, tx: Connection, faulty: Iterable[Faulty], *, what: str = "op") -> None:
        for one in faulty:
            kept = aside.put(tx, what, one.blob, one.error, author=one.author, now_ms=self._clock.now_ms())
            log.warning("set aside: %s, %s%s", what, one.error.code, "" if kept else ", not kept: too many already")


def declare(tx: Connection, op: Op, now_ms: int) -> None:
    """Note that the bytes of an attach op are wanted; sizes beyond the limit are not, whoever asks for it."""
    size, sha256 = op.body.get("size"), op.body.get("sha256")
    if type(size) is int and 0 < size <= chunks.FILE_BYTES_MAX and type(sha256) is bytes and len(sha256) == 32:
        declare_file(tx, sha256, size, now_ms=now_ms)
