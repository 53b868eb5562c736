"""Held ops: authentic, but a person decides whether they count (late ops of a revoked device, ops the program stumbles over).

For: keeping their bytes, listing them, and the decision.
May not: commit; append a released op (hub.admin does, through the same intake as all ops).
Manual: docs/operating/hub.md, "Held ops".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from conflict.ledger.statements import insert_new, steps
from hub.errors import UnknownEntry
from hub.schema import held
from protocol.op import Op

INTERNAL = "internal"  # the code of an op that the program stumbles over
CATALOGUE_LOST = "catalogue_lost"  # of an opener whose item version went out of the hub's memory with a restore
RELEASED, REFUSED = "released", "refused"
DETAIL_CHARS_MAX = 400


@dataclass(frozen=True, slots=True)
class Held:
    """One held op. code: "revoked", "internal" or "catalogue_lost". decision: "" while open."""

    op: bytes
    at_ms: int
    device: bytes
    office: str
    seq: int
    code: str
    detail: str
    blob: bytes
    decision: str
    staff: str
    decided_ms: int


def hold(tx: Connection, op: Op, *, code: str, detail: str, now_ms: int) -> None:
    """Keep an op aside; one that is held already stays as it is."""
    row = {
        "op": op.id,
        "at_ms": now_ms,
        "device": op.device,
        "office": op.office,
        "seq": op.seq,
        "code": code,
        "detail": detail[:DETAIL_CHARS_MAX],
        "blob": op.blob,
        "decision": "",
        "staff": "",
        "decided_ms": 0,
    }
    insert_new(tx, held, [row])


def known(tx: Connection, ids: Iterable[bytes]) -> set[bytes]:
    """Which of these ops are held or were refused by a person: no need to look at them again."""
    found: set[bytes] = set()
    if tx.scalar(select(held.c.op).limit(1)) is None:
        return found
    for part in steps(ids):
        query = select(held.c.op).where(held.c.op.in_(part), held.c.decision != RELEASED)
        found.update(tx.scalars(query))
    return found


def listed(tx: Connection, *, limit: int = 500) -> list[Held]:
    """Ops that wait for a person, oldest first."""
    query = select(held).where(held.c.decision == "").order_by(held.c.at_ms, held.c.op).limit(limit)
    return [Held(*row) for row in tx.execute(query)]


def counts(tx: Connection) -> dict[bytes, int]:
    """Open held ops per device."""
    found: dict[bytes, int] = {}
    for device in tx.scalars(select(held.c.device).where(held.c.decision == "")):
        found[device] = found.get(device, 0) + 1
    return found


def waiting(tx: Connection, op: bytes) -> Held:
    """The entry of an op that waits for a person. Raises UnknownEntry if no such op waits."""
    row = tx.execute(select(held).where(held.c.op == op, held.c.decision == "")).first()
    if row is None:
        raise UnknownEntry("No such op is held.", "没有这条待处理的条目。", op=op.hex())
    return Held(*row)


def decide(tx: Connection, op: bytes, decision: str, *, staff: str, now_ms: int) -> Held:
    """Write a person's decision down and return the entry. Raises UnknownEntry if no such op waits."""
    entry = waiting(tx, op)
    tx.execute(update(held).where(held.c.op == op).values(decision=decision, staff=staff, decided_ms=now_ms))
    return entry
