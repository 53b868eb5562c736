"""A device that signs ops for the ledger's tests: real signatures, a chain of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from protocol.op import Draft, Op, sign_op

TERMS = {
    "kind": "committed",
    "version": 1,
    "name": "农村宅基地审批",
    "department": "农业农村局",
    "accept_level": "village",
    "approve_level": "county",
    "promised": [5, "workday"],
    "materials": ["申请表"],
}


class Author:
    """One device of one office. `number` makes its key and name; every op gets the next number of its chain."""

    def __init__(self, number: int = 1, office: str = "420222101201", *, role: str = "chief") -> None:
        self.device = number.to_bytes(8, "big")
        self.seed = number.to_bytes(32, "big")
        self.office = office
        self.role = role
        self.seq = 0
        self.prev: bytes | None = None
        self.now_ms = 1_767_225_600_000 + number

    def op(self, kind: str, body: dict[str, Any], *, case: bytes | None = None, parents: Sequence[bytes] = ()) -> Op:
        """The next op of this device."""
        self.now_ms += 60_000
        draft = Draft(kind, case, tuple(parents), "张三", self.role, self.now_ms, body)
        op = sign_op(draft, office=self.office, device=self.device, seed=self.seed, seq=self.seq + 1, prev=self.prev)
        self.seq, self.prev = op.seq, op.id
        return op

    def accept(self, number: str = "", **fields: str) -> Op:
        """An op that opens and accepts a case."""
        named = {"applicant_name": "李四", **fields}
        number = number or f"{self.office}-20260101-{self.seq + 1:04d}-X"
        return self.op("accept", {"number": number, "item": "NY-001", "terms": TERMS, "fields": named})

    def amend(self, *parents: Op, **fields: str) -> Op:
        """An op that changes fields, after `parents`."""
        return self.op("amend", {"fields": fields}, case=parents[0].case, parents=[op.id for op in parents])

    def copy(self) -> Author:
        """A clone of the machine: the same keys and place in the chain, and a life of its own from here."""
        twin = Author.__new__(Author)
        twin.__dict__.update(self.__dict__)
        return twin
