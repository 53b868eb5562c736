"""Which forwards of a case leave the county, and where each of them stands by the facts.

For: reading a case view and its ops; the queue follows what this says.
May not: touch the store, the network or a clock; judge an op (the fold did).
Spec: docs/operating/upward.md, "What is sent".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from protocol.op import Op

if TYPE_CHECKING:
    from conflict.view import CaseView

COUNTY_DIGITS = 6  # area codes with fewer digits are above the county: 4 city, 2 province
ENDED_BELOW = {"withdrawn": "withdrawn", "voided": "voided", "refused": "acceptance_refused"}
DECIDED = ("decided", "concluded", "delivered")
KEY_DOMAIN = b"liandong upward key v1"


@dataclass(frozen=True, slots=True)
class UpwardForward:
    """One applied forward op with a target above the county.

    op: its id. office: who forwarded. target: area code, 4 digits city or 2 province. opinion: of the forward itself.
    gone: why it must not be with the superior any more (a key of reasons.GONE), "" while it counts.
    receipt: the superior's number from an applied take, "" before. ended: the superior returned or decided it.
    """

    op: bytes
    office: str
    target: str
    opinion: str
    gone: str
    receipt: str
    ended: bool


def idempotency_key(forward_op: bytes) -> str:
    """The key under which the city knows this forward: the same on every machine and after every restore."""
    return hashlib.sha256(KEY_DOMAIN + forward_op).hexdigest()


def above_county(target: Any) -> bool:
    """Whether `target` is an area code above the county, which the gateway serves."""
    return isinstance(target, str) and target.isascii() and target.isdigit() and 2 <= len(target) < COUNTY_DIGITS


def upward_forwards(view: CaseView, ops: Iterable[Op]) -> list[UpwardForward]:
    """The applied forwards of the case with a target above the county, oldest first.

    Args:    view: the fold of `ops`. ops: all ops of the case that are not waiting, any order.
    """
    by_id = {op.id: op for op in ops}
    applied = [by_id[entry["op"]] for entry in view.timeline if entry["verdict"] == "applied" and entry["op"] in by_id]
    about: dict[bytes, list[Op]] = {}
    for op in applied:
        of = op.body.get("of")
        if isinstance(of, bytes):
            about.setdefault(of, []).append(op)
    return [
        _forward(view.status, op, about.get(op.id, []))
        for op in applied
        if op.kind == "forward" and above_county(op.body.get("to"))
    ]


def _forward(status: str, op: Op, about: list[Op]) -> UpwardForward:
    by_kind = {other.kind: other.body for other in about}
    recalled = "recall" in by_kind
    ended = not recalled and ("return" in by_kind or "decide" in by_kind or status in DECIDED)
    gone = "recalled" if recalled else "" if ended else ENDED_BELOW.get(status, "")
    return UpwardForward(
        op=op.id,
        office=op.office,
        target=op.body["to"],
        opinion=_text(op.body, "opinion"),
        gone=gone,
        receipt=_text(by_kind.get("take", {}), "reference"),
        ended=ended,
    )


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""
