"""The author chains: gaps that must be filled, forks that a person must hear about.

For: following every device's ops from number 1 (each names the hash of the one before), noticing numbers that are
missing, and keeping the evidence of two histories under one device.
May not: decide what happens to a device (hub/ does). Forked ops are stored like all others.
Spec: docs/operating/storage.md, "Chains".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from conflict.ledger.schema import chains, forks
from conflict.ledger.schema import ops as ops_table
from conflict.ledger.statements import insert_new, put, steps
from protocol.op import Op, parse_op

_CHAINS = select(chains).where(chains.c.device.in_(bindparam("devices", expanding=True)))
_WALK_NUMBERS = 200  # stored numbers read at once when a gap closes


@dataclass(frozen=True, slots=True)
class Chain:
    """How far a device's ops are complete here. seq 0 and empty op_id: op 1 is missing. top: highest number seen."""

    device: bytes
    seq: int = 0
    op_id: bytes = b""
    top: int = 0


@dataclass(frozen=True, slots=True)
class Fork:
    """Evidence of two histories: `op_id` has number `seq`, and `other_id` has the same number; or `other_id` is the
    op before it here, which its `prev` denies."""

    device: bytes
    seq: int
    op_id: bytes
    other_id: bytes


def chain(tx: Connection, device: bytes) -> tuple[int, bytes]:
    """(number, id) of the last op of the device's unbroken chain here; (0, b"") if there is none."""
    found = chains_of(tx, [device])[device]
    return found.seq, found.op_id


def last_of(tx: Connection, device: bytes) -> tuple[int, bytes]:
    """(number, id) of the op with the device's highest number here, also behind a gap; (0, b"") if there is none.

    What a device writes next follows this one: an op that its own damaged store has lost is a gap for good, and another
    op of that number would be a second history.
    """
    found = chains_of(tx, [device])[device]
    if found.top <= found.seq:
        return found.seq, found.op_id
    query = select(ops_table.c.id).where(ops_table.c.device == device, ops_table.c.seq == found.top)
    return found.top, bytes(tx.execute(query.order_by(ops_table.c.pos).limit(1)).scalar_one())


def chains_of(tx: Connection, devices: Iterable[bytes]) -> dict[bytes, Chain]:
    """The chain of each device; an empty one for those unknown."""
    found = {device: Chain(device) for device in devices}
    for part in steps(found):
        for row in tx.execute(_CHAINS, {"devices": part}):
            found[row.device] = Chain(row.device, row.seq, row.op_id, row.top)
    return found


def all_chains(tx: Connection) -> list[Chain]:
    """Every device that we hold ops of."""
    return [
        Chain(row.device, row.seq, row.op_id, row.top) for row in tx.execute(select(chains).order_by(chains.c.device))
    ]


def gaps(tx: Connection, device: bytes, *, limit: int = 100) -> list[tuple[int, int]]:
    """Numbers of the device that are missing below the highest one seen, as inclusive ranges, lowest first."""
    known = chains_of(tx, [device])[device]
    query = (
        select(ops_table.c.seq)
        .where(ops_table.c.device == device, ops_table.c.seq > known.seq)
        .order_by(ops_table.c.seq)
        .distinct()
    )
    missing: list[tuple[int, int]] = []
    expected = known.seq + 1
    for seq in tx.execute(query).scalars():
        if seq > expected:
            missing.append((expected, seq - 1))
            if len(missing) == limit:
                break
        expected = seq + 1
    return missing


def found_forks(tx: Connection, device: bytes | None = None) -> list[Fork]:
    """All evidence kept, or that of one device."""
    query = select(forks).order_by(forks.c.found_ms, forks.c.device, forks.c.seq)
    if device is not None:
        query = query.where(forks.c.device == device)
    return [Fork(row.device, row.seq, row.op_id, row.other_id) for row in tx.execute(query)]


