"""The terms of an item: the part of a published item that an opening op embeds, so that the fold needs no catalogue.

For: one list for the edge that embeds them and the hub that compares them with what it published.
May not: read a catalogue; know what a limit means (limits.py and deadline.py do).
Spec: docs/protocol/op.md.  Decision: docs/decisions/0004-terms-travel-with-the-case.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conflict.kinds import CaseKind

TERM_KEYS = (
    "kind",
    "version",
    "name",
    "departments",
    "accept_level",
    "approve_level",
    "statutory",
    "promised",
    "accept_limit",
    "supplement_limit",
    "restart_on_supplement",
    "extend",
    "stages",
    "clock",
    "classes",
)
# Only a case that goes above the county has to be complete before it goes; elsewhere these are looked up, not sent.
BUNDLE_KEYS = ("department", "materials")


def terms_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """What an opening op of this published item embeds, exactly: the hub vetoes an opener that embeds anything else."""
    keys = TERM_KEYS + BUNDLE_KEYS if item.get("kind") == CaseKind.SUBMIT_UP else TERM_KEYS
    return {key: item[key] for key in keys if key in item}
