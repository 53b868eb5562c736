"""Which devices are compared although nobody asked: each once a day when it is here, and after the hub began a new epoch.

For: an office whose PC is off at night, and a hub that was put back from a backup: ops of the hub itself, of machines that
are no more and of earlier names of a device come back only because a comparison shows that the hub lacks them.
May not: compare a device that has not taken its whole stream yet: that would send everything a second time.
Spec: docs/protocol/reconcile.md, "When".  Decision: docs/decisions/0100-compared-every-day.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from conflict.ledger.meta import get_meta
from hub import schema, state, streams

if TYPE_CHECKING:
    from protocol.roster import Device

DAY_MS = 20 * 3_600_000  # since the last comparison; less than a day, so that an office with fixed hours is not skipped
LOOK_MS = 30_000  # how often a device that is due and still loading is looked at again


@dataclass(slots=True)
class _Last:
    """The last comparison with a device: when, and in which epoch; and when to look again by our counter."""

    at_ms: int
    epoch: bytes
    look_ms: int = 0


class Daily:
    """Remembers when each device was compared last; the results in the store say it after a restart."""

    def __init__(self, result_key: str, *, now_ms: Callable[[], int], mono_ms: Callable[[], int]) -> None:
        self._key, self._now_ms, self._mono_ms = result_key, now_ms, mono_ms
        self._last: dict[bytes, _Last] = {}

    def due(self, tx: Connection, device: Device) -> bool:
        """Whether to compare with this device now. Two small reads at most, and none while it is not due."""
        last = self._last.get(device.incarnation)
        if last is None:
            found = get_meta(tx, self._key + device.incarnation.hex(), {})
            last = _Last(int(found.get("at_ms", 0)), bytes(found.get("epoch", b"")))
            self._last[device.incarnation] = last
        if self._mono_ms() < last.look_ms:
            return False
        epoch = state.epoch_of(tx)
        if last.epoch == epoch and abs(self._now_ms() - last.at_ms) < DAY_MS:
            last.look_ms = self._mono_ms() + LOOK_MS
            return False
        if not _caught_up(tx, device, epoch):
            last.look_ms = self._mono_ms() + LOOK_MS
            return False
        return True

    def done(self, device: Device, epoch: bytes) -> None:
        """A comparison with this device has ended."""
        self._last[device.incarnation] = _Last(self._now_ms(), epoch)


def _caught_up(tx: Connection, device: Device, epoch: bytes) -> bool:
    """Whether the device has taken all that the hub put into its stream, as it said itself."""
    query = select(schema.device.c.epoch, schema.device.c.pos).where(schema.device.c.incarnation == device.incarnation)
    row = tx.execute(query).first()
    return row is not None and row.epoch == epoch and row.pos >= streams.length(tx, device.office)
