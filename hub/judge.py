"""What the hub adds to a case by itself: a veto where an opener's terms are not the published ones, a bound where a
claimed time cannot be true.

For: both judgements as pure functions of the op, the published items and the time of arrival.
May not: sign or store (hub.intake does); repeat what the fold checks everywhere (powers, levels, transitions).
Spec: docs/conflict/powers.md, "The hub"; docs/protocol/op.md, "Claimed time and evidence".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conflict.kinds import OPENING
from hub.author import HUB_STAFF
from protocol.op import Op

AHEAD_MS_MAX = 300_000  # a claim up to 5 minutes off is an honest clock


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an op is void for everybody: a stable code, a sentence, and the person who says so, if one does."""

    code: str
    reason: str
    staff: str = HUB_STAFF


def objection(op: Op, published: Mapping[tuple[str, int], Mapping[str, Any]]) -> Objection | None:
    """Whether the hub must veto an opener.

    Args:    published: terms by item code and version, of every version ever published: a device that was offline
             for weeks rightly uses an older one.
    """
    if op.kind not in OPENING or not op.opens:
        return None
    item, terms = op.body.get("item"), op.body.get("terms")
    if not isinstance(item, str) or not isinstance(terms, dict):
        return None  # malformed: the fold refuses it everywhere
    version = terms.get("version")
    known = published.get((item, version)) if isinstance(version, int) else None
    if known is None:
        return Objection("unknown_item", f"县里没有发布过事项 {item[:60]} 的这个版本。")
    if known != terms:
        return Objection("terms_differ", f"事项 {item[:60]} 的条件与已发布的版本不一致。")
    return None


def bound(op: Op, arrived_ms: int, enrolled_ms: int) -> dict[str, int] | None:
    """Bounds for the time at which the op can have been made, where its claim cannot be true; None where it can.

    Both the clock's claim and the evidence count: a device that names a hub time which the hub never signed is as
    wrong as one whose clock runs ahead. A clock that is behind needs a bound only without evidence, which a device
    has from its enrolment on; nothing was made before that.

    Args:    arrived_ms: when the op came, by the hub's clock. enrolled_ms: when its device entered the roster.
    Returns: {"latest_ms", "earliest_ms"?}, ms since 1970 UTC.
    """
    claims = [op.claimed_ms]
    if op.evidence is not None:
        hub_ms, elapsed_ms = op.evidence
        claims.append(hub_ms + max(elapsed_ms, 0))
    if max(claims) > arrived_ms + AHEAD_MS_MAX:
        return {"latest_ms": arrived_ms}
    if op.evidence is None and op.claimed_ms < enrolled_ms - AHEAD_MS_MAX:
        return {"latest_ms": arrived_ms, "earliest_ms": enrolled_ms}
    return None
