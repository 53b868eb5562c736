"""Worked examples of the fold, written by hand: who did what knowing what, and the heart of what must come out.

For: `generate.py`, which lays each out as a vector file. `want` is what its author claims; the generator refuses to
write a file whose view says otherwise, so that no expectation is only a copy of what the program did.
Notation: README.md beside this file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TOWN, COUNTY, CITY, OTHER_TOWN = "420222101", "420222", "4202", "420222102"
LOCAL = {"kind": "immediate", "approve_level": "village"}
TOWNSHIP = {"approve_level": "township"}
UPWARD = {"kind": "submit_up", "approve_level": "city"}

Op = dict[str, Any]


@dataclass
class Scenario:
    """`want` keys: those of a vector's `expect`, compared as far as given; `clock` adds the clock facts to the file."""

    name: str
    about: str
    ops: list[Op]
    want: dict[str, Any]
    terms: dict[str, Any] = field(default_factory=dict)
    spec: str = "docs/conflict/fold.md"
    clock: bool = False


def op(label: str, by: str, kind: str, *seen: str, role: str = "", staff: str = "", **body: Any) -> Op:
    """One op; `seen` are labels. Keywords that are no body: claimed_ms, evidence, rules, absent (given with `_`)."""
    found: Op = {"label": label, "by": by, "kind": kind, "seen": list(seen), "body": {}}
    for key, value in body.items():
        if key.startswith("_"):
            found[key[1:]] = value
        else:
            found["body"][key] = value
    if role:
        found["role"] = role
    if staff:
        found["staff"] = staff
    return found


def accept(**body: Any) -> Op:
    return op("open", "village", "accept", **body)


def receive(**body: Any) -> Op:
    return op("open", "village", "receive", **body)


def forward(label: str, by: str, seen: str, to: str) -> Op:
    return op(label, by, "forward", seen, to=to)


def take(label: str, by: str, *seen: str, of: str) -> Op:
    return op(label, by, "take", *seen, of=f"@{of}")


def examine(label: str, by: str, seen: str, outcome: str = "agree") -> Op:
    return op(label, by, "examine", seen, outcome=outcome, opinion="符合条件" if outcome == "agree" else "不符合条件")


def decide(label: str, by: str, *seen: str, decision: str = "granted", **more: Any) -> Op:
    body = {"opinion": "准予" if decision == "granted" else "答复如下" if decision == "answered" else "不予"}
    if decision == "denied":
        body |= {"reasons": "不符合规定条件", "remedies": "可在六十日内申请行政复议"}
    return op(label, by, "decide", *seen, decision=decision, **(body | more))


def amend(label: str, by: str, *seen: str, **fields: str) -> Op:
    return op(label, by, "amend", *seen, fields=fields)


def attach(label: str, by: str, *seen: str, grade: str = "C", material: str = "身份证") -> Op:
    file = {"sha256": f"#{label}", "size": 1000, "media": "image/jpeg", "name": f"{label}.jpg"}
    return op(label, by, "attach", *seen, material=material, grade=grade, **file)


def at_township() -> list[Op]:
    """Accepted in the village, forwarded and taken by the township."""
    return [accept(), forward("up", "village", "open", TOWN), take("taken", "town", "up", of="up")]


