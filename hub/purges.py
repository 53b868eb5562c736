"""What devices no longer store: concluded cases that a device has purged by its own signed word, and brings back.

For: noting both; a comparison leaves a device's purged cases out and says how many they are.
May not: commit; purge anything here (the hub keeps every op); believe a device about cases outside its scope.
Spec: docs/protocol/reconcile.md, "Purged cases".  Decision: docs/decisions/0133-purging-at-an-office.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, delete, select

from conflict.ledger.statements import insert_new, steps
from hub import streams
from hub.schema import purged
from hub.streams import Item
from protocol.roster import Device


def note(tx: Connection, device: Device, cases: Iterable[bytes], *, now_ms: int) -> None:
    """The device says that it has purged these."""
    held = _in_scope(tx, device, cases)
    insert_new(tx, purged, [{"device": device.incarnation, "case_id": case, "since_ms": now_ms} for case in held])


def bring_back(tx: Connection, device: Device, cases: Iterable[bytes]) -> int:
    """Put every op of these cases at the end of the device's stream; returns how many ops. Repeats are harmless."""
    held = _in_scope(tx, device, cases)
    for part in steps(held):
        tx.execute(delete(purged).where(purged.c.device == device.incarnation, purged.c.case_id.in_(part)))
    # A device's own ops are left out of its stream; named without their author they come all the same.
    items = [Item(item.what, b"", item.ref) for some in streams.all_of(tx, held).values() for item in some]
    streams.extend(tx, {device.office: items})
    return len(items)


def handed_in(tx: Connection, cases: Mapping[bytes, Collection[bytes]]) -> None:
    """Devices (keys) hand in ops of these cases: so they store them, whatever an old word of theirs said that a broker
    may have repeated."""
    if tx.scalar(select(purged.c.case_id).limit(1)) is None:
        return
    for device, some in cases.items():
        for part in steps(some):
            tx.execute(delete(purged).where(purged.c.device == device, purged.c.case_id.in_(part)))


def cases_of(tx: Connection, device: bytes) -> set[bytes]:
    """The cases that this device has purged."""
    return set(tx.scalars(select(purged.c.case_id).where(purged.c.device == device)))


def _in_scope(tx: Connection, device: Device, cases: Iterable[bytes]) -> list[bytes]:
    scopes = streams.scopes(tx, dict.fromkeys(cases))
    return [case for case, offices in scopes.items() if device.office in offices]
