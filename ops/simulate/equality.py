"""Everything equal: after the faults have stopped and every office has connected, all holders agree with the hub.

For: ops, views, files, documents and places of every office against the hub; the scope of each case by a rule of our own.
May not: believe a digest alone: sets of op ids are compared too.
Manual: docs/testing.md, "What is checked".
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ops.simulate import raw, tree
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.findings import Findings
from ops.simulate.raw import HUB_EPOCH, STREAM_PLACE, RawOp

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation


class Hub:
    """What the hub holds, read once."""

    def __init__(self, sim: Simulation) -> None:
        store = sim.hub.store_path
        sim.hub.complete_views()
        self.rows = {op_id: (waits, RawOp.read(blob)) for op_id, waits, blob in raw.all_ops(store)}
        self.views = raw.views(store)
        self.records = raw.records(store)
        self.outcomes = raw.outcomes(store)
        self.elsewhere = raw.hub_elsewhere(store)
        self.held_open = dict(raw.hub_held_open(store))
        self.notices = raw.hub_notices(store)
        self.scopes = raw.scopes(store)
        self.lengths = raw.stream_lengths(store)
        self.files = raw.files(store)
        self.documents = raw.document_versions(store)
        self.by_case: dict[bytes, set[bytes]] = defaultdict(set)
        for op_id, (_waits, op) in self.rows.items():
            self.by_case[op.case].add(op_id)

    def attached(self, cases: set[bytes]) -> set[bytes]:
        """Contents that these cases have as materials, by the kept views."""
        return {one["sha256"] for case in cases if case in self.records for one in self.records[case]["materials"]}


def everything_equal(sim: Simulation, hub: Hub, found: Findings) -> None:
    """See the module."""
    _all_at_the_hub(sim, hub, found)
    _scopes_are_right(sim, hub, found)
    _epoch_is_new(sim, found)
    for machine in sim.working():
        if not machine.up:
            found.add("diverged", f"{machine.name} does not run")
            continue
        purged = _purged(sim, machine, found)
        _same_cases(machine, hub, purged, found)
        _same_files(machine, hub, purged, found)
        _drained(sim, machine, hub, found)


def _all_at_the_hub(sim: Simulation, hub: Hub, found: Findings) -> None:
    """Whatever any device in use holds, the hub holds: its own ops too, which it may have lost."""
    for machine in sim.working():
        for op_id in sorted(raw.op_ids(machine.store_path) - set(hub.rows) - hub.elsewhere):
            found.add("diverged", f"op {op_id.hex()[:12]} is at {machine.name} and not at the hub")
    for op_id, entry in sim.book.entries.items():
        known = op_id in hub.rows or op_id in hub.elsewhere or op_id in found.lost_with_disk
        if not known and not entry.home.gone:
            found.add("diverged", f"op {op_id.hex()[:12]} ({entry.op.kind}) of {entry.home.name} is not at the hub")
        elif not known:
            found.add(
                "lost", f"op {op_id.hex()[:12]} ({entry.op.kind}) of {entry.home.name}, now gone, is not at the hub"
            )


def _scopes_are_right(sim: Simulation, hub: Hub, found: Findings) -> None:
    """The opener's office and all above it hold a case; nobody does who has nothing to do with it."""
    moved = _moved(sim)
    for case, op_ids in hub.by_case.items():
        opener = hub.rows.get(case)
        if opener is None or opener[0] or case not in hub.views:
            continue
        holders = {office for office, cases in hub.scopes.items() if case in cases}
        taking_part = {hub.rows[op_id][1].office for op_id in op_ids}
        taking_part |= {
            str(hub.rows[op_id][1].body.get("to", "")) for op_id in op_ids if hub.rows[op_id][1].kind == "forward"
        }
        must = {tree.COUNTY} if opener[1].office in moved else _upward(opener[1].office)
        may = {above for office in taking_part for above in _upward(office)}
        if any(office in moved for office in taking_part):
            may |= {*sim.tree.towns, sim.tree.spare_town}
        if not must <= holders:
            found.add("diverged", f"case {case.hex()[:12]} is not routed to {sorted(must - holders)}")
        if not holders <= may | {tree.COUNTY}:
            found.add(
                "diverged", f"case {case.hex()[:12]} is routed to {sorted(holders - may)}, who have no part in it"
            )


