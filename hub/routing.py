"""Routing: which offices hold a case.

For: the scope rule as a pure function. Village: its own cases; township: its villages' and its own; county: all.
May not: read the store, the roster or a clock (callers pass what they know).
Manual: docs/operating/hub.md, "Scope".  Decision: docs/decisions/0081-who-holds-a-case.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from conflict.kinds import OpKind
from protocol.roster import DEPTH_MAX

if TYPE_CHECKING:
    from conflict.view import CaseView
    from protocol.op import Op

COUNTING = ("applied", "overtaken")


def scope_of(participants: Iterable[str], parent: Callable[[str], str], county: str) -> frozenset[str]:
    """The offices that hold a case in which these offices take part.

    Args:    participants: every office that authored an op of the case or was named as a target of a hand-over.
             parent: the office above one, "" above the topmost; follows the roster, which knows re-homed offices.
             county: the hub's own county; offices above it hold nothing here (the upward gateway serves them).
    Returns: each participant inside the county with all its superiors up to the county, and always the county.
    """
    held = {county}
    for office in participants:
        chain: list[str] = []
        while office and office != county and len(chain) < DEPTH_MAX:
            chain.append(office)
            office = parent(office)
        if office == county:
            held.update(chain)
    return frozenset(held)


def participants(view: CaseView, news: Iterable[Op]) -> set[str]:
    """The offices that take part in a case: who opened it, authors of ops that count, targets of hand-overs that count.

    An op that is refused makes its author no participant: nobody opens a case to himself by writing about it.

    Args:    news: ops of the case that were not looked at before; targets of earlier ones hold the case already.
    """
    counting = {entry["op"]: entry["office"] for entry in view.timeline if entry["verdict"] in COUNTING}
    targets = (op.body.get("to") for op in news if op.kind == OpKind.FORWARD and op.id in counting)
    opener = [view.opener_office] if view.opener_office else []
    return {*opener, *counting.values(), *(target for target in targets if isinstance(target, str))}