HANDOVER = [
    Scenario(
        "handover_forward_and_withdraw",
        "village forwards on one machine while the applicant withdraws at the other",
        [
            accept(),
            forward("up", "village", "open", TOWN),
            op("gone", "village/2", "withdraw", "open", reason="不办了"),
        ],
        {"status": "withdrawn", "not_applied": {"up": ["overtaken", "withdrawal_ends", "gone"]}},
    ),
    Scenario(
        "handover_taken_and_recalled",
        "the township takes the case while the village recalls it",
        [
            accept(),
            forward("up", "village", "open", TOWN),
            take("taken", "town", "up", of="up"),
            op("back", "village", "recall", "up", of="@up", reason="材料有误"),
        ],
        {"status": "processing", "holder": "town", "not_applied": {"back": ["overtaken", "taken_stays", "taken"]}},
    ),
    Scenario(
        "handover_returned_and_examined",
        "one desk of the township returns the case while the other examines it",
        [
            *at_township(),
            op("back", "town", "return", "taken", of="@up", reason="缺少照片"),
            examine("exam", "town/2", "taken"),
        ],
        {"status": "processing", "holder": "town", "not_applied": {"back": ["overtaken", "work_stands", "exam"]}},
    ),
    Scenario(
        "handover_two_targets_none_taken",
        "two machines of the village forward the case to two offices, neither of which has it yet",
        [accept(), forward("to_town", "village", "open", TOWN), forward("to_county", "village/2", "open", COUNTY)],
        {"status": "forwarded_up", "holder": "village"},
    ),
    Scenario(
        "handover_two_targets_one_taken",
        "of two hand-overs to two offices the one that was taken counts",
        [
            accept(),
            forward("to_town", "village", "open", TOWN),
            forward("to_county", "village/2", "open", COUNTY),
            take("taken", "town", "to_town", of="to_town"),
        ],
        {"status": "processing", "holder": "town", "not_applied": {"to_county": ["overtaken", "taken_stays", "taken"]}},
    ),
    Scenario(
        "handover_two_targets_both_taken",
        "two offices take the case by two hand-overs: the higher one holds it",
        [
            accept(),
            forward("to_town", "village", "open", TOWN),
            forward("to_county", "village/2", "open", COUNTY),
            take("by_town", "town", "to_town", of="to_town"),
            take("by_county", "county", "to_county", of="to_county"),
            examine("exam", "town", "by_town"),
        ],
        {"status": "processing", "holder": "county"},
    ),
    Scenario(
        "handover_same_target_twice",
        "two machines of the village forward the case to the same office; it takes the one it knows",
        [
            accept(),
            forward("one", "village", "open", TOWN),
            forward("two", "village/2", "open", TOWN),
            take("taken", "town", "two", of="two"),
        ],
        {"status": "processing", "holder": "town"},
    ),
    Scenario(
        "handover_returned_step_by_step",
        "the county returns to the township, the township to the village",
        [
            *at_township(),
            examine("exam", "town", "taken"),
            forward("up2", "town", "exam", COUNTY),
            take("taken2", "county", "up2", of="up2"),
            op("back2", "county", "return", "taken2", of="@up2", reason="缺少证明"),
            op("back", "town", "return", "back2", of="@up", reason="缺少证明"),
        ],
        {"status": "processing", "holder": "village", "not_applied": {}},
        clock=True,
    ),
    Scenario(
        "handover_returned_before_taken_and_forwarded_on",
        "one desk of the township returns an untaken case while the other takes it",
        [
            accept(),
            forward("up", "village", "open", TOWN),
            op("back", "town", "return", "up", of="@up", reason="不归我镇"),
            take("taken", "town/2", "up", of="up"),
        ],
        {"status": "processing", "holder": "town", "not_applied": {"back": ["overtaken", "taken_stays", "taken"]}},
    ),
    Scenario(
        "handover_suspended_meanwhile",
        "one machine starts a special procedure while the other forwards the case",
        [
            accept(),
            op("hearing", "village", "suspend", "open", cause="听证", reason="当事人申请", written_notice=True),
            forward("up", "village/2", "open", TOWN),
        ],
        {
            "status": "suspended",
            "holder": "village",
            "not_applied": {"up": ["overtaken", "suspension_first", "hearing"]},
        },
    ),
    Scenario(
        "handover_rehomed_while_pending",
        "the village is re-homed to another township while its case waits there: the new one takes it",
        [
            accept(),
            forward("up", "village", "open", TOWN),
            op("moved", "hub", "rehome", "up", office="420222101001", parent=OTHER_TOWN, reason="区划调整"),
            take("taken", "othertown", "moved", of="up"),
        ],
        {"status": "processing", "holder": "othertown", "not_applied": {}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "handover_rehomed_but_taken",
        "the old township took the case before it heard of the re-homing: it keeps it and may pass it on",
        [
            accept(),
            forward("up", "village", "open", TOWN),
            take("taken", "town", "up", of="up"),
            op("moved", "hub", "rehome", "up", office="420222101001", parent=OTHER_TOWN, reason="区划调整"),
            op("on", "town", "forward", "taken", "moved", to=OTHER_TOWN),
        ],
        {"status": "forwarded_up", "holder": "town", "handover": "on", "not_applied": {}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "handover_forwarded_unaware_of_rehoming",
        "the village forwards to its former township: the case goes to the new one",
        [
            accept(),
            op("moved", "hub", "rehome", "open", office="420222101001", parent=OTHER_TOWN, reason="区划调整"),
            forward("up", "village", "open", TOWN),
            take("taken", "othertown", "moved", "up", of="up"),
        ],
        {"status": "processing", "holder": "othertown", "not_applied": {}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "handover_former_holder_works_on",
        "the village examines on a machine that has not heard that its case was forwarded and taken",
        [
            accept(),
            forward("up", "village", "open", TOWN),
            take("taken", "town", "up", of="up"),
            examine("late", "village/2", "open"),
        ],
        {"status": "processing", "holder": "town", "not_applied": {"late": ["overtaken", "taken_stays", "taken"]}},
    ),
]

SUPPLEMENT = [
    Scenario(
        "supplement_after_refusal",
        "the supplement arrives after the township has refused acceptance because the time for it ran out",
        [
            receive(),
            forward("up", "village", "open", TOWN),
            take("taken", "town", "up", of="up"),
            op("ask", "town", "notice", "taken", missing=["收入证明"], limit=[5, "workday"]),
            op("no", "town", "refuse_acceptance", "ask", reason="逾期未补正"),
            op("late", "village", "supplement", "ask", of="@ask", materials=["收入证明"], fields={"income": "800"}),
        ],
        {
            "status": "refused",
            "not_applied": {"late": ["overtaken", "refusal_ends", "no"]},
            "fields": {"income": ["800", "late"]},
        },
        clock=True,
    ),
    Scenario(
        "supplement_meets_deemed_acceptance",
        "the five days lapse and the township records the deemed acceptance while the village supplements",
        [
            receive(),
            op("ask", "village", "notice", "open", missing=["照片"]),
            op("deemed", "village", "accept", "ask", deemed=True),
            op("photo", "village/2", "supplement", "ask", of="@ask", materials=["照片"]),
        ],
        {"status": "accepted", "not_applied": {}},
        clock=True,
    ),
    Scenario(
        "supplement_brought_twice",
        "the same materials are supplemented at two machines, with different incomes",
        [
            receive(),
            op("ask", "village", "notice", "open", missing=["收入证明"]),
            op("one", "village", "supplement", "ask", of="@ask", materials=["收入证明"], fields={"income": "800"}),
            op("two", "village/2", "supplement", "ask", of="@ask", materials=["收入证明"], fields={"income": "900"}),
        ],
        {"status": "received", "not_applied": {}},
    ),
    Scenario(
        "supplement_answered_again",
        "a second supplement for a notice that is answered is refused",
        [
            receive(),
            op("ask", "village", "notice", "open", missing=["照片"]),
            op("one", "village", "supplement", "ask", of="@ask", materials=["照片"]),
            op("two", "village", "supplement", "one", of="@ask", materials=["照片"]),
        ],
        {"status": "received", "not_applied": {"two": ["refused", "nothing_to_answer", None]}},
    ),
    Scenario(
        "notice_given_twice_knowingly",
        "what is missing is said once: a second one-time notice at the same stage is refused",
        [
            receive(),
            op("ask", "village", "notice", "open", missing=["照片"]),
            op("bring", "village", "supplement", "ask", of="@ask", materials=["照片"]),
            op("again", "village", "notice", "bring", missing=["户口簿"]),
        ],
        {"status": "received", "not_applied": {"again": ["refused", "notice_already_given", None]}},
    ),
    Scenario(
        "notice_given_twice_unknowingly",
        "two desks of one office give the one-time notice without knowing of each other",
        [
            receive(),
            op("one", "village", "notice", "open", missing=["照片"]),
            op("two", "village/2", "notice", "open", missing=["户口簿"]),
        ],
        {"status": "supplementing"},
    ),
    Scenario(
        "notice_meets_taking",
        "the village gives notice on one machine while the other has forwarded the case and the township takes it",
        [
            receive(),
            forward("up", "village", "open", TOWN),
            take("taken", "town", "up", of="up"),
            op("ask", "village/2", "notice", "open", missing=["照片"]),
        ],
        {"status": "supplementing", "holder": "town", "not_applied": {}},
    ),
    Scenario(
        "acceptance_meets_refusal",
        "one desk accepts, the other refuses acceptance",
        [
            receive(),
            op("yes", "village", "accept", "open"),
            op("no", "village/2", "refuse_acceptance", "open", reason="不属于本级职权"),
        ],
        {"status": "accepted", "not_applied": {"no": ["overtaken", "acceptance_stands", "yes"]}},
    ),
]

DECISION = [
    Scenario(
        "decision_meets_withdrawal",
        "the county decides while the applicant withdraws in the village",
        [
            accept(),
            forward("up", "village", "open", COUNTY),
            take("taken", "county", "up", of="up"),
            decide("yes", "county", "taken"),
            op("gone", "village", "withdraw", "up", reason="不办了"),
        ],
        {
            "status": "decided",
            "not_applied": {"gone": ["overtaken", "decision_stands", "yes"]},
            "decision": ["granted", "yes"],
        },
    ),
    Scenario(
        "decision_two_desks_differ",
        "two desks of one office decide differently: a person must choose, and the case cannot be concluded before",
        [
            accept(),
            decide("yes", "village", "open"),
            decide("no", "village/2", "open", decision="denied"),
            op("end", "village", "conclude", "yes", "no", type="normal"),
        ],
        {"status": "decided", "not_applied": {"end": ["refused", "open_conflict", None]}},
        terms=LOCAL,
    ),
    Scenario(
        "decision_same_twice",
        "two desks of one office decide the same: no conflict",
        [accept(), decide("one", "village", "open"), decide("two", "village/2", "open")],
        {"status": "decided"},
        terms=LOCAL,
    ),
    Scenario(
        "decision_of_the_city_over_the_county",
        "the county decides on a machine that had not heard that the case went up; the city's answer counts",
        [
            accept(),
            forward("up", "village", "open", COUNTY),
            take("taken", "county", "up", of="up"),
            examine("exam", "county", "taken"),
            forward("city", "county", "exam", CITY),
            decide("answer", "hub", "city", decision="denied", for_office=CITY),
            decide("own", "county/2", "exam"),
        ],
        {
            "status": "decided",
            "holder": CITY,
            "decision": ["denied", "answer"],
            "not_applied": {"own": ["overtaken", "decision_stands", "answer"]},
        },
    ),
    Scenario(
        "decision_settled_by_administrator",
        "the county administrator chooses between two decisions, then the case is concluded",
        [
            accept(),
            decide("yes", "village", "open"),
            decide("no", "village/2", "open", decision="denied"),
            op("chosen", "county", "resolve", "yes", "no", conflict="?decision", choice=0, reason="依据充分"),
            op("end", "village", "conclude", "chosen", type="normal"),
        ],
        {"status": "concluded", "not_applied": {}},
        terms=LOCAL,
    ),
    Scenario(
        "decision_settled_differently",
        "two administrators choose differently between two decisions: it is a conflict again",
        [
            accept(),
            decide("yes", "village", "open"),
            decide("no", "village/2", "open", decision="denied"),
            op("first", "county", "resolve", "yes", "no", conflict="?decision", choice=0, reason="一"),
            op("second", "county/2", "resolve", "yes", "no", conflict="?decision", choice=1, reason="二"),
        ],
        {"status": "decided", "not_applied": {}},
        terms=LOCAL,
    ),
    Scenario(
        "decision_settled_differently_then_finally",
        "a third settlement by somebody who saw both ends the matter",
        [
            accept(),
            decide("yes", "village", "open"),
            decide("no", "village/2", "open", decision="denied"),
            op("first", "county", "resolve", "yes", "no", conflict="?decision", choice=0, reason="一"),
            op("second", "county/2", "resolve", "yes", "no", conflict="?decision", choice=1, reason="二"),
            op("final", "county", "resolve", "first", "second", conflict="?decision", choice=1, reason="终"),
            op("end", "village", "conclude", "final", type="normal"),
        ],
        {"status": "concluded", "not_applied": {}},
        terms=LOCAL,
    ),
    Scenario(
        "decision_not_chosen_by_the_holder",
        "the office that decided twice cannot settle its own contradiction",
        [
            accept(),
            decide("yes", "village", "open"),
            decide("no", "village/2", "open", decision="denied"),
            op("chosen", "village", "resolve", "yes", "no", conflict="?decision", choice=0, reason="r"),
        ],
        {"status": "decided", "not_applied": {"chosen": ["refused", "no_power", None]}},
        terms=LOCAL,
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "decision_concluded_and_contradicted",
        "one desk decides, concludes and delivers; the other decides the contrary unknowingly",
        [
            accept(),
            decide("yes", "village", "open"),
            op("end", "village", "conclude", "yes", type="certificate_issued"),
            op("out", "village", "deliver", "end", method="窗口领取"),
            decide("no", "village/2", "open", decision="denied"),
        ],
        {"status": "delivered", "decision": ["granted", "yes"]},
        terms=LOCAL,
    ),
]

LATE = [
    Scenario(
        "late_examination_after_conclusion",
        "an opinion given unknowingly after the case was concluded moves nothing",
        [
            accept(),
            decide("yes", "village", "open"),
            op("end", "village", "conclude", "yes", type="normal"),
            examine("late", "village/2", "open"),
        ],
        {"status": "concluded", "not_applied": {"late": ["overtaken", "decision_stands", "yes"]}},
        terms=LOCAL,
    ),
    Scenario(
        "late_material_after_conclusion",
        "a material that arrives after conclusion is kept with the case",
        [
            accept(),
            decide("yes", "village", "open"),
            op("end", "village", "conclude", "yes", type="normal"),
            attach("late", "village/2", "open"),
        ],
        {"status": "concluded", "not_applied": {}},
        terms=LOCAL,
    ),
    Scenario(
        "late_identity_conflict_after_conclusion",
        "two corrections of the name clash when the case is already concluded: visible and open, status unchanged",
        [
            accept(),
            decide("yes", "village", "open"),
            op("end", "village", "conclude", "yes", type="normal"),
            amend("one", "village/2", "open", applicant_name="李磊"),
            amend("two", "village/3", "open", applicant_name="李蕾"),
        ],
        {"status": "concluded", "not_applied": {}},
        terms=LOCAL,
    ),
    Scenario(
        "late_material_after_forwarding",
        "after forwarding up the village still adds what was missing",
        [*at_township(), attach("more", "village", "taken")],
        {"status": "processing", "holder": "town", "not_applied": {}},
    ),
    Scenario(
        "late_opinion_after_forwarding",
        "after forwarding up the village writes neither opinion nor fee",
        [
            *at_township(),
            amend("opinion", "village", "taken", opinion="同意"),
            amend("pending", "village/2", "up", fee="20"),
        ],
        {
            "status": "processing",
            "not_applied": {
                "opinion": ["refused", "held_by_another", None],
                "pending": ["refused", "held_by_another", None],
            },
        },
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "late_extension_twice",
        "two desks extend the limit; it is extended once",
        [
            accept(),
            op(
                "one",
                "village",
                "extend",
                "open",
                days=10,
                unit="workday",
                reason="复杂",
                approver="局长",
                notified=True,
            ),
            op(
                "two",
                "village/2",
                "extend",
                "open",
                days=20,
                unit="workday",
                reason="复杂",
                approver="局长",
                notified=True,
            ),
        ],
        {"status": "accepted"},
        clock=True,
    ),
    Scenario(
        "late_suspensions_overlap",
        "two special procedures run at once; the case goes on when both have ended",
        [
            accept(),
            op("hearing", "village", "suspend", "open", cause="听证", reason="r", written_notice=True),
            op("notice", "village/2", "suspend", "open", cause="公示", reason="r", written_notice=True),
            op("heard", "village", "resume", "hearing", "notice", of="@hearing"),
        ],
        {"status": "suspended", "not_applied": {}},
        clock=True,
    ),
]

FIELDS = [
    Scenario(
        "field_different_ones_merge",
        "village and township correct different fields unknowingly",
        [
            *at_township(),
            amend("phone", "village", "taken", applicant_phone="1"),
            amend("area", "town", "taken", area="90"),
        ],
        {"fields": {"applicant_phone": ["1", "phone"], "area": ["90", "area"]}, "not_applied": {}},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_same_one_waits",
        "village and township write the same field differently: both values stay, a person settles it",
        [*at_township(), amend("ours", "village", "taken", area="80"), amend("theirs", "town", "taken", area="90")],
        {"fields": {"area": ["90", "theirs", "contested", ["80", "ours", "open"]]}, "not_applied": {}},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_same_value_twice",
        "both write the same value: no conflict",
        [*at_township(), amend("ours", "village", "taken", area="90"), amend("theirs", "town", "taken", area="90")],
        {"fields": {"area": ["90", "theirs"]}, "not_applied": {}},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_contact_nearest_office",
        "the telephone number goes by the office nearest to the applicant; the other stays readable",
        [
            *at_township(),
            amend("ours", "village", "taken", applicant_phone="1"),
            amend("theirs", "town", "taken", applicant_phone="2"),
        ],
        {"fields": {"applicant_phone": ["1", "ours", ["2", "theirs", "nearest_office"]]}},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_contact_same_office",
        "two machines of one village write different numbers: the rule cannot tell, a person settles it",
        [
            accept(),
            amend("one", "village", "open", applicant_phone="1"),
            amend("two", "village/2", "open", applicant_phone="2"),
        ],
        {"status": "accepted", "not_applied": {}},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_identity_blocks_conclusion",
        "an identity conflict is never settled by a rule and stands in the way of conclusion only",
        [
            *at_township(),
            amend("ours", "village", "taken", applicant_name="李磊"),
            amend("theirs", "town", "taken", applicant_name="李蕾"),
            decide("yes", "town", "ours", "theirs"),
            op("end", "town", "conclude", "yes", type="normal"),
        ],
        {"status": "decided", "not_applied": {"end": ["refused", "open_conflict", None]}},
        terms=TOWNSHIP,
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_identity_settled",
        "the county administrator settles the identity, then the case is concluded",
        [
            *at_township(),
            amend("ours", "village", "taken", applicant_name="李磊"),
            amend("theirs", "town", "taken", applicant_name="李蕾"),
            decide("yes", "town", "ours", "theirs"),
            op(
                "settled",
                "county",
                "resolve",
                "yes",
                role="administrator",
                conflict="?field:applicant_name",
                choice="李雷雷",
                reason="核对身份证",
            ),
            op("end", "town", "conclude", "settled", type="normal"),
        ],
        {"status": "concluded", "not_applied": {}},
        terms=TOWNSHIP,
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_identity_settled_differently",
        "two administrators settle the identity differently: open again",
        [
            *at_township(),
            amend("ours", "village", "taken", applicant_name="李磊"),
            amend("theirs", "town", "taken", applicant_name="李蕾"),
            op("first", "county", "resolve", "ours", "theirs", conflict="?field:applicant_name", choice=0, reason="一"),
            op(
                "second",
                "county/2",
                "resolve",
                "ours",
                "theirs",
                conflict="?field:applicant_name",
                choice=1,
                reason="二",
            ),
        ],
        {"status": "processing", "not_applied": {}},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_identity_not_by_holder",
        "the holder cannot settle an identity conflict",
        [
            *at_township(),
            amend("ours", "village", "taken", applicant_name="李磊"),
            amend("theirs", "town", "taken", applicant_name="李蕾"),
            op("settled", "town", "resolve", "ours", "theirs", conflict="?field:applicant_name", choice=0, reason="r"),
        ],
        {"not_applied": {"settled": ["refused", "no_power", None]}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "field_settled_by_holder",
        "the holder settles a conflict about an ordinary field",
        [
            *at_township(),
            amend("ours", "village", "taken", area="80"),
            amend("theirs", "town", "taken", area="90"),
            op("settled", "town", "resolve", "ours", "theirs", conflict="?field:area", choice="85", reason="实地丈量"),
        ],
        {
            "fields": {"area": ["85", "settled", ["80", "ours", "later_edit"], ["90", "theirs", "later_edit"]]},
            "not_applied": {},
        },
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_fee_higher_office",
        "the fee goes by the higher office",
        [
            *at_township(),
            amend("theirs", "town", "taken", fee="20"),
            examine("exam", "town/2", "taken"),
            forward("up2", "town/2", "exam", COUNTY),
            take("taken2", "county", "up2", of="up2"),
            amend("county_fee", "county", "taken2", fee="10"),
        ],
        {"fields": {"fee": ["10", "county_fee", ["20", "theirs", "higher_office"]]}, "not_applied": {}},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_class_of_the_item",
        "the item says that a field is a note: both texts stay, joined",
        [*at_township(), amend("ours", "village", "taken", remark="甲"), amend("theirs", "town", "taken", remark="乙")],
        {"not_applied": {}},
        terms={"classes": {"remark": "note"}},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_settled_by_later_edit",
        "somebody who saw both values writes a third",
        [
            *at_township(),
            amend("ours", "village", "taken", area="80"),
            amend("theirs", "town", "taken", area="90"),
            amend("later", "village", "ours", "theirs", area="88"),
        ],
        {"fields": {"area": ["88", "later", ["80", "ours", "later_edit"], ["90", "theirs", "later_edit"]]}},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_edit_that_saw_one_of_two",
        "an edit settles only what its author had seen",
        [
            *at_township(),
            amend("ours", "village", "taken", area="80"),
            amend("theirs", "town", "taken", area="90"),
            amend("later", "village", "ours", area="81"),
        ],
        {"fields": {"area": ["90", "theirs", "contested", ["81", "later", "open"]]}},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_wrong_clock_ahead",
        "a clock fifty years ahead wins nothing",
        [
            *at_township(),
            op("ours", "village", "amend", "taken", fields={"applicant_phone": "1"}),
            op("theirs", "town", "amend", "taken", fields={"applicant_phone": "2"}, _claimed_ms=1_576_800_000_000),
        ],
        {"fields": {"applicant_phone": ["1", "ours", ["2", "theirs", "nearest_office"]]}},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "field_vetoed_write",
        "a value whose op the hub vetoed is not shown, the one before it is",
        [
            *at_township(),
            amend("ours", "village", "taken", area="80"),
            amend("wrong", "village", "ours", area="8000"),
            op("veto", "hub", "veto", "wrong", of="@wrong", code="device_revoked", reason="设备已吊销"),
        ],
        {"fields": {"area": ["80", "ours"]}, "not_applied": {"wrong": ["refused", "device_revoked", "veto"]}},
        spec="docs/conflict/fields.md",
    ),
]

MATERIALS = [
    Scenario(
        "material_two_uploads",
        "two offices upload the same material: both stay, the better grade is current",
        [
            *at_township(),
            attach("copy", "village", "taken", grade="C"),
            attach("certified", "town", "taken", grade="B"),
        ],
        {"materials": [["certified", "身份证", "B", "current", "best_grade"], ["copy", "身份证", "C", "kept", ""]]},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "material_checked_not_overwritten",
        "a worse upload does not replace a checked one, even knowingly",
        [
            *at_township(),
            attach("copy", "village", "taken", grade="C"),
            op("check", "town", "check_material", "copy", of="@copy", grade="B"),
            attach("worse", "village", "check", grade="C"),
        ],
        {"materials": [["copy", "身份证", "B", "current", "best_grade"], ["worse", "身份证", "C", "kept", ""]]},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "material_better_later",
        "a later upload of equal grade replaces the earlier one",
        [accept(), attach("old", "village", "open"), attach("new", "village", "old")],
        {"materials": [["old", "身份证", "C", "kept", ""], ["new", "身份证", "C", "current", "latest_upload"]]},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "material_checks_of_two_levels",
        "two offices check one upload differently: the higher office's check counts",
        [
            *at_township(),
            attach("copy", "village", "taken", grade="C"),
            op("ours", "village", "check_material", "copy", of="@copy", grade="A"),
            op("theirs", "town", "check_material", "copy", of="@copy", grade="B"),
        ],
        {"materials": [["copy", "身份证", "B", "current", "only_upload"]]},
        spec="docs/conflict/fields.md",
    ),
    Scenario(
        "material_checks_of_equals",
        "two desks of one office check one upload differently: the stricter grade counts",
        [
            accept(),
            attach("copy", "village", "open", grade="B"),
            op("one", "village", "check_material", "copy", of="@copy", grade="A"),
            op("two", "village/2", "check_material", "copy", of="@copy", grade="D"),
        ],
        {"materials": [["copy", "身份证", "D", "current", "only_upload"]]},
        spec="docs/conflict/fields.md",
    ),
]

POWERS = [
    Scenario(
        "power_stranger",
        "an office that has nothing to do with the case writes into it",
        [
            accept(),
            op("note", "othertown", "note", "open", text="询问"),
            op("end", "othertown", "withdraw", "open", reason="询问"),
        ],
        {
            "status": "accepted",
            "not_applied": {"note": ["refused", "no_power", None], "end": ["refused", "no_power", None]},
        },
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_not_the_holder",
        "the village examines a case that it knows the township holds",
        [*at_township(), examine("exam", "village", "taken")],
        {"not_applied": {"exam": ["refused", "held_by_another", None]}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_role_too_low",
        "a village agent's role does not include examining a committed case",
        [accept(), op("exam", "village", "examine", "open", role="agent", outcome="agree", opinion="同意")],
        {"not_applied": {"exam": ["refused", "role_not_allowed", None]}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_agent_decides_at_the_counter",
        "an immediate case is decided by the agent at the counter",
        [accept(), op("yes", "village", "decide", "open", role="agent", decision="granted", opinion="准予")],
        {"status": "decided", "not_applied": {}},
        terms=LOCAL,
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_wrong_level",
        "the township decides an item that the county decides",
        [*at_township(), decide("yes", "town", "taken")],
        {"status": "processing", "not_applied": {"yes": ["refused", "not_decision_level", None]}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_entrusted",
        "an entrustment lets the township decide",
        [
            *at_township(),
            op("entrusted", "county", "entrust", "taken", to=TOWN, reason="委托乡镇核发", document="阳政发〔2026〕1号"),
            decide("yes", "town", "entrusted"),
        ],
        {"status": "decided", "not_applied": {}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_entrustment_not_seen",
        "the township decides before it has heard of the entrustment: its op is refused, it decides again",
        [
            *at_township(),
            op("entrusted", "county", "entrust", "taken", to=TOWN, reason="委托乡镇核发"),
            decide("early", "town", "taken"),
            decide("again", "town", "entrusted", "early"),
        ],
        {
            "status": "decided",
            "not_applied": {"early": ["refused", "not_decision_level", None]},
            "decision": ["granted", "again"],
        },
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_entrustment_ended_unknowingly",
        "the township decides under an entrustment that the county ends at the same time: the decision stands",
        [
            *at_township(),
            op("entrusted", "county", "entrust", "taken", to=TOWN, reason="委托乡镇核发"),
            op("ended", "county", "entrust", "entrusted", to=TOWN, reason="收回", ends=True),
            decide("yes", "town", "entrusted"),
        ],
        {"status": "decided", "not_applied": {}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_entrustment_ended_knowingly",
        "the township decides after it has seen the end of the entrustment",
        [
            *at_township(),
            op("entrusted", "county", "entrust", "taken", to=TOWN, reason="委托乡镇核发"),
            op("ended", "county", "entrust", "entrusted", to=TOWN, reason="收回", ends=True),
            decide("yes", "town", "ended"),
        ],
        {"status": "processing", "not_applied": {"yes": ["refused", "not_decision_level", None]}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_for_another_office",
        "an edge of the county centre writes as if it were the city",
        [
            accept(),
            forward("up", "village", "open", COUNTY),
            take("taken", "county", "up", of="up"),
            examine("exam", "county", "taken"),
            forward("city", "county", "exam", CITY),
            decide("forged", "county", "city", for_office=CITY),
        ],
        {"status": "forwarded_up", "not_applied": {"forged": ["refused", "no_power", None]}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_of_the_hub_claimed_by_a_village",
        "a village machine vetoes with the role of the hub",
        [*at_township(), op("forged", "village", "veto", "taken", role="hub", of="@taken", code="x", reason="x")],
        {"status": "processing", "holder": "town", "not_applied": {"forged": ["refused", "no_power", None]}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_opinion_missing",
        "the township forwards to the county without its preliminary opinion",
        [*at_township(), forward("up2", "town", "taken", COUNTY)],
        {"status": "processing", "not_applied": {"up2": ["refused", "opinion_missing", None]}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_foreign_target",
        "the village forwards to a township of another line",
        [accept(), forward("up", "village", "open", OTHER_TOWN)],
        {"status": "accepted", "not_applied": {"up": ["refused", "bad_target", None]}},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_item_not_accepted_here",
        "a village opens a case of an item that is accepted from the township up: nothing of it counts",
        [accept(), op("note", "village", "note", "open", text="询问")],
        {
            "status": "draft",
            "not_applied": {
                "open": ["refused", "wrong_level", None],
                "note": ["refused", "transition_not_allowed", None],
            },
        },
        terms={"accept_level": "township"},
        spec="docs/conflict/powers.md",
    ),
    Scenario(
        "power_role_lost_meanwhile",
        "a verifier decides on a machine that has not heard that the role was taken away; the hub vetoes the op",
        [
            *at_township(),
            op("yes", "town/2", "decide", "taken", role="verifier", decision="granted", opinion="准予"),
            op("veto", "hub", "veto", "yes", of="@yes", code="role_lost", reason="该人员已不任核准人"),
        ],
        {"status": "processing", "not_applied": {"yes": ["refused", "role_lost", "veto"]}},
        terms=TOWNSHIP,
        spec="docs/conflict/powers.md",
    ),
]

VETO = [
    Scenario(
        "veto_pulls_the_ground_away",
        "the hub vetoes a taking that work was built upon unknowingly: the work is overtaken, the hand-over is open again",
        [
            accept(),
            forward("up", "village", "open", TOWN),
            take("taken", "town", "up", of="up"),
            examine("exam", "town", "taken"),
            op("veto", "hub", "veto", "taken", of="@taken", code="device_revoked", reason="设备已吊销"),
        ],
        {
            "status": "forwarded_up",
            "holder": "village",
            "handover": "up",
            "not_applied": {
                "taken": ["refused", "device_revoked", "veto"],
                "exam": ["overtaken", "ground_gone", "veto"],
            },
        },
    ),
    Scenario(
        "veto_seen_and_answered",
        "after the veto the township takes the case again on a good machine",
        [
            accept(),
            forward("up", "village", "open", TOWN),
            take("taken", "town", "up", of="up"),
            op("veto", "hub", "veto", "taken", of="@taken", code="device_revoked", reason="设备已吊销"),
            take("again", "town/2", "veto", of="up"),
        ],
        {"status": "processing", "holder": "town", "not_applied": {"taken": ["refused", "device_revoked", "veto"]}},
    ),
    Scenario(
        "veto_of_the_opening",
        "the hub vetoes an opening whose terms differ from the published item: the case is void from the start",
        [
            accept(),
            examine("exam", "village", "open"),
            op("veto", "hub", "veto", "open", of="@open", code="terms_differ", reason="办件条款与公布的事项不一致"),
        ],
        {
            "status": "voided",
            "not_applied": {"open": ["refused", "terms_differ", "veto"], "exam": ["overtaken", "ground_gone", "veto"]},
        },
    ),
    Scenario(
        "veto_revives_what_was_overtaken",
        "the act that stood against a recall is vetoed: the recall counts after all",
        [
            accept(),
            forward("up", "village", "open", TOWN),
            take("taken", "town", "up", of="up"),
            op("back", "village", "recall", "up", of="@up", reason="材料有误"),
            op("veto", "hub", "veto", "taken", of="@taken", code="device_revoked", reason="设备已吊销"),
        ],
        {"status": "processing", "holder": "village", "not_applied": {"taken": ["refused", "device_revoked", "veto"]}},
    ),
]

DUPLICATES = [
    Scenario(
        "duplicate_linked",
        "the administrator links the case to the one that is kept: it is voided with a pointer",
        [
            accept(),
            op(
                "linked",
                "county",
                "link_duplicate",
                "open",
                role="administrator",
                other="#kept-case",
                reason="同一申请",
            ),
        ],
        {"status": "voided", "not_applied": {}},
        clock=True,
    ),
    Scenario(
        "duplicate_kept",
        "the kept case takes over the materials and the earlier receipt date of its duplicate",
        [
            accept(),
            op(
                "kept",
                "county",
                "keep_duplicate",
                "open",
                role="administrator",
                other="#duplicate-case",
                reason="先到先办",
                received_ms=1_767_139_200_000,
                materials=[],
            ),
        ],
        {"status": "accepted", "not_applied": {}},
        clock=True,
    ),
    Scenario(
        "duplicate_judged_differently",
        "two administrators judge the same pair differently: the case goes on until somebody settles it",
        [
            accept(),
            op("linked", "county", "link_duplicate", "open", role="administrator", other="#other-case", reason="重复"),
            op(
                "distinct",
                "county/2",
                "declare_distinct",
                "open",
                role="administrator",
                other="#other-case",
                reason="事由不同",
            ),
            examine("exam", "village", "open"),
        ],
        {
            "status": "processing",
            "not_applied": {"linked": ["overtaken", "duplicate_undecided", "distinct"]},
        },
    ),
    Scenario(
        "duplicate_judged_finally",
        "an administrator who saw both judgements links the case",
        [
            accept(),
            op("linked", "county", "link_duplicate", "open", role="administrator", other="#other-case", reason="重复"),
            op(
                "distinct",
                "county/2",
                "declare_distinct",
                "open",
                role="administrator",
                other="#other-case",
                reason="不同",
            ),
            op(
                "final",
                "county",
                "link_duplicate",
                "linked",
                "distinct",
                role="administrator",
                other="#other-case",
                reason="确为重复",
            ),
        ],
        {"status": "voided"},
    ),
    Scenario(
        "duplicate_linked_while_examined",
        "a case is linked while the township examines it",
        [
            *at_township(),
            examine("exam", "town", "taken"),
            op("linked", "county", "link_duplicate", "taken", role="administrator", other="#other-case", reason="重复"),
        ],
        {"status": "voided", "not_applied": {"exam": ["overtaken", "duplicate_ends", "linked"]}},
    ),
    Scenario(
        "duplicate_decided_meanwhile",
        "a case that was decided meanwhile is not voided as a duplicate: the other one has to be",
        [
            accept(),
            decide("yes", "village", "open"),
            op("linked", "county", "link_duplicate", "open", role="administrator", other="#other-case", reason="重复"),
        ],
        {"status": "decided", "not_applied": {"linked": ["overtaken", "decision_stands", "yes"]}},
        terms=LOCAL,
    ),
    Scenario(
        "duplicate_not_by_a_township",
        "a township cannot void a case as a duplicate",
        [*at_township(), op("linked", "town", "link_duplicate", "taken", other="#other-case", reason="重复")],
        {"status": "processing", "not_applied": {"linked": ["refused", "no_power", None]}},
        spec="docs/conflict/powers.md",
    ),
]


def whole_way(label: str, by: str, decision: str = "granted", type_: str = "certificate_issued") -> list[Op]:
    """Decision by `by` upon `label`, conclusion there, delivery in the village."""
    return [
        decide("yes", by, label, decision=decision),
        op("end", by, "conclude", "yes", type=type_),
        op("out", "village", "deliver", "end", method="窗口领取"),
    ]


KINDS = [
    Scenario(
        "kind_immediate",
        "an immediate case is accepted, decided, concluded and delivered at one counter",
        [accept(urgent=True), *whole_way("open", "village")],
        {"status": "delivered", "holder": "village", "not_applied": {}},
        terms=LOCAL,
        clock=True,
    ),
    Scenario(
        "kind_committed",
        "a committed case goes from the village by the township to the county and back",
        [
            *at_township(),
            examine("exam", "town", "taken"),
            forward("up2", "town", "exam", COUNTY),
            take("taken2", "county", "up2", of="up2"),
            *whole_way("taken2", "county"),
        ],
        {"status": "delivered", "holder": "county", "not_applied": {}},
        clock=True,
    ),
    Scenario(
        "kind_reply",
        "a reply case is answered; granting it is refused",
        [
            *at_township(),
            decide("wrong", "town", "taken"),
            *whole_way("wrong", "town", decision="answered", type_="normal"),
        ],
        {"status": "delivered", "not_applied": {"wrong": ["refused", "wrong_decision", None]}},
        terms={"kind": "reply", "approve_level": "township"},
        clock=True,
    ),
    Scenario(
        "kind_submit_up",
        "a case goes to the city with the county's opinion; the city's receipt and answer come through the hub",
        [
            *at_township(),
            examine("exam", "town", "taken"),
            forward("up2", "town", "exam", COUNTY),
            take("taken2", "county", "up2", of="up2"),
            examine("exam2", "county", "taken2"),
            forward("up3", "county", "exam2", CITY),
            op("receipt", "hub", "take", "up3", of="@up3", reference="黄石收〔2026〕7号", for_office=CITY),
            decide("answer", "hub", "receipt", for_office=CITY),
            op("end", "county", "conclude", "answer", type="certificate_issued"),
            op("out", "village", "deliver", "end", method="窗口领取"),
        ],
        {"status": "delivered", "holder": CITY, "not_applied": {}},
        terms=UPWARD,
        clock=True,
    ),
    Scenario(
        "kind_joint",
        "two departments examine a joint case at once; both opinions stand, the county decides",
        [
            accept(),
            forward("up", "village", "open", COUNTY),
            take("taken", "county", "up", of="up"),
            op(
                "land", "county", "examine", "taken", outcome="agree", opinion="同意用地", department="自然资源和规划局"
            ),
            op(
                "housing",
                "county/2",
                "examine",
                "taken",
                outcome="agree",
                opinion="同意建房",
                department="住房和城乡建设局",
            ),
            decide("yes", "county", "land", "housing"),
            op("end", "county", "conclude", "yes", type="certificate_issued"),
            op("out", "village", "deliver", "end", method="窗口领取"),
        ],
        {"status": "delivered", "not_applied": {}},
        terms={"kind": "joint"},
        clock=True,
    ),
    Scenario(
        "kind_submit_up_returned_by_city",
        "the city returns the case with a reason; the county holds it again",
        [
            accept(),
            forward("up", "village", "open", COUNTY),
            take("taken", "county", "up", of="up"),
            examine("exam", "county", "taken"),
            forward("city", "county", "exam", CITY),
            op("back", "hub", "return", "city", of="@city", reason="缺少鉴定结论", for_office=CITY),
        ],
        {"status": "processing", "holder": "county", "not_applied": {}},
        terms=UPWARD,
        clock=True,
    ),
    Scenario(
        "kind_submit_up_not_decided_by_county",
        "the county cannot decide what the city decides",
        [
            accept(),
            forward("up", "village", "open", COUNTY),
            take("taken", "county", "up", of="up"),
            decide("yes", "county", "taken"),
        ],
        {"status": "processing", "not_applied": {"yes": ["refused", "not_decision_level", None]}},
        terms=UPWARD,
        spec="docs/conflict/powers.md",
    ),
]

GRAPH = [
    Scenario(
        "graph_missing_parent_waits",
        "an op whose parent has not arrived waits, visibly; the others go on",
        [
            accept(),
            op("lost", "village", "note", "open", text="在路上", _absent=True),
            amend("waits", "village", "lost", area="80"),
            amend("counts", "village/2", "open", area="90"),
        ],
        {"fields": {"area": ["90", "counts"]}, "not_applied": {"waits": ["waiting", "missing_parent", "lost"]}},
    ),
    Scenario(
        "graph_opening_missing",
        "without the op that opened the case everything waits",
        [accept(_absent=True), op("note", "village", "note", "open", text="询问")],
        {"status": "draft", "not_applied": {"note": ["waiting", "missing_parent", "open"]}},
    ),
    Scenario(
        "graph_unknown_kind",
        "an op of a kind that this program does not know is kept and shown as refused",
        [accept(), op("new", "village", "teleport", "open", to="月球")],
        {"status": "accepted", "not_applied": {"new": ["refused", "unknown_kind", None]}},
    ),
    Scenario(
        "graph_bad_body",
        "an op whose body lacks what its kind needs is refused, whoever wrote it",
        [accept(), op("vague", "village", "suspend", "open", cause="听证")],
        {"status": "accepted", "not_applied": {"vague": ["refused", "bad_body", None]}},
    ),
    Scenario(
        "graph_rules_of_the_future",
        "a case under rules that this program does not have waits as a whole",
        [accept(_rules=99), op("note", "village", "note", "open", text="询问")],
        {
            "status": "draft",
            "not_applied": {"open": ["waiting", "unknown_rules", None], "note": ["waiting", "unknown_rules", None]},
        },
        spec="docs/conflict/rule-sets.md",
    ),
]

TIMES = [
    Scenario(
        "time_bound_by_the_hub",
        "a clock fifty years ahead starts the case in 2076; the hub's word bounds it",
        [
            op("open", "village", "accept", _claimed_ms=1_576_800_000_000),
            op("bound", "hub", "time_bound", "open", of="@open", latest_ms=1_767_225_900_000),
        ],
        {"status": "accepted", "not_applied": {}},
        clock=True,
        spec="docs/conflict/fold.md",
    ),
    Scenario(
        "time_by_evidence",
        "a clock fifty years behind gives way to the last hub time and what has elapsed since",
        [op("open", "village", "accept", _claimed_ms=-1_576_800_000_000, _evidence=[-3_600_000, 1_800_000])],
        {"status": "accepted", "not_applied": {}},
        clock=True,
        spec="docs/conflict/fold.md",
    ),
    Scenario(
        "time_never_before_what_was_seen",
        "an op is never earlier than one that its author had seen",
        [
            accept(),
            op("early", "village", "amend", "open", fields={"area": "80"}, _claimed_ms=-86_400_000),
            op("end", "village", "withdraw", "early", reason="不办了", _claimed_ms=-86_400_000),
        ],
        {"status": "withdrawn", "not_applied": {}},
        clock=True,
        spec="docs/conflict/fold.md",
    ),
]

SCENARIOS = [
    *HANDOVER,
    *SUPPLEMENT,
    *DECISION,
    *LATE,
    *FIELDS,
    *MATERIALS,
    *POWERS,
    *VETO,
    *DUPLICATES,
    *KINDS,
    *GRAPH,
    *TIMES,
]
