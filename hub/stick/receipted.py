"""Which ops have a receipt in the part of a stream that goes back to the device that offers them.

For: receipting a repeated op again only if its receipt lies behind the device's place, so that importing the same stick
twice adds nothing to any stream.
May not: write; judge an op.
Decision: docs/decisions/0110-sticks-and-receipts.md.
"""

from __future__ import annotations

from functools import cached_property

from sqlalchemy import select

from conflict.ledger.store import Store
from hub import carriers, schema
from protocol.messages import STREAM_RECEIPT
from protocol.op import Op
from protocol.roster import Device, Roster
from protocol.signed import peek_statement


class Receipted:
    """Looked up when first asked: most sticks bring only news."""

    def __init__(self, store: Store, device: Device, *, after: int) -> None:
        """`after`: the device's place in its office's stream."""
        self._store, self._device, self._after = store, device, after

    def lacks(self, op: Op, roster: Roster) -> bool:
        """Whether the device is owed a receipt about this stored op: its own or its office's, or one that it carries
        for an office that is or was below, and none is on its way."""
        ours = op.office == self._device.office or self._carries_for(op.office, roster)
        return ours and op.id not in self._named and not self._runs(op)

    def _carries_for(self, office: str, roster: Roster) -> bool:
        with self._store.read() as tx:
            return carriers.was_above(tx, roster, self._device.office, office)

    def _runs(self, op: Op) -> bool:
        return any(first <= op.seq <= last for first, last in self._said[0].get(op.device, ()))

    @property
    def _named(self) -> set[bytes]:
        return self._said[1]

    @cached_property
    def _said(self) -> tuple[dict[bytes, list[tuple[int, int]]], set[bytes]]:
        """Accepted runs by author, and ops that were refused or wait."""
        query = select(schema.stream.c.ref).where(
            schema.stream.c.office == self._device.office,
            schema.stream.c.pos > self._after,
            schema.stream.c.what == STREAM_RECEIPT,
        )
        with self._store.read() as tx:
            blobs = list(tx.scalars(query))
        runs: dict[bytes, list[tuple[int, int]]] = {}
        named: set[bytes] = set()
        for blob in blobs:
            said = peek_statement(blob, "receipt")  # our own, from our own store
            runs.setdefault(said["author"], []).extend((first, last) for first, last, _op in said["accepted"])
            named |= {row[0] for row in (*said["refused"], *said["waiting"])}
        return runs, named
