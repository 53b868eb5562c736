"""Reading stores without the product: plain SQL over SQLite files, and an op's id computed anew from its bytes.

For: the book and the checks, which must not believe what the product's own code says about itself.
May not: import conflict, edge, hub or protocol; write.
Spec: docs/protocol/op.md (id), docs/operating/storage.md (tables).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

HUB_EPOCH = "hub.epoch"  # [epoch, since ms]
STREAM_PLACE = "edge.stream"  # [epoch, position]
ROWS_MAX = 5_000  # of a damaged store that are looked for; a simulated office has hundreds
DOMAIN_OP_ID = b"liandong op id v1"
KIND, CASE, OFFICE, DEVICE, SEQ, PREV, PARENTS, ROLE, BODY = 3, 4, 5, 6, 7, 8, 9, 11, 15  # keys of an op's content


@dataclass(frozen=True, slots=True)
class RawOp:
    """A stored op as its bytes say, not as its row says."""

    id: bytes
    kind: str
    case: bytes
    office: str
    device: bytes
    seq: int
    parents: tuple[bytes, ...]
    role: str
    body: dict[str, Any]
    blob: bytes

    @staticmethod
    def read(blob: bytes) -> RawOp:
        signed = msgpack.unpackb(blob, raw=False, strict_map_key=False)[0]
        content = msgpack.unpackb(signed, raw=False, strict_map_key=False)
        op_id = hashlib.sha256(DOMAIN_OP_ID + b"\0" + signed).digest()
        return RawOp(
            op_id,
            content[KIND],
            content.get(CASE, op_id),
            content[OFFICE],
            content[DEVICE],
            content[SEQ],
            tuple(content.get(PARENTS, ())),
            content[ROLE],
            content[BODY],
            blob,
        )


@contextmanager
def opened(store: Path) -> Iterator[sqlite3.Connection]:
    """A reading connection of our own."""
    with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("BEGIN")
        yield connection


def ops_after(store: Path, device: bytes, seq: int) -> list[bytes]:
    """The bytes of a device's ops with a higher number, in order."""
    query = "select blob from ops where device = ? and seq > ? order by seq"
    with opened(store) as db:
        return [row[0] for row in db.execute(query, (device, seq))]


def op_ids(store: Path) -> set[bytes]:
    with opened(store) as db:
        return {row[0] for row in db.execute("select id from ops")}


def op_ids_of(store: Path, device: bytes) -> set[bytes]:
    """Ids of the stored ops that a device made."""
    with opened(store) as db:
        return {row[0] for row in db.execute("select id from ops where device = ?", (device,))}


def all_ops(store: Path) -> list[tuple[bytes, bool, bytes]]:
    """(id by the row, waits, bytes) of every stored op, in order of arrival."""
    with opened(store) as db:
        return [(row[0], bool(row[1]), row[2]) for row in db.execute("select id, waiting, blob from ops order by pos")]


def outbox(store: Path) -> dict[bytes, tuple[str, str, str]]:
    """Of each op of an edge: state, and the hub's code and reason."""
    query = (
        "select o.op_id, o.state, coalesce(w.code, ''), coalesce(w.reason, '') from edge_outbox o"
        " left join op_outcomes w on w.op_id = o.op_id"
    )
    with opened(store) as db:
        return {row[0]: (row[1], row[2], row[3]) for row in db.execute(query)}


def outcomes(store: Path) -> dict[bytes, tuple[str, str, str]]:
    """What a store says of ops: outcome, code, reason. At the hub an op without an entry is accepted."""
    with opened(store) as db:
        return {
            row[0]: (row[1], row[2], row[3])
            for row in db.execute("select op_id, outcome, code, reason from op_outcomes")
        }


def hub_elsewhere(store: Path) -> set[bytes]:
    """Ops that the hub keeps outside its ledger, visibly: held for a person, or refused with their bytes."""
    with opened(store) as db:
        held = {row[0] for row in db.execute("select op from hub_held")}
        return held | {row[0] for row in db.execute("select op from hub_refusal where what = 'op'")}


def hub_held_open(store: Path) -> list[tuple[bytes, str]]:
    with opened(store) as db:
        return list(db.execute("select op, code from hub_held where decision = ''"))


def hub_notices(store: Path) -> set[tuple[str, str]]:
    """(code, about) of all notices, open or closed."""
    with opened(store) as db:
        return set(db.execute("select code, about from hub_notice"))


def scopes(store: Path) -> dict[str, set[bytes]]:
    """Cases by office, as the hub routes them."""
    found: dict[str, set[bytes]] = {}
    with opened(store) as db:
        for case, office in db.execute("select case_id, office from hub_scope"):
            found.setdefault(office, set()).add(case)
    return found


def stream_ops(store: Path, office: str) -> list[tuple[int, bytes, bytes]]:
    """(position, author, bytes) of the ops in an office's stream, in order. No author: the op is sent a second time."""
    query = (
        "select s.pos, s.author, o.blob from hub_stream s join ops o on o.id = s.ref"
        " where s.office = ? and s.what = 1 order by s.pos"
    )
    with opened(store) as db:
        return list(db.execute(query, (office,)))


