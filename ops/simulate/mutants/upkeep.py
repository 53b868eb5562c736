"""Planted bugs of an office's keeping of its disk and of sticks: purged too early, quota forgotten, old and foreign files.

For: mutants of edge/purge.py, edge/unsent.py, and of what both sides do with bundles and documents.
May not: be imported by the product.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from unittest import mock

from sqlalchemy import delete, select

from conflict.ledger import schema as ledger
from conflict.ledger import sqlite
from conflict.ledger.meta import StoredDocument, save_document
from edge import purge, salvage, unsent
from edge.schema import outbox
from edge.stick import taking as edge_taking
from edge.sync import intake
from edge.sync.wanted import Wanted
from hub.stick import taking as hub_taking
from ops.simulate.mutants import runs
from ops.simulate.mutants.ledger import no_dedup
from ops.simulate.mutants.mutant import DIVERGED, DOUBLED, LOST, SILENT, Mutant, Swap
from protocol.carriers import bundle
from protocol.carriers.bundle_errors import BundleDamaged, BundleTruncated
from protocol.carriers.bundle_format import read_records
from protocol.documents import open_document
from protocol.envelope import peek_parties


def _purged_unsettled() -> list[Swap]:
    return [(purge, "_may_go", lambda tx, case, equal: True)]


def _purged_uncompared() -> list[Swap]:
    def may_go(tx: Any, case: bytes, equal: int) -> bool:
        """Receipts are enough."""
        query = select(outbox.c.seq).where(outbox.c.case_id == case, outbox.c.state.not_in(("accepted", "refused")))
        return tx.execute(query.limit(1)).first() is None

    return [(purge, "_may_go", may_go)]


def _purged_with_shared_files() -> list[Swap]:
    real_drop, real_named = purge._drop_files, purge._named

    def drop_files(tx: Any, cases: list[bytes]) -> int:
        asked: list[Any] = []

        def named(tx: Any, where: Any) -> set[bytes]:
            asked.append(where)
            return real_named(tx, where) if len(asked) == 1 else set()  # what other cases name is not looked at

        with mock.patch.object(purge, "_named", named):
            return real_drop(tx, cases)

    return [(purge, "_drop_files", drop_files)]


def _fetch_forgotten() -> list[Swap]:
    real = purge.to_tell
    return [(purge, "to_tell", lambda tx, *, limit: (real(tx, limit=limit)[0], []))]


def _damage_unseen() -> list[Swap]:
    return [(sqlite, "problems", lambda connection, *, full: [])]


def _salvage_gives_up() -> list[Swap]:
    def rows(damaged: Any, table: str, key: str, columns: str) -> Iterator[tuple[Any, ...]]:
        try:
            yield from damaged.execute(f"SELECT {columns} FROM {table} ORDER BY {key}")
        except sqlite3.DatabaseError:
            return  # the first record that cannot be read counts as the end

    return [(salvage, "_rows", rows)]


def _quota_of_nobody() -> list[Swap]:
    return [(unsent, "add", lambda tx, ops: None)]


def _stick_counts_again() -> list[Swap]:
    real = hub_taking._Taking.file

    def file(self: Any, path: Any) -> None:
        with ExitStack() as stack:
            for owner, name, replacement in no_dedup():
                stack.enter_context(mock.patch.object(owner, name, replacement))
            real(self, path)

    return [(hub_taking._Taking, "file", file)]


def _foreign_stick_read() -> list[Swap]:
    real = edge_taking._Taking.file

    def file(self: Any, path: Any) -> None:
        own = self._node.keys.incarnation
        with mock.patch.object(edge_taking, "peek_parties", lambda envelope: (*peek_parties(envelope)[:2], own)):
            real(self, path)

    return [(edge_taking._Taking, "file", file)]


def _cut_stick_taken() -> list[Swap]:
    def records(file: Any, digest: Any) -> Iterator[bytes]:
        try:
            yield from read_records(file, digest)
        except (BundleTruncated, BundleDamaged):
            return  # what was read so far is taken for all

    return [(bundle, "read_records", records)]


def _older_document_taken() -> list[Swap]:
    real = Wanted.offer_documents

    def offer_documents(self: Any, offered: Any, held: Any) -> None:
        for row in offered:
            real(self, [row], {row[0]: row[2]})  # as if nothing newer were held

    def take_document(tx: Any, blob: bytes, trust: Any, *, arrived_ms: int) -> Any:
        opened = open_document(blob, trust)
        docs = ledger.documents
        tx.execute(delete(docs).where(docs.c.kind == opened.kind, docs.c.version > opened.version))
        stored = StoredDocument(opened.kind, opened.version, opened.base_version, opened.issued_ms, blob)
        save_document(tx, stored, arrived_ms=arrived_ms)
        return opened

    return [(Wanted, "offer_documents", offer_documents), (intake, "take_document", take_document)]


UPKEEP = (
    Mutant(
        "purged_unsettled",
        "edge/purge.py",
        "a concluded case is purged although the hub has said nothing of its last ops",
        LOST,
        "of which the hub has said nothing",
        _purged_unsettled,
        runs.PURGES,
    ),
    Mutant(
        "purged_uncompared",
        "edge/purge.py",
        "a concluded case is purged once its ops have receipts, before a comparison has shown that its files arrived",
        LOST,
        "which the hub does not hold",
        _purged_uncompared,
        runs.PURGES,
    ),
    Mutant(
        "purged_with_shared_files",
        "edge/purge.py",
        "a purge deletes the bytes of a file that another case names too",
        LOST,
        "which another case here names",
        _purged_with_shared_files,
        runs.PURGES,
    ),
    Mutant(
        "fetch_forgotten",
        "edge/purge.py",
        "a purged case that somebody asks for is never asked for at the hub",
        DIVERGED,
        "it has not come",
        _fetch_forgotten,
        runs.PURGES,
    ),
    Mutant(
        "damage_unseen",
        "conflict/ledger/sqlite.py",
        "a daemon starts on a store with torn pages and takes what they hold for whole",
        LOST,
        "is left with a damaged store",
        _damage_unseen,
        runs.DAMAGE,
    ),
    Mutant(
        "salvage_gives_up",
        "edge/salvage.py",
        "what comes after a torn record is not read when a damaged store is rebuilt",
        LOST,
        "which could be read",
        _salvage_gives_up,
        runs.DAMAGE,
    ),
    Mutant(
        "quota_of_nobody",
        "edge/unsent.py",
        "an attachment counts against nobody's quota",
        SILENT,
        "more than it may",
        _quota_of_nobody,
        runs.QUOTA,
    ),
    Mutant(
        "stick_counts_again",
        "hub/stick/taking.py",
        "the ops of a stick that is put in a second time count as new",
        DOUBLED,
        "goes down to",
        _stick_counts_again,
        runs.OLD_STICKS,
    ),
    Mutant(
        "foreign_stick_read",
        "edge/stick/taking.py",
        "an office's device takes a stick that answers another device for its own",
        DIVERGED,
        "is for somebody else",
        _foreign_stick_read,
        runs.OLD_STICKS,
    ),
    Mutant(
        "cut_stick_taken",
        "protocol/carriers/bundle.py",
        "a record is read up to where the file is cut off, and that counts as the whole",
        DIVERGED,
        "was cut off",
        _cut_stick_taken,
        runs.OLD_STICKS,
    ),
    Mutant(
        "older_document_taken",
        "edge/reference.py, edge/sync/wanted.py",
        "an older signed document takes the place of a newer one",
        DIVERGED,
        "has taken an older",
        _older_document_taken,
        runs.OLD_STICKS,
    ),
)
