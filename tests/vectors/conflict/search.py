"""Searches, for every pair of op kinds, a short history in which two devices do both unknowingly.

Run: python -m tests.vectors.conflict.search   (adds pairs that are missing to tests/unit/conflict/pairs.json and names
those it cannot find; about five minutes). Needed when an op kind is added: give it a body in `PLAIN`, and where it can
only be done at a place that no context offers, a context in tests/unit/conflict/pairs.py.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from conflict.fold import fold
from conflict.kinds import OpKind, Role
from conflict.matrix import CELLS, STRENGTH, rule_for
from conflict.powers import allowed
from conflict.view import CaseView
from protocol.errors import RefusedError
from tests.unit.conflict.cells import hold_cell
from tests.unit.conflict.pairs import CONTEXTS, Act, Pair, as_ops, pairs
from tests.unit.conflict.support import CITY, COUNTY, OTHER_TOWN, SHORT, TOWN, VILLAGE, Case
from tests.unit.conflict.vectors import VECTORS, play

FOUND = VECTORS.parents[1] / "unit" / "conflict" / "pairs.json"
BRANCH_MAX = 3  # acts of one branch
PAIR_MAX = 5  # acts of both branches together
WIDTH_MAX = 60  # branches that are carried on at each length
LEFT = ("village", "town", "county", "hub")
RIGHT = ("village/2", "town/2", "county/2", "hub/2")
KINDS = [kind for kind in OpKind if kind is not OpKind.RECEIVE]
# What may come before the last act of a branch.
MOVERS = frozenset(
    {"accept", "forward", "take", "start", "examine", "decide", "conclude", "suspend", "resume", "notice", "recall"}
)
FILE = {"material": "照片", "size": 1, "media": "image/jpeg", "name": "a.jpg"}

# Bodies by kind: for the left device and for the right one; "@kind" stands for the ops of that kind so far.
PLAIN: dict[str, tuple[dict[str, Any], ...]] = {
    "accept": ({},),
    "amend": ({"fields": {"area": "甲"}}, {"fields": {"area": "乙"}}),
    "attach": (FILE | {"sha256": "#3", "grade": "C"}, FILE | {"sha256": "#2", "grade": "B"}),
    "check_material": ({"of": "@attach", "grade": "A"}, {"of": "@attach", "grade": "B"}),
    "note": ({"text": "甲注"}, {"text": "乙注"}),
    "notice": ({"missing": ["照片"]}, {"missing": ["户口簿"]}),
    "supplement": tuple({"of": "@notice", "fields": {"area": area}, "materials": ["照片"]} for area in "甲乙"),
    "refuse_acceptance": ({"reason": "不属于本级职权"},),
    "forward": ({"to": [TOWN, COUNTY, CITY]}, {"to": [COUNTY, TOWN, OTHER_TOWN]}),
    "recall": ({"of": "@forward", "reason": "材料有误"},),
    "take": ({"of": "@forward"},),
    "return": ({"of": "@forward", "reason": "缺少照片"},),
    "start": ({},),
    "examine": ({"outcome": "agree", "opinion": "意见"}, {"outcome": "disagree", "opinion": "意见"}),
    "decide": tuple(
        {"decision": word, "opinion": "意见", "reasons": "理由", "remedies": "可申请行政复议"}
        for word in ("granted", "denied")
    ),
    "extend": ({"days": 10, "unit": "workday", "reason": "案情复杂", "approver": "局长", "notified": True},),
    "suspend": tuple({"cause": cause, "reason": "r", "written_notice": True} for cause in ("听证", "公示")),
    "resume": ({"of": "@suspend"},),
    "conclude": ({"type": "normal"},),
    "deliver": ({"method": "窗口领取"},),
    "withdraw": ({"reason": "申请人撤回"},),
    "void": ({"reason": "录入错误"},),
    "resolve": (
        {"conflict": "?field:area", "choice": 0, "reason": "r"},
        {"conflict": "?field:area", "choice": 1, "reason": "r"},
    ),
    "keep_duplicate": ({"other": "#other-case", "reason": "先到"},),
    "link_duplicate": ({"other": "#other-case", "reason": "同一申请"},),
    "declare_distinct": ({"other": "#other-case", "reason": "不同事由"},),
    "entrust": ({"to": TOWN, "reason": "委托书"}, {"to": TOWN, "reason": "委托书", "ends": True}),
    "rehome": tuple({"office": VILLAGE, "parent": town, "reason": "区划调整"} for town in (OTHER_TOWN, TOWN)),
    "veto": ({"of": "@", "code": "not_entitled", "reason": "设备已吊销"},),
    "time_bound": ({"of": "@receive", "latest_ms": 1_767_225_600_000},),
}


def bodies(view: CaseView, case: Case, who: str, kind: str) -> Iterator[dict[str, Any]]:
    """The bodies to try, with every op that could be meant."""
    plain = PLAIN[kind][-1 if who.endswith("/2") else 0]
    if who.startswith("hub") and kind in ("take", "return", "decide"):
        plain = plain | {"for_office": CITY}
    named = plain.get("of", "")
    if named.startswith("@"):
        labels = [case.label_of(item["op"]) for item in view.timeline[1:] if named in ("@", f"@{item['kind']}")]
        labels += ["open"] if named == "@receive" else []
        for label in reversed(labels):
            yield plain | {"of": f"@{label}"}
    elif isinstance(plain.get("to"), list):
        for target in plain["to"]:
            yield plain | {"to": target}
    else:
        yield plain


def possible(context: str, side: str, acts: list[Act], who: str) -> Iterator[Act]:
    """What `who` may do after these acts of one branch."""
    left, right = (acts, []) if side == "left" else ([], acts)
    case = play({"terms": CONTEXTS[context].terms, "ops": as_ops(context, left, right)})
    view = fold(case.ops.values())
    role = Role.HUB if who.startswith("hub") else Role.CHIEF
    contested = next((entry["id"] for entry in view.conflicts if entry["field"] == "area"), "")
    for kind in KINDS:
        for body in bodies(view, case, who, kind):
            said = {key: contested if value == "?field:area" else case._said(value) for key, value in body.items()}
            try:
                allowed(view, kind, SHORT[who.partition("/")[0]], role, said)
            except RefusedError:
                continue
            yield who, kind.value, body


def branches(context: str, side: str) -> dict[str, list[list[Act]]]:
    """Last kind -> branches that end with it, shortest first."""
    found: dict[str, list[list[Act]]] = defaultdict(list)
    front: list[list[Act]] = [[]]
    for _ in range(BRANCH_MAX):
        longer: list[list[Act]] = []
        for acts in front:
            for who in LEFT if side == "left" else RIGHT:
                for act in possible(context, side, acts, who):
                    found[act[1]].append([*acts, act])
                    if act[1] in MOVERS and len(longer) < WIDTH_MAX:
                        longer.append([*acts, act])
        front = longer
    return found


def fair(pair: Pair) -> bool:
    """The outcome is that of the pair alone: nothing else in the branches clashes, or it clashes on the same side."""
    one, other = pair.kinds
    acts = [*pair.left, *pair.right]
    if rule_for(one, other).how == "wins" and CELLS[one, other] not in "SHX":
        strong, weak = sorted((pair.left, pair.right), key=lambda branch: -_strength(branch[-1]))
        return len(weak) == 1 and all(_strength(act) <= _strength(strong[-1]) for act in acts)
    inner = [(a[1], b[1]) for a in pair.left for b in pair.right if (a, b) != (pair.left[-1], pair.right[-1])]
    return all(CELLS[cell] in ".MGFUS" for cell in inner)


def _strength(act: Act) -> int:
    return STRENGTH.get(OpKind(act[1]), 0)


def holds(pair: Pair) -> bool:
    case = play({"terms": CONTEXTS[pair.context].terms, "ops": as_ops(*pair)})
    try:
        hold_cell(pair, case, fold(case.ops.values()))
    except AssertionError:
        return False
    return True


def main() -> None:
    known = {frozenset(pair.kinds): pair for pair in pairs()}
    wanted = {frozenset(cell) for cell, letter in CELLS.items() if letter != "-"} - set(known)
    for context in CONTEXTS if wanted else ():
        left, right = branches(context, "left"), branches(context, "right")
        for kinds in sorted(wanted - set(known), key=sorted):
            names = sorted(kinds) * (2 if len(kinds) == 1 else 1)
            tries = [Pair(context, a, b) for a in left[names[0]] for b in right[names[1]]]
            tries += [Pair(context, a, b) for a in left[names[1]] for b in right[names[0]]]
            tries = sorted((pair for pair in tries if fair(pair)), key=lambda pair: len(pair.left) + len(pair.right))
            good = [pair for pair in tries[:20] if len(pair.left) + len(pair.right) <= PAIR_MAX and holds(pair)]
            if good:
                known[kinds] = good[0]
    rows = [json.dumps(pair, ensure_ascii=False) for pair in known.values()]
    FOUND.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")
    for kinds in sorted(wanted - set(known), key=sorted):
        print("not found:", *sorted(kinds))


if __name__ == "__main__":
    main()
