"""The terms that a case carries: enough to reckon with, and no more than a thin line needs."""

from __future__ import annotations

from pathlib import Path

from conflict.limits import Terms
from conflict.terms import BUNDLE_KEYS, terms_of
from hub.catalogue import load_items
from protocol import canonical

ITEMS = Path(__file__).parents[2] / "data" / "items.csv"


def test_materials_are_terms_only_where_a_bundle_must_be_complete() -> None:
    items = load_items(ITEMS)
    assert {item["kind"] for item in items} == {"immediate", "committed", "reply", "submit_up", "joint"}
    for item in items:
        terms = terms_of(item)
        assert canonical.decode(canonical.encode(terms)) == terms
        carried = {key for key in BUNDLE_KEYS if key in terms}
        assert carried == (set(BUNDLE_KEYS) & set(item) if item["kind"] == "submit_up" else set())


def test_stage_limits_of_an_item_take_effect() -> None:
    staged = [item for item in load_items(ITEMS) if item.get("stages")]
    assert staged
    read = [Terms.read(terms_of(item)).stages for item in staged]
    assert any("township" in stages for stages in read) and any("county" in stages for stages in read)
