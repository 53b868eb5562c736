"""The people at the desks: what they do with the cases that they see, at their own hours, with or without a line.

For: plausible acts of every kind, drawn from the run's chance: new cases of all five kinds, then whatever status and
holder suggest. What the rules forbid is refused by the product in words, and the person goes on to something else.
May not: look at another office's device; decide what is allowed.
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conflict.kinds import Status
from edge.attachment import file_of
from edge.desk import Saved
from edge.forms import Application
from edge.main import Node
from edge.staff import Actor
from ops.simulate.people import Person, somebody
from ops.simulate.tree import CITY, COUNTY, ITEMS, ItemRow
from ops.simulate.world import World

CHIEF = Actor("chief", "chief")
LEVEL = {12: "village", 9: "township", 6: "county"}
RANK = {"village": 1, "township": 2, "county": 3, "city": 4}
LOOKED_AT = 25  # cases on the screen
FILE_BYTES = (300, 80_000)  # up to three chunks
Act = Callable[[Node], Saved]


class Staff:
    """Chooses what somebody at an office does next."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._last: list[tuple[Person, str, str]] = []  # applicant, item, office

    def next_act(self, node: Node) -> tuple[str, Act]:
        """(kind, act) for somebody who looks at this device's screen now."""
        rng = self._world.rng
        cases = node.service.list_cases(limit=LOOKED_AT)
        if not cases or rng.random() < 0.3:
            return self.new_case(node)
        row = rng.choice(cases)
        shown = node.service.show(row["case"])
        return self._with(node, shown)

    def new_case(self, node: Node, *, person: Person | None = None, item: str = "") -> tuple[str, Act]:
        """Somebody comes to the window."""
        rng = self._world.rng
        rank = RANK[LEVEL[len(node.keys.office)]]
        fitting = [row for row in ITEMS if RANK[row.accept] <= rank and (not item or row.code == item)]
        row = rng.choice(fitting)
        who = person or somebody(rng)
        self._last = [*self._last[-20:], (who, row.code, node.keys.office)]
        application = Application(
            row.code,
            who.name,
            who.number,
            phone=who.phone if rng.random() < 0.7 else "",
            fields={"事由": f"申请{row.name}", "人数": str(rng.randint(1, 9))},
            materials=row.materials.split(";") if row.materials and rng.random() < 0.5 else [],
            urgent=rng.random() < 0.1,
            received_only=rng.random() < 0.4,
        )
        return "accept", lambda node: node.service.accept(CHIEF, application)

    def same_person_again(self, office: str) -> tuple[Person, str] | None:
        """Somebody who applied for the same at another office lately; None if there was nobody."""
        level = RANK[LEVEL[len(office)]]
        accept = {row.code: RANK[row.accept] for row in ITEMS}
        fitting = [one for one in self._last if one[2] != office and accept[one[1]] <= level]
        if not fitting:
            return None
        person, item, _office = self._world.rng.choice(fitting)
        return person, item

    def story_for_the_city(self) -> list[tuple[str, Act]]:
        """The acts, one after the other, that take a new case of the county's windows to the city."""
        rng = self._world.rng
        row = next(row for row in ITEMS if row.code == "SIM-SB-2")
        person, number = somebody(rng), list[str]()
        scan = file_of("申请表.dat", rng.randbytes(rng.randint(*FILE_BYTES)), material=row.materials, grade="A")

        def opened(node: Node) -> Saved:
            saved = node.service.accept(CHIEF, Application(row.code, person.name, person.number))
            number.append(saved.case)
            return saved

        return [
            ("accept", opened),
            ("attach", lambda node: node.service.attach_file(CHIEF, number[0], scan)),
            ("examine", lambda node: node.service.examine(CHIEF, number[0], opinion="同意上报")),
            ("forward", lambda node: node.service.forward(CHIEF, number[0], to=CITY, opinion="请予审批")),
        ]

    def attach(self, case: str, shown: dict[str, Any]) -> tuple[str, Act]:
        """A scan, preferably of a material that the item asks for."""
        rng = self._world.rng
        wanted = [row.materials.split(";") for row in ITEMS if row.code == shown["item"] and row.materials]
        material = rng.choice(wanted[0]) if wanted else "附件"
        scan = file_of(f"{material}.dat", rng.randbytes(rng.randint(*FILE_BYTES)), material=material, grade="B")
        return "attach", lambda node: node.service.attach_file(CHIEF, case, scan)

    def _with(self, node: Node, shown: dict[str, Any]) -> tuple[str, Act]:
        office, case, rng = node.keys.office, shown["case"], self._world.rng
        pending = shown["handover"]
        if pending and pending["to"] == office and rng.random() < 0.85:
            if rng.random() < 0.85:
                return "take", lambda node: node.service.take(CHIEF, case)
            return "return", lambda node: node.service.send_back(CHIEF, case, reason="材料与申请不符，请核实")
        names = ["note", "amend", "attach", *self._moves(shown, office, pending)]
        return self._named(rng.choice(names), case, shown)

    def _moves(self, shown: dict[str, Any], office: str, pending: Any) -> list[str]:
        """What the status suggests, the usual things more often."""
        status = Status(shown["status"])
        if pending:
            return ["recall"] if pending["from"] == office else []
        if status in (Status.DECIDED, Status.CONCLUDED):
            return ["conclude" if status is Status.DECIDED else "deliver"] * 6
        if shown["holder"] != office:
            return ["attach", "supplement"] if status is Status.SUPPLEMENTING else []
        return {
            Status.RECEIVED: ["accept_received"] * 5 + ["notice", "notice", "forward", "refuse_acceptance", "withdraw"],
            Status.SUPPLEMENTING: ["supplement"] * 6 + ["accept_received", "withdraw"],
            Status.ACCEPTED: [
                "start",
                "examine",
                "examine",
                "forward",
                "forward",
                "decide",
                "suspend",
                "notice",
                "void",
            ],
            Status.PROCESSING: ["examine", "forward", "forward", "decide", "decide", "suspend", "extend", "return"],
            Status.SUSPENDED: ["resume"] * 4 + ["extend"],
        }.get(status, [])

    def _named(self, name: str, case: str, shown: dict[str, Any]) -> tuple[str, Act]:
        rng = self._world.rng
        if name == "attach":
            return self.attach(case, shown)
        item = next((row for row in ITEMS if row.code == shown["item"]), ITEMS[0])
        acts: dict[str, Act] = {
            "note": lambda node: node.service.note(CHIEF, case, f"电话联系{shown['number'][-6:]}"),
            "amend": self._amend(case),
            "recall": lambda node: node.service.recall(CHIEF, case, reason="转报有误"),
            "conclude": lambda node: node.service.conclude(CHIEF, case, conclusion="normal"),
            "deliver": lambda node: node.service.deliver(CHIEF, case, method="窗口领取"),
            "accept_received": lambda node: node.service.accept_received(CHIEF, case),
            "notice": lambda node: node.service.notice(CHIEF, case, missing=["身份证复印件"], days=10),
            "supplement": lambda node: node.service.supplement(CHIEF, case, said="已补交", materials=["身份证复印件"]),
            "refuse_acceptance": lambda node: node.service.refuse_acceptance(CHIEF, case, reason="不属于本机关职权"),
            "withdraw": lambda node: node.service.withdraw(CHIEF, case, reason="申请人要求撤回"),
            "void": lambda node: node.service.void(CHIEF, case, reason="重复录入"),
            "start": lambda node: node.service.start(CHIEF, case),
            "examine": lambda node: node.service.examine(CHIEF, case, opinion="材料齐全，同意"),
            "forward": self._forward(case, item),
            "decide": self._decide(case, item),
            "suspend": lambda node: node.service.suspend(CHIEF, case, cause="现场勘验", written_notice=True),
            "resume": lambda node: node.service.resume(CHIEF, case),
            "return": lambda node: node.service.send_back(CHIEF, case, reason="请补充调查"),
            "extend": self._extend(case, rng.randint(1, 10)),
        }
        return name, acts[name]

    def _amend(self, case: str) -> Act:
        rng = self._world.rng
        field = rng.choice(("applicant_phone", "applicant_address", "事由", "人数", "applicant_name"))
        value = {"applicant_phone": somebody(rng).phone, "applicant_name": somebody(rng).name}.get(field)
        said = value or f"更正为{rng.randint(1, 999)}"
        return lambda node: node.service.amend(CHIEF, case, {field: said}, reason="录入有误")

    def _forward(self, case: str, item: ItemRow) -> Act:
        def forward(node: Node) -> Saved:
            to = CITY if node.keys.office == COUNTY and item.approve == "city" else ""
            return node.service.forward(CHIEF, case, to=to, opinion="拟同意上报")

        return forward

    def _decide(self, case: str, item: ItemRow) -> Act:
        decision = "answered" if item.kind == "答复" else self._world.rng.choice(("granted", "granted", "denied"))
        denied = {"reasons": "不符合条件", "remedies": "可申请行政复议"} if decision == "denied" else {}
        return lambda node: node.service.decide(CHIEF, case, decision=decision, opinion="经审查", **denied)

    def _extend(self, case: str, days: int) -> Act:
        return lambda node: node.service.extend(
            CHIEF, case, days=days, reason="案情复杂", approver="局长", notified=True
        )
