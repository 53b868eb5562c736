"""What the link reads from this device's store: greeting, ops to offer, chunks to serve, content to ask for.

For: the port `protocol.link.EdgeSource` over the ledger and the outbox; each answer is a read of its own.
May not: write; send; decide when (the link does).
Spec: docs/protocol/link.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256 as sha256_of

from sqlalchemy import Connection, func, select

from conflict.ledger.chains import chain
from conflict.ledger.files import incomplete_files, missing_chunks, read_chunk
from conflict.ledger.meta import document, documents_after
from conflict.ledger.schema import files as files_table
from conflict.ledger.store import Store
from edge import memory, outbox
from edge.branch import relay
from edge.clock import Clock
from edge.config import SOFTWARE
from edge.lanes import Lanes
from edge.reference import Reference
from edge.schema import outbox as outbox_table
from edge.sync.wanted import Wanted
from edge.urgency import CARRIED, OWN, Ranks, ranks
from protocol import chunks
from protocol.documents import KINDS
from protocol.keys import DeviceKeys
from protocol.lanes import RANKS, REST, Lane
from protocol.link import HelloState
from protocol.messages import PAPERS_MAX
from protocol.offers import within

FILES_LOOKED_AT = 500  # incomplete attachments considered for one want


class StoreSource:
    """Also remembers which ops it gave out since `taken_out` was last asked, so that the outbox can note the offer."""

    def __init__(self, store: Store, keys: DeviceKeys, reference: Reference, wanted: Wanted, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._reference = reference
        self._wanted = wanted
        self._mono_ms, self._now_ms = clock.mono_ms, clock.now_ms
        self.lanes = Lanes(clock)
        self._shut_ms: dict[Lane, int] = {}  # since when a lane has been shut
        self._given: list[int] = []
        self._ranks = Ranks(lambda _tx: OWN, select(func.max(outbox_table.c.seq)), clock.now_ms)
        self._version = -1  # of the store, when the two answers below were read
        self._lowest: dict[int | None, int | None] = {}
        self._files: list[tuple[bytes, int]] = []
        self._papers: dict[bytes, tuple[str, int]] = {}  # hash -> kind and version of documents that the hub may want

    def hello(self) -> HelloState:
        with self._store.read() as tx:
            counts, carried = outbox.counts(tx), relay.pending(tx)
            epoch, position = memory.stream_place(tx)
            head, _id = chain(tx, self._keys.incarnation)
            return HelloState(
                software=SOFTWARE,
                documents=self._reference.versions(tx),
                epoch=epoch,
                pos=position,
                head_seq=head,
                counts={
                    "pending": counts["pending"] + counts["offered"] + carried,
                    "waiting": counts["waiting"],
                    "refused": counts["refused"],
                },
                urgent=bool(self._ranks.all(tx) or ranks(tx, CARRIED, now_ms=self._now_ms())),
            )

    def offers(self, after: int, *, bytes_max: int, count_max: int, rank: int | None = None) -> list[tuple[int, bytes]]:
        with self._store.read() as tx:
            rows = outbox.unsettled(tx, after=after, limit=count_max, where=self._of_rank(tx, rank))
        chosen = within(rows, bytes_max)
        self._given += [seq for seq, _blob in chosen]
        return chosen

    def lowest_unsettled(self, rank: int | None = None) -> int | None:
        self._look()
        return self._lowest.get(rank)

    def more(self, after: int, rank: int | None = None) -> bool:
        with self._store.read() as tx:
            return outbox.lowest_unsettled(tx, after=after, where=self._of_rank(tx, rank)) is not None

    def _of_rank(self, tx: Connection, rank: int | None) -> outbox.Which:
        if rank is None:
            return outbox.EVERY
        return outbox.not_of(self._ranks.all(tx)) if rank == REST else outbox.of_cases(self._ranks.of(tx, rank))

    def wants(self) -> list[tuple[bytes, list[list[int]]]]:
        """What the lanes let travel now, in their order, and no more of it at once than its lane carries soon."""
        self._look()
        now = self._mono_ms()
        ready = {lane for lane in Lane if self.lanes.ready(lane, now)}
        for lane in Lane:
            if lane not in ready:
                self._shut_ms.setdefault(lane, now)
            elif lane in self._shut_ms:
                self._wanted.excuse(lane, now - self._shut_ms.pop(lane))
        found = self._wanted.next_wants(self._files, self._missing, now, ready)
        return [(sha256, chunks.ranges(chunks.first_of(ranges, self._pieces(sha256)))) for sha256, ranges in found]

    def lane_of(self, sha256: bytes) -> Lane:
        return self._wanted.lane_of(sha256)

    def _pieces(self, sha256: bytes) -> int:
        lane = self.lane_of(sha256)
        return chunks.WINDOW if lane == Lane.URGENT else self.lanes.pieces(lane)

    def papers(self, ranges: Iterable[tuple[str, int, int]]) -> list[list[object]]:
        """The documents held with a version in these ranges (kind, above, below; 0: no end), lowest first, as in
        Announce; at most PAPERS_MAX, the hub asks on from the last."""
        rows: list[list[object]] = []
        with self._store.read() as tx:
            for kind, above, below in ranges:
                for one in documents_after(tx, kind, above) if kind in KINDS else ():
                    if len(rows) == PAPERS_MAX or 0 < below <= one.version:
                        break
                    digest = sha256_of(one.blob).digest()
                    self._papers[digest] = (kind, one.version)
                    rows.append([kind, one.version, one.base_version, digest, len(one.blob)])
        return rows

    def chunk(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        if sha256 in self._papers:
            return self._paper(sha256, index)
        with self._store.read() as tx:
            data = read_chunk(tx, sha256, index)
            if data is None:
                return None
            whole = files_table.c.complete == 1
            size = tx.execute(select(files_table.c.size).where(files_table.c.sha256 == sha256, whole)).scalar_one()
        if index == chunks.count_of(size) - 1:
            self.lanes.sent.add(sha256)
        return size, data

    def _paper(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        kind, version = self._papers[sha256]
        with self._store.read() as tx:
            stored = document(tx, kind, version)
        at = index * chunks.CHUNK_BYTES
        if stored is None or at >= len(stored.blob):
            return None
        return len(stored.blob), stored.blob[at : at + chunks.CHUNK_BYTES]

    def taken_out(self) -> list[int]:
        """Numbers of the ops given out since the last call."""
        given, self._given = self._given, []
        return given

    def _look(self) -> None:
        """Read again what is asked for at every turn, but only if somebody has committed since."""
        version = self._store.data_version()
        if version == self._version:
            return
        with self._store.read() as tx:
            self._lowest = {None: outbox.lowest_unsettled(tx)}
            if self._lowest[None] is not None:
                self._lowest |= {one: outbox.lowest_unsettled(tx, where=self._of_rank(tx, one)) for one in RANKS}
            self._files = [
                (sha256, size) for _row, sha256, size in incomplete_files(tx, limit=FILES_LOOKED_AT, newest=True)
            ]
        self._version = version

    def _missing(self, sha256: bytes, size: int) -> list[list[int]]:
        with self._store.read() as tx:
            return missing_chunks(tx, sha256, size)
