"""Streams: what goes down to an office, one ordered list per office, contiguous positions from 1.

For: adding ops, receipts and notices to streams; bringing whole cases into an office's scope; reading from a position.
May not: commit; decide who holds a case (hub.routing does).
Spec: docs/protocol/link.md, "Stream".  Decisions: 0006 (one stream per office), 0081 (scope).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, select, update

from conflict.ledger import schema as ledger
from conflict.ledger.statements import steps
from conflict.status import UNFINISHED
from hub import schema
from protocol.messages import OPS_MAX, STREAM_OP, STREAM_RECEIPT, Stream
from protocol.op import Op

LOOKED_AT = 2_000  # positions looked through at once for urgent cases
ITEM_BYTES = 12  # of framing around one stream item


@dataclass(frozen=True, slots=True)
class Item:
    """One thing on its way to an office. ref: op id for STREAM_OP, else the signed bytes themselves."""

    what: int
    author: bytes
    ref: bytes


def op_item(op: Op) -> Item:
    return Item(STREAM_OP, op.device, op.id)


def receipt_item(blob: bytes) -> Item:
    return Item(STREAM_RECEIPT, b"", blob)


def extend(tx: Connection, items: Mapping[str, Sequence[Item]]) -> None:
    """Put items at the ends of these offices' streams, in their order."""
    offices = sorted(office for office, some in items.items() if some)
    if not offices:
        return
    known = lengths(tx, offices)
    heads = dict.fromkeys(offices, 0) | known
    fresh = set(offices) - set(known)
    rows = [
        (office, heads[office] + at, one.what, one.author, one.ref)
        for office in offices
        for at, one in enumerate(items[office], start=1)
    ]
    _insert(tx, schema.stream, rows)
    if fresh:
        tx.execute(insert(schema.head), [{"office": one, "pos": len(items[one])} for one in offices if one in fresh])
    old = [{"b_office": one, "b_pos": heads[one] + len(items[one])} for one in offices if one not in fresh]
    if old:
        change = update(schema.head).where(schema.head.c.office == bindparam("b_office"))
        tx.execute(change.values(pos=bindparam("b_pos")), old)


def scopes(tx: Connection, cases: Iterable[bytes]) -> dict[bytes, set[str]]:
    """The offices that hold each of these cases so far."""
    held: dict[bytes, set[str]] = {case: set() for case in cases}
    for part in steps(held):
        for row in tx.execute(select(schema.scope).where(schema.scope.c.case_id.in_(part))):
            held[row.case_id].add(row.office)
    return held


def enter_scope(tx: Connection, pairs: Iterable[tuple[bytes, str]]) -> None:
    """Note that these offices hold these cases from now on. An office never leaves a case's scope again."""
    _insert(tx, schema.scope, list(pairs))


def cases_of(tx: Connection, office: str) -> list[bytes]:
    """Ids of the cases that an office holds, sorted: what a reconciliation compares."""
    query = select(schema.scope.c.case_id).where(schema.scope.c.office == office).order_by(schema.scope.c.case_id)
    return list(tx.scalars(query))


def all_of(tx: Connection, cases: Iterable[bytes]) -> dict[bytes, list[Item]]:
    """Every stored op of these cases as stream items, in order of arrival, also those that wait for a parent."""
    found: dict[bytes, list[Item]] = {case: [] for case in cases}
    for part in steps(found):
        query = select(ledger.ops.c.id, ledger.ops.c.case_id, ledger.ops.c.device)
        query = query.where(ledger.ops.c.case_id.in_(part)).order_by(ledger.ops.c.pos)
        for op_id, case, author in tx.execute(query):
            found[case].append(Item(STREAM_OP, author, op_id))
    return found


def length(tx: Connection, office: str) -> int:
    """The last position of an office's stream; 0 if nothing ever went down to it."""
    return tx.scalar(select(schema.head.c.pos).where(schema.head.c.office == office)) or 0


