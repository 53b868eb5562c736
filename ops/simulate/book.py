"""The book: every op that was ever made, who made it, what a person was told of it, and which disks died under it.

For: saying at any moment what must still be somewhere. It reads the stores by raw.py and believes no table of states
more than it has to.
May not: import the product's fold, routing, outbox or intake; repair anything.
Manual: docs/testing.md, "What is checked".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from ops.simulate import raw
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.raw import RawOp
from ops.simulate.world import World


@dataclass(slots=True)
class Entry:
    """One op. told: a person saw `Saved`. endangered: the disk it was made on has lost it since. receipted: its origin
    once had the hub's word about it."""

    op: RawOp
    home: EdgeMachine
    made_ms: int
    told: bool = False
    endangered: bool = False
    receipted: bool = False


@dataclass
class Book:
    """See the module."""

    world: World
    entries: dict[bytes, Entry] = field(default_factory=dict)
    blobs: dict[bytes, bytes] = field(default_factory=dict)  # op id -> hash of its bytes
    hub_lost: set[bytes] = field(default_factory=set)  # taken from the hub by a fault, to come back from the edges
    evil: set[bytes] = field(default_factory=set)  # ops that a fault signed beside the product
    acts: int = 0
    refused_at_desk: int = 0
    liars: dict[EdgeMachine, bytes] = field(default_factory=dict)  # device -> the op that it said beside its store
    old_hub: set[bytes] = field(default_factory=set)  # ops that an old hub took while it was awake
    unheard: set[bytes] = field(default_factory=set)  # ops of the hub that lie with an old hub which sleeps for good
    revoked: dict[bytes, set[bytes]] = field(
        default_factory=dict
    )  # device -> what the hub had of it when it was revoked
    fallen_epochs: set[bytes] = field(default_factory=set)  # epochs of the hub's streams in which its store fell back
    put_back_epoch: bytes = b""  # the epoch in a backup that a person put back last, which the hub is to end
    wanted: set[tuple[EdgeMachine, bytes]] = field(default_factory=set)  # purged cases that somebody asked for again
    _seen: dict[tuple[EdgeMachine, bytes], int] = field(default_factory=dict)

    def look_at(self, machine: EdgeMachine, *, told: bool) -> list[RawOp]:
        """Write down what this machine made since the last look. told: a person has just seen that it is saved."""
        name = machine.incarnation
        last = self._seen.get((machine, name), 0)
        fresh = [RawOp.read(blob) for blob in raw.ops_after(machine.store_path, name, last)]
        for op in fresh:
            entry = self.entries.get(op.id)
            if entry is None:
                entry = self.entries[op.id] = Entry(op, machine, self.world.now_ms)
                self.blobs[op.id] = hashlib.sha256(op.blob).digest()
            entry.told = entry.told or told
        if fresh:
            self._seen[machine, name] = fresh[-1].seq
            self.world.note("made", machine.name, int(told), *(op.id for op in fresh))
        return fresh

    def same_past(self, twin: EdgeMachine, origin: EdgeMachine) -> None:
        """A copy of a machine has made all that its origin made up to now."""
        for (machine, name), last in list(self._seen.items()):
            if machine is origin:
                self._seen[twin, name] = last

    def has_lied(self, machine: EdgeMachine) -> bool:
        return machine in self.liars

    def lied(self, machine: EdgeMachine, op_id: bytes) -> None:
        """The device says to the hub what its own store does not know."""
        self.liars[machine] = op_id
        self.evil.add(op_id)

    def seen_elsewhere(self, store: Path) -> None:
        """An old hub goes to sleep for good: what it took was receipted, and is only with the edges now."""
        self.old_hub |= raw.op_ids(store)
        self.unheard |= {op.id for _id, _waits, blob in raw.all_ops(store) if (op := RawOp.read(blob)).role == "hub"}

    def fell_back(self, machine: EdgeMachine) -> int:
        """The machine's store is an earlier one now: what it no longer holds was taken by its disk. How many ops."""
        held = raw.op_ids(machine.store_path)
        gone = [entry for op_id, entry in self.entries.items() if entry.home is machine and op_id not in held]
        for entry in gone:
            entry.endangered = True
        for of, name in list(self._seen):
            if of is machine:
                left = [RawOp.read(blob).seq for blob in raw.ops_after(machine.store_path, name, 0)]
                self._seen[machine, name] = max(left, default=0)
        return len(gone)

    def purged(self, machine: EdgeMachine, settled: set[bytes], gone: set[bytes]) -> None:
        """The device has let these ops go; of the settled ones it had the hub's word."""
        for op_id in gone & set(self.entries):
            entry = self.entries[op_id]
            entry.receipted |= op_id in settled
            entry.endangered |= entry.home is machine

    def destroyed(self, machine: EdgeMachine) -> None:
        """The machine's disk is no more."""
        for entry in self.entries.values():
            if entry.home is machine:
                entry.endangered = True

    def hub_fell_back(self, before: set[bytes], after: set[bytes], epoch: bytes, *, knowingly: bool) -> None:
        """The hub's store is an earlier one now, in which this epoch stands. knowingly: a person put a backup back."""
        self.hub_lost |= before - after
        self.fallen_epochs.add(epoch)
        self.put_back_epoch = epoch if knowingly else b""

    @property
    def hub_fell(self) -> bool:
        """Whether the hub's store ever became an earlier one."""
        return bool(self.fallen_epochs)
