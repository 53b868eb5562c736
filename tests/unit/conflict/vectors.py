"""Vectors of the fold: a history by label in, what everybody must see out.

For: playing a vector file into real ops, and laying a view out as a vector's expectations, by label.
May not: know any scenario. Spec of the files: tests/vectors/conflict/README.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conflict.explain import explain
from conflict.fold import fold
from conflict.view import CaseView
from tests.unit.conflict.support import NOON_MS, SHORT, Case, opening

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "conflict"
KEYS = {"about", "spec", "terms", "ops", "expect"}
OP_KEYS = {"label", "by", "kind", "seen", "body", "role", "staff", "claimed_ms", "evidence", "rules", "absent"}
EXPECT_KEYS = {
    "status",
    "holder",
    "handover",
    "not_applied",
    "fields",
    "materials",
    "decision",
    "linked",
    "conflicts",
    "clock",
    "explain",
}
FIXED_FIELDS = {"applicant_name", "applicant_id", "applicant_phone"}  # as opened, unless a scenario touches them


def read(path: Path) -> dict[str, Any]:
    """A vector file. An unknown key is an error."""
    vector: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert set(vector) <= KEYS and set(vector["expect"]) <= EXPECT_KEYS, path.name
    assert all(set(op) <= OP_KEYS for op in vector["ops"]), path.name
    return vector


def play(vector: dict[str, Any]) -> Case:
    """The ops of a vector, signed with the test keys of its devices.

    by: a name of support.SHORT or "name/2"; seen: labels; in bodies "@label" is an op id, "#text" 32 bytes of a hash,
    "?field:area" the id of the conflict that the author sees there ("?decision" of that between decisions).
    claimed_ms, evidence: ms relative to the first op. absent: the op is written but not given to the fold.
    """
    case = Case()
    for spec in vector["ops"]:
        evidence = spec.get("evidence")
        more: dict[str, Any] = {
            "role": spec.get("role"),
            "staff": spec.get("staff", ""),
            "claimed_ms": None if "claimed_ms" not in spec else NOON_MS + spec["claimed_ms"],
            "evidence": None if evidence is None else (NOON_MS + evidence[0], evidence[1]),
            "rules": spec.get("rules", 1),
        }
        body = {key: _conflict_named(case, spec["seen"], value) for key, value in spec.get("body", {}).items()}
        if not spec["seen"]:
            body = opening(**{"terms": vector.get("terms", {})} | body)
        case.act(spec["label"], spec["by"], spec["kind"], spec["seen"], body, **more)
    return case


def given(vector: dict[str, Any], case: Case) -> list[Any]:
    """The ops that the fold is given."""
    absent = {spec["label"] for spec in vector["ops"] if spec.get("absent")}
    return [op for label, op in case.ops.items() if label not in absent]


def _conflict_named(case: Case, seen: list[str], value: Any) -> Any:
    if not (isinstance(value, str) and value.startswith("?")):
        return value
    wanted = value[1:].split(":")
    for entry in fold(past(case, seen)).conflicts:
        if (
            entry["kind"] == wanted[0]
            and (len(wanted) == 1 or entry["field"] == wanted[1])
            and entry["settled_by"] is None
        ):
            return entry["id"]
    raise AssertionError(f"nobody who saw {seen} sees the conflict {value}")


def past(case: Case, labels: list[str]) -> list[Any]:
    """The ops with these labels and all their ancestors."""
    by_id = {op.id: op for op in case.ops.values()}
    found: dict[bytes, Any] = {}
    stack = [case.ops[label].id for label in labels]
    while stack:
        op_id = stack.pop()
        if op_id not in found:
            found[op_id] = by_id[op_id]
            stack += by_id[op_id].parents
    return list(found.values())


def laid_out(case: Case, view: CaseView) -> dict[str, Any]:
    """The view as a vector's `expect`, by label; parts that say nothing are left out."""

    def name(op_id: bytes | None) -> str | None:
        known = {op.id: label for label, op in case.ops.items()}
        return None if op_id is None else known.get(op_id, op_id.hex())

    expect: dict[str, Any] = {
        "status": view.status,
        "holder": short(view.holder),
        "handover": name(view.handover["op"]) if view.handover else None,
        "not_applied": {
            str(name(entry["op"])): [entry["verdict"], entry["code"], name(entry["by"])]
            for entry in view.timeline
            if entry["verdict"] != "applied"
        },
        "fields": {
            field: [shown["value"], name(shown["op"])]
            + (["contested"] if shown["contested"] else [])
            + [[lost["value"], name(lost["op"]), lost["rule"]] for lost in shown["losing"]]
            for field, shown in view.fields.items()
            if field not in FIXED_FIELDS or name(shown["op"]) != "open" or shown["contested"] or shown["losing"]
        },
        "materials": [
            [
                name(entry["op"]),
                entry["material"],
                entry["grade"],
                "current" if entry["current"] else "kept",
                entry["rule"],
            ]
            for entry in view.materials
        ],
        "decision": None,
        "linked": None if view.linked is None else view.linked.hex()[:8],
        "conflicts": [
            {
                "kind": entry["kind"],
                "open": entry["open"],
                "rule": entry["rule"],
                "ops": [name(value["op"]) for value in entry["values"]],
            }
            | ({"field": entry["field"]} if entry["field"] else {})
            | ({"settled_by": name(entry["settled_by"]["op"])} if entry["settled_by"] else {})
            for entry in view.conflicts
        ],
        "explain": [{"zh": told["zh"], "en": told["en"]} for told in explain(view)],
    }
    if view.decision is not None:
        expect["decision"] = [view.decision["decision"], name(view.decision["op"])] + (
            ["contested"] if view.decision["contested"] else []
        )
    return {key: value for key, value in expect.items() if value not in (None, [], {}) or key in ("status", "holder")}


def clock_laid_out(view: CaseView) -> dict[str, Any]:
    """The clock facts without the terms, instants relative to the first op's usual time."""

    def moved(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {inner: moved(inner, item) for inner, item in value.items()}
        if isinstance(value, list):
            return [moved(key, item) for item in value]
        return value - NOON_MS if key.endswith("_ms") and isinstance(value, int) else value

    return {key: moved(key, value) for key, value in view.clock.items() if key != "terms"}


def short(office: str) -> str:
    """The name that the vectors use for an office."""
    return next((known for known, code in SHORT.items() if code == office), office)
