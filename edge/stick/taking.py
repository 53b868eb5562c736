"""Taking the hub's bundles from a stick: documents, the office's stream in order, receipts, bytes of attachments.

For: `bundle import` at an office's device, beside a running daemon or without any line. Every batch of the stream is
one transaction with its place, so an import that is cut off is simply repeated.
May not: let an old stick take anything back (place, epoch, documents, the hub's word about this device); let one bad
envelope stop the others; take time from a stick for fresh (decision 0074).
Spec: docs/protocol/bundle.md.  Manual: docs/operating/sticks.md.  Decision: docs/decisions/0111-old-sticks.md.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, select

from conflict.ledger.append import known
from conflict.ledger.files import put_chunk
from conflict.ledger.meta import put_meta
from conflict.ledger.schema import op_outcomes
from edge import aside, incarnation, memory, outbox, purge
from edge.branch import relay
from edge.main import Node
from edge.schema import outbox as outbox_table
from edge.stick import memory as remembered
from edge.sync.intake import Intake
from edge.sync.wanted import Wanted
from edge.sync_loop import hub_device
from protocol.carriers.bundle import read_bundle
from protocol.carriers.bundle_errors import BundleUnreadable
from protocol.carriers.stick import BundleNotForUs, Taken, bundles_in, written_by
from protocol.envelope import open_envelope, peek_parties
from protocol.errors import LiandongError, RemoteProtocolError, UnknownSender
from protocol.events import StreamArrived
from protocol.messages import STREAM_OP, Chunk, Problem, Stream, Want, Welcome
from protocol.op import parse_op
from protocol.roster import Device
from protocol.trust import HubCard

VIA = "bundle"
CARD_NAME = "hub.card"
CARD_BYTES_MAX = 8_192
CHUNKS_TOGETHER = 32  # of attachments in one transaction: 1 MiB
log = logging.getLogger("liandong.edge.stick")


def take(node: Node, place: Path) -> Taken:
    """Take what a bundle, or every bundle of a directory, holds for this device. Repeating it changes nothing.

    In a directory the county's card (`hub.card`) is looked at first.
    Raises:  for a single file what `read_bundle` raises; BundleNotForUs if nothing is for this device; NoBundle;
             StoreError. Nothing was changed then, except after a StoreError: repeat it.
    """
    files = bundles_in(place)
    before = _unsettled(node)
    taking = _Taking(node)
    if place.is_dir():
        taking.card(place / CARD_NAME)
    for file in files:
        if place.is_dir() and written_by(file, node.keys.incarnation):
            continue
        try:
            taking.file(file)
        except (RemoteProtocolError, BundleUnreadable) as error:
            if file == place:
                raise
            taking.set_aside(file, 0, error)
    if not taking.taken.envelopes and not taking.taken.aside:
        raise BundleNotForUs()
    _settle_purged(node)
    taking.taken.settled = max(0, before - _unsettled(node))
    return taking.taken


def _settle_purged(node: Node) -> None:
    """Cases that were purged here and came with the stick are here again."""
    with node.store.read() as tx:
        if not purge.counts(tx):
            return
    with node.store.write() as tx:
        purge.settle(tx)


class _Taking:
    """One import. The store is written as the bundle is read; nothing waits for its end but what the hub lacks."""

    def __init__(self, node: Node) -> None:
        self.taken = Taken()
        self._node, self._store = node, node.store
        self._intake = Intake(node.store, node.keys, node.reference, node.clock)
        self._documents = Wanted()
        self._chunks: list[Chunk] = []
        self._wants: list[Want] = []
        self._news = False  # the last greeting is the hub's newest word

    def card(self, path: Path) -> None:
        """The county's card beside the bundles, if it is there: a hub with new keys is known by it, if the root certified
        them. Another county's, an older one and garbage change nothing."""
        try:
            with path.open("rb") as source:
                card = HubCard.from_bytes(source.read(CARD_BYTES_MAX))
            ours = card.root_public == self._node.reference.trust.root_public
            if ours and self._intake.certificate(card.certificate):
                log.info("the county root has certified another hub key")
        except (OSError, RemoteProtocolError) as error:
            log.info("no card that could be used lies beside the bundles: %s", error)

    def file(self, path: Path) -> None:
        """One bundle. Raises what `read_bundle` raises before anything is taken; envelopes of others are passed over."""
        self._wants, self._news = [], False
        unreadable: list[tuple[int, bytes, LiandongError]] = []
        mine = 0
        for number, envelope in enumerate(read_bundle(path, county=self._node.keys.county), 1):
            try:
                recipient = peek_parties(envelope)[2]
            except RemoteProtocolError as error:
                unreadable.append((number, envelope, error))
                continue
            if recipient != self._node.keys.incarnation:
                self.taken.others += 1
                continue
            mine += 1
            self._envelope(path, number, envelope)
        if mine:
            for number, envelope, why in unreadable:
                self.set_aside(path, number, why, envelope)
        self._flush_chunks()
        if self._news:
            with self._store.write() as tx:
                remembered.put_wants(tx, self._wants)

    def set_aside(self, path: Path, number: int, error: LiandongError, blob: bytes = b"") -> None:
        """Keep what cannot be taken where a person sees it; the first ones with their bytes."""
        if self.taken.set_aside(path, number, error) and blob:
            log.warning("set aside from a bundle: %s", error.code)
            with self._store.write() as tx:
                aside.put(tx, "envelope", blob, error, now_ms=self._node.clock.now_ms())

    def _envelope(self, path: Path, number: int, envelope: bytes) -> None:
        try:
            opened = open_envelope(envelope, keys=self._node.keys, speaker=self._speaker)
        except RemoteProtocolError as error:
            self.set_aside(path, number, error, envelope)
            return
        self.taken.envelopes += 1
        for message in opened.messages:
            if not isinstance(message, Chunk):
                self._flush_chunks()
            if isinstance(message, Welcome):
                self._welcome(message)
            elif isinstance(message, Stream):
                self._stream(message)
            elif isinstance(message, Chunk):
                self._chunk(message)
            elif isinstance(message, Want):
                self._wants.append(message)
            elif isinstance(message, Problem) and self._news:
                self._intake.problem(message.code, message.text, message.about)

    def _welcome(self, welcome: Welcome) -> None:
        """The hub's greeting: which documents follow; and, unless a newer word is known, its word about this device."""
        keys, now_ms = self._node.keys, self._node.clock.now_ms()
        with self._store.write() as tx:
            self._news = remembered.is_news(tx, welcome)
            asked = remembered.series(tx)
            epoch, _pos = memory.stream_place(tx)
            answers_us = welcome.session == asked.session and epoch == asked.epoch
            if welcome.epoch != epoch and (self._news or answers_us):
                memory.set_stream_place(tx, welcome.epoch, 0)
                if memory.hub_began_anew(tx, welcome.epoch):
                    relay.reopen_all(tx, now_ms=now_ms)
                    outbox.reopen_earlier(tx, incarnation.base(tx, keys.incarnation), now_ms=now_ms)
            if self._news:
                remembered.note_news(tx, welcome)
                memory.note_contact(tx, now_ms)
                memory.learn_hub_time(tx, welcome.hub_ms, self._node.clock, fresh=False)
                put_meta(tx, memory.HUB_STATE, welcome.state)
                if memory.holds_op(tx, keys.incarnation, welcome.held_seq, welcome.held_id):
                    outbox.reopen_ops(tx, _lost(tx, welcome, incarnation.base(tx, keys.incarnation)), now_ms=now_ms)
                else:
                    put_meta(tx, memory.OTHER_HISTORY, [welcome.held_seq, welcome.held_id])
            held = self._node.reference.versions(tx)
        rows = [row for row in welcome.documents if [type(cell) for cell in row] == [str, int, int, bytes, int]]
        self._documents.offer_documents(((row[0], row[1], row[2], row[3], row[4]) for row in rows), held)

    def _stream(self, message: Stream) -> None:
        """Positions of our office's stream, if they are the next ones. What is behind our place is a repeat."""
        with self._store.read() as tx:
            epoch, reached = memory.stream_place(tx)
        if message.epoch != epoch:
            return  # of an epoch that is over: what it held comes again in the new one
        ids = _ids([blob for kind, blob in message.items if kind == STREAM_OP])
        if message.last <= reached:
            self.taken.repeated += len(ids)
            return
        if message.first > reached + 1:
            self.taken.gaps += 1
            return
        with self._store.read() as tx:
            before = known(tx, set(ids))
        items = tuple((int(kind), bytes(blob)) for kind, blob in message.items)
        self._intake.stream(StreamArrived(message.epoch, message.first, message.last, items), via=VIA)
        with self._store.read() as tx:
            after = known(tx, set(ids))
        self.taken.repeated += sum(op_id in before for op_id in ids)
        fresh = [op_id for op_id in ids if op_id not in before]
        self.taken.refused += sum(op_id not in after for op_id in fresh)
        self.taken.waiting += sum(not after.get(op_id, True) for op_id in fresh)
        self.taken.new += sum(after.get(op_id, False) for op_id in fresh)

    def _chunk(self, chunk: Chunk) -> None:
        if self._documents.is_document(chunk.sha256):
            whole = self._documents.take_piece(chunk, self._node.clock.mono_ms())
            if whole is not None and self._intake.document(whole):
                self.taken.documents += 1
            return
        self._chunks.append(chunk)
        if len(self._chunks) >= CHUNKS_TOGETHER:
            self._flush_chunks()

    def _flush_chunks(self) -> None:
        if not self._chunks:
            return
        with self._store.write() as tx:
            states = [put_chunk(tx, chunk.sha256, chunk.index, chunk.data) for chunk in self._chunks]
        self.taken.chunks += sum(state in ("stored", "complete") for state in states)
        self._chunks = []

    def _speaker(self, incarnation: bytes) -> Device:
        hub = hub_device(self._node.reference.trust)
        if incarnation != hub.incarnation:
            raise UnknownSender(
                "The envelope is not from the hub that this device's county certifies.",
                "该内容不是来自本县认证的县中心。",
            )
        return hub


