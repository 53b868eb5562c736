"""What was set aside: bytes that could not be handled, with the reason and the bytes themselves as evidence.

For: keeping one bad op, receipt or document from stopping anything else, visibly; trying again later.
May not: commit; throw evidence away before it was handled.
Manual: docs/operating/edge.md, "Set aside".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from conflict.ledger.statements import insert_new
from edge.errors import UnknownEntry
from edge.schema import aside
from protocol.errors import LiandongError

REASON_CHARS_MAX = 400
KEPT_MAX = 5_000  # entries; beyond it a new one is counted by its log line only, so that garbage cannot fill the disk


@dataclass(frozen=True, slots=True)
class Aside:
    """One entry. what: op, receipt, document, problem. code, reason: why. author: incarnation, empty if unknown."""

    id: bytes
    what: str
    code: str
    reason: str
    blob: bytes
    author: bytes
    since_ms: int
    tries: int

    def as_json(self) -> dict[str, Any]:
        """What a person reads of it: everything but the bytes; ids in hex."""
        return {
            "id": self.id.hex(),
            "what": self.what,
            "code": self.code,
            "reason": self.reason,
            "author": self.author.hex(),
            "since_ms": self.since_ms,
            "tries": self.tries,
        }


def put(tx: Connection, what: str, blob: bytes, error: LiandongError, *, author: bytes = b"", now_ms: int) -> bool:
    """Keep an entry; the same bytes again only count as one more try. False if there is no room for a new one."""
    digest = hashlib.sha256(blob).digest()
    if tx.execute(update(aside).where(aside.c.id == digest).values(tries=aside.c.tries + 1)).rowcount:
        return True
    if (tx.execute(select(func.count()).select_from(aside)).scalar() or 0) >= KEPT_MAX:
        return False
    row = {
        "id": digest,
        "what": what,
        "code": error.code,
        "reason": error.text_zh[:REASON_CHARS_MAX],
        "blob": blob,
        "author": author,
        "since_ms": now_ms,
        "tries": 1,
    }
    insert_new(tx, aside, [row])
    return True


def listed(tx: Connection, *, what: str | None = None, code: str | None = None, limit: int = 500) -> list[Aside]:
    """Entries, oldest first."""
    query = select(aside).order_by(aside.c.since_ms, aside.c.id).limit(limit)
    if what is not None:
        query = query.where(aside.c.what == what)
    if code is not None:
        query = query.where(aside.c.code == code)
    return [Aside(*row) for row in tx.execute(query)]


def handled(tx: Connection, blobs: Iterable[bytes]) -> None:
    """Take out entries whose bytes have been handled after all."""
    if tx.execute(select(aside.c.id).limit(1)).first() is None:
        return
    rows = [{"gone": hashlib.sha256(blob).digest()} for blob in blobs]
    if rows:
        tx.execute(delete(aside).where(aside.c.id == bindparam("gone")), rows)


def named(tx: Connection, beginning: str) -> Aside:
    """The one entry whose id in hex begins so. Raises UnknownEntry for none or several."""
    wanted = beginning.strip().lower()
    found = [one for one in tx.scalars(select(aside.c.id)) if wanted and one.hex().startswith(wanted)]
    if len(found) != 1:
        raise UnknownEntry(
            f"{len(found)} entries that were set aside begin with {beginning!r}; `node aside` lists them.",
            f"以“{beginning}”开头的搁置内容有 {len(found)} 项；用 node aside 查看。",
        )
    return Aside(*tx.execute(select(aside).where(aside.c.id == found[0])).one())


def counts(tx: Connection) -> dict[str, int]:
    """How many entries there are by code."""
    rows = tx.execute(select(aside.c.code, func.count()).group_by(aside.c.code))
    return {row[0]: row[1] for row in rows}
