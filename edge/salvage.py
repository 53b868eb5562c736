"""A damaged store: what can be read of it goes into a new one, the rest comes from the hub, the old file is kept beside.

For: rebuilding `edge.db` so that no op of this device is lost that can still be read, and work goes on under new keys.
May not: change or delete the damaged file; take over an op that is not authentic.
Manual: docs/operating/drills.md, "Damaged store".  Decision: docs/decisions/0134-a-damaged-store-is-rebuilt.md.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from conflict.kinds import OpKind
from conflict.ledger.append import append_many, touched
from conflict.ledger.errors import FoldFailed
from conflict.ledger.files import save_file
from conflict.ledger.meta import put_meta
from conflict.ledger.store import Store, daemon_lock, open_store
from conflict.ledger.views import refold
from edge import aside, incarnation, memory
from edge.clock import Clock
from edge.config import STORE_NAME
from edge.identity import read_card, read_keys
from edge.reference import Reference, take_document
from edge.schema import COMPONENT, outbox, staff
from edge.staff import FIRST_ACCOUNT, add_row, any_account
from edge.sync.intake import declare
from edge.sync.verify import authentic, sort_out
from protocol import canonical
from protocol.carriers.durable import sync_directory
from protocol.errors import LiandongError, UnknownSender
from protocol.op import Op
from protocol.roster import Device
from protocol.trust import Trust

NEW_NAME = "edge.db.rebuilt"
SUFFIXES = ("", "-wal", "-shm")
MISSES_MAX = 5_000  # rows in a row that cannot be read before the rest is given up
VIA = "salvage"
KEPT_META = (memory.SEQUENCE, memory.HUB_TIME, memory.CERTIFICATES, incarnation.NAMES, incarnation.RENEWAL)

log = logging.getLogger("liandong.edge.salvage")


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What could be read. pending: ops of this device without a known receipt. kept: where the damaged file is now."""

    ops: int
    pending: int
    files: int
    kept: Path


def rebuild(directory: Path, clock: Clock, *, detail: str) -> Salvaged:
    """Put a new store in the place of the damaged one. Safe to repeat after a crash.

    Args:    detail: what the database found, for the log.
    Raises:  AlreadyRunning if a daemon still uses the directory; StoreFull if there is no room for the new store.
    """
    with daemon_lock(directory):
        new, old = directory / NEW_NAME, directory / STORE_NAME
        if old.exists():
            for suffix in SUFFIXES:
                new.with_name(new.name + suffix).unlink(missing_ok=True)
            counts = _fill(directory, old, new, clock)
        else:
            counts = (0, 0, 0)  # a crash between the two renames: the new store is whole
        kept = _swap(directory, clock.now_ms())
    log.error("the store was damaged (%s) and rebuilt: %d ops, %d without a receipt", detail, counts[0], counts[1])
    return Salvaged(*counts, kept)


def _fill(directory: Path, old: Path, new: Path, clock: Clock) -> tuple[int, int, int]:
    reference = Reference(Trust.of(read_card(directory)))
    with open_store(new, create=True) as store, closing(_reading(old)) as damaged:
        store.ensure(COMPONENT)
        with store.write() as tx:
            _take_small_things(tx, damaged, reference, clock)
        ops = _take_ops(store, damaged, reference, _own_devices(directory), clock)
        pending = _take_outbox(store, damaged, ops, read_keys(directory).incarnation, clock)
        files = _take_files(store, damaged, clock)
        with store.write() as tx:
            for op in ops:
                if op.kind == OpKind.ATTACH:
                    declare(tx, op, clock.now_ms())
    return len(ops), pending, files


