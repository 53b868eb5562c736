"""The graph of a case's ops: who had seen what, and one deterministic order.

For: parents before children, ancestors, heads, and what must wait because its parents are not here.
May not: know what an op means; use a clock (claimed times order nothing).
Spec: docs/conflict/fold.md, "Causality".  Cost: n log n steps and at most n*n/16 bytes (6 MB for 10,000 ops).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from protocol.op import Op

OPS_FOLDED_MAX = 20_000  # ops of one case that are folded (25 MB of ancestor bits); later ones wait, visibly


@dataclass(frozen=True, slots=True)
class History:
    """The ops of one case in an order in which every op comes after its parents.

    ops: sorted by (depth, id), depth being the longest way to the opener. Position in it is the op's *index*.
    parents: per index, the indexes of its parents. before: per index, a mask with one bit per proper ancestor.
    children: per index, how many placed ops name it as a parent. waiting: id -> (code, ids it waits for).
    """

    case: bytes
    ops: tuple[Op, ...]
    index: dict[bytes, int]
    parents: tuple[tuple[int, ...], ...]
    before: tuple[int, ...]
    children: tuple[int, ...]
    waiting: dict[bytes, tuple[str, tuple[bytes, ...]]]
    waiting_ops: tuple[Op, ...]

    @property
    def heads(self) -> tuple[bytes, ...]:
        """Ids, sorted, of the placed ops that nobody has built upon."""
        return tuple(sorted(op.id for op, count in zip(self.ops, self.children, strict=True) if count == 0))

    def concurrent(self, one: int, other: int) -> bool:
        """True if neither author had seen the other's op."""
        low, high = (one, other) if one < other else (other, one)
        return low != high and not self.before[high] >> low & 1


def read_history(ops: Iterable[Op], *, ops_max: int = OPS_FOLDED_MAX) -> History:
    """Place every op whose ancestors are all here; say why each other op waits.

    Repeats count once. If the input mixes cases (a caller's mistake), the ops of the smallest case id are read.
    Waiting codes: `missing_parent`, `cycle` (bytes that cannot have been hashed honestly), `case_too_long`.
    """
    known = {op.id: op for op in ops}
    case = min((op.case for op in known.values()), default=b"")
    mine = {op_id: op for op_id, op in known.items() if op.case == case}
    depth = _depths(mine, case)
    order = sorted(depth, key=lambda op_id: (depth[op_id], op_id))
    index = {op_id: position for position, op_id in enumerate(order[:ops_max])}
    placed = tuple(mine[op_id] for op_id in index)
    parents = tuple(tuple(index[parent] for parent in op.parents) for op in placed)
    children = [0] * len(placed)
    before: list[int] = []
    for above in parents:
        mask = 0
        for parent in above:
            children[parent] += 1
            mask |= before[parent] | 1 << parent
        before.append(mask)
    waiting = _waiting(mine, depth)
    waiting.update((op_id, ("case_too_long", ())) for op_id in order[ops_max:])
    return History(
        case=case,
        ops=placed,
        index=index,
        parents=parents,
        before=tuple(before),
        children=tuple(children),
        waiting=waiting,
        waiting_ops=tuple(mine[op_id] for op_id in sorted(waiting)),
    )


def bits(mask: int) -> Iterator[int]:
    """The indexes in `mask`, highest first. Each costs one operation on the mask."""
    while mask:
        top = mask.bit_length() - 1
        yield top
        mask ^= 1 << top


def _depths(mine: dict[bytes, Op], case: bytes) -> dict[bytes, int]:
    """Depth of every op that hangs together with the opener; ops that wait are left out."""
    missing: dict[bytes, int] = {}
    below: dict[bytes, list[bytes]] = {}
    for op_id, op in mine.items():
        missing[op_id] = len(set(op.parents))
        for parent in set(op.parents):
            below.setdefault(parent, []).append(op_id)
    opener = mine.get(case)
    depth = {case: 0} if opener is not None and not opener.parents else {}
    ready = list(depth)
    while ready:
        op_id = ready.pop()
        for child in below.get(op_id, ()):
            missing[child] -= 1
            depth[child] = max(depth.get(child, 0), depth[op_id] + 1)
            if missing[child] == 0:
                ready.append(child)
    return {op_id: value for op_id, value in depth.items() if missing[op_id] == 0}


def _waiting(mine: dict[bytes, Op], depth: dict[bytes, int]) -> dict[bytes, tuple[str, tuple[bytes, ...]]]:
    """Why each op that has no place waits: an ancestor is missing, or (only if hashes were broken) a cycle."""
    left = [op for op_id, op in mine.items() if op_id not in depth]
    below: dict[bytes, list[bytes]] = {}
    starved: list[bytes] = []
    for op in left:
        absent = [parent for parent in op.parents if parent not in mine]
        if absent or not op.parents:
            starved.append(op.id)
        for parent in op.parents:
            below.setdefault(parent, []).append(op.id)
    reached = set(starved)
    while starved:
        for child in below.get(starved.pop(), ()):
            if child not in reached:
                reached.add(child)
                starved.append(child)
    return {
        op.id: (
            "missing_parent" if op.id in reached else "cycle",
            tuple(parent for parent in op.parents if parent not in mine),
        )
        for op in left
    }
