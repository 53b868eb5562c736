"""Small facts of a node by key, and the signed reference documents by kind and version.

For: `get`/`put` of canonical values that belong in the same transaction as the work they are about; documents kept as
the bytes that the hub signed.
May not: open or judge a document (protocol/documents.py does, before it is saved here).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select

from conflict.ledger.schema import documents
from conflict.ledger.schema import meta as meta_table
from conflict.ledger.statements import insert_new, put
from protocol import canonical

# Made once, since every turn of a loop reads several small facts: building it anew costs more than the read.
_VALUE = select(meta_table.c.value).where(meta_table.c.key == bindparam("key"))


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """One signed document as it came. base_version: the version that it is a change of, 0 if it is whole."""

    kind: str
    version: int
    base_version: int
    issued_ms: int
    blob: bytes


def get_meta(tx: Connection, key: str, default: Any = None) -> Any:
    """The value of `key`, or `default`."""
    value = tx.execute(_VALUE, {"key": key}).scalar()
    return default if value is None else canonical.decode(value)


def put_meta(tx: Connection, key: str, value: Any) -> None:
    """Set `key`. The value is anything that has a canonical form (protocol/canonical.py)."""
    put(tx, meta_table, [{"key": key, "value": canonical.encode(value)}])


def delete_meta(tx: Connection, key: str) -> None:
    """Forget `key`; nothing happens if it is not there."""
    tx.execute(delete(meta_table).where(meta_table.c.key == key))


def save_document(tx: Connection, document: StoredDocument, *, arrived_ms: int) -> None:
    """Keep a verified document. The same kind and version again changes nothing: versions are never reused."""
    row = {
        "kind": document.kind,
        "version": document.version,
        "base_version": document.base_version,
        "issued_ms": document.issued_ms,
        "arrived_ms": arrived_ms,
        "blob": document.blob,
    }
    insert_new(tx, documents, [row])


def document(tx: Connection, kind: str, version: int | None = None) -> StoredDocument | None:
    """The document of this kind and version, or of the highest version held."""
    query = select(documents).where(documents.c.kind == kind)
    query = (
        query.order_by(documents.c.version.desc()).limit(1)
        if version is None
        else query.where(documents.c.version == version)
    )
    row = tx.execute(query).first()
    return None if row is None else _document(row)


def documents_after(tx: Connection, kind: str, version: int = 0) -> list[StoredDocument]:
    """The documents of this kind above `version`, lowest first."""
    query = (
        select(documents).where(documents.c.kind == kind, documents.c.version > version).order_by(documents.c.version)
    )
    return [_document(row) for row in tx.execute(query)]


def document_versions(tx: Connection) -> dict[str, int]:
    """The highest version held of every kind."""
    newest: dict[str, int] = {}
    for kind, version in tx.execute(select(documents.c.kind, documents.c.version).order_by(documents.c.version)):
        newest[kind] = version
    return newest


def _document(row: Row) -> StoredDocument:
    return StoredDocument(row.kind, row.version, row.base_version, row.issued_ms, row.blob)