def stream_receipts(store: Path, office: str) -> list[tuple[int, bytes, set[bytes]]]:
    """(position, author, ops that are refused) of the receipts in an office's stream, in order."""
    with opened(store) as db:
        query = "select pos, ref from hub_stream where office = ? and what = 2 order by pos"
        rows = list(db.execute(query, (office,)))
    found = []
    for position, blob in rows:
        content = msgpack.unpackb(msgpack.unpackb(blob, raw=False)[0], raw=False)
        found.append((position, content["author"], {one[0] for one in content["refused"]}))
    return found


def receipted_and_absent(store: Path) -> set[bytes]:
    """Ops that a receipt in a stream of the hub accepts (the last of each run) and its store does not hold."""
    with opened(store) as db:
        blobs = [row[0] for row in db.execute("select distinct ref from hub_stream where what = 2")]
        here = {row[0] for row in db.execute("select id from ops")}
    accepted: set[bytes] = set()
    for blob in blobs:
        content = msgpack.unpackb(msgpack.unpackb(blob, raw=False)[0], raw=False)
        accepted |= {run[2] for run in content["accepted"]}
    return accepted - here


def is_set_aside(store: Path, blob: bytes) -> bool:
    """Whether an edge could not take these bytes and keeps them where a person sees them."""
    with opened(store) as db:
        return db.execute("select 1 from edge_aside where blob = ?", (blob,)).fetchone() is not None


def hub_released(store: Path) -> set[bytes]:
    """Held ops that a person has let count."""
    with opened(store) as db:
        return {row[0] for row in db.execute("select op from hub_held where decision = 'released'")}


def city_answers(store: Path) -> dict[str, str]:
    """What the hub has done with the city's answers: state by the city's id."""
    with opened(store) as db:
        return dict(db.execute("select id, state from upward_answer"))


def stream_lengths(store: Path) -> dict[str, int]:
    with opened(store) as db:
        return dict(db.execute("select office, pos from hub_stream_head"))


def views(store: Path) -> dict[bytes, tuple[bytes, str, str, str]]:
    """Digest, number, status and holder by case."""
    with opened(store) as db:
        rows = db.execute("select case_id, digest, number, status, holder from views")
        return {row[0]: (row[1], row[2], row[3], row[4]) for row in rows}


def records(store: Path) -> dict[bytes, dict[str, Any]]:
    """The kept view of every case, whole."""
    with opened(store) as db:
        rows = db.execute("select case_id, record from views")
        return {row[0]: msgpack.unpackb(row[1], raw=False, strict_map_key=False) for row in rows}


def files(store: Path) -> dict[bytes, bool]:
    """Declared contents by hash: whether the store says that all bytes are there."""
    found: dict[bytes, bool] = {}
    with opened(store) as db:
        for sha256, complete in db.execute("select sha256, complete from files"):
            found[sha256] = found.get(sha256, False) or bool(complete)
    return found


def false_files(store: Path) -> list[bytes]:
    """Contents that count as whole and whose bytes do not hash to their name, computed here."""
    found = []
    with opened(store) as db:
        for file_id, sha256 in db.execute("select id, sha256 from files where complete = 1"):
            digest = hashlib.sha256()
            for (blob,) in db.execute("select blob from file_chunks where file_id = ? order by number", (file_id,)):
                digest.update(blob)
            if digest.digest() != sha256:
                found.append(sha256)
    return found


def meta(store: Path, key: str) -> Any:
    """A small remembered value, or None."""
    with opened(store) as db:
        row = db.execute("select value from meta where key = ?", (key,)).fetchone()
    return None if row is None else msgpack.unpackb(row[0], raw=False, strict_map_key=False)


def document_versions(store: Path) -> dict[str, int]:
    with opened(store) as db:
        return dict(db.execute("select kind, max(version) from documents group by kind"))


def everything(store: Path) -> bytes:
    """A hash over every row of every table: whether anything at all has changed."""
    digest = hashlib.sha256()
    with opened(store) as db:
        names = [row[0] for row in db.execute("select name from sqlite_schema where type = 'table' order by name")]
        for name in names:
            for row in db.execute(f'select * from "{name}"'):
                digest.update(repr((name, row)).encode())
    return digest.digest()


def purged(store: Path) -> set[bytes]:
    """Cases that an office's device says it has purged."""
    with opened(store) as db:
        return {row[0] for row in db.execute("select case_id from edge_purged")}


def hub_purged(store: Path, device: bytes) -> set[bytes]:
    """Cases that a device no longer stores, as the hub has its word."""
    with opened(store) as db:
        return {row[0] for row in db.execute("select case_id from hub_purged where device = ?", (device,))}


def ops_by_id(store: Path) -> dict[bytes, bytes]:
    """The bytes of every stored op."""
    with opened(store) as db:
        return dict(db.execute("select id, blob from ops"))


def damage(store: Path) -> str:
    """The first thing that SQLite itself finds wrong with a store's pages; "" if they are sound."""
    try:
        with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as db:
            said = db.execute("pragma quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if said == "ok" else " ".join(str(said).split())


def readable_ops(store: Path) -> set[bytes]:
    """Ids of the ops of a damaged store that can be read whole, row by row. Where a page of a long row is gone the bytes
    are there and others: they hash to no op."""
    found: set[bytes] = set()
    with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as db:
        for pos in range(1, ROWS_MAX):
            try:
                row = db.execute("select id, blob from ops where pos = ?", (pos,)).fetchone()
                if row is not None and RawOp.read(row[1]).id == row[0]:
                    found.add(row[0])
            except (sqlite3.DatabaseError, ValueError, TypeError, LookupError):
                continue
    return found
