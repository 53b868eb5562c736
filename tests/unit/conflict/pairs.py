"""For every pair of op kinds: a shortest history in which two offices do both without hearing of each other.

For: holding the matrix to be true, and for making one vector per cell that is not "commutes".
May not: know what the outcome should be; it only finds where both acts are allowed.

A scenario is a context (acts that everybody has seen), then two branches of acts that have not seen each other.
The last acts of the branches are the pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from conflict.fold import fold
from conflict.kinds import OpKind
from conflict.powers import allowed
from conflict.view import CaseView
from protocol.errors import RefusedError
from tests.unit.conflict.support import CITY, COUNTY, OTHER_TOWN, SHORT, TOWN, VILLAGE, Case

BRANCH_MAX = 3  # acts of a branch before the search gives up


@dataclass(frozen=True)
class Step:
    """One act of a scenario. In the context, `seen` names what its author had seen, if not the act before it."""

    who: str
    kind: str
    body: tuple[tuple[str, Any], ...]
    seen: tuple[str, ...] = ()

    def filled(self) -> dict[str, Any]:
        return dict(self.body)


@dataclass(frozen=True)
class Scenario:
    """See the module head. `terms` differ from the support's defaults."""

    terms: tuple[tuple[str, Any], ...]
    context: tuple[Step, ...]
    first: tuple[Step, ...]
    second: tuple[Step, ...]

    def play(self) -> tuple[Case, list[str], list[str]]:
        """The case, and the labels of the two branches."""
        case = Case(terms=dict(self.terms))
        heads = ["open"]
        case.open(kind="receive")
        for number, step in enumerate(self.context):
            label = self._act(case, f"before{number + 1}", step, list(step.seen) or heads)
            heads = [head for head in heads if step.seen and head not in step.seen] + [label]
        branches: list[list[str]] = []
        for name, steps in (("left", self.first), ("right", self.second)):
            labels: list[str] = []
            for number, step in enumerate(steps):
                labels.append(self._act(case, f"{name}{number + 1}", step, labels[-1:] or heads))
            branches.append(labels)
        return case, branches[0], branches[1]

    def _act(self, case: Case, label: str, step: Step, seen: list[str]) -> str:
        case.act(label, step.who, step.kind, seen, step.filled(), role=ROLES.get(step.who))
        return label


def step(who: str, kind: str, *seen: str, **body: Any) -> Step:
    return Step(who, kind, tuple(body.items()), seen)


ROLES = {"hub": "hub"}
LEFT = ("village", "town", "county", "hub")
RIGHT = ("village/2", "town/2", "county/2", "hub/2")
_COMMITTED: tuple[tuple[str, Any], ...] = (("kind", "committed"),)
_UPWARD: tuple[tuple[str, Any], ...] = (("kind", "submit_up"), ("approve_level", "city"))
_LOCAL: tuple[tuple[str, Any], ...] = (("kind", "immediate"), ("approve_level", "village"))

