"""The story of the day: who does what, in order, and what must hold after each part.

For: the five kinds of case and one 特急 from a village room to the city and back.
May not: touch a store or a process (scene.py does).
Manual: docs/operating/demo.md.  Decision: docs/decisions/0094-demonstration.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from conflict.labels import label
from ops.cases import digests_of
from ops.demo.cast import BAILANG, CITY, HALL, NAMES, PU, TUKU, VISITS, WINDOWS, Visit
from ops.demo.processes import DemoFailed, liandong, wait_until
from ops.demo.scene import WAIT_SECONDS, Desk, Scene

UPWARD = ("低保", "劳动能力鉴定", "信访", "建房", "临时救助")  # what the villages of 白沙 forward to the hall


def expect(holds: bool, sentence: str) -> None:
    """Raises DemoFailed with `sentence` unless it holds."""
    if not holds:
        raise DemoFailed(sentence)


class Day:
    """The day in its parts; `numbers` are the case numbers by the key of the visit."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.say = scene.say
        self.numbers: dict[str, str] = {}
        self.hall, self.windows = scene.desks[HALL], scene.desks[WINDOWS]
        self.homes = {visit.key: scene.desks[visit.office] for visit in VISITS}

    def morning_without_a_line(self) -> None:
        """Two villages enter cases of all five kinds; numbers and slips at once; nothing can leave."""
        self.scene.cut_the_line()
        self.say("— 上午:线路中断。两个村照常收件,当场出编号和回执 —")
        self._together(self._enter_all, (PU, TUKU))
        self._together(self._forward_to_hall, UPWARD)
        self._at_the_counter("优待证", "granted", "当场核发。")
        for office in (PU, TUKU):
            status = self.scene.desks[office].status()
            expect(status["pending"] > 0, f"{NAMES[office]} should have ops that wait for the line")
            self.say(f"{NAMES[office]}:{status['pending']} 条待发")

    def line_opens(self) -> None:
        """Everything travels by itself; the third village joins in."""
        self.scene.open_the_line()
        self.say("— 线路恢复,积压自动上传 —")
        self._enter_all(BAILANG)
        self._at_the_counter("调解", "answered", "双方达成调解协议。")
        for key in UPWARD:
            self.hall.wait_for(
                self.numbers[key], "the forwarded case is here", lambda case: case["handover"] is not None
            )
        self.say("白沙镇已收到 5 件转报")

    def at_the_hall(self) -> None:
        """The township takes and examines; one case goes back for a supplement and comes again."""
        self.say("— 白沙镇:接收、初审、补正、转报 —")
        self._together(lambda key: self.hall.act("take", self.numbers[key]), UPWARD)
        letter = self.numbers["信访"]
        self.hall.act("notice", letter, "--missing", "塌方路段照片", "--missing", "村委会情况说明", "--limit", "5w")
        home = self.homes["信访"]
        home.wait_for(letter, "the one-time notice", lambda case: case["status"] == "supplementing")
        self.say(f"{home.name} 收到一次性告知,当事人补正")
        home.act(
            "supplement",
            letter,
            "--attach",
            str(self.scene.attachments / "补充材料.jpg"),
            "--text",
            "补交照片和情况说明。",
        )
        self._together(self._examine_and_forward, tuple(key for key in UPWARD if key != "信访"))
        self.hall.wait_for(letter, "the supplement", lambda case: case["status"] == "received")
        self.hall.act("accept", letter)
        self._examine_and_forward("信访")

    def at_the_county(self) -> None:
        """The county's windows decide, the urgent case first; the 上报件 goes on to the city."""
        self.say("— 县政务服务中心:审核、决定,上报件转报黄石市 —")
        self._take("临时救助")
        self._decide("临时救助", "granted", "情况紧急,先行救助。")
        self._take("劳动能力鉴定")
        up = self.numbers["劳动能力鉴定"]
        self.windows.act("examine", up, "--opinion", "材料齐全,同意上报。", "--step", "verify")
        self.windows.act("forward", up, "--to", CITY, "--opinion", "请予鉴定。")
        self._together(lambda decide: decide(), (self._decide_allowance, self._decide_house))
        self._take("信访")
        self._decide("信访", "answered", "县交通局将于本月内修复塌方路段。")

    def results_come_home(self) -> None:
        """The city's answer and the county's decisions reach the villages, which hand them over."""
        self.windows.wait_for(
            self.numbers["劳动能力鉴定"], "the city's decision", lambda case: case["status"] == "decided"
        )
        self.say("黄石市的鉴定结论已返回")
        self.windows.act("conclude", self.numbers["劳动能力鉴定"], "--type", "certificate_issued")
        self.say("— 结果回到村里,送达申请人 —")
        self._together(self._deliver, UPWARD)
        city = self.homes["劳动能力鉴定"].show(self.numbers["劳动能力鉴定"])
        decided = [row for row in city["timeline"] if row["kind"] == "decide"]
        expect(
            len(decided) == 1 and decided[0]["role"] == "hub",
            "the city's decision should stand in the village's timeline",
        )

    def evening(self) -> dict[str, Any]:
        """All is quiet, nothing waits, every holder has the same view; the nightly reconciliation proves it."""
        self.say("— 夜间:对账 —")
        wait_until("every op has its receipt", self._quiet, seconds=WAIT_SECONDS)
        wait_until("every holder of a case has the same view", self._same_views, seconds=WAIT_SECONDS)
        answer = liandong("reconcile", "--dir", str(self.scene.hub))
        expect(
            answer.code == 0 and answer.document.get("equal") is True,
            f"reconciliation: {answer.sentence or answer.document}",
        )
        self.say(f"对账一致:{len(answer.document['offices'])} 个机构与县级中心内容相同")
        return answer.document

    def outcome(self) -> list[list[str]]:
        """The rows of the final table, from each home office's own store."""
        rows = []
        for visit in VISITS:
            home = self.homes[visit.key]
            shown = home.show(self.numbers[visit.key])
            expect(
                shown["status"] == "delivered",
                f"{visit.key} should be delivered, it is {shown['status']}",
            )
            rows.append(
                [shown["number"], visit.key, visit.kind + ("·特急" if visit.urgent else ""), home.name,
                 label(shown["status"]), NAMES.get(shown["holder"], shown["holder"]), shown["due"]]
            )  # fmt: skip
        return rows

    def _enter_all(self, office: str) -> None:
        desk = self.scene.desks[office]
        for visit in VISITS:
            if visit.office == office:
                self._enter(desk, visit)

    def _enter(self, desk: Desk, visit: Visit) -> None:
        saved = desk.act("receive" if visit.received_only else "accept", *visit.words(self.scene.attachments))
        expected = "received" if visit.received_only else "accepted"
        expect(saved["status"] == expected and bool(saved["number"]), f"{visit.key}: saved as {saved['status']}")
        self.numbers[visit.key] = saved["number"]
        slip = Path(saved["slip"]).read_text("utf-8")
        expect(saved["number"] in slip, f"{visit.key}: the slip should bear the number")
        self.say(f"{desk.name} {visit.kind}{'(特急)' if visit.urgent else ''}「{visit.key}」→ {saved['number']}")

    def _at_the_counter(self, key: str, decision: str, opinion: str) -> None:
        """A case that the village room decides, concludes and hands over by itself."""
        desk, number = self.homes[key], self.numbers[key]
        desk.act("decide", number, "--decision", decision, "--opinion", opinion)
        desk.act("conclude", number, "--type", "certificate_issued" if decision == "granted" else "normal")
        desk.act("deliver", number, "--receiver", self._visit(key).applicant)
        self.say(f"{desk.name}:{key} 当场办结")

    def _forward_to_hall(self, key: str) -> None:
        self.homes[key].act("forward", self.numbers[key], "--to", HALL, "--opinion", "材料已当面核对。")

    def _deliver(self, key: str) -> None:
        home = self.homes[key]
        home.wait_for(self.numbers[key], "the concluded case", lambda case: case["status"] == "concluded")
        home.act("deliver", self.numbers[key], "--method", "window", "--receiver", self._visit(key).applicant)
        self.say(f"{home.name}:{key} 已送达")

    def _decide_allowance(self) -> None:
        self._take("低保")
        self._decide("低保", "granted", "符合条件,准予。")

    def _decide_house(self) -> None:
        self._take("建房")
        for department in ("农业农村局", "自然资源和规划局"):
            self.windows.act(
                "examine", self.numbers["建房"], "--department", department, "--opinion", "同意。", "--step", "handle"
            )
        self._decide("建房", "granted", "联合审查通过。")

    @staticmethod
    def _together(act: Callable[[Any], object], over: Sequence[Any]) -> None:
        """Two hands at once, as in an office with two clerks. The first failure is raised."""
        with ThreadPoolExecutor(2) as both:
            list(both.map(act, over))

    def _examine_and_forward(self, key: str) -> None:
        self.hall.act("examine", self.numbers[key], "--opinion", "经初审,情况属实,同意上报。", "--step", "handle")
        self.hall.act("forward", self.numbers[key], "--to", WINDOWS, "--opinion", "请予审批。")
        self.say(f"白沙镇初审并转报:{key}")

    def _take(self, key: str) -> None:
        number = self.numbers[key]
        self.windows.wait_for(
            number, "the township's bundle", lambda case: (case["handover"] or {}).get("to") == WINDOWS
        )
        self.windows.act("take", number)

    def _decide(self, key: str, decision: str, opinion: str) -> None:
        number = self.numbers[key]
        self.windows.act("decide", number, "--decision", decision, "--opinion", opinion)
        self.windows.act("conclude", number, "--type", "normal")
        self.say(f"县中心决定并办结:{key}")

    def _visit(self, key: str) -> Visit:
        return next(visit for visit in VISITS if visit.key == key)

    def _quiet(self) -> bool:
        states = [desk.status() for desk in self.scene.desks.values()]
        for state in states:
            expect(not state["refused"], f"an op was refused: {state['refusals']}")
        return all(not state["pending"] and not state["waiting"] for state in states)

    def _same_views(self) -> bool:
        hub = digests_of(self.scene.hub, None)
        for desk in self.scene.desks.values():
            own = digests_of(desk.directory, None)
            if any(hub.get(case) != digest for case, digest in own.items()):
                return False
        return len(hub) == len(VISITS)
