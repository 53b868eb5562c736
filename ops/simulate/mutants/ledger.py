"""Planted bugs of the ledger: what is synced, what is stored twice, who waits for whom, what counts as a whole file.

For: mutants of conflict/ledger/.
May not: be imported by the product.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from conflict.ledger import append, files, sqlite, waiting
from conflict.ledger.schema import file_chunks
from conflict.ledger.schema import files as files_table
from conflict.ledger.statements import insert_new
from hub import intake as hub_intake
from ops.simulate.mutants import runs
from ops.simulate.mutants.mutant import DIVERGED, DOUBLED, LOST, SILENT, Mutant, Swap
from protocol import chunks


def _not_synced() -> list[Swap]:
    rest = tuple(one for one in sqlite._SETTINGS if one[0] != "synchronous")
    return [(sqlite, "_SETTINGS", (("synchronous", "NORMAL", 1), *rest))]


def no_dedup() -> list[Swap]:
    """A second copy of an op counts as a new op of its case; also for the mutant of sticks."""
    real = append._insert

    def insert(tx: Any, rows: list[dict[str, Any]]) -> dict[bytes, bool]:
        held = real(tx, rows)
        return {row["id"]: held[row["id"]] for row in rows if row["id"] in held and row["id"] == row["case_id"]}

    return [(append, "_insert", insert), (hub_intake, "_stored", lambda tx, pairs: {})]


def _never_woken() -> list[Swap]:
    return [(waiting, "wake", lambda tx, ready: {})]


def _whole_when_cut() -> list[Swap]:
    def put(tx: Any, file: Any, number: int, data: bytes) -> str:
        insert_new(tx, file_chunks, [{"file_id": file.id, "number": number, "blob": data}])
        if number < chunks.count_of(file.size) - 1:
            return "stored"
        tx.execute(update(files_table).where(files_table.c.id == file.id).values(complete=1))
        return "complete"  # the last piece is here, whatever became of the others

    return [(files, "_put", put)]


def _hash_not_checked() -> list[Swap]:
    real = files._put

    def put(tx: Any, file: Any, number: int, data: bytes) -> str:
        result = real(tx, file, number, data)
        if result == "mismatch":
            insert_new(tx, file_chunks, [{"file_id": file.id, "number": number, "blob": data}])
            tx.execute(update(files_table).where(files_table.c.id == file.id).values(complete=1))
            return "complete"
        return result

    return [(files, "_put", put)]


def _wrong_index() -> list[Swap]:
    real = files.read_chunk

    def read_chunk(tx: Any, sha256: bytes, number: int) -> bytes | None:
        query = select(files_table.c.size).where(files_table.c.sha256 == sha256, files_table.c.complete == 1)
        last = chunks.count_of(tx.execute(query).scalar() or 0) - 1
        swapped = {0: 1, 1: 0}.get(number, number) if last > 1 else number  # full pieces only: they look alike
        return real(tx, sha256, swapped)

    from edge.sync import source

    return [(files, "read_chunk", read_chunk), (source, "read_chunk", read_chunk)]


LEDGER = (
    Mutant(
        "not_synced",
        "conflict/ledger/sqlite.py",
        "a commit returns before the disk was asked to sync it",
        LOST,
        "op ",
        _not_synced,
        runs.POWER,
    ),
    Mutant(
        "no_dedup",
        "conflict/ledger/append.py, hub/intake.py",
        "a second copy of an op counts as a new op of its case",
        DOUBLED,
        "goes down to",
        no_dedup,
        runs.GAPS,
    ),
    Mutant(
        "never_woken",
        "conflict/ledger/waiting.py",
        "an op that waits for its parent goes on waiting when the parent comes",
        SILENT,
        "waits at the hub for nothing",
        _never_woken,
        runs.HUB_BACK,
    ),
    Mutant(
        "whole_when_cut",
        "conflict/ledger/files.py",
        "a file counts as whole when its last piece is here, although others were cut off",
        LOST,
        "counts as whole at",
        _whole_when_cut,
        runs.SCANS,
    ),
    Mutant(
        "hash_not_checked",
        "conflict/ledger/files.py",
        "a file counts as whole when all its pieces are here, whatever they hash to",
        LOST,
        "counts as whole at",
        _hash_not_checked,
        runs.SCANS,
    ),
    Mutant(
        "wrong_index",
        "conflict/ledger/files.py",
        "pieces of a file are served under the numbers of others",
        DIVERGED,
        "file ",
        _wrong_index,
        runs.SCANS,
    ),
)
