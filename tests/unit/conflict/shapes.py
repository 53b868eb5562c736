"""Hostile shapes: histories that are meant to cost the fold more than their length.

For: tests that count steps, and `liandong bench`. Ops are unsigned; their ids are hashes of what makes them differ.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Any

from protocol.op import Op, Reference
from tests.unit.conflict.support import COUNTY, NOON_MS, TOWN, VILLAGE, opening


class Shape:
    """A growing list of ops of one case. `put` returns the new op's id."""

    def __init__(self, office: str = COUNTY) -> None:
        self.ops: list[Op] = []
        self.root = self.put("accept", [], opening(), office=office)

    def put(
        self,
        kind: str,
        seen: list[bytes],
        body: dict[str, Any],
        *,
        office: str = COUNTY,
        role: str = "chief",
        seq: int | None = None,
    ) -> bytes:
        number = len(self.ops) + 1 if seq is None else seq
        parents = tuple(sorted(set(seen)))
        content = repr((kind, office, role, parents, sorted(body.items(), key=str), number))
        op_id = hashlib.sha256(content.encode()).digest()
        op = Op(
            id=op_id,
            blob=b"",
            kind=kind,
            case=self.ops[0].id if self.ops else op_id,
            office=office,
            device=b"\0" * 8,
            seq=number,
            prev=None,
            parents=parents,
            staff="s",
            role=role,
            claimed_ms=NOON_MS + 1000 * number,
            evidence=None,
            reference=Reference(),
            body=body,
        )
        self.ops.append(op)
        return op_id


def opinion(text: object) -> dict[str, Any]:
    return {"outcome": "agree", "opinion": str(text)}


SUSPENSION = {"cause": "听证", "reason": "r", "written_notice": True}


def chain(count: int) -> list[Op]:
    """One device, amendment upon amendment."""
    shape = Shape()
    last = shape.root
    for number in range(count - 1):
        last = shape.put("amend", [last], {"fields": {"area": str(number)}})
    return shape.ops


def chain_of_acts(count: int) -> list[Op]:
    """The state moves at every op: suspended, resumed, suspended …"""
    shape = Shape()
    last = shape.root
    for number in range(count - 1):
        if number % 2 == 0:
            suspension = last = shape.put("suspend", [last], SUSPENSION)
        else:
            last = shape.put("resume", [last], {"of": suspension})
    return shape.ops


def heads(count: int) -> list[Op]:
    """So many concurrent heads, every one a valid examination."""
    shape = Shape()
    for number in range(count - 1):
        shape.put("examine", [shape.root], opinion(number))
    return shape.ops


def heads_joined(count: int) -> list[Op]:
    """Concurrent examinations, joined by notes of 64 parents each until one head is left."""
    shape = Shape()
    level = [shape.put("examine", [shape.root], opinion(number)) for number in range(count - 1)]
    while len(level) > 1:
        level = [shape.put("note", level[at : at + 64], {"text": "合并"}) for at in range(0, len(level), 64)]
    return shape.ops


def ladder(count: int, lag: int = 0) -> list[Op]:
    """Two devices that see each other's ops with a lag: no op is ever known to everybody at once."""
    shape = Shape()
    left, right = [shape.root] * (lag + 1), [shape.root] * (lag + 1)
    for number in range((count - 1) // 2):
        one = shape.put("examine", [left[-1], right[-1 - lag]], opinion(f"左{number}"))
        other = shape.put("examine", [right[-1], left[-1 - lag]], opinion(f"右{number}"))
        left.append(one)
        right.append(other)
    return shape.ops


def growing_join(count: int) -> list[Op]:
    """A chain that at each step joins one more concurrent act."""
    shape = Shape()
    last = shape.root
    for number in range((count - 1) // 2):
        act = shape.put("examine", [shape.root], opinion(number))
        last = shape.put("examine", [last, act], opinion(f"合{number}"))
    return shape.ops


def mesh(count: int, width: int = 80) -> list[Op]:
    """Layers of acts that each saw half of the layer before: nothing ever joins."""
    shape, rng = Shape(), random.Random(1)
    layer = [shape.root]
    while len(shape.ops) < count:
        below = layer
        layer = [
            shape.put("examine", rng.sample(below, min(len(below), 40)), opinion(number)) for number in range(width)
        ]
    return shape.ops


def refusals(count: int) -> list[Op]:
    """A village that keeps deciding what it may not."""
    shape = Shape()
    last = shape.root
    for number in range(count - 1):
        last = shape.put("decide", [last], {"decision": "granted", "opinion": str(number)}, office=VILLAGE)
    return shape.ops


def to_and_fro(count: int) -> list[Op]:
    """Forwarded and taken for ever; every tenure lies upon all the earlier ones."""
    shape = Shape(VILLAGE)
    last, here, there = shape.root, VILLAGE, TOWN
    for _ in range((count - 1) // 2):
        way = shape.put("forward", [last], {"to": there}, office=here)
        last = shape.put("take", [way], {"of": way}, office=there)
        here, there = there, here
        if here == TOWN:
            continue
    return shape.ops


def vetoes(count: int) -> list[Op]:
    """Acts, then a veto of each; after every veto somebody looks."""
    shape = Shape()
    last = shape.root
    acts = []
    for number in range((count - 1) // 3):
        last = shape.put("examine", [last], opinion(number))
        acts.append(last)
    for act in acts:
        veto = {"of": act, "code": "device_revoked", "reason": "r"}
        last = shape.put("veto", [last], veto, role="hub")
        last = shape.put("note", [last], {"text": "看"})
    return shape.ops


def writers(count: int) -> list[Op]:
    """So many concurrent values of one field."""
    shape = Shape()
    for number in range(count - 1):
        shape.put("amend", [shape.root], {"fields": {"area": str(number)}})
    return shape.ops


def resolvers(count: int) -> list[Op]:
    """Administrators that look at an ever growing conflict at every op."""
    shape = Shape()
    writes = [shape.put("amend", [shape.root], {"fields": {"area": str(at)}}) for at in range((count - 1) // 2)]
    last = writes[0]
    for write in writes[1:]:
        body = {"conflict": "field:area:0000", "choice": 0, "reason": "r"}
        last = shape.put("resolve", [last, write], body)
    return shape.ops


def uploads(count: int) -> list[Op]:
    """One material uploaded again and again, concurrently."""
    shape = Shape()
    for number in range(count - 1):
        file = {"sha256": number.to_bytes(32, "big"), "size": 1, "media": "", "name": "", "grade": "C"}
        shape.put("attach", [shape.root], {"material": "照片"} | file)
    return shape.ops


def equivocation(count: int) -> list[Op]:
    """One device that says something else under one and the same sequence number."""
    shape = Shape()
    for number in range(count - 1):
        shape.put("examine", [shape.root], opinion(number), seq=2)
    return shape.ops


SHAPES: dict[str, Callable[[int], list[Op]]] = {
    "chain": chain,
    "chain_of_acts": chain_of_acts,
    "heads": heads,
    "heads_joined": heads_joined,
    "ladder": ladder,
    "ladder_lag_1": lambda count: ladder(count, 1),
    "ladder_lag_40": lambda count: ladder(count, 40),
    "growing_join": growing_join,
    "mesh": mesh,
    "refusals": refusals,
    "to_and_fro": to_and_fro,
    "vetoes": vetoes,
    "writers": writers,
    "resolvers": resolvers,
    "uploads": uploads,
    "equivocation": equivocation,
}