def follow(tx: Connection, fresh: Sequence[Op], *, now_ms: int) -> tuple[dict[bytes, Chain], dict[bytes, Fork]]:
    """Take newly stored ops into their devices' chains.

    Returns: the chains after it by device, and evidence of forks by op id (kept in the store too).
    """
    before = chains_of(tx, {op.device for op in fresh})
    by_device: dict[bytes, list[Op]] = {}
    for op in fresh:
        by_device.setdefault(op.device, []).append(op)
    after: dict[bytes, Chain] = {}
    evidence: dict[bytes, Fork] = {}
    for device, mine in by_device.items():
        known = before[device]
        for fork in _doubles(tx, known, mine):
            evidence.setdefault(fork.op_id, fork)
        head, broken = _walk(tx, known, mine)
        if broken is not None:
            evidence.setdefault(broken.op_id, broken)
        after[device] = Chain(device, head.seq, head.op_id, max(known.top, max(op.seq for op in mine)))
    put(tx, chains, [{"device": c.device, "seq": c.seq, "op_id": c.op_id, "top": c.top} for c in after.values()])
    insert_new(
        tx,
        forks,
        [
            {"device": f.device, "seq": f.seq, "op_id": f.op_id, "other_id": f.other_id, "found_ms": now_ms}
            for f in evidence.values()
        ],
    )
    return after, evidence


def _doubles(tx: Connection, known: Chain, mine: Sequence[Op]) -> list[Fork]:
    """Ops whose number another op of the same device has, among the arriving and the stored."""
    first: dict[int, bytes] = {}
    low = min(op.seq for op in mine)
    if low <= known.top:
        arriving = {op.id for op in mine}
        query = select(ops_table.c.seq, ops_table.c.id).where(
            ops_table.c.device == known.device, ops_table.c.seq.between(low, max(op.seq for op in mine))
        )
        for seq, op_id in tx.execute(query.order_by(ops_table.c.pos)):
            if op_id not in arriving:
                first.setdefault(seq, op_id)
    found = []
    for op in mine:
        other = first.setdefault(op.seq, op.id)
        if other != op.id:
            found.append(Fork(op.device, op.seq, op.id, other))
    return found


def _walk(tx: Connection, known: Chain, mine: Sequence[Op]) -> tuple[Chain, Fork | None]:
    """Move the end of the unbroken chain forward over arriving and stored ops; stop at a gap or a denied `prev`."""
    seq, op_id, top = known.seq, known.op_id, max(known.top, max(op.seq for op in mine))
    arrived: dict[int, list[Op]] = {}
    for op in mine:
        arrived.setdefault(op.seq, []).append(op)
    stored: dict[int, list[Op]] = {}
    numbers = 1  # the first look is at one number: most often it is not there, and nothing more is read
    while seq < top:
        following = seq + 1
        if following <= known.top and following not in stored:
            stored.update(_stored(tx, known.device, following, numbers))
            numbers = _WALK_NUMBERS
        options = arrived.get(following, []) + stored.get(following, [])
        fitting = next((op for op in options if (op.prev or b"") == op_id), None)
        if fitting is None:
            broken = Fork(known.device, following, options[0].id, op_id) if options else None
            return Chain(known.device, seq, op_id, top), broken
        seq, op_id = fitting.seq, fitting.id
    return Chain(known.device, seq, op_id, top), None


def _stored(tx: Connection, device: bytes, first: int, numbers: int) -> dict[int, list[Op]]:
    """The device's stored ops by number, for `numbers` numbers from `first`; numbers without one have an empty list."""
    query = (
        select(ops_table.c.blob)
        .where(ops_table.c.device == device, ops_table.c.seq.between(first, first + numbers - 1))
        .order_by(ops_table.c.seq, ops_table.c.pos)
    )
    found: dict[int, list[Op]] = {number: [] for number in range(first, first + numbers)}
    for blob in tx.execute(query).scalars():
        op = parse_op(blob)
        found[op.seq].append(op)
    return found
