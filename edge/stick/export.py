"""Writing a stick: a greeting, every op without a receipt, own and carried, and the bytes that the hub cannot have.

For: `bundle export` at an office's device, beside a running daemon or without any line.
May not: count anything as delivered (law 2: only a receipt does); remember a stick before the medium gave it back.
Spec: docs/protocol/bundle.md.  Manual: docs/operating/sticks.md.  Decision: docs/decisions/0110-sticks-and-receipts.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from sqlalchemy import func, select

from conflict.kinds import OpKind
from conflict.ledger.files import incomplete_files, missing_chunks
from conflict.ledger.schema import ops as ops_table
from edge import outbox, purge
from edge.branch import relay
from edge.branch.schema import relay as relay_table
from edge.config import RENEWING
from edge.errors import NeedsCode
from edge.main import Node
from edge.schema import outbox as outbox_table
from edge.slip import county_time
from edge.stick import memory as remembered
from edge.stick.memory import Series
from edge.sync.source import StoreSource
from edge.sync.wanted import Wanted
from edge.sync_loop import hub_device
from protocol import chunks, topics
from protocol.carriers.bundle import write_bundle
from protocol.carriers.stick import MIB, ROOM_MIB, Room, new_file
from protocol.envelope import seal_envelope
from protocol.lanes import BATCH_PLAIN_BYTES_MAX
from protocol.messages import (
    CASES_MAX,
    MESSAGES_MAX,
    OPS_MAX,
    RANGES_MAX,
    Ack,
    Chunk,
    Fetch,
    Hello,
    Message,
    Ops,
    Want,
)
from protocol.offers import OpsSource
from protocol.op import parse_op

SESSION_BYTES = 8
WANTS_MAX = 500  # incomplete attachments asked for by one stick
PAGE_BYTES = 2**20  # of ops looked through at once


@dataclass(frozen=True, slots=True)
class Exported:
    """What a stick carries now. bytes: of the file. left: ops and chunks that found no room; the next export has them."""

    file: Path
    envelopes: int
    ops: int
    chunks: int
    bytes: int
    left: int


def export(
    node: Node,
    place: Path,
    *,
    since_last: bool = False,
    everything: bool = False,
    room_bytes: int = ROOM_MIB * MIB,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> Exported:
    """Write a bundle for the hub to `place`, a new file or a directory in which it gets a name.

    Args:    since_last: leave out what earlier sticks carried, although there is no receipt yet. Without it everything
             unsettled goes; only after an export that was cut by its room the next one goes on where that one ended.
             everything: every op that this device holds, whoever wrote it and whatever the hub has said of it: for a
             machine that is switched off for good, since a hub put back from a backup may have lost any of it.
             room_bytes: of envelopes; the greeting and one batch of ops go in any case.
    Raises:  NeedsCode, BundleExists, BundleNotWritten (nothing counts as carried), StoreError.
    """
    if node.config.state == RENEWING:
        raise NeedsCode(
            "This device goes on under new keys that the county does not know yet: synchronise once, or ask for a code "
            "and run liandong edge join with it here.",
            "本设备已更换密钥，县中心尚未认可：请联网同步一次，或申请新的入网码后在本目录运行 liandong edge join。",
        )
    if everything:
        _offer_everything(node)
    load = _Load(node, since_last=since_last, room=Room(room_bytes), session=random_bytes(SESSION_BYTES))
    now_ms = node.clock.now_ms()
    stamp = "".join(digit for digit in county_time(now_ms) if digit.isdigit())
    file = new_file(place, f"{topics.mailbox(node.keys.incarnation)}-{stamp}")
    county, sender = node.keys.county, node.keys.incarnation
    summary = write_bundle(file, load.envelopes(), county=county, sender=sender, created_ms=now_ms)
    load.remember(now_ms)
    return Exported(file, summary.envelopes, load.ops, load.chunks, summary.size, load.left)


def _offer_everything(node: Node) -> None:
    """Nothing counts as receipted any more; the hub gives its word again to a device that goes on."""
    now_ms = node.clock.now_ms()
    with node.store.write() as tx:
        held = list(tx.scalars(select(ops_table.c.id)))
        outbox.reopen_ops(tx, held, now_ms=now_ms)
        relay.take_up(tx, held, now_ms=now_ms)


@dataclass(slots=True)
class _Lane:
    """Ops to carry. reached: place of the last one carried; carried: places of those in this export."""

    source: OpsSource
    reached: int
    carried: list[int] = field(default_factory=list)


class _Load:
    """One export: makes the envelopes one by one and keeps count."""

    def __init__(self, node: Node, *, since_last: bool, room: Room, session: bytes) -> None:
        self._node, self._room, self._session = node, room, session
        self._hub = hub_device(node.reference.trust)
        self._source = StoreSource(node.store, node.keys, node.reference, Wanted(), node.clock)
        with node.store.read() as tx:
            before = remembered.series(tx)
            self._lacking = remembered.wants(tx)
        goes_on = since_last or before.cut
        self._own = _Lane(self._source, before.seq if goes_on else 0)
        self._carried = _Lane(relay.Carried(node.store, node.clock.now_ms), before.carried if goes_on else 0)
        self._files = dict(before.files) if goes_on else {}  # hash -> chunks carried
        self._epoch = b""
        self.ops = self.chunks = self.left = 0

    def envelopes(self) -> Iterator[bytes]:
        """The greeting, then ops in the order of this device's chain, then chunks."""
        yield from self._greeting()
        yield from self._ops()
        yield from self._chunks()

    def remember(self, now_ms: int) -> None:
        """The medium has given the bundle back: note how far it goes. The ops stay unsettled."""
        with self._node.store.write() as tx:
            outbox.offered(tx, self._own.carried, now_ms=now_ms)
            made = Series(
                self._session, self._epoch, self._own.reached, self._carried.reached, self._files, self.left > 0
            )
            remembered.put_series(tx, made)

    def _greeting(self) -> Iterator[bytes]:
        state = self._source.hello()
        self._epoch = state.epoch
        messages: list[Message] = [
            Hello(
                self._session,
                state.software,
                state.documents,
                state.epoch,
                state.pos,
                state.head_seq,
                state.counts,
                state.urgent,
            )
        ]
        if state.epoch:
            messages.append(Ack(state.epoch, state.pos))
        rest = iter([*messages, *self._fetches(), *self._wants()])
        while batch := list(islice(rest, MESSAGES_MAX)):
            envelope = self._seal(batch)
            self._room.take(envelope, must=True)
            yield envelope

    def _fetches(self) -> list[Fetch]:
        """Purged cases that somebody here wants back."""
        with self._node.store.read() as tx:
            _gone, wanted = purge.to_tell(tx, limit=CASES_MAX)
        return [Fetch(wanted)] if wanted else []

    def _wants(self) -> list[Want]:
        """What this device lacks of attachments, for the hub to put on the way back."""
        with self._node.store.read() as tx:
            found = [
                (sha256, missing_chunks(tx, sha256, size))
                for _row, sha256, size in incomplete_files(tx, limit=WANTS_MAX, newest=True)
            ]
        return [Want(sha256, missing[:RANGES_MAX]) for sha256, missing in found]

    def _ops(self) -> Iterator[bytes]:
        """Own ops, then those that this device carries for offices below."""
        for lane in (self._own, self._carried):
            while rows := lane.source.offers(lane.reached, bytes_max=BATCH_PLAIN_BYTES_MAX, count_max=OPS_MAX):
                envelope = self._seal([Ops([blob for _place, blob in rows])])
                if not self._room.take(envelope, must=self.ops == 0):
                    break
                lane.carried += [place for place, _blob in rows]
                lane.reached = rows[-1][0]
                self.ops += len(rows)
                yield envelope
        own = outbox_table.c.state.in_(outbox.UNSETTLED) & (outbox_table.c.seq > self._own.reached)
        others = (relay_table.c.state == relay.PENDING) & (relay_table.c.pos > self._carried.reached)
        with self._node.store.read() as tx:
            for table, later in ((outbox_table, own), (relay_table, others)):
                self.left += tx.execute(select(func.count()).select_from(table).where(later)).scalar_one()

    def _chunks(self) -> Iterator[bytes]:
        """Bytes of attachments: those of ops without a receipt, then those that the hub said it lacks."""
        due = self._due_files()
        self._files = {sha256: reached for sha256, reached in self._files.items() if sha256 in due}
        pending = [
            (sha256, number)
            for sha256, numbers in due.items()
            for number in numbers
            if number >= self._files.get(sha256, 0)
        ]
        for at, (sha256, number) in enumerate(pending):
            piece = self._source.chunk(sha256, number)
            if piece is None:
                continue  # not whole here either
            envelope = self._seal([Chunk(sha256, piece[0], number, piece[1])])
            if self.left or not self._room.take(envelope):  # no chunk before the op that names it
                self.left += len(pending) - at
                return
            self._files[sha256] = number + 1
            self.chunks += 1
            yield envelope

    def _due_files(self) -> dict[bytes, list[int]]:
        """Hash to numbers of the chunks that the hub cannot have, as far as this device knows."""
        due: dict[bytes, list[int]] = {}
        for blob in self._unsettled():
            op = parse_op(blob)
            sha256, size = op.body.get("sha256"), op.body.get("size")
            if op.kind == OpKind.ATTACH and type(sha256) is bytes and type(size) is int:
                due[sha256] = list(range(chunks.count_of(min(size, chunks.FILE_BYTES_MAX))))
        most = chunks.count_of(chunks.FILE_BYTES_MAX)
        for sha256, ranges in self._lacking.items():
            due.setdefault(sha256, sorted(set(chunks.first_of(ranges, most))))
        return due

    def _unsettled(self) -> Iterator[bytes]:
        for lane in (self._own, self._carried):
            after = 0
            while rows := lane.source.offers(after, bytes_max=PAGE_BYTES, count_max=OPS_MAX):
                yield from (blob for _place, blob in rows)
                after = rows[-1][0]

    def _seal(self, messages: list[Message]) -> bytes:
        return seal_envelope(messages, keys=self._node.keys, recipient=self._hub)
