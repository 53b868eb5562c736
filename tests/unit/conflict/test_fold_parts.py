"""The parts of the fold one by one: history, times, fields, materials, conflict ids, rule sets, the view's forms."""

from __future__ import annotations

import copy

import pytest

from conflict.contest import conflict_id, field_of
from conflict.explain import explain
from conflict.fold import fold
from conflict.history import bits, read_history
from conflict.rules import NEWEST, RULE_SETS, rule_set
from conflict.times import DRIFT_MAX_MS, effective_times
from conflict.view import CaseView
from conflict.witness import who_saw
from protocol import canonical
from protocol.canonical import INT_MAX
from tests.unit.conflict.support import COUNTY, NOON_MS, TOWN, VILLAGE, Case

YEARS_50_MS = 50 * 365 * 86_400_000


def forked() -> Case:
    case = Case()
    case.open()
    case.act("left", "village", "note", "open", {"text": "a"})
    case.act("right", "village/2", "note", "open", {"text": "b"})
    case.act("join", "village", "note", ["left", "right"], {"text": "c"})
    return case


def test_history_knows_who_had_seen_what() -> None:
    case = forked()
    history = read_history(reversed(list(case.ops.values())))
    at = {label: history.index[op.id] for label, op in case.ops.items()}
    assert history.concurrent(at["left"], at["right"])
    assert not history.concurrent(at["open"], at["join"])
    assert not history.concurrent(at["join"], at["left"])
    assert not history.concurrent(at["left"], at["left"])
    assert history.heads == (case.id("join"),)
    assert sorted(bits(history.before[at["join"]])) == sorted([at["open"], at["left"], at["right"]])
    assert all(parent < index for index, above in enumerate(history.parents) for parent in above)


def test_history_says_what_an_op_waits_for() -> None:
    case = forked()
    case.act("last", "village", "note", "join", {"text": "d"})
    history = read_history(op for label, op in case.ops.items() if label != "left")
    assert history.waiting == {
        case.id("join"): ("missing_parent", (case.id("left"),)),
        case.id("last"): ("missing_parent", ()),
    }
    assert history.heads == (case.id("right"),)


def test_the_fold_of_nothing_is_a_draft() -> None:
    view = fold([])
    assert (view.status, view.case, view.timeline, view.waiting) == ("draft", b"", [], 0)


def test_ops_of_another_case_are_not_mixed_in() -> None:
    one, other = Case(), Case()
    one.open()
    other.open(who="town")
    both = fold([*one.ops.values(), *other.ops.values()])
    assert both.case == min(one.id("open"), other.id("open"))
    assert len(both.timeline) == 1


def times_of(case: Case) -> dict[str, int]:
    history = read_history(case.ops.values())
    times = effective_times(history, set(range(len(history.ops))))
    return {label: times[history.index[op.id]] - NOON_MS for label, op in case.ops.items()}


def test_a_claim_without_evidence_stands() -> None:
    case = Case()
    case.act("open", "village", "accept", [], _open_body(), claimed_ms=NOON_MS + 5)
    assert times_of(case) == {"open": 5}


@pytest.mark.parametrize(
    ("claimed", "elapsed", "expected"),
    [
        (DRIFT_MAX_MS, 0, DRIFT_MAX_MS),
        (DRIFT_MAX_MS + 1, 0, 0),
        (YEARS_50_MS, 3_600_000, 3_600_000),
        (-YEARS_50_MS, 3_600_000, 3_600_000),
        (YEARS_50_MS, -1, YEARS_50_MS),
        (-YEARS_50_MS, -1, 0),
    ],
)
def test_evidence_bounds_a_claim(claimed: int, elapsed: int, expected: int) -> None:
    """Elapsed known: hub time + elapsed replaces a claim more than ten minutes off. Unknown: a lower bound only."""
    case = Case()
    case.act("open", "village", "accept", [], _open_body(), claimed_ms=NOON_MS + claimed, evidence=(NOON_MS, elapsed))
    assert times_of(case) == {"open": expected}


def test_the_hubs_word_frees_everything_that_a_fast_clock_dragged_along() -> None:
    case = Case()
    case.act("open", "village", "accept", [], _open_body(), claimed_ms=NOON_MS + YEARS_50_MS)
    case.act("next", "town", "note", "open", {"text": "t"}, claimed_ms=NOON_MS + 60_000)
    assert times_of(case)["next"] == YEARS_50_MS
    case.act("bound", "hub", "time_bound", "open", {"of": "@open", "latest_ms": NOON_MS + 9}, claimed_ms=NOON_MS + 99)
    assert times_of(case) == {"open": 9, "next": 60_000, "bound": 99}


