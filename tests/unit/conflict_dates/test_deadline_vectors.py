"""Every vector in tests/vectors/deadline: facts in, the due dates that were worked out by hand out.

A vector may name only keys that are known here; an unknown one fails, so that no expectation is skipped unseen.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from conflict.calendar import Calendar
from conflict.deadline import Deadlines, due
from conflict.time_limit import TimeLimit
from protocol import canonical

from .support import CONTENT, VECTORS, instants, ms, text_of

FILES = sorted(path for path in VECTORS.glob("*.json") if not path.name.startswith("_"))
KEYS = {"about", "spec", "clock", "now", "expect", "closing"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_vector(path: Any) -> None:
    vector = json.loads(path.read_text(encoding="utf-8"))
    assert set(vector) <= KEYS
    calendar = Calendar.from_content({**CONTENT, "closing": vector.get("closing", {})}, 7)
    clock = instants(vector["clock"])
    stored = canonical.decode(canonical.encode(clock)) if "far_future" not in path.stem else clock
    found = due(stored, calendar, now_ms=ms(vector["now"]))
    expected = dict(vector["expect"])
    limits = expected.pop("limits")
    assert {key: _of_case(found, key) for key in expected} == expected
    for name, wanted in limits.items():
        name, _, office = name.partition("@")
        mine = [one for one in found.limits if one.name == name and office in ("", one.office)]
        assert mine, f"no limit {name} of {office or 'any office'}"
        assert {key: _of_limit(mine[-1], key) for key in wanted} == wanted, name


def test_there_are_vectors() -> None:
    assert len(FILES) >= 70


def _of_case(found: Deadlines, key: str) -> Any:
    shown = found.as_json()
    if key == "accepted":
        return None if found.accepted_ms is None else text_of(found.accepted_ms)
    assert key in {"due", "due_ms", "overall_due", "card", "deemed", "provisional"}, key
    return shown[key]


def _of_limit(limit: TimeLimit, key: str) -> Any:
    shown = limit.as_json()
    if key in {"warning", "yellow", "red", "start"}:
        value = shown[f"{key}_ms"]
        return None if value is None else text_of(value)
    if key in {"used", "remaining"}:
        return shown[f"{key}_workdays"]
    assert key in {"due", "state", "card", "provisional", "remarks", "basis"}, key
    return shown[key]
