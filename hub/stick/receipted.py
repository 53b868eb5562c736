"""Which ops of a device have a receipt in the part of its stream that goes back to it.

For: receipting a repeated op again only if its receipt lies behind the device's place, so that importing the same stick
twice adds nothing to any stream.
May not: write; judge an op.
Decision: docs/decisions/0110-sticks-and-receipts.md.
"""

from __future__ import annotations

from functools import cached_property

from sqlalchemy import select

from conflict.ledger.store import Store
from hub import schema
from protocol.messages import STREAM_RECEIPT
from protocol.op import Op
from protocol.roster import Device
from protocol.signed import peek_statement


class Receipted:
    """Looked up when first asked: most sticks bring only news."""

    def __init__(self, store: Store, device: Device, *, after: int) -> None:
        """`after`: the device's place in its office's stream."""
        self._store, self._device, self._after = store, device, after

    def __contains__(self, op: Op) -> bool:
        runs, refused = self._said
        return op.id in refused or any(first <= op.seq <= last for first, last in runs)

    @cached_property
    def _said(self) -> tuple[list[tuple[int, int]], set[bytes]]:
        query = select(schema.stream.c.ref).where(
            schema.stream.c.office == self._device.office,
            schema.stream.c.pos > self._after,
            schema.stream.c.what == STREAM_RECEIPT,
        )
        runs: list[tuple[int, int]] = []
        refused: set[bytes] = set()
        with self._store.read() as tx:
            blobs = list(tx.scalars(query))
        for blob in blobs:
            said = peek_statement(blob, "receipt")  # our own, from our own store
            if said["author"] == self._device.incarnation:
                runs += [(first, last) for first, last, _op in said["accepted"]]
                refused |= {row[0] for row in said["refused"]}
        return runs, refused
