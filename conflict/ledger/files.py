"""Attachments by content: declared by hash and size, filled chunk by chunk, whole only when the hash is right.

For: resuming after any break, sharing one file among ops, telling what is missing.
May not: know which op uses a file, or ask a peer for anything.
Spec: docs/operating/storage.md, "Files"; chunk arithmetic: protocol/chunks.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

from sqlalchemy import Connection, Row, delete, func, select, update

from conflict.ledger.schema import file_chunks, files
from conflict.ledger.statements import insert_new
from protocol import chunks
from protocol.errors import LocalProtocolError, TooLarge

HASH_BYTES = 32


def declare_file(tx: Connection, sha256: bytes, size: int, *, now_ms: int) -> bool:
    """Say that a file of this hash and size belongs here; True if its bytes are complete already. Repeats are harmless.

    Raises:  TooLarge beyond FILE_BYTES_MAX or for a negative size; LocalProtocolError for a hash not of 32 bytes.
    """
    if len(sha256) != HASH_BYTES:
        raise LocalProtocolError("a file is named by 32 bytes")
    if not 0 <= size <= chunks.FILE_BYTES_MAX:
        raise TooLarge(f"a file of {size} bytes, at most {chunks.FILE_BYTES_MAX} are allowed")
    empty = size == 0 and hashlib.sha256(b"").digest() == sha256
    insert_new(tx, files, [{"sha256": sha256, "size": size, "complete": int(empty), "declared_ms": now_ms}])
    return has_file(tx, sha256)


def save_file(tx: Connection, content: bytes, *, now_ms: int) -> bytes:
    """Keep a whole file; returns its SHA-256. The same content again changes nothing.

    Raises:  TooLarge.
    """
    sha256 = hashlib.sha256(content).digest()
    if declare_file(tx, sha256, len(content), now_ms=now_ms):
        return sha256
    file_id = tx.execute(select(files.c.id).where(files.c.sha256 == sha256, files.c.size == len(content))).scalar_one()
    rows = [{"file_id": file_id, "number": number, "blob": piece} for number, piece in chunks.pieces(content)]
    tx.execute(delete(file_chunks).where(file_chunks.c.file_id == file_id))
    insert_new(tx, file_chunks, rows)
    tx.execute(update(files).where(files.c.id == file_id).values(complete=1))
    return sha256


def put_chunk(
    tx: Connection, sha256: bytes, number: int, data: bytes
) -> Literal["unknown", "unfit", "repeat", "stored", "complete", "mismatch"]:
    """Keep one chunk of a declared file.

    Returns: "unknown": nobody declared this file. "unfit": no declared size has a chunk of this number and length.
             "repeat": held already (or the whole file is). "stored": kept, others are missing. "complete": it was the
             last one and the hash is right. "mismatch": it was the last one and the hash is wrong; all chunks of that
             file are dropped, to be asked for again.
    """
    declared = tx.execute(select(files).where(files.c.sha256 == sha256)).all()
    if not declared:
        return "unknown"
    if any(file.complete for file in declared):
        return "repeat"
    fitting = [file for file in declared if chunks.fits(file.size, number, data)]
    if not fitting:
        return "unfit"
    results = [_put(tx, file, number, data) for file in fitting]
    for best in ("complete", "mismatch", "stored"):
        if best in results:
            return best  # type: ignore[return-value]
    return "repeat"


def missing_chunks(tx: Connection, sha256: bytes, size: int) -> list[list[int]]:
    """Chunk numbers of a declared file that are not here, as inclusive ranges; empty when it is complete.

    An undeclared file lacks everything.
    """
    count = chunks.count_of(size)
    if has_file(tx, sha256) or count == 0:
        return []
    named = select(files.c.id).where(files.c.sha256 == sha256, files.c.size == size)
    numbers = select(file_chunks.c.number).where(file_chunks.c.file_id.in_(named))
    held = set(tx.execute(numbers).scalars())
    return chunks.ranges(number for number in range(count) if number not in held)


def has_file(tx: Connection, sha256: bytes) -> bool:
    """Whether the whole, verified file is here."""
    query = select(files.c.id).where(files.c.sha256 == sha256, files.c.complete == 1)
    return tx.execute(query).first() is not None


def read_file(tx: Connection, sha256: bytes) -> bytes | None:
    """The content of a complete file, at most 20 MiB; None if it is not complete here."""
    file = tx.execute(select(files.c.id).where(files.c.sha256 == sha256, files.c.complete == 1)).first()
    return None if file is None else b"".join(_blobs(tx, file.id))


def read_chunk(tx: Connection, sha256: bytes, number: int) -> bytes | None:
    """One chunk of a complete file, for a peer that wants it."""
    query = (
        select(file_chunks.c.blob)
        .join(files, files.c.id == file_chunks.c.file_id)
        .where(files.c.sha256 == sha256, files.c.complete == 1, file_chunks.c.number == number)
    )
    return tx.execute(query).scalar()


def incomplete_files(tx: Connection, *, limit: int = 100, newest: bool = False) -> list[tuple[int, bytes, int]]:
    """(row, hash, size) of declared files whose bytes are not complete, in order of declaration or, newest, from its end."""
    query = select(files.c.id, files.c.sha256, files.c.size).where(files.c.complete == 0)
    whole = select(files.c.sha256).where(files.c.complete == 1)
    order = files.c.id.desc() if newest else files.c.id
    query = query.where(files.c.sha256.not_in(whole)).order_by(order).limit(limit)
    return [(row.id, row.sha256, row.size) for row in tx.execute(query)]


def file_totals(tx: Connection) -> dict[str, int]:
    """Counts and bytes for a status line: complete, complete_bytes, incomplete."""
    rows = tx.execute(select(files.c.complete, func.count(), func.sum(files.c.size)).group_by(files.c.complete)).all()
    by_state = {complete: (count, int(total)) for complete, count, total in rows}
    count, total = by_state.get(1, (0, 0))
    return {"complete": count, "complete_bytes": total, "incomplete": by_state.get(0, (0, 0))[0]}


def _put(tx: Connection, file: Row, number: int, data: bytes) -> str:
    held = select(file_chunks.c.id).where(file_chunks.c.file_id == file.id, file_chunks.c.number == number)
    if tx.execute(held).first() is not None:
        return "repeat"
    insert_new(tx, file_chunks, [{"file_id": file.id, "number": number, "blob": data}])
    held_now = select(func.count()).select_from(file_chunks).where(file_chunks.c.file_id == file.id)
    if tx.execute(held_now).scalar_one() < chunks.count_of(file.size):
        return "stored"
    digest = hashlib.sha256()
    for blob in _blobs(tx, file.id):
        digest.update(blob)
    if digest.digest() == file.sha256:
        tx.execute(update(files).where(files.c.id == file.id).values(complete=1))
        return "complete"
    tx.execute(delete(file_chunks).where(file_chunks.c.file_id == file.id))
    return "mismatch"


def _blobs(tx: Connection, file_id: int) -> Iterator[bytes]:
    query = select(file_chunks.c.blob).where(file_chunks.c.file_id == file_id).order_by(file_chunks.c.number)
    yield from tx.execute(query).scalars()
