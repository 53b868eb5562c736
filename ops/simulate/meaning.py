"""What cases say: values that lost are kept, vetoes hold, clocks decide nothing, the city's answers are in their cases,
ops of revoked devices count only if a person said so.

For: invariants that equality cannot see, because a wrong rule that everybody follows gives equal views.
May not: use the product's fold, but for the one question whether it depends on the clocks; look into edges' stores.
Manual: docs/testing.md, "What is checked".
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conflict.fold import fold
from ops.simulate import raw
from ops.simulate.equality import Hub
from ops.simulate.findings import Findings
from ops.simulate.world import DAY, START_MS
from protocol.op import parse_op

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

COUNTING = ("applied", "overtaken")
ANSWERS_MAX = 10_000
VISIBLE = ("refused", "unreadable")  # states in which an administrator sees an answer that became no op


def cases_mean_what_was_said(sim: Simulation, hub: Hub, found: Findings) -> None:
    """See the module."""
    _no_value_is_lost(hub, found)
    _vetoes_hold(hub, found)
    _clocks_do_not_matter(sim, hub, found)
    _answers_of_the_city_arrive(sim, hub, found)
    _revoked_are_asked_about(sim, hub, found)


def _no_value_is_lost(hub: Hub, found: Findings) -> None:
    """Each value that counts is shown, among those that lost, or was overwritten by somebody who had seen it."""
    for case, record in hub.records.items():
        verdicts = {entry["op"]: entry["verdict"] for entry in record["timeline"]}
        writes: dict[str, list[tuple[bytes, str]]] = defaultdict(list)
        resolved = False
        for op_id in hub.by_case[case]:
            op = hub.rows[op_id][1]
            if verdicts.get(op_id) not in COUNTING:
                continue
            resolved |= op.kind == "resolve"
            for name, value in (op.body.get("fields") or {}).items():
                writes[name].append((op_id, value))
        for name, some in writes.items() if not resolved else ():
            writers = {op_id for op_id, _value in some}
            for op_id, value in some:
                if not _seen_by_another(hub, op_id, writers) and value not in _readable(record["fields"].get(name)):
                    found.add(
                        "lost",
                        f"a value of {name} in case {case.hex()[:12]}, by op {op_id.hex()[:12]}, is not readable",
                    )


def _seen_by_another(hub: Hub, op_id: bytes, writers: set[bytes]) -> bool:
    """Whether one of the other writers knew of this op."""
    return any(op_id in _ancestors(hub, other) for other in writers if other != op_id)


def _ancestors(hub: Hub, op_id: bytes) -> set[bytes]:
    seen: set[bytes] = set()
    look = list(hub.rows[op_id][1].parents)
    while look:
        parent = look.pop()
        if parent not in seen:
            seen.add(parent)
            look += hub.rows[parent][1].parents if parent in hub.rows else ()
    return seen


def _readable(field: dict[str, Any] | None) -> set[str]:
    if field is None:
        return set()
    lines = str(field["value"]).split("\n")
    return {field["value"], *lines, *(loser["value"] for loser in field["losing"])}


def _vetoes_hold(hub: Hub, found: Findings) -> None:
    """What the hub has declared void counts nowhere."""
    for case, record in hub.records.items():
        verdicts = {entry["op"]: entry["verdict"] for entry in record["timeline"]}
        for op_id in hub.by_case[case]:
            op = hub.rows[op_id][1]
            if op.kind == "veto" and op.role == "hub" and verdicts.get(op.body["of"]) in COUNTING:
                found.add("diverged", f"op {op.body['of'].hex()[:12]} counts although the hub's veto is in its case")


def _clocks_do_not_matter(sim: Simulation, hub: Hub, found: Findings) -> None:
    """With other claimed times a case says the same."""
    rng = random.Random(f"clocks {sim.options.seed}")
    for case in hub.views:
        ops = [parse_op(op.blob) for op_id in sorted(hub.by_case[case]) for waits, op in [hub.rows[op_id]] if not waits]
        rng.shuffle(ops)
        said = _said(fold(ops).record())
        for turn in (1, -1):  # one of the two orders turns any pair of clocks round
            dated = [replace(op, claimed_ms=START_MS + turn * at * DAY, evidence=None) for at, op in enumerate(ops)]
            if _said(fold(dated).record()) != said:
                found.add("diverged", f"case {case.hex()[:12]} says something else under other clocks")


def _said(record: Any) -> list[Any]:
    """What a case says, without any time."""
    fields = {
        name: [
            one["value"],
            one["op"],
            one["contested"],
            sorted([loser["op"], loser["value"]] for loser in one["losing"]),
        ]
        for name, one in record["fields"].items()
    }
    verdicts = sorted([entry["op"], entry["verdict"], entry["code"]] for entry in record["timeline"])
    return [record["status"], record["holder"], record["number"], fields, verdicts]


def _answers_of_the_city_arrive(sim: Simulation, hub: Hub, found: Findings) -> None:
    """Every decision and return of the city is an op of its case, once, or lies where an administrator sees it."""
    said = {str(op.body["answer"]) for _waits, op in hub.rows.values() if op.role == "hub" and "answer" in op.body}
    states = raw.city_answers(sim.hub.store_path)
    forwards = {case["receipt"]: bytes.fromhex(case["bundle"]["forward"]) for case in sim.city.store.cases()}
    for answer in sim.city.store.answers(0, ANSWERS_MAX):
        known = answer["id"] in said or states.get(answer["id"]) in VISIBLE
        forward = forwards.get(answer["receipt"], b"")
        known |= forward in found.lost_with_disk  # only the city has the case still
        # A person refused the forward after the hub had lost it and the city had decided: listed among the strays.
        known |= states.get(answer["id"]) == "waiting" and hub.outcomes.get(forward, ("",))[0] == "refused"
        if answer["kind"] in ("returned", "decided") and not known:
            found.add("lost", f"the city's answer {answer['id']} ({answer['kind']}) is in no case")


def _revoked_are_asked_about(sim: Simulation, hub: Hub, found: Findings) -> None:
    """What came from a device after its revocation counts only if a person let it."""
    book = sim.book
    if book.hub_fell:
        return  # the revocation may have been lost with the rest
    released = raw.hub_released(sim.hub.store_path)
    for op_id, (_waits, op) in hub.rows.items():
        if op_id not in book.revoked.get(op.device, {op_id}) and op_id not in released:
            found.add("silent", f"op {op_id.hex()[:12]} of a revoked device was taken and nobody was asked")
