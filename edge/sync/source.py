"""What the link reads from this device's store: greeting, ops to offer, chunks to serve, content to ask for.

For: the port `protocol.link.EdgeSource` over the ledger and the outbox; each answer is a read of its own.
May not: write; send; decide when (the link does).
Spec: docs/protocol/link.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256 as sha256_of

from sqlalchemy import select

from conflict.ledger.chains import chain
from conflict.ledger.files import incomplete_files, missing_chunks, read_chunk
from conflict.ledger.meta import document, documents_after
from conflict.ledger.schema import files as files_table
from conflict.ledger.store import Store
from edge import memory, outbox
from edge.branch import relay
from edge.config import SOFTWARE
from edge.lanes import AttachmentLane
from edge.reference import Reference
from edge.sync.wanted import Wanted
from protocol import chunks
from protocol.documents import KINDS
from protocol.keys import DeviceKeys
from protocol.link import HelloState
from protocol.messages import PAPERS_MAX

FILES_LOOKED_AT = 500  # incomplete attachments considered for one want


class StoreSource:
    """Also remembers which ops it gave out since `taken_out` was last asked, so that the outbox can note the offer."""

    def __init__(
        self, store: Store, keys: DeviceKeys, reference: Reference, wanted: Wanted, mono_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._keys = keys
        self._reference = reference
        self._wanted = wanted
        self._mono_ms = mono_ms
        self.lane: AttachmentLane | None = None  # set by the loop; without one nothing is limited
        self._shut_ms: int | None = None  # since when the lane has been shut
        self._given: list[tuple[int, int]] = []
        self._version = -1  # of the store, when the two answers below were read
        self._lowest: int | None = None
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
                urgent=outbox.holds_urgent(tx),
            )

    def offers(self, after: int, *, bytes_max: int, count_max: int) -> list[tuple[int, bytes]]:
        with self._store.read() as tx:
            rows = outbox.unsettled(tx, after=after, limit=count_max)
        chosen: list[tuple[int, bytes]] = []
        size = 0
        for seq, blob in rows:
            size += len(blob)
            if chosen and size > bytes_max:
                break
            chosen.append((seq, blob))
        if chosen:
            self._given.append((chosen[0][0], chosen[-1][0]))
        return chosen

    def lowest_unsettled(self) -> int | None:
        self._look()
        return self._lowest

    def wants(self) -> list[tuple[bytes, list[list[int]]]]:
        """Documents always; attachments while the lane is ready, and no more at once than it carries soon."""
        self._look()
        now = self._mono_ms()
        if self.lane is None:
            return self._wanted.next_wants(self._files, self._missing, now)
        if self.lane.ready(now):
            if self._shut_ms is not None:
                self._wanted.excuse(now - self._shut_ms)
                self._shut_ms = None
            found = self._wanted.next_wants(self._files, self._missing, now)
        else:
            self._shut_ms = now if self._shut_ms is None else self._shut_ms
            found = self._wanted.next_wants([], self._missing, now)
        most = self.lane.bucket.pieces()
        return [
            (sha256, ranges if self._wanted.is_document(sha256) else chunks.ranges(chunks.first_of(ranges, most)))
            for sha256, ranges in found
        ]

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
        if self.lane is not None and index == chunks.count_of(size) - 1:
            self.lane.sent.add(sha256)
        return size, data

    def _paper(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        kind, version = self._papers[sha256]
        with self._store.read() as tx:
            stored = document(tx, kind, version)
        at = index * chunks.CHUNK_BYTES
        if stored is None or at >= len(stored.blob):
            return None
        return len(stored.blob), stored.blob[at : at + chunks.CHUNK_BYTES]

    def taken_out(self) -> list[tuple[int, int]]:
        """(first, last) numbers of the ops given out since the last call."""
        given, self._given = self._given, []
        return given

    def _look(self) -> None:
        """Read again what is asked for at every turn, but only if somebody has committed since."""
        version = self._store.data_version()
        if version == self._version:
            return
        with self._store.read() as tx:
            self._lowest = outbox.lowest_unsettled(tx)
            self._files = [(sha256, size) for _row, sha256, size in incomplete_files(tx, limit=FILES_LOOKED_AT)]
        self._version = version

    def _missing(self, sha256: bytes, size: int) -> list[list[int]]:
        with self._store.read() as tx:
            return missing_chunks(tx, sha256, size)
