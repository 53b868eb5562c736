"""Which of two copies of a county's hub is the older one: epochs that tell when they began, and cannot be invented.

For: beginning epochs; noticing in a device's greeting that a hub of this county has begun a later one, so that this
store is an old copy (an old machine switched on again beside the new one), and stopping with a plain word.
May not: commit; believe an epoch that no hub of this county has made (a device could stop the hub with it).
Spec: docs/protocol/link.md, "Downward".  Decision: docs/decisions/0132-an-old-hub-stops.md.
"""

from __future__ import annotations

import hashlib
import hmac

from sqlalchemy import Connection

from conflict.ledger.meta import delete_meta, get_meta, put_meta
from hub.errors import AnotherHub

SECRET = "hub.lineage"  # 32 bytes, made with the county and copied with every backup
SEEN = "hub.seen_epoch"  # the latest epoch of another copy that a device has told of
START_BYTES, MARK_BYTES = 4, 4  # seconds since 1970, and their keyed hash


def next_epoch(tx: Connection, held: bytes | None, random: bytes, *, now_ms: int) -> bytes:
    """An epoch (8 bytes) that is later than the one held and than any that was seen, whatever the clock says."""
    secret = get_meta(tx, SECRET)
    if secret is None:
        secret = hashlib.sha256(b"liandong lineage v1" + random).digest()
        put_meta(tx, SECRET, secret)
    before = [_start(one) for one in (held, get_meta(tx, SEEN)) if one]
    start = max([now_ms // 1000, *(second + 1 for second in before)])
    delete_meta(tx, SEEN)
    return start.to_bytes(START_BYTES, "big") + _mark(secret, start)


def is_later(tx: Connection, epoch: bytes, held: bytes) -> bool:
    """Whether `epoch` was made by a hub of this county, and later than `held`."""
    secret = get_meta(tx, SECRET)
    if secret is None or len(epoch) != START_BYTES + MARK_BYTES:
        return False
    genuine = hmac.compare_digest(epoch[START_BYTES:], _mark(secret, _start(epoch)))
    return genuine and _start(epoch) > _start(held)


def note_later(tx: Connection, epoch: bytes) -> None:
    """Remember it, so that this copy does not even start again by mistake."""
    put_meta(tx, SEEN, epoch)


def need_newest(tx: Connection) -> None:
    """Raises AnotherHub if a device has told of a hub that began later than this store's."""
    seen = get_meta(tx, SEEN)
    if seen is not None:
        raise another_hub(seen)


def another_hub(epoch: bytes) -> AnotherHub:
    """The plain word with which an old copy stops."""
    from conflict.calendar import day_of

    since = day_of(_start(epoch) * 1000).isoformat()
    return AnotherHub(
        f"Another hub of this county has been at work since {since}; this store is an older copy and stops. Leave it off. "
        "If this is the one that shall go on: switch the other off, then run liandong hub takeover.",
        f"本县另有一台县中心自 {since} 起工作，本机数据是旧副本，现已停止，请勿再开机。"
        "如确应由本机接替，请先关闭另一台，再运行 liandong hub takeover。",
        since=since,
    )


def _start(epoch: bytes) -> int:
    return int.from_bytes(epoch[:START_BYTES], "big")


def _mark(secret: bytes, start: int) -> bytes:
    return hmac.digest(secret, start.to_bytes(START_BYTES, "big"), "sha256")[:MARK_BYTES]
