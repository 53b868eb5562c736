"""Streams: what goes down from a township to an office of its branch, contiguous positions from 1.

For: following the ledger: every op of the office's cases and every receipt about its ops, in the order they came here.
May not: commit; be written by whoever stores ops: it is caught up from the ledger, so no way of storing can forget it.
Spec: docs/protocol/link.md, "Carrying for others".  Decision: docs/decisions/0122-streams-from-the-ledger.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, func, select

from conflict.kinds import OpKind
from conflict.ledger import schema as ledger
from conflict.ledger.meta import get_meta, put_meta
from conflict.ledger.statements import insert_new, put, steps
from edge.branch import schema
from protocol import chunks
from protocol.messages import STREAM_OP, STREAM_RECEIPT, Stream
from protocol.op import ID_BYTES, parse_op

EPOCH = "branch.epoch"
STEP = 1_000  # ops or receipts looked through in one transaction
ITEM_BYTES = 12  # of framing around one stream item


def epoch_of(tx: Connection) -> bytes:
    """The epoch of our streams; empty before the first was made."""
    found: bytes = get_meta(tx, EPOCH, b"")
    return found


def begin_epoch(tx: Connection, epoch: bytes) -> None:
    """A new epoch: every device of the branch starts over at 0, which repeats and loses nothing."""
    put_meta(tx, EPOCH, epoch)


def serve(tx: Connection, office: str) -> None:
    """Begin a stream for an office, if it has none."""
    insert_new(tx, schema.head, [{"office": office, "pos": 0, "ops_seen": 0, "receipts_seen": 0}])


def lengths(tx: Connection) -> dict[str, int]:
    """The last position of every stream."""
    return {row.office: row.pos for row in tx.execute(select(schema.head))}


def behind(tx: Connection) -> list[str]:
    """Offices whose streams have not seen everything that the store holds."""
    ops = tx.execute(select(func.max(ledger.ops.c.pos))).scalar() or 0
    receipts = tx.execute(select(func.max(schema.receipt.c.pos))).scalar() or 0
    lagging = (schema.head.c.ops_seen < ops) | (schema.head.c.receipts_seen < receipts)
    return list(tx.execute(select(schema.head.c.office).where(lagging).order_by(schema.head.c.office)).scalars())


def catch_up(tx: Connection, office: str, devices: Collection[bytes]) -> None:
    """Put what came since into the office's stream, one step; `behind` says whether there is more.

    Args:    devices: every incarnation that the office has had.
    """
    row = tx.execute(select(schema.head).where(schema.head.c.office == office)).one()
    items, ops_seen = _ops_since(tx, office, row.ops_seen)
    query = select(schema.receipt).where(schema.receipt.c.pos > row.receipts_seen)
    receipts = tx.execute(query.order_by(schema.receipt.c.pos).limit(STEP)).all()
    items += [(STREAM_RECEIPT, b"", one.receipt_id) for one in receipts if one.author in devices]
    rows = [
        {"office": office, "pos": row.pos + at, "what": what, "author": author, "ref": ref}
        for at, (what, author, ref) in enumerate(items, 1)
    ]
    insert_new(tx, schema.stream, rows)
    seen = receipts[-1].pos if receipts else row.receipts_seen
    put(
        tx,
        schema.head,
        [{"office": office, "pos": row.pos + len(rows), "ops_seen": ops_seen, "receipts_seen": seen}],
    )


def _ops_since(tx: Connection, office: str, after: int) -> tuple[list[tuple[int, bytes, bytes]], int]:
    """Items for ops behind an arrival position, whole cases where the office takes part only now; and how far we got."""
    query = select(ledger.ops.c.pos, ledger.ops.c.id, ledger.ops.c.case_id, ledger.ops.c.device)
    rows = tx.execute(query.where(ledger.ops.c.pos > after).order_by(ledger.ops.c.pos).limit(STEP)).all()
    if not rows:
        return [], after
    last = rows[-1].pos
    cases = {row.case_id for row in rows}
    held = _among(tx, schema.scope.c.case_id, schema.scope.c.office == office, cases)
    now = _among(tx, ledger.case_offices.c.case_id, ledger.case_offices.c.office == office, cases - held)
    items: list[tuple[int, bytes, bytes]] = []
    entered: set[bytes] = set()
    for row in rows:
        if row.case_id in held:
            items.append((STREAM_OP, row.device, row.id))
        elif row.case_id in now and row.case_id not in entered:
            entered.add(row.case_id)
            whole = query.where(ledger.ops.c.case_id == row.case_id, ledger.ops.c.pos <= last)
            items += [(STREAM_OP, one.device, one.id) for one in tx.execute(whole.order_by(ledger.ops.c.pos))]
    insert_new(tx, schema.scope, [{"office": office, "case_id": case} for case in sorted(entered)])
    _note_files(tx, [ref for _what, _author, ref in items])
    return items, last


def _among(tx: Connection, column: object, where: object, cases: Iterable[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for part in steps(cases):
        found.update(tx.execute(select(column).where(where, column.in_(part))).scalars())  # type: ignore[attr-defined, call-overload]
    return found


def _note_files(tx: Connection, op_ids: Iterable[bytes]) -> None:
    """Which device's op names which file, for the ops of these."""
    rows = []
    for part in steps(op_ids):
        for blob in tx.execute(select(ledger.ops.c.blob).where(ledger.ops.c.id.in_(part))).scalars():
            op = parse_op(blob)
            sha256, size = op.body.get("sha256"), op.body.get("size")
            if op.kind != OpKind.ATTACH or type(sha256) is not bytes or type(size) is not int:
                continue
            if len(sha256) == ID_BYTES and 0 < size <= chunks.FILE_BYTES_MAX:
                rows.append({"sha256": sha256, "device": op.device, "case_id": op.case, "size": size})
    insert_new(tx, schema.file, rows)


