"""Small things that the hub remembers between starts: the epoch of its streams, when jobs last ran.

For: one key and value table's worth of state, in the caller's transaction.
May not: commit; hold facts about cases or settings that a person chooses (those are in county.json).
Manual: docs/operating/hub.md, "Store".
"""

from __future__ import annotations

from sqlalchemy import Connection

from conflict.ledger.meta import get_meta, put_meta
from hub import era, lineage
from protocol.errors import StoreError

EPOCH = "hub.epoch"
ANEW = "hub.began_anew"  # when an epoch followed another one, ms: this store had been put back from a backup
SIGNED = "hub.signed_ms"


def new_epoch(tx: Connection, random: bytes, *, now_ms: int, look_back: int = era.LOOK_BACK, beyond: int = 0) -> None:
    """Begin a new epoch (random: 8 bytes): every device then loads its stream from the start.

    But for a new county it is a new era too: version numbers jump. Args: look_back, beyond: as in `era.begin`.
    """
    held = get_meta(tx, EPOCH)
    epoch = lineage.next_epoch(tx, bytes(held[0]) if held else None, random, now_ms=now_ms)
    if held is not None:
        start_s = int.from_bytes(epoch[: lineage.START_BYTES], "big")
        era.begin(tx, start_s, look_back=look_back, beyond=beyond)
    put_meta(tx, EPOCH, [epoch, now_ms])
    if held:
        put_meta(tx, ANEW, now_ms)


def epoch_of(tx: Connection) -> bytes:
    """The epoch in which positions count. Raises StoreError if the store belongs to no county."""
    value = get_meta(tx, EPOCH)
    if value is None:
        raise StoreError("The store holds no county.", "该数据库不属于任何县级中心。")
    return bytes(value[0])


def began_anew_ms(tx: Connection) -> int:
    """When this hub was last put back from a backup, ms since 1970 UTC; 0 if it never was."""
    return int(get_meta(tx, ANEW, 0))


def signed_ms(tx: Connection) -> int:
    """The latest time that was signed in a receipt or an op of this hub; before the first, when the county was made. It
    never goes back: a later word of the hub is later by its own time too, whatever became of its machine's clock."""
    found: int = get_meta(tx, SIGNED, 0)
    return found or int(get_meta(tx, EPOCH, [b"", 0])[1])


def note_signed(tx: Connection, now_ms: int) -> None:
    if now_ms > signed_ms(tx):
        put_meta(tx, SIGNED, now_ms)
