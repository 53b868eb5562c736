"""Contents: the bytes behind attach ops, asked for from the device that made the op, handed to offices that hold the case.

For: declaring what is wanted and from whom, taking chunks, serving chunks within an office's scope.
May not: commit; let an attachment delay an op (links send chunks last).
Spec: docs/protocol/chunks.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection, Row, exists, func, select

from conflict.kinds import OpKind
from conflict.ledger import files
from conflict.ledger import schema as ledger
from conflict.ledger.statements import insert_new
from hub import schema
from protocol import chunks
from protocol.op import ID_BYTES, Op
from protocol.roster import Device

NAMING = frozenset({OpKind.ATTACH, OpKind.KEEP_DUPLICATE})  # kinds of op that name files
LOOKED_AT = 200  # incomplete files considered for one want
OTHERS_FIRST = 4  # at every so many-th turn
WANTS_MAX = 4  # contents that one device is asked for in turn; the link asks for one at a time


def declare(tx: Connection, ops: Iterable[Op], *, now_ms: int) -> None:
    """Note the files that these ops name: they are wanted from the ops' authors until they are here.

    A kept case takes the materials of its duplicate over: its offices may fetch them too.
    """
    rows = []
    for op in ops:
        for sha256, size in named(op):
            files.declare_file(tx, sha256, size, now_ms=now_ms)
            rows.append({"sha256": sha256, "device": op.device, "case_id": op.case, "size": size})
    insert_new(tx, schema.file_source, rows)


def also_from(tx: Connection, ops: Iterable[Op], device: bytes) -> None:
    """A device carried these ops for others: the files that they name, if wanted, may be asked from it too."""
    rows = []
    for op in ops:
        for sha256, size in named(op) if op.kind in NAMING else ():
            here = (schema.file_source.c.sha256 == sha256) & (schema.file_source.c.case_id == op.case)
            if tx.execute(select(schema.file_source.c.size).where(here).limit(1)).first() is not None:
                rows.append({"sha256": sha256, "device": device, "case_id": op.case, "size": size})
    insert_new(tx, schema.file_source, rows)


def found_at(tx: Connection, device: Device, holds: Callable[[bytes], bool]) -> int:
    """A comparison showed what this device has: files that we lack and it holds may be asked from it too, if a case in
    its office's scope names them. The machine that named them may be no more, and we may have lost the bytes since.

    Args:    holds: whether the device has the file of this hash, whole.
    Returns: how many files.
    """
    source, scope = schema.file_source, schema.scope
    query = (
        select(source.c.sha256, source.c.case_id, source.c.size)
        .join(ledger.files, ledger.files.c.sha256 == source.c.sha256)
        .join(scope, scope.c.case_id == source.c.case_id)
        .where(ledger.files.c.complete == 0, scope.c.office == device.office)
        .distinct()
    )
    rows = [
        {"sha256": sha256, "device": device.incarnation, "case_id": case, "size": size}
        for sha256, case, size in tx.execute(query)
        if holds(sha256)
    ]
    insert_new(tx, schema.file_source, rows)
    return len({row["sha256"] for row in rows})


def wanted_from(
    tx: Connection, device: bytes, *, office: Collection[bytes] = (), turn: int = 0, limit: int = WANTS_MAX
) -> list[tuple[bytes, list[list[int]]]]:
    """Hash and missing ranges of what the hub lacks and this device may have: what only it has, then what somebody else is
    a source of too, each beginning with another one at each `turn`; at every fourth turn the other way round.

    A carrier may not have the bytes yet, and their author may have lost them: what cannot be given must keep neither its
    own kind nor the other waiting.

    Args:    office: names of its office's devices. What an earlier one named, this one may have: it may be the same
             machine under new keys, or have got the bytes from a hub that was put back from a backup since.
    """
    source = schema.file_source
    others = select(func.count(func.distinct(source.c.device))).where(source.c.sha256 == ledger.files.c.sha256)
    here = (source.c.sha256 == ledger.files.c.sha256) & (source.c.size == ledger.files.c.size)
    query = (
        select(
            ledger.files.c.id,
            ledger.files.c.sha256,
            ledger.files.c.size,
            others.scalar_subquery().label("sources"),
            exists().where(here, source.c.device == device).label("own"),
        )
        .where(ledger.files.c.complete == 0, exists().where(here, source.c.device.in_({device, *office})))
        .order_by(ledger.files.c.id)
        .limit(LOOKED_AT)
    )
    rows = tx.execute(query).all()
    alone = [row for row in rows if row.own and row.sources == 1]
    shared = [row for row in rows if not row.own or row.sources > 1]
    if turn % OTHERS_FIRST == OTHERS_FIRST - 1:
        chosen = [*_from(shared, turn // OTHERS_FIRST), *_from(alone, turn)][:limit]
    else:
        chosen = [*_from(alone, turn), *_from(shared, turn)][:limit]
    wants = [(row.sha256, files.missing_chunks(tx, row.sha256, row.size)) for row in chosen]
    return [(sha256, missing) for sha256, missing in wants if missing]


def _from(rows: Sequence[Row], turn: int) -> list[Row]:
    """The rows, beginning with another one at each turn."""
    begin = turn % len(rows) if rows else 0
    return [*rows[begin:], *rows[:begin]]


def is_named_by(tx: Connection, device: bytes, sha256: bytes) -> bool:
    """Whether an op of this device that counts names this file."""
    query = select(schema.file_source.c.size).where(
        schema.file_source.c.sha256 == sha256, schema.file_source.c.device == device
    )
    return tx.execute(query.limit(1)).first() is not None


def devices_with_wants(tx: Connection) -> set[bytes]:
    """Devices that must be asked for something."""
    query = (
        select(schema.file_source.c.device)
        .join(ledger.files, ledger.files.c.sha256 == schema.file_source.c.sha256)
        .where(ledger.files.c.complete == 0)
        .distinct()
    )
    return set(tx.scalars(query))


def piece(tx: Connection, office: str, sha256: bytes, index: int) -> tuple[int, bytes] | None:
    """(size of the whole, bytes) of a complete file that a case in this office's scope names; None otherwise."""
    query = (
        select(schema.file_source.c.size)
        .join(schema.scope, schema.scope.c.case_id == schema.file_source.c.case_id)
        .where(schema.file_source.c.sha256 == sha256, schema.scope.c.office == office)
        .limit(1)
    )
    size = tx.scalar(query)
    data = None if size is None else files.read_chunk(tx, sha256, index)
    return None if data is None or size is None else (size, data)


def named(op: Op) -> list[tuple[bytes, int]]:
    """Hash and size of the files that an op of a kind in NAMING names; malformed and oversized ones are left out."""
    entries = [op.body] if op.kind == OpKind.ATTACH else op.body.get("materials", [])
    found = [(entry.get("sha256"), entry.get("size")) for entry in entries if isinstance(entry, Mapping)]
    return [
        (sha256, size)
        for sha256, size in found
        if type(sha256) is bytes and len(sha256) == ID_BYTES and type(size) is int and 0 < size <= chunks.FILE_BYTES_MAX
    ]
