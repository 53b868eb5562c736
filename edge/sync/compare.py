"""The device's side of the nightly comparison: what it really stores, item by item, against what the hub stores for it.

For: answering comparison bodies; offering again what turns out to be missing at the hub.
May not: begin a comparison (the hub does); trust a counter: items are hashes over the stored bytes.
Spec: docs/protocol/reconcile.md.
"""

from __future__ import annotations

from collections import OrderedDict

from sqlalchemy import Connection, select

from conflict.ledger.schema import files, ops
from conflict.ledger.store import Store
from conflict.ledger.views import digests
from edge import outbox, purge, unsent
from edge.branch import relay
from edge.clock import Clock
from protocol import canonical
from protocol.errors import MalformedBytes
from protocol.reconcile import BODY_BYTES_MAX, NONCE_BYTES, Comparison, item_of

SESSIONS_MAX = 4  # comparisons under way; the oldest is given up for a new one


def stored_items(tx: Connection) -> dict[bytes, bytes | None]:
    """Every item that this store stands for; the op's id where the item is an op, else None. About 2 µs per op."""
    items: dict[bytes, bytes | None] = {}
    for op_id, blob in tx.execute(select(ops.c.id, ops.c.blob).execution_options(yield_per=500)):
        items[item_of(b"op", blob)] = op_id
    for case, digest in digests(tx).items():
        items[item_of(b"view", case + digest)] = None
    for sha256 in tx.execute(select(files.c.sha256).where(files.c.complete == 1)).scalars():
        items[item_of(b"file", sha256)] = None
    return items


class Answerer:
    """Comparisons that the hub has begun with this device."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._sessions: OrderedDict[bytes, tuple[Comparison, dict[bytes, bytes | None], int]] = OrderedDict()

    def answer(self, session: bytes, body: bytes) -> bytes | None:
        """The answer to one body, or None if nothing is due. A finished comparison offers again what the hub lacks.

        Raises:  MalformedBytes; the session is forgotten then, and the hub may begin another.
        """
        known = self._sessions.get(session)
        if known is None:
            with self._store.read() as tx:
                items = stored_items(tx)
                position = purge.last_position(tx)
            known = (Comparison(items, _nonce(body)), items, position)
            self._sessions[session] = known
            while len(self._sessions) > SESSIONS_MAX:
                self._sessions.popitem(last=False)
        comparison, items, position = known
        try:
            answer = comparison.receive(body)
        except MalformedBytes:
            del self._sessions[session]
            raise
        if comparison.done:
            del self._sessions[session]
            if not comparison.only_mine and not comparison.only_theirs:
                with self._store.write() as tx:
                    purge.note_equal(tx, position, now_ms=self._clock.now_ms())
                    unsent.told(tx)
            self._offer_again([op for item in comparison.only_mine if (op := items[item]) is not None])
        return answer

    def _offer_again(self, missing: list[bytes]) -> None:
        """Whoever wrote them: what the hub has lost of its own or of a machine that is no more, only its holders have."""
        if missing:
            with self._store.write() as tx:
                outbox.reopen_ops(tx, missing, now_ms=self._clock.now_ms())
                relay.take_up(tx, missing, now_ms=self._clock.now_ms())


def _nonce(body: bytes) -> bytes:
    value = canonical.decode(body, bytes_max=BODY_BYTES_MAX * 2)
    if not isinstance(value, list) or not value or type(value[0]) is not bytes or len(value[0]) != NONCE_BYTES:
        raise MalformedBytes("not a comparison body")
    return bytes(value[0])
