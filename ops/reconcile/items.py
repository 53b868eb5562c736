"""What the hub compares for one office: an item per stored op, view and verified file of the cases in its scope.

For: the hub's set; finding which op, case or file an item stands for.
May not: trust an op's id that is kept beside its bytes: a changed byte must show.
Spec: docs/protocol/reconcile.md.  The device's side: edge/sync/compare.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select

from conflict.kinds import OpKind
from conflict.ledger import schema as ledger
from conflict.ledger.statements import steps
from conflict.ledger.views import digests
from protocol.op import parse_op
from protocol.reconcile import item_of

OP, VIEW, FILE = "op", "view", "file"


@dataclass(frozen=True, slots=True)
class Thing:
    """A stored op, view or file. name: op id, case id or hash. device: of the op's author (empty for the others)."""

    tag: str
    name: bytes
    item: bytes
    device: bytes = b""


def things(tx: Connection, cases: Iterable[bytes]) -> Iterator[Thing]:
    """Every stored op of these cases, their views, and the verified files that their ops attach. About 10 µs an op."""
    chosen = list(cases)
    attached: set[bytes] = set()
    for part in steps(chosen):
        query = select(ledger.ops.c.id, ledger.ops.c.device, ledger.ops.c.blob).where(ledger.ops.c.case_id.in_(part))
        for row in tx.execute(query.order_by(ledger.ops.c.pos).execution_options(yield_per=500)):
            yield Thing(OP, row.id, item_of(b"op", row.blob), row.device)
            if OpKind.ATTACH.encode() in row.blob:
                attached |= _attached(row.blob)
    for case, digest in digests(tx, chosen).items():
        yield Thing(VIEW, case, item_of(b"view", case + digest))
    for part in steps(sorted(attached)):
        whole = select(ledger.files.c.sha256).where(ledger.files.c.sha256.in_(part), ledger.files.c.complete == 1)
        for sha256 in tx.execute(whole.distinct()).scalars():
            yield Thing(FILE, sha256, item_of(b"file", sha256))


def _attached(blob: bytes) -> set[bytes]:
    """The hash of the file that this op attaches, if it does."""
    op = parse_op(blob)
    named = op.body.get("sha256") if op.kind == OpKind.ATTACH else None
    return {named} if isinstance(named, bytes) else set()