def _reading(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing: with the log where that works, else without it."""
    for option in ("mode=ro", "immutable=1"):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?{option}", uri=True)
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            return connection
        except sqlite3.Error as error:
            log.warning("the damaged store cannot be opened with %s: %s", option, error)
            connection.close()
    return sqlite3.connect(":memory:")


def _rows(damaged: sqlite3.Connection, table: str, key: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Every row of a table with an integer key that can be read, in order; what cannot is stepped over."""
    last, misses = 0, 0
    query = f"SELECT {key}, {columns} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT 1"
    while misses < MISSES_MAX:
        try:
            row = damaged.execute(query, (last,)).fetchone()
        except sqlite3.OperationalError as error:
            log.warning("table %s cannot be read: %s", table, error)
            return
        except sqlite3.DatabaseError:
            last, misses = last + 1, misses + 1
            row = _row(damaged, f"SELECT {columns} FROM {table} WHERE {key} = ?", last)
            if row is not None:  # the first row behind a page that is gone is found by its number only
                misses = 0
                yield row
            continue
        if row is None:
            return
        last, misses = int(row[0]), 0
        yield row[1:]


def _row(damaged: sqlite3.Connection, query: str, number: int) -> tuple[Any, ...] | None:
    """The row of this number, or None if there is none or it cannot be read."""
    try:
        found: tuple[Any, ...] | None = damaged.execute(query, (number,)).fetchone()
    except sqlite3.DatabaseError:
        return None
    return found


def _all(damaged: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    """The rows of a small table up to the first that cannot be read."""
    found: list[tuple[Any, ...]] = []
    try:
        found.extend(damaged.execute(query))
    except sqlite3.DatabaseError as error:
        log.warning("%s: %s", query, error)
    return found


def _take_small_things(tx: Connection, damaged: sqlite3.Connection, reference: Reference, clock: Clock) -> None:
    names = [column.name for column in staff.columns]
    for row in _all(damaged, f"SELECT {', '.join(names)} FROM edge_staff"):
        tx.execute(insert(staff).values(dict(zip(names, row, strict=True))))
    if not any_account(tx):
        add_row(tx, FIRST_ACCOUNT, FIRST_ACCOUNT, now_ms=clock.now_ms())
    held = dict(_all(damaged, "SELECT key, value FROM meta"))
    for key in KEPT_META:
        if key in held:
            put_meta(tx, key, canonical.decode(held[key]))
    put_meta(tx, incarnation.DUE, incarnation.REBUILT)
    for certificate in memory.certificates(tx):
        reference.renew(certificate)
    for (blob,) in _all(damaged, "SELECT blob FROM documents ORDER BY kind, version"):
        try:
            take_document(tx, blob, reference.trust, arrived_ms=clock.now_ms())
        except LiandongError as error:
            log.warning("a document of the damaged store is passed over: %s", error.code)


def _own_devices(directory: Path) -> list[Device]:
    """This device under all its names, from the keys beside the store: a roster may be among what cannot be read."""
    keys = [read_keys(directory), *incarnation.earlier_keys(directory).values()]
    return [
        Device(one.incarnation, one.office, "edge", one.sign_public, one.seal_public, one.suite, since_ms=0)
        for one in keys
    ]


def _take_ops(
    store: Store, damaged: sqlite3.Connection, reference: Reference, own: list[Device], clock: Clock
) -> list[Op]:
    parsed, faulty = sort_out(blob for (blob,) in _rows(damaged, "ops", "pos", "blob") if type(blob) is bytes)
    with store.read() as tx:
        roster = reference.roster(tx)
    for device in own:
        roster.devices.setdefault(device.incarnation, device)
    good, unproven = authentic(parsed, roster, reference.trust)
    faulty += [one for one in unproven if one.error.code != UnknownSender.code]
    if faulty:
        log.warning("%d ops of the damaged store are not authentic and stay in it", len(faulty))
    with store.write() as tx:
        for one in unproven:  # whom the roster names that comes from the county; tried again then
            if one.error.code == UnknownSender.code:
                aside.put(tx, "op", one.blob, one.error, author=one.author, now_ms=clock.now_ms())
    while True:
        try:
            with store.write() as tx:
                refold(tx, touched(append_many(tx, good, arrived_ms=clock.now_ms(), via=VIA)), fresh=good)
            return good
        except FoldFailed as error:
            log.error("a case stays in the damaged store: %s", error.text)
            good = [op for op in good if op.case.hex() != error.facts["case"]]


def _take_outbox(store: Store, damaged: sqlite3.Connection, ops: list[Op], current: bytes, clock: Clock) -> int:
    """A row for every op of this device; without a known final word it is offered again, which is harmless.

    Each name has its places behind those of the one before, and a lost op leaves its own free. The old bases do not hold:
    ops that a disk had forgotten and the stream brought back had no places.
    """
    words = dict(_all(damaged, "SELECT op_id, state FROM edge_outbox"))
    with store.write() as tx:
        places, bases = _places(ops, list(incarnation.names(tx)) or [current])
        rows = [
            {
                "seq": place,
                "op_id": op.id,
                "case_id": op.case,
                "state": words[op.id] if words.get(op.id) in ("accepted", "refused") else "pending",
                "since_ms": clock.now_ms(),
                "offers": 0,
            }
            for place, op in places
        ]
        if len(bases) > 1:
            put_meta(tx, incarnation.NAMES, [[name, start] for name, start in bases.items()])
        if rows:
            tx.execute(insert(outbox), rows)
    return sum(row["state"] == "pending" for row in rows)


def _places(ops: list[Op], order: list[bytes]) -> tuple[list[tuple[int, Op]], dict[bytes, int]]:
    """(place, op) of the ops of these names, and each name's base. A copy of this disk may have written ops of the same
    numbers: each has a place of its own, and the base grows with it."""
    places: list[tuple[int, Op]] = []
    bases: dict[bytes, int] = {}
    last = 0
    for name in order:
        bases[name] = last
        for op in sorted((op for op in ops if op.device == name), key=lambda op: op.seq):
            last = max(last + 1, bases[name] + op.seq)
            bases[name] = max(bases[name], last - op.seq)
            places.append((last, op))
    return places, bases


def _take_files(store: Store, damaged: sqlite3.Connection, clock: Clock) -> int:
    """Whole attachments whose hash is right; the others are declared afterwards and asked for again."""
    count = 0
    for number, sha256 in _all(damaged, "SELECT id, sha256 FROM files WHERE complete = 1"):
        pieces = _all(damaged, f"SELECT blob FROM file_chunks WHERE file_id = {int(number)} ORDER BY number")
        content = b"".join(piece for (piece,) in pieces)
        if content:
            with store.write() as tx:
                count += save_file(tx, content, now_ms=clock.now_ms()) == sha256
    return count


def _swap(directory: Path, now_ms: int) -> Path:
    """The damaged file aside, the new one in its place."""
    aside = directory / f"damaged-{now_ms}"
    aside.mkdir(mode=0o700, exist_ok=True)
    for suffix in SUFFIXES:
        path = directory / (STORE_NAME + suffix)
        if path.exists():
            path.replace(aside / path.name)
    sync_directory(aside)
    (directory / NEW_NAME).replace(directory / STORE_NAME)
    for suffix in (".lock", ".ballast"):
        (directory / (NEW_NAME + suffix)).unlink(missing_ok=True)
    sync_directory(directory)
    return aside


def is_half_done(directory: Path) -> bool:
    """A crash came between the renames of `rebuild`."""
    return (directory / NEW_NAME).exists() and not (directory / STORE_NAME).exists()
