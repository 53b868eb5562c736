"""Attachments that this office entered and that wait to be sent: how much that is, and when one is gone from the list.

For: the office's quota, `node status`, and the word "not sent yet" beside a material.
May not: commit; prove anything: only the nightly comparison proves that the county holds a file. Losing the list is
harmless: less is counted.
Manual: docs/operating/attachments.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, select

from conflict.kinds import OpKind
from conflict.ledger.meta import get_meta, put_meta
from conflict.ledger.statements import steps
from edge.outbox import UNSETTLED
from edge.schema import outbox
from protocol.op import Op

KEY = "edge.unsent"
UNSENT_BYTES_MAX = 2**30  # 1 GiB: a week of nights on a line of 5 kB/s; a disk of an old machine carries it

Entry = tuple[bytes, int, bytes]  # SHA-256, bytes, id of the op that names it


def entries(tx: Connection) -> list[Entry]:
    """What waits, oldest first."""
    return [(sha256, size, op_id) for sha256, size, op_id in get_meta(tx, KEY, [])]


def total(tx: Connection) -> tuple[int, int]:
    """(files, bytes) that wait; the same content counts once, what the hub refused does not count."""
    found = entries(tx)
    refused = _in_state(tx, [one[2] for one in found], ["refused"])
    sizes = {sha256: size for sha256, size, op_id in found if op_id not in refused}
    return len(sizes), sum(sizes.values())


def add(tx: Connection, ops: Sequence[Op]) -> None:
    """Note the files that ops just entered name, in the transaction that appends them."""
    found = entries(tx)
    known = {sha256 for sha256, _size, _op in found}
    new = [op for op in ops if op.kind == OpKind.ATTACH and op.body["sha256"] not in known]
    if new:
        _put(tx, [*found, *((op.body["sha256"], op.body["size"], op.id) for op in new)])


def sent(tx: Connection, hashes: Collection[bytes]) -> None:
    """The last piece of these was given out. What is lost on the way is asked for again, quota or not."""
    found = entries(tx)
    left = [one for one in found if one[0] not in hashes]
    if len(left) < len(found):
        _put(tx, left)


def told(tx: Connection, lacking: Collection[bytes] = ()) -> None:
    """The hub named all that it lacks: what it does not name and has an answer for its op is there."""
    found = entries(tx)
    open_ops = _in_state(tx, [one[2] for one in found], UNSETTLED)
    left = [one for one in found if one[0] in lacking or one[2] in open_ops]
    if len(left) < len(found):
        _put(tx, left)


def _put(tx: Connection, found: Iterable[Entry]) -> None:
    put_meta(tx, KEY, [list(one) for one in found])


def _in_state(tx: Connection, op_ids: Collection[bytes], states: Collection[str]) -> set[bytes]:
    found: set[bytes] = set()
    for part in steps(op_ids):
        query = select(outbox.c.op_id).where(outbox.c.op_id.in_(part), outbox.c.state.in_(states))
        found.update(tx.execute(query).scalars())
    return found