# Places to stand: each is followed by both branches. "before1" is the first act after "open".
CONTEXTS: tuple[tuple[str, tuple[tuple[str, Any], ...], tuple[Step, ...]], ...] = (
    ("received", _COMMITTED, ()),
    ("received, on its way", _COMMITTED, (step("village", "forward", to=TOWN),)),
    ("received, taken", _COMMITTED, (step("village", "forward", to=TOWN), step("town", "take", of="@before1"))),
    ("supplementing", _COMMITTED, (step("village", "notice", missing=["照片"]),)),
    ("accepted", _LOCAL, (step("village", "accept"),)),
    ("accepted, county decides", _COMMITTED, (step("village", "accept"),)),
    ("on its way", _COMMITTED, (step("village", "accept"), step("village", "forward", to=TOWN))),
    (
        "processing",
        _COMMITTED,
        (step("village", "accept"), step("village", "forward", to=TOWN), step("town", "take", of="@before2")),
    ),
    ("received, local", _LOCAL, ()),
    (
        "accepted, taken",
        _COMMITTED,
        (
            step("village", "forward", to=TOWN),
            step("town", "take", of="@before1"),
            step("town", "accept"),
        ),
    ),
    (
        "processing, local",
        _LOCAL,
        (
            step("village", "accept"),
            step("village", "attach", material="照片", sha256="#1", size=1, media="image/jpeg", name="1.jpg", grade="C"),
            step("village", "start"),
        ),
    ),
    (
        "processing, contested field",
        _LOCAL,
        (
            step("village", "accept"),
            step("village", "start"),
            step("village", "amend", "before2", fields={"area": "甲"}),
            step("village/2", "amend", "before2", fields={"area": "乙"}),
        ),
    ),
    ("noticed after acceptance", _LOCAL, (step("village", "accept"), step("village", "notice", missing=["照片"]))),
    (
        "suspended",
        _LOCAL,
        (
            step("village", "accept"),
            step("village", "attach", material="照片", sha256="#1", size=1, media="image/jpeg", name="1.jpg", grade="C"),
            step("village", "suspend", cause="听证", reason="r", written_notice=True),
        ),
    ),
    ("decided", _LOCAL, (step("village", "accept"), step("village", "decide", decision="granted", opinion="准予"))),
    (
        "concluded",
        _LOCAL,
        (
            step("village", "accept"),
            step("village", "decide", decision="granted", opinion="准予"),
            step("village", "conclude", type="normal"),
        ),
    ),
    (
        "on its way to the city",
        _UPWARD,
        (
            step("village", "accept"),
            step("village", "forward", to=COUNTY),
            step("county", "take", of="@before2"),
            step("county", "examine", outcome="agree", opinion="同意上报"),
            step("county", "forward", to=CITY),
        ),
    ),
    (
        "with a contested field",
        _COMMITTED,
        (
            step("village", "amend", "open", fields={"area": "甲"}),
            step("village/2", "amend", "open", fields={"area": "乙"}),
        ),
    ),
    (
        "with a contested field, supplementing",
        _COMMITTED,
        (
            step("village", "notice", missing=["照片"]),
            step("village", "amend", "before1", fields={"area": "甲"}),
            step("village/2", "amend", "before1", fields={"area": "乙"}),
        ),
    ),
    (
        "with a material",
        _COMMITTED,
        (step("village", "attach", material="照片", sha256="#1", size=1, media="image/jpeg", name="1.jpg", grade="C"),),
    ),
)


def bodies(view: CaseView, case: Case, who: str, kind: OpKind) -> Iterator[dict[str, Any]]:
    """Bodies that may fit; ids as "@label". The right-hand devices write other values than the left-hand ones."""
    right = who.endswith("/2")
    forwards = [entry["op"] for entry in view.timeline if entry["kind"] == "forward"]
    answers: dict[OpKind, list[bytes]] = {
        OpKind.TAKE: forwards,
        OpKind.RECALL: forwards,
        OpKind.RETURN: forwards,
        OpKind.RESUME: [entry["op"] for entry in view.timeline if entry["kind"] == "suspend"],
        OpKind.SUPPLEMENT: [entry["op"] for entry in view.timeline if entry["kind"] == "notice"],
        OpKind.CHECK_MATERIAL: [entry["op"] for entry in view.timeline if entry["kind"] == "attach"],
        OpKind.VETO: [entry["op"] for entry in view.timeline[1:]],
        OpKind.TIME_BOUND: [view.timeline[0]["op"]],
    }
    plain = _PLAIN[kind](right)
    on_behalf = {"for_office": CITY} if who.startswith("hub") and kind in (OpKind.TAKE, OpKind.RETURN, OpKind.DECIDE) else {}
    if kind is OpKind.FORWARD:
        for target in (TOWN, COUNTY, CITY) if not right else (COUNTY, TOWN, OTHER_TOWN):
            yield {"to": target}
    elif kind is OpKind.RESOLVE:
        for entry in view.conflicts:
            yield {"conflict": entry["id"], "choice": int(right), "reason": "r"}
    elif kind in answers:
        for op_id in reversed(answers[kind]):
            yield {"of": "@" + case.label_of(op_id)} | plain | on_behalf
    else:
        yield plain | on_behalf


