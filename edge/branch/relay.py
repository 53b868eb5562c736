"""The relay: ops of others that wait for the hub's word: handed in by offices below ours, or lost by the hub.

For: noting them in the transaction that stores them, offering them upward beside our own, settling them by the hub's word.
May not: send; commit; take an op out before the hub's receipt, or the op itself in the hub's stream, settles it (law 2).
Spec: docs/protocol/link.md, "Carrying for others".  Decision: docs/decisions/0120-townships-carry.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from sqlalchemy import Connection, func, select, update

from conflict.ledger.receipts import outcomes_of
from conflict.ledger.schema import ops as ops_table
from conflict.ledger.statements import insert_new, steps
from conflict.ledger.store import Store
from edge.branch.schema import receipt, relay
from edge.schema import outbox
from edge.urgency import CARRIED, Ranks
from protocol.lanes import RANKS, REST
from protocol.offers import within
from protocol.roster import Roster

PENDING, SETTLED = "pending", "settled"


def note(
    tx: Connection, op_ids: Iterable[bytes], *, roster: Roster, office: str, own: Collection[bytes], now_ms: int
) -> None:
    """Queue the stored ops among `op_ids` that offices below ours wrote and of which the hub has said nothing yet.

    Args:    own: all names of this device. A repeat changes nothing.
    """
    ids = list(op_ids)
    known = outcomes_of(tx, ids)
    rows = []
    for part in steps(one for one in ids if one not in known):
        query = select(ops_table.c.id, ops_table.c.device).where(ops_table.c.id.in_(part)).order_by(ops_table.c.pos)
        for op_id, author in tx.execute(query):
            device = roster.device(author)
            if author not in own and device is not None and roster.is_above(office, device.office):
                rows.append({"op_id": op_id, "state": PENDING, "since_ms": now_ms})
    insert_new(tx, relay, rows)


def settle(tx: Connection, op_ids: Iterable[bytes], *, now_ms: int) -> None:
    """The hub has said what became of these ops; those that are not carried change nothing."""
    for part in steps(op_ids):
        mine = relay.c.op_id.in_(part) & (relay.c.state == PENDING)
        tx.execute(update(relay).where(mine).values(state=SETTLED, since_ms=now_ms))


def keep_receipt(tx: Connection, receipt_id: bytes, author: bytes) -> None:
    """Note a receipt about another device's ops, to be passed down to its office."""
    insert_new(tx, receipt, [{"receipt_id": receipt_id, "author": author}])


def reopen_all(tx: Connection, *, now_ms: int) -> int:
    """The hub was restored and may have lost what we carried: offer all of it once more. Returns how many."""
    return tx.execute(update(relay).where(relay.c.state == SETTLED).values(state=PENDING, since_ms=now_ms)).rowcount


def take_up(tx: Connection, op_ids: Iterable[bytes], *, now_ms: int) -> None:
    """A comparison showed that the hub does not store these ops: offer those that are not our own, whoever wrote them.

    A hub put back from a backup has lost ops of its own and of machines that are no more; only their holders have them.
    """
    for part in steps(op_ids):
        tx.execute(update(relay).where(relay.c.op_id.in_(part)).values(state=PENDING, since_ms=now_ms))
        ours = select(outbox.c.op_id).where(outbox.c.op_id.in_(part))
        query = select(ops_table.c.id).where(ops_table.c.id.in_(part), ops_table.c.id.not_in(ours))
        rows = [
            {"op_id": op_id, "state": PENDING, "since_ms": now_ms}
            for op_id in tx.execute(query.order_by(ops_table.c.pos)).scalars()
        ]
        insert_new(tx, relay, rows)


def pending(tx: Connection) -> int:
    """How many carried ops are without the hub's word."""
    return tx.execute(select(func.count()).select_from(relay).where(relay.c.state == PENDING)).scalar_one()


class Carried:
    """The port `protocol.offers.OpsSource` over the relay; each answer is a read of its own."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._ranks = Ranks(lambda _tx: CARRIED, select(func.max(relay.c.pos)), now_ms)
        self._version = -1
        self._lowest: dict[int | None, int | None] = {}

    def offers(self, after: int, *, bytes_max: int, count_max: int, rank: int | None = None) -> list[tuple[int, bytes]]:
        with self._store.read() as tx:
            query = self._pending(tx, rank).where(relay.c.pos > after).limit(count_max)
            rows = [(pos, blob) for pos, blob in tx.execute(query)]
        return within(rows, bytes_max)

    def lowest_unsettled(self, rank: int | None = None) -> int | None:
        version = self._store.data_version()
        if version != self._version:
            with self._store.read() as tx:
                self._lowest = {None: self._first(tx, 0, None)}
                if self._lowest[None] is not None:
                    self._lowest |= {one: self._first(tx, 0, one) for one in RANKS}
            self._version = version
        return self._lowest.get(rank)

    def more(self, after: int, rank: int | None = None) -> bool:
        with self._store.read() as tx:
            return self._first(tx, after, rank) is not None

    def _first(self, tx: Connection, after: int, rank: int | None) -> int | None:
        query = self._pending(tx, rank).where(relay.c.pos > after).limit(1)
        found: int | None = tx.execute(query.with_only_columns(relay.c.pos)).scalar()
        return found

    def _pending(self, tx: Connection, rank: int | None) -> Any:
        """What waits, in order; of cases of this rank alone, if one is named."""
        query = (
            select(relay.c.pos, ops_table.c.blob)
            .join(ops_table, ops_table.c.id == relay.c.op_id)
            .where(relay.c.state == PENDING)
            .order_by(relay.c.pos)
        )
        if rank is None:
            return query
        if rank != REST:
            return query.where(ops_table.c.case_id.in_(self._ranks.of(tx, rank)))
        ranked = self._ranks.all(tx)
        return query.where(ops_table.c.case_id.not_in(ranked)) if ranked else query
