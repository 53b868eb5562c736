"""Goal: a case is held by whom it concerns and nobody else. Method: a table of participants, with prefixes as parents."""

from __future__ import annotations

import pytest

from hub.routing import scope_of

COUNTY, TOWN, OTHER = "420222", "420222107", "420222108"
VILLAGE, NEIGHBOUR, FAR = "420222107201", "420222107202", "420222108201"
ABOVE = {12: 9, 9: 6, 6: 4, 4: 2, 2: 0}


def parent(code: str) -> str:
    return code[: ABOVE[len(code)]]


@pytest.mark.parametrize(
    ("participants", "held"),
    [
        ([], {COUNTY}),
        ([COUNTY], {COUNTY}),
        ([TOWN], {COUNTY, TOWN}),
        ([VILLAGE], {COUNTY, TOWN, VILLAGE}),
        ([VILLAGE, TOWN, COUNTY, "4202", "42"], {COUNTY, TOWN, VILLAGE}),
        ([VILLAGE, FAR], {COUNTY, TOWN, VILLAGE, OTHER, FAR}),
        (["330000", "331123001"], {COUNTY}),
    ],
)
def test_scope(participants: list[str], held: set[str]) -> None:
    assert scope_of(participants, parent, COUNTY) == held


def test_siblings_do_not_see_each_other() -> None:
    assert NEIGHBOUR not in scope_of([VILLAGE], parent, COUNTY)


def test_rehomed_office_follows_the_roster() -> None:
    """A village moved to another township: its cases go to the new one, whatever its code says."""
    moved = {VILLAGE: OTHER}
    assert scope_of([VILLAGE], lambda code: moved.get(code) or parent(code), COUNTY) == {COUNTY, OTHER, VILLAGE}


def test_roster_with_a_circle_ends() -> None:
    circle = {"a": "b", "b": "a"}
    assert scope_of(["a"], lambda code: circle.get(code, ""), COUNTY) == {COUNTY}