_PLAIN: dict[OpKind, Any] = {
    OpKind.RECEIVE: lambda right: {},
    OpKind.ACCEPT: lambda right: {},
    OpKind.AMEND: lambda right: {"fields": {"area": "乙" if right else "甲"}},
    OpKind.ATTACH: lambda right: {
        "material": "照片",
        "sha256": "#2" if right else "#3",
        "size": 1,
        "media": "image/jpeg",
        "name": "a.jpg",
        "grade": "B" if right else "C",
    },
    OpKind.CHECK_MATERIAL: lambda right: {"grade": "B" if right else "A"},
    OpKind.NOTE: lambda right: {"text": "乙注" if right else "甲注"},
    OpKind.NOTICE: lambda right: {"missing": ["户口簿" if right else "照片"]},
    OpKind.SUPPLEMENT: lambda right: {"fields": {"area": "乙" if right else "甲"}, "materials": ["照片"]},
    OpKind.REFUSE_ACCEPTANCE: lambda right: {"reason": "不属于本级职权"},
    OpKind.FORWARD: lambda right: {},
    OpKind.RECALL: lambda right: {"reason": "材料有误"},
    OpKind.TAKE: lambda right: {},
    OpKind.RETURN: lambda right: {"reason": "缺少照片"},
    OpKind.START: lambda right: {},
    OpKind.EXAMINE: lambda right: {"outcome": "disagree" if right else "agree", "opinion": "意见"},
    OpKind.DECIDE: lambda right: {
        "decision": "denied" if right else "granted",
        "opinion": "意见",
        "reasons": "理由",
        "remedies": "可申请行政复议",
    },
    OpKind.EXTEND: lambda right: {
        "days": 10,
        "unit": "workday",
        "reason": "案情复杂",
        "approver": "局长",
        "notified": True,
    },
    OpKind.SUSPEND: lambda right: {"cause": "公示" if right else "听证", "reason": "r", "written_notice": True},
    OpKind.RESUME: lambda right: {},
    OpKind.CONCLUDE: lambda right: {"type": "normal"},
    OpKind.DELIVER: lambda right: {"method": "窗口领取"},
    OpKind.WITHDRAW: lambda right: {"reason": "申请人撤回"},
    OpKind.VOID: lambda right: {"reason": "录入错误"},
    OpKind.RESOLVE: lambda right: {},
    OpKind.KEEP_DUPLICATE: lambda right: {"other": "#other-case", "reason": "先到"},
    OpKind.LINK_DUPLICATE: lambda right: {"other": "#other-case", "reason": "同一申请"},
    OpKind.DECLARE_DISTINCT: lambda right: {"other": "#other-case", "reason": "不同事由"},
    OpKind.ENTRUST: lambda right: {"to": TOWN, "reason": "委托书", "ends": right},
    OpKind.REHOME: lambda right: {"office": VILLAGE, "parent": TOWN if right else OTHER_TOWN, "reason": "区划调整"},
    OpKind.VETO: lambda right: {"code": "not_entitled", "reason": "设备已吊销"},
    OpKind.TIME_BOUND: lambda right: {"latest_ms": 1_767_225_600_000},
}


def possible(case: Case, labels: list[str], who: str, kind: OpKind) -> list[Step]:
    """The acts of this kind that `who` may do after having seen the ops with these labels."""
    view = fold([case.ops[label] for label in labels])
    office = SHORT[who.partition("/")[0]]
    role = "hub" if who.startswith("hub") else "chief"
    found = []
    for body in bodies(view, case, who, kind):
        said = {key: case._said(value) for key, value in body.items()}
        try:
            allowed(view, kind, office, role, said)
        except RefusedError:
            continue
        found.append(Step(who, kind.value, tuple(body.items())))
    return found
