"""Random histories: several devices of several offices act on one case, hearing of each other only now and then.

For: property tests. A device proposes acts that its own view allows (mostly), and learns whole causal pasts of others.
May not: sign (ids are hashes over the content, as real ones are; the fold never looks at signatures).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from conflict.fold import fold
from conflict.kinds import OpKind
from conflict.powers import allowed
from conflict.state import superior
from conflict.view import CaseView
from protocol import canonical
from protocol.errors import RefusedError
from protocol.op import Op, Reference
from tests.unit.conflict.support import CITY, COUNTY, NOON_MS, OTHER_TOWN, TOWN, VILLAGE, opening

Choose = Callable[[int], int]  # n -> a number from 0 to n-1

DEVICES = (
    ("village", VILLAGE, "chief"),
    ("village/2", VILLAGE, "agent"),
    ("town", TOWN, "chief"),
    ("town/2", TOWN, "verifier"),
    ("county", COUNTY, "chief"),
    ("county/2", COUNTY, "administrator"),
    ("hub", COUNTY, "hub"),
    ("stranger", OTHER_TOWN, "chief"),
)


@dataclass
class Device:
    """One machine: who it is, what it holds, how far its own chain has come."""

    name: str
    office: str
    role: str
    held: set[bytes] = field(default_factory=set)
    seq: int = 0


class World:
    """All ops of one case, and what each device holds of them."""

    def __init__(self, **terms: Any) -> None:
        self.ops: dict[bytes, Op] = {}
        self.devices = [Device(*spec) for spec in DEVICES]
        self.opener = self.write(self.devices[0], "accept", opening(terms=terms), claimed_ms=NOON_MS)

    def all(self) -> list[Op]:
        """Every op, in the order of writing."""
        return list(self.ops.values())

    def view(self, device: Device) -> CaseView:
        """The case as this device sees it."""
        return fold([self.ops[op_id] for op_id in device.held])

    def write(self, device: Device, kind: str, body: dict[str, Any], *, claimed_ms: int) -> Op:
        """One op by this device, upon all that it holds."""
        held = [self.ops[op_id] for op_id in device.held]
        heads = device.held - {parent for op in held for parent in op.parents}
        parents = tuple(sorted(heads))[:64]
        device.seq += 1
        content = [kind, device.name, device.seq, list(parents), body, claimed_ms]
        op_id = hashlib.sha256(canonical.encode(content)).digest()
        op = Op(
            id=op_id,
            blob=b"",
            kind=kind,
            case=self.opener.case if parents else op_id,
            office=device.office,
            device=hashlib.sha256(device.name.encode()).digest()[:8],
            seq=device.seq,
            prev=None,
            parents=parents,
            staff=device.name,
            role=device.role,
            claimed_ms=claimed_ms,
            evidence=None,
            reference=Reference(),
            body=body,
        )
        self.ops[op_id] = op
        device.held.add(op_id)
        return op

    def tell(self, source: Device, target: Device) -> None:
        """The target learns everything that the source holds."""
        target.held |= source.held

    def past(self, op: Op) -> list[Op]:
        """The op and all its ancestors."""
        found = {op.id}
        stack = [op.id]
        while stack:
            for parent in self.ops[stack.pop()].parents:
                if parent not in found:
                    found.add(parent)
                    stack.append(parent)
        return [self.ops[op_id] for op_id in found]

    def act(self, device: Device, choose: Choose, *, honest: bool = True) -> Op | None:
        """The device does something that its view allows (or, if not honest, anything). None if nothing comes up."""
        if not device.held:
            return None
        view = self.view(device)
        for _ in range(12):
            kind, body = proposal(view, device, choose)
            if kind in _ENDING and choose(12):
                continue
            clock = NOON_MS + (choose(41) - 20) * 86_400_000 * 900  # up to fifty years wrong either way
            if honest:
                try:
                    allowed(view, kind, device.office, device.role, body)
                except RefusedError:
                    continue
            return self.write(device, kind, body, claimed_ms=clock)
        return None


def proposal(view: CaseView, device: Device, choose: Choose) -> tuple[str, dict[str, Any]]:
    """An act with a body that fits what the device sees."""
    kind = _KINDS[choose(len(_KINDS))]
    return kind.value, _BODIES[kind](view, device, choose)


def _one_of(items: Iterable[Any], choose: Choose, default: Any) -> Any:
    known = list(items)
    return known[choose(len(known))] if known else default


def _op_of(view: CaseView, choose: Choose, *kinds: str) -> bytes:
    found = [entry["op"] for entry in view.timeline if not kinds or entry["kind"] in kinds]
    return _one_of(found, choose, b"\0" * 32)


def _fields(view: CaseView, choose: Choose) -> dict[str, str]:
    names = ("applicant_name", "applicant_phone", "area", "fee", "opinion", "mark")
    return {names[choose(len(names))]: f"值{choose(3)}" for _ in range(1 + choose(2))}


def _resolve(view: CaseView, device: Device, choose: Choose) -> dict[str, Any]:
    known = [entry for entry in view.conflicts if entry["kind"] in ("field", "decision")]
    entry = _one_of(known, choose, None)
    if entry is None:
        return {"conflict": "field:area:000000000000", "choice": 0, "reason": "r"}
    return {"conflict": entry["id"], "choice": choose(len(entry["values"])), "reason": "r"}


def _attach(view: CaseView, device: Device, choose: Choose) -> dict[str, Any]:
    return {
        "material": f"材料{choose(2)}",
        "sha256": hashlib.sha256(bytes([choose(4)])).digest(),
        "size": 10,
        "media": "image/jpeg",
        "name": "a.jpg",
        "grade": "ABCD"[choose(4)],
    }


def _handover(view: CaseView, device: Device, choose: Choose) -> dict[str, Any]:
    of = view.handover["op"] if view.handover else _op_of(view, choose, "forward")
    body = {"of": of, "reason": "r"}
    return body | {"for_office": CITY} if device.role == "hub" else body


def _decide(view: CaseView, device: Device, choose: Choose) -> dict[str, Any]:
    body = {
        "decision": ("granted", "denied", "answered")[choose(3)],
        "opinion": "o",
        "reasons": "r",
        "remedies": "m",
    }
    return body | {"for_office": CITY} if device.role == "hub" else body


# Acts that end a case come up seldom, those that move it often; every kind comes up.
_ENDING = frozenset(
    {OpKind.WITHDRAW, OpKind.VOID, OpKind.LINK_DUPLICATE, OpKind.REFUSE_ACCEPTANCE, OpKind.VETO, OpKind.KEEP_DUPLICATE}
)
_OFTEN = {
    OpKind.AMEND: 5,
    OpKind.FORWARD: 6,
    OpKind.TAKE: 8,
    OpKind.RETURN: 3,
    OpKind.RECALL: 3,
    OpKind.EXAMINE: 6,
    OpKind.DECIDE: 4,
    OpKind.CONCLUDE: 4,
    OpKind.DELIVER: 4,
    OpKind.NOTICE: 3,
    OpKind.SUPPLEMENT: 5,
    OpKind.SUSPEND: 3,
    OpKind.RESUME: 5,
    OpKind.RESOLVE: 6,
    OpKind.START: 2,
}
_KINDS = [kind for kind in OpKind if kind is not OpKind.RECEIVE for _ in range(_OFTEN.get(kind, 1))]

_OTHER_CASES = (b"\x01" * 32, b"\x02" * 32)

_BODIES: dict[OpKind, Callable[[CaseView, Device, Choose], dict[str, Any]]] = {
    OpKind.ACCEPT: lambda view, device, choose: {"conditional": ["照片"]} if choose(2) else {},
    OpKind.AMEND: lambda view, device, choose: {"fields": _fields(view, choose)},
    OpKind.ATTACH: _attach,
    OpKind.CHECK_MATERIAL: lambda view, device, choose: {
        "of": _op_of(view, choose, "attach"),
        "grade": "ABCD"[choose(4)],
    },
    OpKind.NOTE: lambda view, device, choose: {"text": f"n{choose(3)}"},
    OpKind.NOTICE: lambda view, device, choose: {"missing": ["照片"]},
    OpKind.SUPPLEMENT: lambda view, device, choose: {
        "of": _op_of(view, choose, "notice"),
        "materials": ["照片"],
        "fields": _fields(view, choose) if choose(2) else {},
    },
    OpKind.REFUSE_ACCEPTANCE: lambda view, device, choose: {"reason": "r"},
    OpKind.FORWARD: lambda view, device, choose: {
        "to": superior(view.state, device.office) if choose(3) else (VILLAGE, TOWN, COUNTY, CITY, OTHER_TOWN)[choose(5)]
    },
    OpKind.RECALL: _handover,
    OpKind.TAKE: _handover,
    OpKind.RETURN: lambda view, device, choose: (
        _handover(view, device, choose) if view.handover else {"of": _op_of(view, choose, "forward"), "reason": "r"}
    ),
    OpKind.START: lambda view, device, choose: {},
    OpKind.EXAMINE: lambda view, device, choose: {"outcome": ("agree", "disagree")[choose(2)], "opinion": "o"},
    OpKind.DECIDE: _decide,
    OpKind.EXTEND: lambda view, device, choose: {
        "days": 10,
        "unit": "workday",
        "reason": "r",
        "approver": "a",
        "notified": True,
    },
    OpKind.SUSPEND: lambda view, device, choose: {"cause": "听证", "reason": "r", "written_notice": True},
    OpKind.RESUME: lambda view, device, choose: {"of": _op_of(view, choose, "suspend")},
    OpKind.CONCLUDE: lambda view, device, choose: {"type": "normal"},
    OpKind.DELIVER: lambda view, device, choose: {"method": "窗口"},
    OpKind.WITHDRAW: lambda view, device, choose: {"reason": "r"},
    OpKind.VOID: lambda view, device, choose: {"reason": "r"},
    OpKind.RESOLVE: _resolve,
    OpKind.KEEP_DUPLICATE: lambda view, device, choose: {
        "other": _OTHER_CASES[choose(2)],
        "reason": "r",
        "received_ms": NOON_MS - 86_400_000,
    },
    OpKind.LINK_DUPLICATE: lambda view, device, choose: {"other": _OTHER_CASES[choose(2)], "reason": "r"},
    OpKind.DECLARE_DISTINCT: lambda view, device, choose: {"other": _OTHER_CASES[choose(2)], "reason": "r"},
    OpKind.ENTRUST: lambda view, device, choose: {
        "to": (TOWN, VILLAGE)[choose(2)],
        "reason": "r",
        "ends": choose(3) == 0,
    },
    OpKind.REHOME: lambda view, device, choose: {
        "office": VILLAGE,
        "parent": (OTHER_TOWN, TOWN)[choose(2)],
        "reason": "r",
    },
    OpKind.VETO: lambda view, device, choose: {"of": _op_of(view, choose), "code": "not_entitled", "reason": "r"},
    OpKind.TIME_BOUND: lambda view, device, choose: {"of": _op_of(view, choose), "latest_ms": NOON_MS},
}
