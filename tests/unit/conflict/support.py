"""Cases for the tests of the fold: offices that act on what they have seen, by label.

For: building real, signed ops with fixed keys, so that a test says who did what knowing what, and nothing else.
May not: call the fold; use a clock or randomness (times and keys are derived from labels).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from protocol.op import Draft, Op, Reference, sign_op

VILLAGE = "420222101001"
SISTER_VILLAGE = "420222101002"
TOWN = "420222101"
OTHER_TOWN = "420222102"
COUNTY = "420222"
CITY = "4202"
PROVINCE = "42"
SHORT = {
    "village": VILLAGE,
    "sister": SISTER_VILLAGE,
    "town": TOWN,
    "othertown": OTHER_TOWN,
    "county": COUNTY,
    "hub": COUNTY,
}
NOON_MS = 1_767_225_600_000  # 2026-01-01 08:00 in UTC+8
STEP_MS = 60_000

TERMS: dict[str, Any] = {
    "kind": "committed",
    "version": 1,
    "name": "最低生活保障审核确认",
    "department": "民政局",
    "accept_level": "village",
    "approve_level": "county",
    "statutory": [30, "workday"],
    "materials": [],
}
FIELDS = {"applicant_name": "李雷", "applicant_id": "42022219800101001X", "applicant_phone": "13900000000"}


def opening(**more: Any) -> dict[str, Any]:
    """Body of an opening op; `terms` and `fields` are merged into the defaults."""
    terms = TERMS | more.pop("terms", {})
    fields = FIELDS | more.pop("fields", {})
    return {"number": "420222101001-20260101-0001-X", "item": "JF-MZ-001", "terms": terms, "fields": fields} | more


class Case:
    """One case being written by several devices. `act` signs an op that has seen exactly what `seen` names.

    who: a name of SHORT, or "name/2" for another device of the same office; "hub" writes with the role hub.
    """

    def __init__(self, **more: Any) -> None:
        self.ops: dict[str, Op] = {}
        self._chains: dict[str, tuple[int, bytes | None]] = {}
        self._open_more = more

    def open(self, label: str = "open", who: str = "village", kind: str = "accept", **more: Any) -> Op:
        """The opening op."""
        return self.act(label, who, kind, [], opening(**(self._open_more | more)))

    def act(
        self,
        label: str,
        who: str,
        kind: str,
        seen: Iterable[str] | str,
        body: Mapping[str, Any] | None = None,
        *,
        role: str | None = None,
        staff: str = "",
        claimed_ms: int | None = None,
        evidence: tuple[int, int] | None = None,
        rules: int = 1,
    ) -> Op:
        """One op; `seen` are labels of its parents. In `body`, a value "@label" becomes the id of that op."""
        labels = [seen] if isinstance(seen, str) else list(seen)
        office = SHORT[who.partition("/")[0]]
        device = hashlib.sha256(who.encode()).digest()
        seq, prev = self._chains.get(who, (0, None))
        first = next(iter(self.ops.values()), None)
        draft = Draft(
            kind=kind,
            case=first.case if labels and first is not None else None,
            parents=sorted({self.ops[name].id for name in labels}),
            staff=staff or f"{who}-staff",
            role=role or ("hub" if who.startswith("hub") else "chief"),
            claimed_ms=NOON_MS + STEP_MS * len(self.ops) if claimed_ms is None else claimed_ms,
            body={key: self._said(value) for key, value in (body or {}).items()},
            evidence=evidence,
            reference=Reference(1, 1, rules),
        )
        op = sign_op(draft, office=office, device=device[:8], seed=device, seq=seq + 1, prev=prev)
        self._chains[who] = (seq + 1, op.id)
        self.ops[label] = op
        return op

    def id(self, label: str) -> bytes:
        """The id of the op with this label."""
        return self.ops[label].id

    def label_of(self, op_id: bytes) -> str:
        """The label of the op with this id."""
        return next(label for label, op in self.ops.items() if op.id == op_id)

    def _said(self, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("@"):
            return self.ops[value[1:]].id
        if isinstance(value, str) and value.startswith("#"):
            return hashlib.sha256(value.encode()).digest()
        return value
