"""What the hub's link to one device reads from the store: the welcome, the office's stream, contents.

For: the port `protocol.link.HubSource`; each answer is a read of its own and sees only what is committed.
May not: write; send; decide when (the link does).
Spec: docs/protocol/link.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from conflict.ledger.chains import chain
from conflict.ledger.store import Store
from hub import contents, streams
from hub.documents import Shelf
from protocol.lanes import Lane
from protocol.messages import Hello, Stream, Welcome
from protocol.roster import Device

TURN_MS = 60_000  # so long one content is asked for before another one that a carrier may have has its turn


Wants = list[tuple[bytes, list[list[int]]]]  # hash and missing ranges


@dataclass
class Board:
    """What all links share, kept by the loop: stream lengths, who must be asked for contents, who waits at the door."""

    epoch: bytes
    certificate: bytes
    lengths: dict[str, int] = field(default_factory=dict)
    asked: set[bytes] = field(default_factory=set)  # devices whose ops name contents that we lack
    retry_ms: dict[bytes, int] = field(default_factory=dict)  # devices told to come back later
    papers: Callable[[bytes], Wants] = lambda _name: []  # documents of ours that a device is asked for


class DeviceSource:
    """One device's view of the hub's store."""

    def __init__(self, store: Store, shelf: Shelf, board: Board, device: Device, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._shelf = shelf
        self._board = board
        self._device = device
        self._now_ms = now_ms
        self._office: tuple[int, frozenset[bytes]] = (-1, frozenset())

    def welcome(self, hello: Hello) -> Welcome:
        name = self._device.incarnation
        with self._store.read() as tx:
            held_seq, held_id = chain(tx, name)
        device = self._shelf.roster.device(name)
        return Welcome(
            session=hello.session,
            hub_ms=self._now_ms(),
            epoch=self._board.epoch,
            held_seq=held_seq,
            held_id=held_id,
            documents=self._shelf.offers(hello.documents),
            retry_ms=self._board.retry_ms.get(name, 0),
            state=device.state if device else "",
            certificate=self._board.certificate,
            end=self._board.lengths.get(self._device.office, 0),
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
        office = self._device.office
        if after >= self._board.lengths.get(office, 0):
            return after, []
        with self._store.read() as tx:
            return streams.urgent_behind(tx, office, after=after, bytes_max=bytes_max, without=self._device.incarnation)

    def lane_of(self, sha256: bytes) -> Lane:
        return Lane.ATTACHMENTS if self._shelf.chunk(sha256, 0) is None else Lane.REFERENCE

    def wants(self) -> Wants:
        papers = self._board.papers(self._device.incarnation)
        if papers:
            return papers
        office = self._names_of_office()
        if office.isdisjoint(self._board.asked):
            return []
        with self._store.read() as tx:
            return contents.wanted_from(tx, self._device.incarnation, office=office, turn=self._now_ms() // TURN_MS)

    def chunk(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        found = self._shelf.chunk(sha256, index)
        if found is not None:
            return found
        with self._store.read() as tx:
            return contents.piece(tx, self._device.office, sha256, index)

    def _names_of_office(self) -> frozenset[bytes]:
        """All devices that the office has or had, this one among them; read from the roster once per version."""
        version = self._shelf.version("roster")
        if version != self._office[0]:
            names = (device.incarnation for device in self._shelf.roster.devices_of(self._device.office))
            self._office = (version, frozenset((*names, self._device.incarnation)))
        return self._office[1]
