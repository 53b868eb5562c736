"""The limits that an item sets for its cases, and the defaults of the law where it sets none.

For: reading the terms that an opening op embeds. Tolerant: what cannot be read is absent, never an error, because
terms come from other people's ops and a deadline must not be able to stop a fold.
May not: count days.
Spec: docs/conflict/deadlines.md, "Limits".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conflict.clock import LIMIT_COUNT_MAX, Limit
from conflict.kinds import LEVELS, CaseKind, Level, level_rank, rank_of_level

ACCEPTANCE_DEFAULT = Limit(5, "workday")  # 行政许可法 §32
HANDLING_DEFAULT = Limit(20, "workday")  # §42; also the review by a lower level, §43
JOINT_DEFAULT = Limit(45, "workday")  # §42
EXTENSION_DEFAULT = Limit(10, "workday")  # §42
JOINT_EXTENSION_DEFAULT = Limit(15, "workday")  # §42
SUPERIOR_DEFAULT = Limit(20, "workday")  # the superior's own limit, §42
DELIVERY_DEFAULT = Limit(10, "workday")  # §44
SAME_DAY = Limit(0, "workday")  # 即办件: on the spot or the same day


@dataclass(frozen=True, slots=True)
class Terms:
    """The readable part of a case's terms. `stages`: the limit of each level that the item names one for."""

    kind: str
    statutory: Limit | None
    promised: Limit | None
    accept_limit: Limit | None
    supplement_limit: Limit | None
    restart_on_supplement: bool
    extend: Limit
    stages: Mapping[str, Limit]
    elapsed: bool

    @staticmethod
    def read(terms: Mapping[str, Any]) -> Terms:
        """What `terms` say about limits; see ClockFacts for the keys."""
        kind = terms.get("kind")
        joint = kind == CaseKind.JOINT
        return Terms(
            kind=kind if isinstance(kind, str) else "",
            statutory=Limit.read(terms.get("statutory")),
            promised=Limit.read(terms.get("promised")),
            accept_limit=Limit.read(terms.get("accept_limit")),
            supplement_limit=Limit.read(terms.get("supplement_limit")),
            restart_on_supplement=terms.get("restart_on_supplement") is True,
            extend=Limit.read(terms.get("extend")) or (JOINT_EXTENSION_DEFAULT if joint else EXTENSION_DEFAULT),
            stages=_stages(terms.get("stages")),
            elapsed=terms.get("clock") == "elapsed",
        )

    def handling(self) -> tuple[tuple[Limit, str] | None, tuple[Limit, str] | None]:
        """(promise, statutory limit), each with its basis: "item", "kind" or "default", or None.

        A limit by default is what the law sets for licences; whether the item is one, the terms do not say.
        """
        promised = (self.promised, "item") if self.promised else None
        statutory = (self.statutory, "item") if self.statutory else None
        if self.kind == CaseKind.IMMEDIATE and promised is None:
            promised = SAME_DAY, "kind"
        if promised is None and statutory is None:
            statutory = (JOINT_DEFAULT if self.kind == CaseKind.JOINT else HANDLING_DEFAULT), "default"
        return promised, statutory


def level_of(office: str) -> str:
    """The level that the length of an office code says, or "" for what is no office code."""
    rank = level_rank(office)
    return LEVELS[rank - 1] if rank else ""


def above_county(office: str) -> bool:
    """True for a city or province, whose own handling is no longer this county's."""
    return level_of(office) in (Level.CITY, Level.PROVINCE)


def _stages(value: Any) -> dict[str, Limit]:
    """Stage limits per level, from [{"who": level, "limit": [n, unit]}, …]; two stages of one level in one unit add up."""
    found: dict[str, Limit] = {}
    for stage in value if isinstance(value, list) else ():
        who, limit = (stage.get("who"), Limit.read(stage.get("limit"))) if isinstance(stage, dict) else (None, None)
        if not isinstance(who, str) or not rank_of_level(who) or limit is None:
            continue
        before = found.get(who)
        if before is None:
            found[who] = limit
        elif before.unit == limit.unit:
            found[who] = Limit(min(before.count + limit.count, LIMIT_COUNT_MAX), limit.unit)
    return found
