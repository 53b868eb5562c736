"""What the device remembers of its sticks: how far the last export went, what the hub said by stick, what it lacks.

For: typed reading and writing of small values of the ledger's `meta` inside the caller's transaction.
May not: commit; take an op for delivered (receipts do that): losing all of this only makes the next stick larger.
Manual: docs/operating/sticks.md.  Decision: docs/decisions/0110-sticks-and-receipts.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from conflict.ledger.meta import get_meta, put_meta
from edge import memory, unsent
from protocol.messages import Want, Welcome

SERIES = "edge.stick.series"
SAID = "edge.stick.said_ms"
WANTS = "edge.stick.wants"
WANTS_KEPT = 500  # files that the hub lacks; it names the others when these have come


@dataclass(frozen=True, slots=True)
class Series:
    """What the exports since the last complete one have carried.

    session: of the last greeting, epoch: the stream's then. seq: place in the outbox of the last own op. carried: place
    in the relay of the last op of another office. files: hash to how many of its chunks. cut: the room ran out, the next
    export goes on from here.
    """

    session: bytes = b""
    epoch: bytes = b""
    seq: int = 0
    carried: int = 0
    files: Mapping[bytes, int] = field(default_factory=dict)
    cut: bool = False


def series(tx: Connection) -> Series:
    """Of the last export; an empty one before the first."""
    found = get_meta(tx, SERIES)
    if found is None:
        return Series()
    session, epoch, seq, carried, files, cut = found
    return Series(session, epoch, seq, carried, dict(files), cut)


def put_series(tx: Connection, made: Series) -> None:
    files = [[sha256, reached] for sha256, reached in made.files.items()]
    put_meta(tx, SERIES, [made.session, made.epoch, made.seq, made.carried, files, made.cut])


def is_news(tx: Connection, welcome: Welcome) -> bool:
    """Whether a greeting from a stick is at least as new as every word of the hub that we know."""
    return welcome.hub_ms >= max(memory.hub_time(tx).hub_ms, int(get_meta(tx, SAID, 0)))


def note_news(tx: Connection, welcome: Welcome) -> None:
    put_meta(tx, SAID, welcome.hub_ms)


def wants(tx: Connection) -> dict[bytes, list[list[int]]]:
    """What the hub said last by stick that it lacks: hash to inclusive ranges of chunk numbers."""
    return dict(get_meta(tx, WANTS, []))


def put_wants(tx: Connection, found: Iterable[Want]) -> None:
    """Keep what the hub lacks now. What it still lacks of files that we carried did not come: carry it again."""
    lacking = {want.sha256: want.ranges for want in list(found)[:WANTS_KEPT]}
    put_meta(tx, WANTS, [[sha256, ranges] for sha256, ranges in lacking.items()])
    if len(lacking) < WANTS_KEPT:
        unsent.told(tx, lacking)
    made = series(tx)
    if any(sha256 in lacking for sha256 in made.files):
        files = {sha256: reached for sha256, reached in made.files.items() if sha256 not in lacking}
        put_series(tx, replace(made, files=files))