def test_the_hubs_own_op_bounds_what_it_had_seen() -> None:
    case = Case()
    case.act("open", "village", "accept", [], _open_body(), claimed_ms=NOON_MS + YEARS_50_MS)
    case.act("note", "hub", "note", "open", {"text": "t"}, claimed_ms=NOON_MS + 99)
    assert times_of(case) == {"open": 99, "note": 99}


def test_the_hub_may_raise_a_slow_clock() -> None:
    case = Case()
    case.act("open", "village", "accept", [], _open_body(), claimed_ms=NOON_MS - YEARS_50_MS)
    body = {"of": "@open", "latest_ms": NOON_MS + 9, "earliest_ms": NOON_MS}
    case.act("bound", "hub", "time_bound", "open", body, claimed_ms=NOON_MS + 99)
    assert times_of(case)["open"] == 0


def test_times_stay_encodable() -> None:
    case = Case()
    case.act("open", "village", "accept", [], _open_body(), claimed_ms=0, evidence=(INT_MAX, INT_MAX))
    assert fold(case.ops.values()).timeline[0]["at_ms"] == INT_MAX


def _open_body() -> dict[str, object]:
    case = Case()
    return dict(case.open().body)


def test_conflict_ids() -> None:
    name = conflict_id("field", "a:b", [b"2" * 32, b"1" * 32])
    assert name == conflict_id("field", "a:b", [b"1" * 32, b"2" * 32])
    assert name != conflict_id("field", "a:b", [b"1" * 32])
    assert field_of(name) == "a:b"
    assert field_of(conflict_id("decision", "", [b"1" * 32])) is None
    assert field_of("field:") is None and field_of("nonsense") is None


def test_rule_sets_are_numbered_and_known() -> None:
    assert NEWEST == max(RULE_SETS) == 1
    assert all(number == rules.number for number, rules in RULE_SETS.items())
    assert rule_set(99) is None


def test_the_caller_may_name_the_rules() -> None:
    case = Case()
    case.open()
    assert fold(case.ops.values(), rules=1).rules == 1
    assert fold(case.ops.values(), rules=99).timeline[0]["code"] == "unknown_rules"


def test_the_digest_tells_rule_sets_and_verdicts_apart_but_not_forms() -> None:
    case = forked()
    view = fold(case.ops.values())
    assert view == CaseView(canonical.decode(canonical.encode(view.record())))
    assert hash(view) == hash(fold(reversed(list(case.ops.values()))))
    assert view != fold(list(case.ops.values())[:-1])
    assert view != "something else"
    with pytest.raises(AttributeError, match="no colour"):
        _ = view.colour
    assert copy.copy(fold(case.ops.values())) == view


def test_the_view_as_json_has_hex_ids() -> None:
    case = forked()
    plain = fold(case.ops.values()).as_json()
    assert plain["heads"] == [case.id("join").hex()]
    assert plain["timeline"][0]["op"] == case.id("open").hex()


def test_refused_authors_gain_no_scope() -> None:
    """Who writes into a case without power is no participant of it: routing must not send it the case."""
    case = Case()
    case.open()
    case.act("try", "othertown", "note", "open", {"text": "?"})
    case.act("up", "village", "forward", "open", {"to": TOWN})
    assert fold(case.ops.values()).offices == [TOWN, VILLAGE]


def test_explanations_use_the_callers_names_and_language() -> None:
    case = Case()
    case.open()
    case.act("try", "othertown", "note", "open", {"text": "?"})
    view = fold(case.ops.values())
    [told] = explain(view, "en", {"420222102": "三溪镇"})
    assert told["text"] == told["en"]
    assert "三溪镇" in told["en"] and "三溪镇" in told["zh"]
    assert told["verdict"] == "refused" and told["op"] == case.id("try").hex()


def test_a_long_value_is_cut_in_a_sentence() -> None:
    case = Case()
    case.open()
    case.act("one", "village", "amend", "open", {"fields": {"area": "甲" * 500}})
    case.act("two", "village/2", "amend", "open", {"fields": {"area": "乙"}})
    [told] = explain(fold(case.ops.values()))
    assert "甲" * 59 + "…" in told["text"] and "甲" * 60 not in told["text"]


def test_who_saw_what() -> None:
    """Each office knows its own value; the county, which wrote upon both, knows both."""
    case = Case()
    case.open()
    case.act("up", "village", "forward", "open", {"to": TOWN})
    case.act("taken", "town", "take", "up", {"of": "@up"})
    case.act("ours", "village", "amend", "up", {"fields": {"area": "1"}})
    case.act("theirs", "town", "amend", "taken", {"fields": {"area": "2"}})
    case.act("look", "county", "note", ["ours", "theirs"], {"text": "已核"})
    saw = who_saw(case.ops.values(), [case.id("ours"), case.id("theirs"), b"\0" * 32])
    assert saw == {case.id("ours"): [COUNTY, VILLAGE], case.id("theirs"): [COUNTY, TOWN]}
