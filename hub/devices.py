"""Devices as the hub has met them: when, with what, how far down their stream, how much they still hold back.

For: writing down greetings and acknowledgements; what `hub nodes` shows of each device.
May not: commit; decide who may speak (the roster does).
Manual: docs/operating/hub.md, "Nodes".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from conflict.ledger import schema as ledger
from conflict.ledger.chains import chains_of
from conflict.ledger.statements import put, steps
from hub import held, refusals, schema, streams
from hub.enrolment import device_mark
from protocol import canonical
from protocol.messages import Hello
from protocol.roster import Device, Roster

TEXT_MAX = 60  # characters kept of what a device says about its software
COUNTS = ("pending", "waiting", "refused")  # what we keep of a device's own counts


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of one device from its own words. contact_ms: 0 if it was never heard."""

    incarnation: bytes
    office: str
    epoch: bytes = b""
    pos: int = 0
    contact_ms: int = 0
    software: str = ""
    documents: Mapping[str, int] | None = None
    counts: Mapping[str, int] | None = None
    head_seq: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One line of `hub nodes`.

    behind_up: ops that the device says it has made and the hub does not hold; behind_down: stream items that it has not
    acknowledged. refusals, held, waiting: of its ops, at the hub. fingerprint: to compare with the office.
    """

    device: Device
    name: str
    contact: Contact
    held_seq: int
    top_seq: int
    behind_up: int
    behind_down: int
    refusals: int
    held: int
    waiting: int
    fingerprint: str


def save(tx: Connection, contacts: Mapping[bytes, Contact]) -> None:
    """Write down the latest of each device."""
    rows = [
        {
            "incarnation": one.incarnation,
            "office": one.office,
            "epoch": one.epoch,
            "pos": one.pos,
            "contact_ms": one.contact_ms,
            "software": one.software,
            "documents": canonical.encode(dict(one.documents or {})),
            "counts": canonical.encode(dict(one.counts or {})),
            "head_seq": one.head_seq,
        }
        for one in contacts.values()
    ]
    put(tx, schema.device, rows)


def load(tx: Connection) -> dict[bytes, Contact]:
    """Every device that was ever heard."""
    return {
        row.incarnation: Contact(
            row.incarnation,
            row.office,
            row.epoch,
            row.pos,
            row.contact_ms,
            row.software,
            canonical.decode(row.documents),
            canonical.decode(row.counts),
            row.head_seq,
        )
        for row in tx.execute(select(schema.device))
    }


def greeted(device: Device, hello: Hello, *, now_ms: int) -> Contact:
    """What a greeting tells. Whatever a device says of itself is cut to what we keep."""
    return Contact(
        device.incarnation,
        device.office,
        hello.epoch,
        hello.pos,
        now_ms,
        hello.software[:TEXT_MAX],
        {kind: version for kind, version in sorted(hello.documents.items())[:8] if isinstance(version, int)},
        {name: value for name in COUNTS if type(value := hello.counts.get(name)) is int},
        hello.head_seq,
    )


def nodes(tx: Connection, roster: Roster, *, epoch: bytes) -> list[Node]:
    """Every device of the roster with its backlog both ways, by office and age."""
    contacts = load(tx)
    lengths = streams.lengths(tx)
    devices = [device for device in roster.devices.values() if device.role == "edge"]
    chains = chains_of(tx, [device.incarnation for device in devices])
    refused, aside, waiting = refusals.counts(tx), held.counts(tx), _waiting(tx, list(chains))
    found = []
    for device in sorted(devices, key=lambda one: (one.office, one.since_ms, one.incarnation)):
        name = device.incarnation
        contact = contacts.get(name, Contact(name, device.office))
        chain = chains[name]
        office = roster.office(device.office)
        acked = contact.pos if contact.epoch == epoch else 0
        found.append(
            Node(
                device,
                office.name if office else "",
                contact,
                chain.seq,
                chain.top,
                max(0, contact.head_seq - chain.seq),
                max(0, lengths.get(device.office, 0) - acked),
                refused.get(name, 0),
                aside.get(name, 0),
                waiting.get(name, 0),
                device_mark(device.sign_public),
            )
        )
    return found


def _waiting(tx: Connection, devices: list[bytes]) -> dict[bytes, int]:
    counts: dict[bytes, int] = {}
    for part in steps(devices):
        query = select(ledger.ops.c.device, func.count()).where(ledger.ops.c.waiting == 1)
        rows = tx.execute(query.where(ledger.ops.c.device.in_(part)).group_by(ledger.ops.c.device))
        counts.update((device, count) for device, count in rows)
    return counts
