"""The hub as an author: its own ops (veto, time bound, settlements, answers of the superior) on its own chain.

For: signing drafts as the hub's device, one after the other within a transaction.
May not: append or commit (callers do, with the same append as for everybody); decide what to say.
Spec: docs/protocol/op.md; docs/conflict/powers.md, "The hub".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from conflict.kinds import OpKind, Role
from conflict.ledger.chains import chain
from protocol.keys import DeviceKeys
from protocol.op import PARENTS_MAX, Draft, Op, Reference, sign_op

HUB_STAFF = "hub"  # who acted, where no person did


class Author:
    """The end of the hub's chain within one transaction. Make one per transaction; append what it signs, in order."""

    def __init__(self, tx: Connection, keys: DeviceKeys, reference: Reference, *, now_ms: int) -> None:
        self._keys = keys
        self._reference = reference
        self._now_ms = now_ms
        self._seq, self._last = chain(tx, keys.incarnation)

    def sign(
        self,
        kind: OpKind | str,
        *,
        case: bytes,
        parents: Sequence[bytes],
        body: Mapping[str, Any],
        staff: str = HUB_STAFF,
        role: str = Role.HUB,
    ) -> Op:
        """The hub's next op about a case.

        Args:    parents: heads of the case; of more than PARENTS_MAX the first are named, the next op joins the rest.
        """
        draft = Draft(
            kind=str(kind),
            case=case,
            parents=sorted(set(parents))[:PARENTS_MAX],
            staff=staff,
            role=str(role),
            claimed_ms=self._now_ms,
            body=body,
            evidence=(self._now_ms, 0),
            reference=self._reference,
        )
        op = sign_op(
            draft,
            office=self._keys.office,
            device=self._keys.incarnation,
            seed=self._keys.sign_seed,
            seq=self._seq + 1,
            prev=self._last if self._seq else None,
            suite_number=self._keys.suite,
        )
        self._seq, self._last = op.seq, op.id
        return op
