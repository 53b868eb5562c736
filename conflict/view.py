"""The case view: what the ops of a case fold to, as one immutable record.

For: attributes for programs, `core` and `digest` for comparing nodes, `as_json` for people and scripts.
May not: compute anything about the case (fold.py and summary.py do); know calendars, hence no due dates.
Spec: docs/conflict/view.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from conflict.kinds import FieldClass
from conflict.powers import Contested, Frame
from conflict.standing import decision_conflict
from conflict.state import State, from_plain
from protocol import canonical

DOMAIN_DIGEST = b"liandong case view v1"


class CaseView:
    """One case as everybody sees it who holds the same ops. Treat as immutable.

    The attributes are the keys of the record, among them: case (32 bytes), rules, number, kind, status, item, terms,
    urgent, holder, handover, fields, materials, notices, opinions, decision, conclusion, delivery, suspensions,
    extensions, conflicts, offices, heads, timeline, waiting, clock. Shapes: docs/conflict/view.md.
    """

    __slots__ = ("_details", "_digest", "_standing", "steps")

    def __init__(
        self,
        record: Mapping[str, Any],
        *,
        details: Callable[[], Mapping[str, Any]] | None = None,
        steps: int = 0,
    ) -> None:
        self._standing = record
        self._details = details  # lays out the rest when somebody asks: a hub that only routes never does
        self._digest: bytes | None = None
        self.steps = steps  # work of the replay, for tests and bench; no part of the view

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # a slot that is not filled yet (copying, unpickling) is no key of the record
            raise AttributeError(name)
        found = self._standing if name in self._standing else self._record
        try:
            return found[name]
        except KeyError:
            raise AttributeError(f"a case view has no {name}") from None

    @property
    def _record(self) -> Mapping[str, Any]:
        if self._details is not None:
            self._standing = {**self._standing, **self._details()}
            self._details = None
        return self._standing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CaseView) and self.digest() == other.digest()

    def __hash__(self) -> int:
        return hash(self.digest())

    @property
    def refused(self) -> dict[bytes, tuple[str, str]]:
        """Op id -> (code, reason in English) of every refused op."""
        return {
            entry["op"]: (entry["code"], entry["reason"])
            for entry in self._standing["timeline"]
            if entry["verdict"] == "refused"
        }

    def record(self) -> Mapping[str, Any]:
        """Everything, canonical-encodable; `CaseView(record)` is this view again."""
        return self._record

    def core(self) -> dict[str, Any]:
        """What two nodes compare: the record, but of fields, timeline and losing values only what names their ops.

        Office, staff and time of an entry follow from its op, which is the same wherever its id is.
        """
        brief = sorted([entry["op"], entry["verdict"], entry["code"]] for entry in self._record["timeline"])
        fields = {
            name: [
                entry["value"],
                entry["op"],
                entry["contested"],
                [[loser["value"], loser["op"], loser["rule"]] for loser in entry["losing"]],
            ]
            for name, entry in self._record["fields"].items()
        }
        return {**self._record, "timeline": brief, "fields": fields}

    def digest(self) -> bytes:
        """32 bytes: hash over the canonical core, with a domain and the number of the rule set."""
        if self._digest is None:
            rules = str(self._record["rules"]).encode()
            body = canonical.encode(self.core())
            self._digest = hashlib.sha256(DOMAIN_DIGEST + b"\0" + rules + b"\0" + body).digest()
        return self._digest

    def as_json(self) -> dict[str, Any]:
        """The record for JSON: bytes as lower-case hex, nothing else changed."""
        plain: dict[str, Any] = _hexed(self._record)
        return plain

    # --- as powers.Sight: what somebody at this screen may do -----------------------------------------------------

    @property
    def state(self) -> State:
        """The moving state, for `powers.allowed`."""
        return from_plain(self._record["state"])

    @property
    def frame(self) -> Frame:
        """What never changes in the case."""
        return Frame.of(self._record["opener_office"], self._record["terms"])

    def contested(self, conflict_id: str) -> Contested | None:
        """The conflict that a resolve op may name, or None."""
        for entry in self._record["conflicts"]:
            if entry["id"] == conflict_id and entry["settled_by"] is None and entry["kind"] in ("field", "decision"):
                kind = FieldClass(entry["class"])
                return Contested(entry["kind"], kind, len(entry["values"]))
        return None

    def hinders_conclusion(self) -> str | None:
        """Id of an open conflict that a conclusion has to wait for, or None."""
        for entry in self._record["conflicts"]:
            if entry["open"] and entry["kind"] == "field" and entry["class"] == FieldClass.IDENTITY:
                return str(entry["id"])
        return decision_conflict(self.state.decisions)

    def knows(self, op_id: bytes, kind: str) -> bool:
        """True if an op of this kind with this id is in the case and was not refused."""
        return any(
            entry["op"] == op_id and entry["kind"] == kind and entry["verdict"] in ("applied", "overtaken")
            for entry in self._record["timeline"]
        )


def _hexed(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key: _hexed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hexed(item) for item in value]
    return value
