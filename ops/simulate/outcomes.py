"""Nothing doubled, nothing silent: every op ends visibly, every effect happens once, a case has one holder.

For: receipts at the origin against verdicts at the hub, forks against notices, hand-overs, the city's cases, order.
May not: use the product's fold, but for the one question whether it depends on the order of ops.
Manual: docs/testing.md, "What is checked".
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from conflict.fold import fold
from ops.simulate import raw
from ops.simulate.equality import Hub
from ops.simulate.findings import Findings
from protocol.op import parse_op

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation


def nothing_doubled(sim: Simulation, hub: Hub, found: Findings) -> None:
    """One case at the city per forward; one op of the hub per matter; one answer per hand-over; a number once."""
    forwards = Counter(case["bundle"]["forward"] for case in sim.city.store.cases())
    for forward, times in forwards.items():
        if times > 1:
            found.add("doubled", f"the city has forward {forward[:12]} {times} times")
    counting = {
        entry["op"] for record in hub.records.values() for entry in record["timeline"] if entry["verdict"] == "applied"
    }
    said = Counter(
        matter
        for op_id, (_waits, op) in hub.rows.items()
        if op.role == "hub" and op_id in counting and (matter := _matter(op)) is not None
    )
    for matter, times in said.items():
        if matter[0] == "veto" and sim.book.hub_fell:
            continue  # a hub that has lost a person's word asks again; a second veto voids the same op
        if times > 1:
            found.add("doubled", f"the hub said {times} times: {matter}")
    _down_once(sim, hub, found)
    _one_holder(hub, found)
    _numbers_once(hub, found)


def _down_once(sim: Simulation, hub: Hub, found: Findings) -> None:
    """An op goes down to an office once, but for what a comparison sends again, which names no author."""
    if sim.book.hub_fell:
        return  # what comes back to a hub that had lost it goes down anew
    for office in sorted(hub.scopes):
        times = Counter(blob for _position, author, blob in raw.stream_ops(sim.hub.store_path, office) if author)
        for blob, count in times.items():
            if count > 1:
                op_id = raw.RawOp.read(blob).id
                found.add("doubled", f"op {op_id.hex()[:12]} goes down to {office} {count} times")


def _matter(op: raw.RawOp) -> tuple[str, ...] | None:
    """What an op of the hub is about, if that may be said once only."""
    if op.kind == "veto":
        return ("veto", op.body["of"].hex()[:12])
    if "answer" in op.body:
        return ("answer", str(op.body["answer"]))
    if "duplicate" in op.body:
        return ("duplicate", op.case.hex()[:12], op.body["duplicate"].hex()[:12])
    return None


def _one_holder(hub: Hub, found: Findings) -> None:
    """Of the applied answers to one forward only one is a take, a recall, or a return of what nobody took."""
    for case, record in hub.records.items():
        applied = {entry["op"] for entry in record["timeline"] if entry["verdict"] == "applied"}
        answers: dict[bytes, list[str]] = defaultdict(list)
        for op_id in applied:
            op = hub.rows[op_id][1]
            if op.kind in ("take", "recall"):
                answers[op.body["of"]].append(op.kind)
        for forward, kinds in answers.items():
            if len(kinds) > 1:
                found.add(
                    "doubled", f"forward {forward.hex()[:12]} of case {case.hex()[:12]} was answered by {sorted(kinds)}"
                )


def _numbers_once(hub: Hub, found: Findings) -> None:
    """A case number names one case, unless a device wrote two histories, which is told."""
    forked = _forked(hub)
    seen: dict[str, bytes] = {}
    for case, (_digest, number, _status, _holder) in sorted(hub.views.items()):
        other = seen.setdefault(number, case)
        if other != case and number and hub.rows[case][1].device not in forked:
            found.add("doubled", f"the number {number} stands for two cases")


def _forked(hub: Hub) -> set[bytes]:
    """Devices of which the hub has two ops under one number."""
    places = Counter((op.device, op.seq) for _waits, op in hub.rows.values())
    return {device for (device, _seq), times in places.items() if times > 1}


def nothing_silent(sim: Simulation, hub: Hub, found: Findings) -> None:
    """Every op is accepted, refused with a reason, or waiting for a reason, and its origin says the same as the hub."""
    for op_id, (outcome, code, reason) in hub.outcomes.items():
        if op_id in hub.rows and outcome != "accepted" and (not code or (outcome == "refused" and not reason)):
            found.add("silent", f"op {op_id.hex()[:12]} is {outcome} at the hub without a reason")
    for machine in sim.working():
        for op_id, (state, code, reason) in raw.outbox(machine.store_path).items():
            word = _word_of_hub(hub, op_id)
            if state in ("pending", "offered") or word is None:
                continue
            if state != word:
                found.add("silent", f"op {op_id.hex()[:12]} is {word} at the hub and {state} at {machine.name}")
            if state == "refused" and not (code and reason):
                found.add("silent", f"{machine.name} does not know why op {op_id.hex()[:12]} was refused")
            if state == "waiting" and not code:
                found.add("silent", f"{machine.name} does not know what op {op_id.hex()[:12]} waits for")
    hub_name = sim.hub.county.keys.incarnation if sim.hub.county else b""
    for machine in sim.working():
        if machine.incarnation in _forked(hub):
            found.add("silent", f"{machine.name} goes on under a name that has two histories")
    for device in sorted(_forked(hub) - {hub_name}):
        if ("fork", device.hex()) not in hub.notices:
            found.add("silent", f"nobody was told that device {device.hex()} wrote two histories")
    liars = set(sim.book.liars.values())
    for op_id in sorted(sim.book.evil - liars):
        if op_id in hub.rows:
            found.add("silent", f"the forged op {op_id.hex()[:12]} was taken")
    _waits_are_explained(sim, hub, found)


def _word_of_hub(hub: Hub, op_id: bytes) -> str | None:
    if op_id in hub.held_open:
        return "waiting"
    word = hub.outcomes.get(op_id)
    if word is not None:
        return word[0]
    return "accepted" if op_id in hub.rows else None


def _waits_are_explained(sim: Simulation, hub: Hub, found: Findings) -> None:
    """An op may wait at the hub only below something that was lost with its disk, is held, never was, or is of the hub's own
    making and lies with an old hub that was switched off."""
    excused = found.lost_with_disk | hub.elsewhere | sim.book.evil | sim.book.unheard
    for op_id, (waits, op) in hub.rows.items():
        if not waits:
            continue
        missing = _missing_above(hub, op)
        if not missing or not missing <= excused:
            names = [one.hex()[:12] for one in sorted(missing - excused)]
            found.add("silent", f"op {op_id.hex()[:12]} waits at the hub for {names or 'nothing'}")


def _missing_above(hub: Hub, op: raw.RawOp) -> set[bytes]:
    """Ancestors that the hub does not hold."""
    missing: set[bytes] = set()
    seen: set[bytes] = set()
    look = list(op.parents)
    while look:
        parent = look.pop()
        if parent in seen:
            continue
        seen.add(parent)
        if parent in hub.rows:
            look += hub.rows[parent][1].parents
        else:
            missing.add(parent)
    return missing


def order_does_not_matter(sim: Simulation, hub: Hub, found: Findings) -> None:
    """The kept view of each case is what its ops fold to in another order."""
    rng = random.Random(sim.options.seed)
    for case, (digest, _number, _status, _holder) in hub.views.items():
        blobs = [op.blob for op_id in sorted(hub.by_case[case]) for waits, op in [hub.rows[op_id]] if not waits]
        rng.shuffle(blobs)
        if fold([parse_op(blob) for blob in blobs]).digest() != digest:
            found.add("diverged", f"case {case.hex()[:12]} folds to another view in another order")