def _unsettled(node: Node) -> int:
    with node.store.read() as tx:
        counts = outbox.counts(tx)
    return sum(counts[state] for state in outbox.UNSETTLED)


def _ids(blobs: Sequence[bytes]) -> list[bytes]:
    """Ids of the ops; what does not parse stands for itself and will be set aside by the intake."""
    ids = []
    for blob in blobs:
        try:
            ids.append(parse_op(blob).id)
        except RemoteProtocolError:
            ids.append(blob)
    return list(dict.fromkeys(ids))


def _lost(tx: Connection, welcome: Welcome, base: int) -> list[bytes]:
    """Own ops that the hub had settled by the time of its greeting and no longer held then: it lost them.

    base: of this device's present name, see edge/incarnation.py.

    Only if the op after the last that it holds was accepted: otherwise its chain has a gap because a stick with earlier
    ops has not come yet, and what lies behind the gap is not lost.
    """
    held = base + welcome.held_seq
    query = (
        select(outbox_table.c.seq, outbox_table.c.op_id, outbox_table.c.state)
        .join(op_outcomes, op_outcomes.c.op_id == outbox_table.c.op_id)
        .where(outbox_table.c.seq > held, op_outcomes.c.hub_ms <= welcome.hub_ms)
        .order_by(outbox_table.c.seq)
    )
    rows = tx.execute(query).all()
    gone = bool(rows) and rows[0].seq == held + 1 and rows[0].state == "accepted"
    return [row.op_id for row in rows] if gone else []
