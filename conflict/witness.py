"""Who saw what: for a person who settles a conflict, the offices that had seen each of the ops that clash.

For: the review queue; computed on demand, no part of the view.
May not: decide anything; tell who read a screen, only who wrote having seen.
Spec: docs/conflict/view.md, "Conflicts".
"""

from __future__ import annotations

from collections.abc import Iterable

from conflict.history import read_history
from protocol.op import Op


def who_saw(ops: Iterable[Op], of: Iterable[bytes]) -> dict[bytes, list[str]]:
    """Op id -> sorted offices that wrote it or later wrote an op that builds upon it. Unknown ids are left out."""
    history = read_history(ops)
    found: dict[bytes, list[str]] = {}
    for op_id in of:
        index = history.index.get(op_id)
        if index is not None:
            later = {op.office for op, before in zip(history.ops, history.before, strict=True) if before >> index & 1}
            found[op_id] = sorted(later | {history.ops[index].office})
    return found