def read(
    tx: Connection, office: str, *, epoch: bytes, after: int, bytes_max: int, count_max: int, without: bytes
) -> Stream | None:
    """The positions behind `after`, as one message; None at the end of the stream.

    Args:    without: the receiver's incarnation: its own ops are left out, their positions are covered all the same.
    """
    op, receipt = ledger.ops, ledger.receipts
    is_op = schema.stream.c.what == STREAM_OP
    query = (
        select(schema.stream, op.c.blob.label("op_blob"), receipt.c.blob.label("receipt_blob"))
        .outerjoin(op, is_op & (op.c.id == schema.stream.c.ref))
        .outerjoin(receipt, ~is_op & (receipt.c.id == schema.stream.c.ref))
        .where(schema.stream.c.office == office, schema.stream.c.pos > after)
        .order_by(schema.stream.c.pos)
        .limit(count_max)
    )
    items: list[list[object]] = []
    last, size = after, 0
    for row in tx.execute(query):
        blob = row.op_blob if row.what == STREAM_OP else row.receipt_blob
        if blob is not None and not (row.what == STREAM_OP and row.author == without):
            size += len(blob) + ITEM_BYTES
            if items and size > bytes_max:
                break
            items.append([row.what, blob])
        last = row.pos
    return Stream(epoch, after + 1, last, items) if last > after else None


def files_of(tx: Connection, device: bytes, *, before_ms: int, limit: int = 100) -> list[tuple[bytes, int]]:
    """(hash, size) of incomplete files that this device's ops name and that were declared before, newest first."""
    query = (
        select(ledger.files.c.id, ledger.files.c.sha256, ledger.files.c.size)
        .join(
            schema.file, (schema.file.c.sha256 == ledger.files.c.sha256) & (schema.file.c.size == ledger.files.c.size)
        )
        .where(schema.file.c.device == device, ledger.files.c.complete == 0, ledger.files.c.declared_ms <= before_ms)
        .order_by(ledger.files.c.id.desc())
        .distinct()
        .limit(limit)
    )
    return [(row.sha256, row.size) for row in tx.execute(query)]


def may_have(tx: Connection, office: str, sha256: bytes) -> int | None:
    """The size of a file that a case of this office names, or None if none does."""
    query = (
        select(schema.file.c.size)
        .join(schema.scope, schema.scope.c.case_id == schema.file.c.case_id)
        .where(schema.file.c.sha256 == sha256, schema.scope.c.office == office)
        .limit(1)
    )
    found: int | None = tx.execute(query).scalar()
    return found
