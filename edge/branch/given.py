"""What a village's device has handed to its township, and what is still to be handed in.

For: the port `protocol.link.EdgeSource` towards a township: everything that arrived here and did not come from there,
in order of arrival, up to the place that the township says it holds.
May not: settle an op in the outbox; forget a place other than when the township itself began anew.
Spec: docs/protocol/link.md, "Carrying for others".  Decision: docs/decisions/0120-townships-carry.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select

from conflict.ledger.meta import get_meta, put_meta
from conflict.ledger.schema import ops
from conflict.ledger.store import Store
from edge import outbox
from edge.clock import Clock
from edge.reference import Reference
from edge.schema import outbox as outbox_table
from edge.sync.source import StoreSource
from edge.sync.wanted import Wanted
from edge.urgency import CasesToSend, Ranks
from protocol.keys import DeviceKeys
from protocol.lanes import RANKS, REST
from protocol.link import HelloState
from protocol.messages import Welcome
from protocol.offers import within

VIA = "branch"  # ops that came over the line with the township
PLACE = "branch.place"  # [township, epoch, position] of its stream
GIVEN = "branch.given"  # [township, epoch, position of our ledger, number of our chain that it holds]
CONTACT = "branch.contact_ms"


class TownshipSource(StoreSource):
    """Reads what the link with the township asks for. `given`: ops handed in since the loop began."""

    def __init__(
        self,
        store: Store,
        keys: DeviceKeys,
        reference: Reference,
        wanted: Wanted,
        clock: Clock,
        township: bytes,
        *,
        county_open: Callable[[], bool],
    ) -> None:
        super().__init__(store, keys, reference, wanted, clock)
        self._township = township
        self._county_open = county_open
        self._floor = 0  # nothing to hand in up to here; found by looking, so it need not be kept
        self._seen = -1
        self._next: dict[int | None, int | None] = {}
        self._to_hand = Ranks(self._cases, select(func.max(ops.c.pos)), clock.now_ms)
        self._ahead: set[int] = set()  # positions of ops that overtook others and are held there
        self.given = 0

    def hello(self) -> HelloState:
        state = super().hello()
        with self._store.read() as tx:
            township, epoch, position = get_meta(tx, PLACE, [b"", b"", 0])
        known = township == self._township
        return replace(state, epoch=epoch if known else b"", pos=position if known else 0)

    def offers(self, after: int, *, bytes_max: int, count_max: int, rank: int | None = None) -> list[tuple[int, bytes]]:
        with self._store.read() as tx:
            query = self._to_give(tx, after, rank).limit(count_max)
            rows = [(row.pos, row.blob) for row in tx.execute(query)]
        chosen = within(rows, bytes_max)
        self.given += len(chosen)
        return chosen

    def lowest_unsettled(self, rank: int | None = None) -> int | None:
        version = self._store.data_version()
        if version != self._seen:
            with self._store.read() as tx:
                top = tx.execute(select(func.max(ops.c.pos))).scalar() or 0
                self._next = {None: self._first(tx, 0, None)}
                if self._next[None] is not None:
                    self._next |= {one: self._first(tx, 0, one) for one in RANKS}
            if self._next[None] is None:
                self._floor = top
                self._ahead.clear()
            self._seen = version
        return self._next.get(rank)

    def more(self, after: int, rank: int | None = None) -> bool:
        with self._store.read() as tx:
            return self._first(tx, after, rank) is not None

    def note_ahead(self, positions: Iterable[int]) -> None:
        """The township holds these, which overtook others. They are handed in again in their place: its word about a
        place counts without gaps."""
        self._ahead |= set(positions)
        self._seen = -1

    def _cases(self, tx: Connection) -> CasesToSend:
        return select(ops.c.case_id).where(ops.c.pos > max(self._given_to(tx)[2], self._floor))

    def _first(self, tx: Connection, after: int, rank: int | None) -> int | None:
        found: int | None = tx.execute(self._to_give(tx, after, rank).limit(1).with_only_columns(ops.c.pos)).scalar()
        return found

    def _to_give(self, tx: Connection, after: int, rank: int | None) -> Any:
        """What is still to be handed in behind a position; of this rank alone, if it is one that overtakes."""
        given = self._given_to(tx)
        query = self._lacking(given[3]).where(ops.c.pos > max(after, given[2], self._floor))
        if rank is None or rank == REST:
            return query
        query = query.where(ops.c.case_id.in_(self._to_hand.of(tx, rank)))
        return query.where(ops.c.pos.not_in(sorted(self._ahead))) if self._ahead else query

    def wants(self) -> list[tuple[bytes, list[list[int]]]]:
        """Nothing while the county's line is open: the same bytes travel once."""
        return [] if self._county_open() else super().wants()

    def greeted(self, tx: Connection, welcome: Welcome) -> None:
        """The township's greeting: if it is another store than before, or an older one, everything is handed in anew."""
        township, epoch, position, held = get_meta(tx, GIVEN, [b"", b"", 0, 0])
        same = (township, epoch) == (self._township, welcome.epoch) and welcome.held_seq >= held
        if not same:
            position, self._floor, self._seen, self._ahead = 0, 0, -1, set()
        put_meta(tx, GIVEN, [self._township, welcome.epoch, position, welcome.held_seq])

    def note_given(self, tx: Connection, position: int) -> None:
        """The township holds everything up to this position of our ledger."""
        township, epoch, reached, held = get_meta(tx, GIVEN, [b"", b"", 0, 0])
        if township == self._township:
            put_meta(tx, GIVEN, [township, epoch, max(reached, position), held])

    def note_place(self, tx: Connection, epoch: bytes, position: int) -> None:
        """Its stream is stored here up to this position."""
        put_meta(tx, PLACE, [self._township, epoch, position])

    def _given_to(self, tx: Connection) -> list[Any]:
        found: list[Any] = get_meta(tx, GIVEN, [b"", b"", 0, 0])
        return found if found[0] == self._township else [self._township, b"", 0, 0]

    def _lacking(self, held_seq: int) -> Any:
        """Ops that the township may lack: none of its own, none that it sent, none of ours that it and the hub have."""
        done = and_(
            ops.c.device == self._keys.incarnation,
            ops.c.seq <= held_seq,
            outbox_table.c.state.not_in(outbox.UNSETTLED),
        )
        lacking: ColumnElement[bool] = and_(
            ops.c.via != VIA, ops.c.device != self._township, or_(outbox_table.c.state.is_(None), not_(done))
        )
        joined = select(ops.c.pos, ops.c.blob).outerjoin(outbox_table, outbox_table.c.op_id == ops.c.id)
        return joined.where(lacking).order_by(ops.c.pos)