def _epoch_is_new(sim: Simulation, found: Findings) -> None:
    """A hub that was put back from a backup counts its streams in a new epoch."""
    epoch = raw.meta(sim.hub.store_path, HUB_EPOCH)
    if epoch[0] == sim.book.put_back_epoch:
        found.add("diverged", "the hub was put back from a backup and goes on in the epoch that it had before")


def _moved(sim: Simulation) -> set[str]:
    """Offices that came under another one, also by a command whose process died after the commit."""
    assert sim.hub.county is not None
    roster = sim.hub.county.shelf.roster
    return sim.moved | {
        office for office in sim.tree.offices if office != tree.COUNTY and roster.parent(office) not in _upward(office)
    }


def _upward(office: str) -> set[str]:
    """An office and those above it inside the county, by the codes."""
    return (
        {office[:length] for length in (12, 9, 6) if length <= len(office)} if office.startswith(tree.COUNTY) else set()
    )


def _purged(sim: Simulation, machine: EdgeMachine, found: Findings) -> set[bytes]:
    """Cases that the device has purged: the hub has its word about each, and none was asked for again; but for those that
    a hub put back from an older backup has lost, which is the price of decision 0133."""
    purged = raw.purged(machine.store_path)
    there = purged - found.lost_with_disk
    for case in sorted(there - raw.hub_purged(sim.hub.store_path, machine.incarnation)):
        found.add("diverged", f"{machine.name} has purged case {case.hex()[:12]} and the hub does not know")
    for case in sorted(case for case in there if (machine, case) in sim.book.wanted):
        found.add("diverged", f"{machine.name} has asked for purged case {case.hex()[:12]} and it has not come")
    return purged


def _same_cases(machine: EdgeMachine, hub: Hub, purged: set[bytes], found: Findings) -> None:
    scope = {case for case in hub.scopes.get(machine.office, set()) if case in hub.views and case not in purged}
    mine = raw.views(machine.store_path)
    for case in sorted(scope - set(mine)):
        found.add("diverged", f"{machine.name} lacks case {case.hex()[:12]}")
    for case in sorted(set(mine) - scope):
        found.add("diverged", f"{machine.name} holds case {case.hex()[:12]}, which the hub does not route to it")
    held: dict[bytes, set[bytes]] = defaultdict(set)
    waiting = set()
    for op_id, waits, blob in raw.all_ops(machine.store_path):
        held[RawOp.read(blob).case].add(op_id)
        if waits:
            waiting.add(op_id)
    for case in sorted(scope & set(mine)):
        if held[case] != hub.by_case[case]:
            more, less = len(held[case] - hub.by_case[case]), len(hub.by_case[case] - held[case])
            found.add("diverged", f"{machine.name} has {more} ops more and {less} less of case {case.hex()[:12]}")
        elif mine[case][0] != hub.views[case][0]:
            found.add(
                "diverged", f"{machine.name} and the hub see case {case.hex()[:12]} differently from the same ops"
            )
    for op_id in sorted(waiting):
        if not hub.rows.get(op_id, (True,))[0]:
            found.add("diverged", f"op {op_id.hex()[:12]} waits at {machine.name} and not at the hub")


def _same_files(machine: EdgeMachine, hub: Hub, purged: set[bytes], found: Findings) -> None:
    mine = raw.files(machine.store_path)
    wanted = hub.attached(hub.scopes.get(machine.office, set()) - purged)
    for sha256 in sorted(wanted):
        here, there = mine.get(sha256, False), hub.files.get(sha256, False)
        if here != there:
            found.add("diverged", f"file {sha256.hex()[:12]} is {'only' if here else 'not'} at {machine.name}")


def _drained(sim: Simulation, machine: EdgeMachine, hub: Hub, found: Findings) -> None:
    for op_id, (state, _code, _reason) in raw.outbox(machine.store_path).items():
        if state in ("pending", "offered"):
            found.add("silent", f"op {op_id.hex()[:12]} of {machine.name} still has no word of the hub")
    place = raw.meta(machine.store_path, STREAM_PLACE)
    length = hub.lengths.get(machine.office, 0)
    hermit = machine.office in sim.halls.hermits  # it has no place in the hub's stream: its township's counts
    if not hermit and (place[1] if place else 0) != length:
        found.add("diverged", f"{machine.name} is at {place[1] if place else 0} of {length} of its stream")
    versions = raw.document_versions(machine.store_path)
    if versions != hub.documents:
        found.add("diverged", f"{machine.name} holds documents {versions}, published are {hub.documents}")
