"""Nothing lost: at any moment of a run, faults or not, every op is where it must be.

For: comparing the book with what the stores really hold, read by raw.py.
May not: use the product's fold, routing, outbox or receipts; excuse anything but what a fault has destroyed.
Manual: docs/testing.md, "What is checked".
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ops.simulate import raw
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.findings import Findings
from ops.simulate.raw import HUB_EPOCH, STREAM_PLACE, RawOp

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

SETTLED = ("accepted", "refused", "waiting")


def receipts_are_covered(sim: Simulation) -> list[str]:
    """The hub has just died: whatever its streams say is accepted must be in the same store. A moment later the device
    would offer it again, and nobody would see that the receipt had been too early."""
    return [
        f"lost: op {op_id.hex()[:12]} is receipted in a stream and not at the hub that died"
        for op_id in sorted(raw.receipted_and_absent(sim.hub.store_path))
    ]


def nothing_lost(sim: Simulation, found: Findings) -> None:
    """Every op is in the store it was made in, unless a fault took that; what the hub has receipted, the hub has."""
    book, hub_path = sim.book, sim.hub.store_path
    for machine in sim.edges:
        if not machine.burnt:
            book.look_at(machine, told=False)
    hub = raw.op_ids(hub_path) | raw.hub_elsewhere(hub_path)
    held = {machine: raw.op_ids(machine.store_path) for machine in sim.edges if not machine.burnt}
    everywhere = hub.union(*held.values())
    awake = set[bytes]().union(*(raw.op_ids(old.store_path) for old in sim.old_hubs if not old.gone))
    everywhere |= awake
    owed = book.hub_lost | book.old_hub | awake  # what an old hub receipts must be at the real one by the end
    for op_id, entry in book.entries.items():
        if not entry.endangered and op_id not in held[entry.home]:
            found.add(
                "lost", f"op {op_id.hex()[:12]} ({entry.op.kind}) is not in the store of {entry.home.name} any more"
            )
        if op_id not in everywhere:
            _vanished(sim, found, op_id)
    for machine in held:
        for op_id, (state, _code, _reason) in raw.outbox(machine.store_path).items():
            known = book.entries.get(op_id)
            if state not in SETTLED or known is None:
                continue
            known.receipted = True
            if op_id not in hub and op_id not in owed:
                found.add("lost", f"op {op_id.hex()[:12]} of {machine.name} is receipted as {state} and not at the hub")


def places_are_true(sim: Simulation, found: Findings) -> None:
    """Whoever says that it has its stream up to a place holds every op up to there, or shows what it could not take, and
    knows of every refusal.

    Places of an epoch in which the hub's store fell back, or an old hub spoke, prove nothing: what is wrong then is left
    to the daily comparison.
    """
    for machine in sim.working():
        reached = place(sim, machine)
        if reached is None:
            continue
        for op_id in _absent_below(sim, machine, reached):
            found.add("lost", f"{machine.name} has its stream up to {reached} and not op {op_id.hex()[:12]} of it")
        _words_arrived(sim, machine, reached, found)


def place_at_death(sim: Simulation, machine: EdgeMachine) -> list[str]:
    """The same of a device that has just died: a comparison would bring what is missing before anybody looks."""
    reached = place(sim, machine)
    if reached is None:
        return []
    return [
        f"lost: {machine.name} died, has its stream up to {reached} and not op {op_id.hex()[:12]} of it"
        for op_id in _absent_below(sim, machine, reached)
    ]


def place(sim: Simulation, machine: EdgeMachine) -> int | None:
    """How far a device says that it has its stream; None where that proves nothing."""
    epoch = raw.meta(sim.hub.store_path, HUB_EPOCH)
    if epoch is None or epoch[0] in sim.book.fallen_epochs or sim.old_hubs:
        return None
    reached = raw.meta(machine.store_path, STREAM_PLACE)
    return None if reached is None or reached[0] != epoch[0] else int(reached[1])


def _absent_below(sim: Simulation, machine: EdgeMachine, reached: int) -> list[bytes]:
    """Ops of others up to this place of the stream that the device neither stores nor shows as set aside or purged."""
    held, purged = raw.op_ids(machine.store_path), raw.purged(machine.store_path)
    absent = []
    for position, author, blob in raw.stream_ops(sim.hub.store_path, machine.office):
        if position > reached or author == machine.incarnation:
            continue
        op = RawOp.read(blob)
        if op.id not in held and op.case not in purged and not raw.is_set_aside(machine.store_path, blob):
            absent.append(op.id)
    return absent


def _words_arrived(sim: Simulation, machine: EdgeMachine, reached: int, found: Findings) -> None:
    outbox = raw.outbox(machine.store_path)
    for position, author, refused in raw.stream_receipts(sim.hub.store_path, machine.office):
        if position > reached or author != machine.incarnation:
            continue
        for op_id in sorted(refused):
            if outbox.get(op_id, ("",))[0] in ("pending", "offered"):
                found.add(
                    "silent",
                    f"{machine.name} took the receipt that refuses op {op_id.hex()[:12]} and has no word of it",
                )


def files_are_whole(sim: Simulation, found: Findings) -> None:
    """What counts as whole hashes to its name."""
    for machine in (sim.hub, *(one for one in sim.edges if not one.burnt)):
        for sha256 in raw.false_files(machine.store_path):
            found.add("lost", f"file {sha256.hex()[:12]} counts as whole at {machine.name} and has other bytes")


def _vanished(sim: Simulation, found: Findings, op_id: bytes) -> None:
    """An op that no store holds: the disk that had it was destroyed before anybody else did, or it is a loss."""
    entry = sim.book.entries[op_id]
    both = op_id in sim.book.hub_lost or op_id in sim.book.old_hub
    if entry.endangered and (not entry.receipted or both):
        found.lost_with_disk.add(op_id)
        return
    found.add("lost", f"op {op_id.hex()[:12]} ({entry.op.kind}) of {entry.home.name} is in no store")


def bytes_unchanged(sim: Simulation, found: Findings) -> None:
    """Every stored op has the id that its bytes give, and the bytes that it was made with."""
    stores = [sim.hub.store_path, *(machine.store_path for machine in sim.edges if not machine.burnt)]
    for store in stores:
        for op_id, _waits, blob in raw.all_ops(store):
            if RawOp.read(blob).id != op_id:
                found.add("lost", f"{store.parent.name} keeps other bytes under op {op_id.hex()[:12]}")
            made = sim.book.blobs.get(op_id)
            if made is not None and hashlib.sha256(blob).digest() != made:
                found.add("lost", f"{store.parent.name} has changed the bytes of op {op_id.hex()[:12]}")