def lengths(tx: Connection, offices: Iterable[str] | None = None) -> dict[str, int]:
    """The last position of every stream, or of these offices' streams that have any."""
    if offices is None:
        return {row.office: row.pos for row in tx.execute(select(schema.head))}
    found: dict[str, int] = {}
    for part in steps(offices):
        found.update(
            (row.office, row.pos) for row in tx.execute(select(schema.head).where(schema.head.c.office.in_(part)))
        )
    return found


def read(
    tx: Connection, office: str, *, epoch: bytes, after: int, bytes_max: int, count_max: int, without: bytes
) -> Stream | None:
    """The positions behind `after`, as one message.

    Args:    bytes_max: of items together; at least one item goes whatever its size. count_max: of items.
             without: the receiver's incarnation: its own ops are left out, their positions are covered all the same.
    Returns: None at the end of the stream.
    """
    query = (
        select(
            schema.stream.c.pos, schema.stream.c.what, schema.stream.c.author, schema.stream.c.ref, ledger.ops.c.blob
        )
        .join_from(
            schema.stream,
            ledger.ops,
            (schema.stream.c.what == STREAM_OP) & (schema.stream.c.ref == ledger.ops.c.id),
            isouter=True,
        )
        .where(schema.stream.c.office == office, schema.stream.c.pos > after)
        .order_by(schema.stream.c.pos)
        .limit(count_max)
    )
    items: list[list[object]] = []
    last, size = after, 0
    for row in tx.execute(query):
        blob = row.blob if row.what == STREAM_OP else row.ref
        if row.author != without or row.what != STREAM_OP:
            size += len(blob) + ITEM_BYTES
            if items and size > bytes_max:
                break
            items.append([row.what, blob])
        last = row.pos
    return Stream(epoch, after + 1, last, items) if last > after else None


def sent_again(tx: Connection, office: str, *, after: int) -> set[bytes]:
    """Cases of which an op goes down behind this position without the name of its author: also to who wrote it."""
    query = select(ledger.ops.c.case_id).join(schema.stream, schema.stream.c.ref == ledger.ops.c.id).distinct()
    anonymous = (schema.stream.c.what == STREAM_OP) & (schema.stream.c.author == b"")
    return set(tx.scalars(query.where(schema.stream.c.office == office, schema.stream.c.pos > after, anonymous)))


def urgent_behind(
    tx: Connection, office: str, *, after: int, bytes_max: int, without: bytes
) -> tuple[int, list[bytes]]:
    """Ops of urgent unfinished cases from the positions behind `after`, and the position up to which that is all.

    Args:    bytes_max: of ops together. without: the receiver's incarnation: its own ops are left out.
    """
    end = min(length(tx, office), after + LOOKED_AT)
    query = (
        select(schema.stream.c.pos, ledger.ops.c.blob)
        .join_from(schema.stream, ledger.ops, schema.stream.c.ref == ledger.ops.c.id)
        .join(ledger.views, ledger.views.c.case_id == ledger.ops.c.case_id)
        .where(schema.stream.c.office == office, schema.stream.c.pos.between(after + 1, end))
        .where(schema.stream.c.what == STREAM_OP, schema.stream.c.author != without)
        .where(ledger.views.c.urgent == 1, ledger.views.c.status.in_(sorted(UNFINISHED)))
        .order_by(schema.stream.c.pos)
    )
    blobs: list[bytes] = []
    size = 0
    for pos, blob in tx.execute(query):
        size += len(blob)
        if len(blobs) == OPS_MAX or (blobs and size > bytes_max):
            return pos - 1, blobs
        blobs.append(blob)
    return end, blobs


def _insert(tx: Connection, table: Table, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows given as values in the order of the table's columns.

    Three rows of a stream go with each op, so on SQLite they are handed to the driver as they are: half the cost.
    """
    names = [column.name for column in table.columns]
    if rows and tx.dialect.name == "sqlite":
        marks = ", ".join("?" * len(names))
        tx.exec_driver_sql(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})", rows)
    elif rows:
        tx.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
