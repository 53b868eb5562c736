"""The bundle and what leaves the county, on plain values.

For: completeness, same bytes for same facts, which forwards count.
May not: need a store or a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
from types import SimpleNamespace
from typing import Any

import pytest

from hub.upward import backoff
from hub.upward.bundle import FILES_BYTES_MAX, build_body, build_head, missing_of
from hub.upward.errors import BundleIncomplete, BundleTooLarge
from hub.upward.forwards import UpwardForward, above_county, idempotency_key, upward_forwards
from ops.city.bundle_check import check_bundle

PAPER = "申请书".encode()
SHA = hashlib.sha256(PAPER).digest()
FORWARD = UpwardForward(b"F" * 32, "420222", "4202", "请市局审批", "", "", False)


def view(**changes: Any) -> Any:
    """A case that is ready to go up."""
    whole = {
        "case": b"C" * 32,
        "number": "420222201001-20261126-0001-7",
        "kind": "submit_up",
        "status": "forwarded_up",
        "item": "XK-ZR-001",
        "urgent": False,
        "terms": {"name": "采矿许可", "version": 3, "materials": ["申请书"], "approve_level": "city"},
        "fields": {"applicant_name": {"value": "王小山"}, "applicant_id": {"value": "11010519491231002X"}},
        "opinions": [{"office": "420222", "outcome": "agree", "opinion": "同意上报"}],
        "materials": [
            {
                "material": "申请书",
                "name": "申请书.pdf",
                "media": "application/pdf",
                "size": len(PAPER),
                "sha256": SHA,
                "grade": "B",
                "op": b"A" * 32,
            }
        ],
        "conflicts": [],
        "timeline": [],
    }
    return SimpleNamespace(**(whole | changes))


def dispute(field: str, **changes: Any) -> dict[str, Any]:
    """A conflict entry of a view."""
    return {"id": "x", "kind": "field", "open": True, "field": field, "class": "identity"} | changes


def here(_: bytes) -> bool:
    return True


def test_a_complete_bundle_passes_the_citys_own_check() -> None:
    body = json.loads(build_body(build_head(view(), FORWARD, here), lambda sha: PAPER))
    missing, files = check_bundle(body)
    assert (missing, [file.content for file in files]) == ([], [PAPER])
    assert (body["number"], body["target"], body["forward"]) == (view().number, "4202", FORWARD.op.hex())


def test_same_facts_same_bytes() -> None:
    shuffled = view(fields=dict(reversed(view().fields.items())))
    assert build_head(view(), FORWARD, here) == build_head(shuffled, FORWARD, here)


@pytest.mark.parametrize(
    ("changes", "kind", "name"),
    [
        ({"opinions": []}, "opinion", ""),
        ({"opinions": [{"opinion": ""}]}, "opinion", ""),
        ({"terms": {"materials": ["申请书", "户口簿"]}}, "material", "户口簿"),
        ({"fields": {"applicant_name": {"value": "王小山"}}}, "field", "applicant_id"),
        ({"conflicts": [dispute("applicant_id")]}, "conflict", "applicant_id"),
        ({"conflicts": [dispute("legal_person_id")]}, "conflict", "legal_person_id"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_built(changes: dict[str, Any], kind: str, name: str) -> None:
    assert [(one.kind, one.name) for one in missing_of(view(**changes), here)] == [(kind, name)]
    with pytest.raises(BundleIncomplete) as caught:
        build_head(view(**changes), FORWARD, here)
    assert caught.value.facts["missing"][0]["kind"] == kind
    assert name in caught.value.text and name in caught.value.text_zh


def test_a_file_still_on_its_way_is_missing() -> None:
    missing = missing_of(view(), lambda sha: False)
    assert [(one.kind, one.name) for one in missing] == [("file", "申请书.pdf")]


def test_conflicts_that_are_settled_or_elsewhere_do_not_hold_a_bundle() -> None:
    conflicts = [
        dispute("applicant_id", open=False),
        dispute("fee", **{"class": "fee"}),
        dispute("", kind="equivocation"),
    ]
    assert missing_of(view(conflicts=conflicts), here) == []


@pytest.mark.parametrize(("size", "fits"), [(FILES_BYTES_MAX, True), (FILES_BYTES_MAX + 1, False)])
def test_the_limit_of_a_bundle(size: int, fits: bool) -> None:
    large = view(materials=[view().materials[0] | {"size": size}])
    if fits:
        assert build_head(large, FORWARD, here)
    else:
        with pytest.raises(BundleTooLarge):
            build_head(large, FORWARD, here)


def test_a_false_size_in_an_op_is_corrected_by_the_bytes() -> None:
    head = build_head(view(materials=[view().materials[0] | {"size": 3}]), FORWARD, here)
    material = json.loads(build_body(head, lambda sha: PAPER))["materials"][0]
    assert (material["size"], base64.b64decode(material["content"])) == (len(PAPER), PAPER)


def op(kind: str, name: bytes, **body: Any) -> Any:
    return SimpleNamespace(id=name * 32, kind=kind, office="420222", body=body)


def case(status: str, *ops: Any, overtaken: bytes = b"") -> tuple[Any, list[Any]]:
    timeline = [{"op": one.id, "verdict": "overtaken" if one.id[:1] == overtaken else "applied"} for one in ops]
    return view(status=status, timeline=timeline), list(ops)


UP = op("forward", b"F", to="4202", opinion="请批")


def test_only_forwards_above_the_county_count() -> None:
    inside, province = op("forward", b"G", to="420222"), op("forward", b"P", to="42")
    found = upward_forwards(*case("forwarded_up", inside, province, UP))
    assert [(one.op[:1], one.target) for one in found] == [(b"P", "42"), (b"F", "4202")]
    assert upward_forwards(*case("forwarded_up", UP, overtaken=b"F")) == []


@pytest.mark.parametrize(
    ("status", "later", "gone", "receipt", "ended"),
    [
        ("forwarded_up", [], "", "", False),
        ("processing", [op("recall", b"R", of=b"F" * 32)], "recalled", "", False),
        ("processing", [op("take", b"T", of=b"F" * 32, reference="4202-1")], "", "4202-1", False),
        ("withdrawn", [op("take", b"T", of=b"F" * 32, reference="4202-1")], "withdrawn", "4202-1", False),
        ("voided", [], "voided", "", False),
        ("decided", [op("decide", b"D", of=b"F" * 32, decision="granted")], "", "", True),
        ("withdrawn", [op("return", b"B", of=b"F" * 32, reason="x")], "", "", True),
        ("forwarded_up", [op("recall", b"R", of=b"G" * 32)], "", "", False),
    ],
)
def test_where_a_forward_stands(status: str, later: list[Any], gone: str, receipt: str, ended: bool) -> None:
    (found,) = upward_forwards(*case(status, UP, *later))
    assert (found.gone, found.receipt, found.ended) == (gone, receipt, ended)


@pytest.mark.parametrize("target", ["420222", "420222100", "", "4", "42０2", "4a02", None, 4202, b"4202"])
def test_other_targets_are_not_the_gateways(target: Any) -> None:
    assert not above_county(target)


def test_the_key_depends_on_the_forward_alone() -> None:
    """A changed derivation would make a restored hub hand everything in twice: the value is pinned."""
    assert idempotency_key(b"F" * 32) == "ba2bef609f79680d2fb2283418ddc190b607037f36a3a726dae6088d78c7bf2e"
    assert idempotency_key(b"G" * 32) != idempotency_key(b"F" * 32)


def test_waits_grow_with_jitter_and_stay_below_their_caps() -> None:
    for failures in (1, 2, 5, 20, 5_000):
        row = {backoff.row_wait_ms(failures) for _ in range(50)}
        city = [backoff.city_wait_ms(failures) for _ in range(50)]
        assert len(row) > 10  # jitter
        assert min(row) >= 1_000 and max(row) <= min(1_000 * 2 ** min(failures, 20), int(backoff.ROW_S_MAX * 1000))
        assert max(city) <= int(backoff.CITY_S_MAX * 1000)
