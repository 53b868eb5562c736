"""Townships that carry: what they took for others is at the hub once, and each author has the hub's own word for it.

For: the checks that concern second lines, by what the stores say; whether such a line still has something under way.
May not: use the product's relay, streams, routing or receipts; take a township's word for the hub's.
Manual: docs/testing.md, "Townships".
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from edge.branch.township import TownshipLine
from ops.simulate import raw, raw_branch
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.equality import Hub
from ops.simulate.findings import Findings
from ops.simulate.raw import RawOp

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

PLACE = "branch.place"


def carried_well(sim: Simulation, hub: Hub, found: Findings) -> None:
    """See the module. After the rounds, in a county with halls."""
    if not sim.halls.on:
        return
    _at_the_hub_once(sim, hub, found)
    _receipts_are_the_hubs(sim, hub, found)
    for machine in sim.working():
        if machine.up:
            _nothing_out_of_scope(machine, found)
            if under_way(sim, machine):
                found.add("diverged", f"the second line of {machine.name} is not at its end")


def under_way(sim: Simulation, machine: EdgeMachine) -> bool:
    """Whether a device carries ops that have no word of the hub, or has not taken all that its township has for it."""
    if "pending" in raw_branch.relayed(machine.store_path).values():
        return True
    server = sim.halls.server(sim.halls.town_of(machine.office))
    if server is None or not served(sim, machine):
        return False
    place = raw.meta(machine.store_path, PLACE) or [b"", b"", 0]
    end = raw_branch.stream_ends(server.store_path).get(machine.office, 0)
    return bool(place[0] != server.incarnation or place[2] != end)


def township(machine: EdgeMachine) -> TownshipLine | None:
    """The line of a village's device to its township, if its daemon keeps one."""
    for side in machine.sides:
        if isinstance(side.talk, TownshipLine):
            return side.talk
    return None


def served(sim: Simulation, machine: EdgeMachine) -> bool:
    """Whether the device has a card of the township that it is under now, and knows that it is."""
    talk, server = township(machine), sim.halls.server(sim.halls.town_of(machine.office))
    if talk is None or server is None or talk._township != server.incarnation:
        return False
    return talk._find_peer() is not None


def _at_the_hub_once(sim: Simulation, hub: Hub, found: Findings) -> None:
    """Whatever any township took for others, the hub holds or keeps visibly; no case counts an op twice."""
    for machine in sim.edges:
        if machine.burnt:
            continue
        for op_id, state in raw_branch.relayed(machine.store_path).items():
            if op_id not in hub.rows and op_id not in hub.elsewhere:
                found.add("lost", f"op {op_id.hex()[:12]}, carried by {machine.name} ({state}), is not at the hub")
    for case, record in hub.records.items():
        times = Counter(entry["op"] for entry in record["timeline"])
        for op_id in sorted(one for one, count in times.items() if count > 1):
            found.add("doubled", f"op {op_id.hex()[:12]} stands {times[op_id]} times in case {case.hex()[:12]}")


def _receipts_are_the_hubs(sim: Simulation, hub: Hub, found: Findings) -> None:
    """Whoever made an op that was carried holds a receipt about it with the hub's signature, if it counts it settled."""
    county = sim.hub.county
    assert county is not None
    public = county.keys.sign_public
    carried = {op_id for one in sim.edges if not one.burnt for op_id in raw_branch.relayed(one.store_path)}
    for machine in sim.working():
        runs: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
        named: set[bytes] = set()
        for blob in raw_branch.receipts(machine.store_path):
            for what, said in raw_branch.outcomes_in(blob, public):
                if what == "run":
                    runs[said[0]].append((said[1], said[2]))
                else:
                    named.add(said)
        for op_id, (state, _code, _reason) in raw.outbox(machine.store_path).items():
            if op_id not in carried or state in ("pending", "offered") or op_id not in hub.rows:
                continue
            op = hub.rows[op_id][1]
            if op_id not in named and not any(first <= op.seq <= last for first, last in runs[op.device]):
                found.add("silent", f"{machine.name} counts op {op_id.hex()[:12]} as {state} without the hub's receipt")


def _nothing_out_of_scope(machine: EdgeMachine, found: Findings) -> None:
    """A township sends an office only cases in which it has written something, or that were forwarded to it."""
    sent = raw_branch.sent_down(machine.store_path)
    if not sent:
        return
    parts: dict[bytes, set[str]] = defaultdict(set)
    case_of: dict[bytes, bytes] = {}
    for op_id, _waits, blob in raw.all_ops(machine.store_path):
        op = RawOp.read(blob)
        case_of[op_id] = op.case
        parts[op.case].add(op.office)
        if op.kind == "forward":
            parts[op.case].add(str(op.body.get("to", "")))
    for office, op_id in sent:
        case = case_of.get(op_id)
        if case is None:
            found.add("lost", f"{machine.name} sends op {op_id.hex()[:12]}, which it does not hold")
        elif not any(part.startswith(office) for part in parts[case]):
            found.add("diverged", f"{machine.name} sends {office} case {case.hex()[:12]}, in which it has no part")
