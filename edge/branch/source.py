"""What the township's link to one device of its branch reads from the township's store.

For: the port `protocol.link.HubSource`: welcome, the office's stream, contents; each answer is a read of its own.
May not: write; send; speak as the hub: its time, its word about a device and its receipts come from the hub alone.
Spec: docs/protocol/link.md, "Carrying for others".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from conflict.ledger.chains import chain
from conflict.ledger.files import missing_chunks, read_chunk
from conflict.ledger.store import Store
from edge.branch import stream as streams
from edge.branch.papers import Papers
from edge.clock import Clock
from edge.sync.wanted import Wanted
from protocol.lanes import Lane
from protocol.messages import Hello, Stream, Welcome
from protocol.roster import Device

PATIENCE_MS = 60_000  # while the county's line is open, bytes are expected from there first: the same piece goes once


@dataclass
class Board:
    """What all lines of the branch share, kept by the room."""

    epoch: bytes = b""
    certificate: bytes = b""
    lengths: dict[str, int] = field(default_factory=dict)
    version: int = -1  # of the store, when the above were read


class VillageSource:
    """One village device's view of the township's store."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        papers: Papers,
        board: Board,
        device: Device,
        *,
        county_open: Callable[[], bool],
    ) -> None:
        self._store, self._clock, self._papers, self._board = store, clock, papers, board
        self._device, self._county_open = device, county_open
        self.wanted = Wanted()

    def welcome(self, hello: Hello) -> Welcome:
        with self._store.read() as tx:
            held_seq, held_id = chain(tx, self._device.incarnation)
        return Welcome(
            session=hello.session,
            hub_ms=0,  # only the hub gives signed time
            epoch=self._board.epoch,
            held_seq=held_seq,
            held_id=held_id,
            documents=self._papers.offers(hello.documents),
            retry_ms=0,
            state="",
            certificate=self._board.certificate,
        )

    def stream(self, after: int, *, bytes_max: int, count_max: int) -> Stream | None:
        office = self._device.office
        if after >= self._board.lengths.get(office, 0):
            return None
        with self._store.read() as tx:
            return streams.read(
                tx,
                office,
                epoch=self._board.epoch,
                after=after,
                bytes_max=bytes_max,
                count_max=count_max,
                without=self._device.incarnation,
            )

    def ahead(self, after: int, *, bytes_max: int) -> tuple[int, list[bytes]]:
        """Nothing overtakes in a township's stream: it is short, and its line is not the county's."""
        return after, []

    def wants(self) -> list[tuple[bytes, list[list[int]]]]:
        before_ms = self._clock.now_ms() - (PATIENCE_MS if self._county_open() else 0)
        with self._store.read() as tx:
            lacking = streams.files_of(tx, self._device.incarnation, before_ms=before_ms)
        return self.wanted.next_wants(lacking, self._missing, self._clock.mono_ms()) if lacking else []

    def chunk(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        found = self._papers.chunk(sha256, index)
        if found is not None:
            return found
        with self._store.read() as tx:
            size = streams.may_have(tx, self._device.office, sha256)
            data = None if size is None else read_chunk(tx, sha256, index)
        return None if data is None or size is None else (size, data)

    def lane_of(self, sha256: bytes) -> Lane:
        return Lane.ATTACHMENTS if self._papers.chunk(sha256, 0) is None else Lane.REFERENCE

    def _missing(self, sha256: bytes, size: int) -> list[list[int]]:
        with self._store.read() as tx:
            return missing_chunks(tx, sha256, size)
