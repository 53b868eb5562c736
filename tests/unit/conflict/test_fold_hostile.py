"""Hostile shapes: the work of the fold grows with the length of the history, whatever its form, and nothing raises.

Work is counted in steps of the replay and in bytes of ancestor bits, not in seconds: a loaded machine fails no test.
"""

from __future__ import annotations

import dataclasses
import sys

import pytest

from conflict.fold import fold
from conflict.history import read_history
from conflict.replay import REWIND_MAX, TANGLE_MAX
from tests.unit.conflict.shapes import SHAPES, Shape, chain, equivocation, heads, heads_joined, vetoes, writers
from tests.unit.conflict.support import VILLAGE

SMALL, LARGE = 500, 2_000


@pytest.mark.parametrize("name", SHAPES)
def test_steps_grow_with_the_length(name: str) -> None:
    """Four times the ops cost about four times the steps (a quadratic fold would take sixteen times)."""
    small, large = SHAPES[name](SMALL), SHAPES[name](LARGE)
    few, many = fold(small).steps, fold(large).steps
    ratio = len(large) / len(small)
    assert many <= 1.5 * ratio * few + TANGLE_MAX
    assert many <= 4 * len(large) + REWIND_MAX


def test_ten_thousand_ops() -> None:
    view = fold(chain(10_000))
    assert len(view.timeline) == 10_000
    assert view.fields["area"]["value"] == "9998"


def test_a_thousand_heads() -> None:
    view = fold(heads(1_001))
    assert len(view.heads) == 1_000
    assert view.refused == {}
    assert view.status == "processing"
    assert len(fold(heads_joined(1_001)).heads) == 1


@pytest.mark.parametrize("name", ["heads_joined", "mesh", "growing_join"])
def test_memory_for_ancestors_is_bounded(name: str) -> None:
    """At most one bit per pair of ops, and a little for each."""
    ops = SHAPES[name](LARGE)
    history = read_history(ops)
    assert sum(sys.getsizeof(mask) for mask in history.before) <= len(ops) ** 2 / 14 + 64 * len(ops)


def test_a_thousand_values_of_one_field_are_all_readable() -> None:
    view = fold(writers(1_001))
    field = view.fields["area"]
    assert len({field["value"]} | {lost["value"] for lost in field["losing"]}) == 1_000
    [conflict] = view.conflicts
    assert conflict["open"] and len(conflict["values"]) == 256


def test_beyond_the_limit_ops_wait_visibly() -> None:
    ops = chain(50)
    history = read_history(ops, ops_max=40)
    assert len(history.ops) == 40
    assert {code for code, _ in history.waiting.values()} == {"case_too_long"}
    assert len(history.waiting) == 10


def test_an_author_that_equivocates_is_shown() -> None:
    view = fold(equivocation(4))
    [conflict] = [entry for entry in view.conflicts if entry["kind"] == "equivocation"]
    assert len(conflict["values"]) == 3
    assert view.refused == {}


def test_every_vetoed_act_is_shown_with_the_hubs_reason() -> None:
    ops = vetoes(300)
    view = fold(ops)
    assert {code for code, _ in view.refused.values()} == {"device_revoked"}
    assert view.status == "accepted"
    assert view.opinions == []


@pytest.mark.parametrize(("depth", "felt"), [(REWIND_MAX - 2, True), (REWIND_MAX, False)])
def test_a_veto_is_felt_at_causal_points_down_to_its_depth(depth: int, felt: bool) -> None:
    """A vetoed extension leaves room for another. Too many acts above it, and that is known in the end only."""
    shape = Shape()
    extension = {"days": 1, "unit": "workday", "reason": "r", "approver": "a", "notified": True}
    first = last = shape.put("extend", [shape.root], extension)
    for number in range(depth):
        last = shape.put("examine", [last], {"outcome": "agree", "opinion": str(number)})
    veto = shape.put("veto", [last], {"of": first, "code": "c", "reason": "r"}, role="hub")
    second = shape.put("extend", [veto], extension)
    view = fold(shape.ops)
    assert (second in view.refused) is not felt
    assert [entry["op"] for entry in view.extensions] == ([second] if felt else [])


def test_a_cycle_waits_and_harms_nobody() -> None:
    """Bytes cannot be hashed into a cycle, but the fold does not rely on it."""
    shape = Shape()
    good = shape.put("note", [shape.root], {"text": "好"})
    one = dataclasses.replace(shape.ops[1], id=b"\1" * 32, parents=(b"\2" * 32,))
    two = dataclasses.replace(shape.ops[1], id=b"\2" * 32, parents=(b"\1" * 32,))
    below = dataclasses.replace(shape.ops[1], id=b"\3" * 32, parents=(b"\1" * 32, good))
    view = fold([*shape.ops, one, two, below])
    assert view.waiting == 3
    assert {entry["code"] for entry in view.timeline if entry["verdict"] == "waiting"} == {"cycle"}
    assert view.heads == [good]


def test_an_op_that_names_itself_waits() -> None:
    shape = Shape()
    odd = dataclasses.replace(shape.ops[0], id=b"\1" * 32, parents=(b"\1" * 32,))
    assert fold([*shape.ops, odd]).waiting == 1


def test_a_second_opening_of_the_same_case_waits() -> None:
    shape = Shape()
    forged = dataclasses.replace(shape.ops[0], id=b"\1" * 32, office=VILLAGE)
    view = fold([*shape.ops, forged])
    assert view.waiting == 1
    assert view.opener_office == shape.ops[0].office


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"terms": []},
        {"terms": {"kind": [], "classes": 5, "approve_level": {}}},
        {"number": "n", "item": "i", "terms": {"kind": "committed"}, "fields": {"a": 1}},
        {"number": "n", "item": "i", "terms": {"kind": "committed"}, "fields": {}, "conditional": [7]},
    ],
)
def test_an_opening_of_any_form_folds(body: dict[str, object]) -> None:
    shape = Shape()
    opener = dataclasses.replace(shape.ops[0], body=body)
    note = dataclasses.replace(opener, id=b"\1" * 32, kind="note", parents=(opener.id,), body={"text": "t"})
    view = fold([opener, note])
    assert view.status == "draft"
    assert {code for code, _ in view.refused.values()} == {"bad_body", "transition_not_allowed"}
    assert len(view.digest()) == 32
