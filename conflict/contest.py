"""Names of conflicts: one stable text id for what clashed.

For: the ids that `hub conflicts list` shows, that a resolve op names and that every node computes alike.
May not: decide anything about a conflict.
Spec: docs/conflict/fold.md, "Conflict ids".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

TAG_BYTES = 6  # of a hash over the ops that clash: enough to tell conflicts of one case apart


def conflict_id(kind: str, name: str, op_ids: Iterable[bytes]) -> str:
    """For instance `field:applicant_name:1f0c…`. The same ops give the same id, one op more gives another.

    kind: field, decision, duplicate or status. name: what it is about, may be empty; op_ids in any order.
    """
    digest = hashlib.sha256(b"liandong conflict v1\0" + b"".join(sorted(op_ids))).hexdigest()[: 2 * TAG_BYTES]
    return ":".join(part for part in (kind, name, digest) if part)


def field_of(conflict: str) -> str | None:
    """The field that a conflict id is about, or None if it is about none. Field names may hold colons."""
    kind, _, rest = conflict.partition(":")
    name, _, tag = rest.rpartition(":")
    return name if kind == "field" and name and tag else None
