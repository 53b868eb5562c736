"""What came of it: the stores read by plain SQL after the weather is over, compared with the book.

For: lost, doubled, diverged and pending, each finding a sentence.
May not: use the product's code to read an op (ops/simulate/raw.py computes ids from the bytes); change a store.
Manual: docs/operating/chaos.md.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

from edge.config import STORE_NAME
from hub.config import STORE_NAME as HUB_STORE_NAME
from ops.chaos.book import Book
from ops.chaos.stage import OFFICES, Stage
from ops.simulate.raw import RawOp, all_ops, files, views

SHOWN = 16  # characters of an id in a finding


@dataclass
class Verdict:
    """Sentences by kind; all empty is what a run is for."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    diverged: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)


def read_ops(store: Path, database: str = "") -> list[RawOp]:
    """Every op of a store in order of arrival, ids computed anew. database: a PostgreSQL URL, read instead of the file."""
    if not database:
        return [RawOp.read(blob) for _, _, blob in all_ops(store)]
    return [RawOp.read(bytes(blob)) for (blob,) in _ask(database, "select blob from ops order by pos")]


def whole_files(store: Path, database: str = "") -> set[bytes]:
    """The SHA-256 of every content whose bytes are all there, computed anew."""
    if not database:
        return {sha256 for sha256, whole in files(store).items() if whole}
    found: dict[int, bytes] = {}
    for file_id, blob in _ask(database, "select file_id, blob from file_chunks order by file_id, number"):
        found[file_id] = found.get(file_id, b"") + bytes(blob)
    return {hashlib.sha256(data).digest() for data in found.values()}


def _ask(database: str, query: LiteralString) -> list[Any]:
    import psycopg

    with psycopg.connect(database) as connection:
        return connection.execute(query).fetchall()


def everything_arrived(stage: Stage, book: Book) -> bool:
    """Whether all that was called saved is at the hub and at every office in scope, nothing is pending, digests are equal."""
    if compare_ops(book, hub_ops(stage), office_ops(stage)).lost:
        return False
    found = Verdict()
    compare_digests(stage, found)
    return not found.diverged and not any(open_matters(status) for status in statuses(stage))


def judge(stage: Stage, book: Book) -> Verdict:
    """The verdict over the stores as they are now."""
    at_hub = hub_ops(stage)
    found = compare_ops(book, at_hub, office_ops(stage))
    compare_digests(stage, found)
    found.lost += missing_papers(at_hub, whole_files(stage.hub / HUB_STORE_NAME, stage.database))
    for office, status in zip(OFFICES, statuses(stage), strict=True):
        found.pending += [f"{office}: {matter}" for matter in open_matters(status)]
        found.pending += [
            f"{office}: op refused without a reason" for one in status["refusals"] if not one.get("reason")
        ]
    return found


def open_matters(status: dict[str, Any]) -> list[str]:
    """What still waits at an office, by its own word: ops, and papers of its cases that are not whole there."""
    counts = {name: status[name] for name in ("pending", "waiting")}
    counts["incomplete papers"] = status["attachments"]["incomplete"]
    return [f"{number} {name}" for name, number in counts.items() if number]


def missing_papers(hub: list[RawOp], whole: set[bytes]) -> list[str]:
    """Papers that an op at the hub names and whose bytes are not there, or are others."""
    named = {op.body["sha256"]: op for op in hub if op.kind == "attach"}
    return [
        f"the paper of {op.office} {op.id.hex()[:SHOWN]} is not whole at the hub"
        for sha256, op in named.items()
        if sha256 not in whole
    ]


def statuses(stage: Stage) -> list[dict[str, Any]]:
    """What `node status` says at every office, in the order of OFFICES."""
    with ThreadPoolExecutor(2) as both:
        return list(both.map(stage.status, OFFICES))


def hub_ops(stage: Stage) -> list[RawOp]:
    return read_ops(stage.hub / HUB_STORE_NAME, stage.database)


def office_ops(stage: Stage) -> dict[str, list[RawOp]]:
    return {office: read_ops(stage.directory(office) / STORE_NAME) for office in OFFICES}


def compare_ops(book: Book, hub: list[RawOp], offices: dict[str, list[RawOp]]) -> Verdict:
    """Lost: called saved and not at the hub, or not at an office in scope. Doubled: more than a command asked for.

    Doubled are an id stored twice, a sequence number or a case number given twice, and an op of an office that no
    command called saved (every command of a run gets its answer, so there can be none).
    """
    found = Verdict()
    at_hub = {op.id.hex() for op in hub}
    for entry in book.entries:
        if entry.op not in at_hub:
            found.lost.append(f"{entry.office} {entry.verb} {entry.op[:SHOWN]} is not at the hub")
    for office, wanted in book.must_hold().items():
        missing = wanted - {op.id.hex() for op in offices.get(office, [])}
        found.lost += [f"op {op[:SHOWN]} is not at {office}" for op in sorted(missing)]
    for where, ops in (("hub", hub), *offices.items()):
        found.doubled += _twice(where, "op", (op.id.hex()[:SHOWN] for op in ops))
        found.doubled += _twice(where, "sequence number", (f"{op.device.hex()[:SHOWN]}/{op.seq}" for op in ops))
    openers: dict[str, set[str]] = defaultdict(set)
    for op in hub:
        if "number" in op.body and op.id == op.case:
            openers[str(op.body["number"])].add(op.id.hex())
    found.doubled += [f"the number {number} was given twice" for number, ids in openers.items() if len(ids) > 1]
    asked = {entry.op for entry in book.entries}
    unasked = [op for op in hub if op.role != "hub" and op.id.hex() not in asked]
    if not book.broken:  # a command without an answer may have saved its op all the same
        found.doubled += [f"{op.office} {op.kind} {op.id.hex()[:SHOWN]}: no command called it saved" for op in unasked]
    return found


def compare_digests(stage: Stage, found: Verdict) -> None:
    """Every view of every office is the hub's, byte for byte."""
    hub = read_digests(stage.hub / HUB_STORE_NAME, stage.database)
    for office in OFFICES:
        for case, digest in read_digests(stage.directory(office) / STORE_NAME).items():
            if hub.get(case) != digest:
                found.diverged.append(f"case {case.hex()[:SHOWN]} at {office} is not the hub's")


def read_digests(store: Path, database: str = "") -> dict[bytes, bytes]:
    """Case to the digest of its stored view; that it is the fold of the ops, `reconcile` shows."""
    if not database:
        return {case: view[0] for case, view in views(store).items()}
    return {bytes(case): bytes(digest) for case, digest in _ask(database, "select case_id, digest from views")}


def _twice(where: str, what: str, names: Any) -> list[str]:
    return [f"{where}: {what} {name} is stored {times} times" for name, times in Counter(names).items() if times > 1]
