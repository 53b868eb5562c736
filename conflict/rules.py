"""Rule sets by number: what a case folds under. A released set is never edited.

For: the registry; what a set consists of; which one a case names (the `rules` number in its opener's reference).
May not: hold a rule itself (fields.py, matrix.py and standing.py do).
Spec: docs/conflict/rule-sets.md says how set 2 is added beside set 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from conflict.fields import FIELD_RULES_1, FieldRule
from conflict.kinds import FieldClass


class RuleSet(NamedTuple):
    """One released set. What two sets share they point to; what differs they name here."""

    number: int
    fields: Mapping[FieldClass, FieldRule]


RULE_SETS: Mapping[int, RuleSet] = {1: RuleSet(1, FIELD_RULES_1)}
NEWEST = max(RULE_SETS)


def rule_set(number: int) -> RuleSet | None:
    """The set with this number, or None if this program is older than the case."""
    return RULE_SETS.get(number)
