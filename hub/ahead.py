"""A device that has more of its stream than the hub ever gave out: the hub's store is an old copy, or the device lies.

For: noticing it wherever a greeting comes from, line or stick, and beginning a new epoch.
May not: commit; let one liar do so again and again.
Spec: docs/protocol/link.md, "Downward".  Decision: docs/decisions/0085-a-restored-hub-keeps-its-keys.md.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from hub import notices, recovery, state, streams
from protocol.roster import Device

EPOCH_MS_MIN = 600_000  # an epoch that was begun anew lasts at least 10 minutes


def settle_ahead(
    tx: Connection, device: Device, pos: int, *, hub: bytes, random_bytes: Callable[[int], bytes], now_ms: int
) -> None:
    """If `pos` lies beyond the end of the device's stream, begin a new epoch and tell a person.

    A new epoch makes everybody load the stream anew, so one liar may cause that once in a while and not always.
    """
    if pos <= streams.length(tx, device.office):
        return
    fresh = now_ms - state.began_anew_ms(tx) >= EPOCH_MS_MIN
    if fresh:
        state.new_epoch(tx, random_bytes(8), now_ms=now_ms)
        recovery.begin(tx, now_ms=now_ms)
    notices.tell(
        tx,
        code="hub_restored" if fresh else "device_ahead",
        about=hub.hex() if fresh else device.incarnation.hex(),
        office=device.office,
        text="A device knows more of its stream than the hub ever sent: the hub's store seems to be an old copy.",
        text_zh="有设备所见多于县中心已下发的内容：县中心数据库可能是旧备份。",
        now_ms=now_ms,
    )
