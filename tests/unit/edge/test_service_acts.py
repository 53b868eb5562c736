"""The acts after opening, over three devices whose ops are carried by hand: hand-overs, handling, closing."""

from __future__ import annotations

from pathlib import Path

import pytest

from conflict.errors import (
    HandoverPending,
    HeldByAnother,
    NothingToAnswer,
    NoticeAlreadyGiven,
    OpinionMissing,
    RoleNotAllowed,
    TransitionNotAllowed,
)
from conflict.ledger.errors import UnknownCase
from edge.errors import UnknownOffice
from edge.main import Node
from edge.service import Application, Saved
from edge.staff import Actor
from protocol.errors import InputError, LiandongError
from tests.unit.edge.county import COUNTY, GOOD_ID, TOWN, carry

CHIEF = Actor("chief", "chief")


def accept(node: Node, item: str = "JF-1", **more: object) -> Saved:
    return node.service.accept(CHIEF, Application(item, "张三", GOOD_ID, **more))  # type: ignore[arg-type]


def test_a_case_goes_up_is_decided_and_comes_back(chain: tuple[Node, Node, Node]) -> None:
    village, town, centre = chain
    saved = accept(village)
    assert village.service.forward(CHIEF, saved.case).status == "forwarded_up"
    carry(village, town)
    assert town.service.take(CHIEF, saved.number).status == "processing"
    assert town.service.examine(CHIEF, saved.case, opinion="材料齐全,同意上报").status == "processing"
    town.service.forward(CHIEF, saved.case, opinion="同意")
    carry(town, centre)
    centre.service.take(CHIEF, saved.case)
    centre.service.examine(CHIEF, saved.case, opinion="属实", step="verify")
    decided = centre.service.decide(CHIEF, saved.case, decision="granted", opinion="准予")
    assert decided.status == "decided"
    assert centre.service.conclude(CHIEF, saved.case).status == "concluded"
    carry(centre, village)
    assert village.service.deliver(CHIEF, saved.case, method="窗口领取", receiver="张三").status == "delivered"
    carry(village, town)
    carry(village, centre)
    assert len({node.service.digest(saved.case) for node in chain}) == 1
    assert carry(village, centre) == 0  # a repeat is nothing new
    shown = village.service.show(saved.number)
    assert shown["holder"] == COUNTY and shown["decision"]["decision"] == "granted"


def test_take_back_and_send_back(chain: tuple[Node, Node, Node]) -> None:
    village, town, _centre = chain
    saved = accept(village)
    village.service.forward(CHIEF, saved.case, to=TOWN)
    with pytest.raises(HandoverPending):
        village.service.examine(CHIEF, saved.case, opinion="x")
    assert village.service.recall(CHIEF, saved.case, reason="漏填").status == "processing"
    village.service.forward(CHIEF, saved.case)
    carry(village, town)
    town.service.take(CHIEF, saved.case)
    with pytest.raises(HeldByAnother):
        carry(town, village)
        village.service.forward(CHIEF, saved.case)
    assert town.service.send_back(CHIEF, saved.case, reason="缺少签字").status == "processing"
    assert town.service.show(saved.case)["holder"] == village.keys.office


def test_notice_and_supplement(village: Node, tmp_path: Path) -> None:
    saved = accept(village, received_only=True)
    noticed = village.service.notice(CHIEF, saved.case, missing=["身份证复印件"], days=10)
    assert noticed.status == "supplementing"
    with pytest.raises(NoticeAlreadyGiven):
        village.service.notice(CHIEF, saved.case, missing=["户口簿"])
    scan = tmp_path / "身份证复印件.pdf"
    scan.write_bytes(b"pdf")
    back = village.service.supplement(CHIEF, saved.case, fields={"职业": "务农"}, attachments=[scan], said="已补齐")
    assert back.status == "received"
    shown = village.service.show(saved.case)
    assert shown["fields"]["职业"]["value"] == "务农" and shown["papers"] == ["身份证复印件"]
    with pytest.raises(NothingToAnswer):
        village.service.supplement(CHIEF, saved.case, said="again")


def test_amend_attach_check_and_note(village: Node, tmp_path: Path) -> None:
    saved = accept(village)
    village.service.amend(CHIEF, saved.case, {"applicant_phone": "13900000000"}, reason="换号")
    scan = tmp_path / "申请书.png"
    scan.write_bytes(b"png")
    village.service.attach(CHIEF, saved.case, scan, material="个人申请书")
    village.service.check_material(CHIEF, saved.case, "个人申请书", grade="A", note="与原件核对无误")
    village.service.note(CHIEF, saved.case, "申请人行动不便")
    shown = village.service.show(saved.case)
    assert shown["fields"]["applicant_phone"]["value"] == "13900000000"
    assert [(one["material"], one["grade"], one["claimed_grade"]) for one in shown["materials"]] == [
        ("个人申请书", "A", "C")
    ]
    assert shown["notes"][0]["text"] == "申请人行动不便"


def test_suspend_resume_extend(centre: Node) -> None:
    saved = accept(centre)
    assert centre.service.start(CHIEF, saved.case).status == "processing"
    suspended = centre.service.suspend(CHIEF, saved.case, cause="专家评审", days=10, written_notice=True)
    assert suspended.status == "suspended"
    assert centre.service.resume(CHIEF, saved.case).status == "processing"
    extended = centre.service.extend(CHIEF, saved.case, days=10, reason="案情复杂", approver="王五", notified=True)
    assert extended.status == "processing"
    with pytest.raises(NothingToAnswer):
        centre.service.resume(CHIEF, saved.case)


def test_withdraw_void_and_refuse_acceptance(village: Node) -> None:
    first, second, third = accept(village), accept(village), accept(village, received_only=True)
    assert village.service.withdraw(CHIEF, first.case, reason="不办了").status == "withdrawn"
    assert village.service.void(CHIEF, second.case, reason="重复录入").status == "voided"
    refused = village.service.refuse_acceptance(CHIEF, third.case, reason="不属于本机关职权", remedies="可申请行政复议")
    assert refused.status == "refused"
    statuses = {row["case"]: row["status"] for row in village.service.list_cases()}
    assert statuses == {first.case: "withdrawn", second.case: "voided", third.case: "refused"}
    assert [row["case"] for row in village.service.list_cases(status="voided")] == [second.case]


def test_reply_case_is_answered_at_the_counter(village: Node) -> None:
    saved = accept(village, item="DF-1")
    assert village.service.decide(CHIEF, saved.case, decision="answered", opinion="符合条件").status == "decided"


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda s, case: s.conclude(CHIEF, case), TransitionNotAllowed),
        (lambda s, case: s.take(CHIEF, case), TransitionNotAllowed),
        (lambda s, case: s.deliver(CHIEF, case, method="邮寄"), TransitionNotAllowed),
        (lambda s, case: s.decide(CHIEF, case, decision="denied"), InputError),
        (lambda s, case: s.decide(CHIEF, case, decision="maybe"), InputError),
        (lambda s, case: s.forward(CHIEF, case, to="999999"), UnknownOffice),
        (lambda s, case: s.examine(CHIEF, case, opinion=""), InputError),
        (lambda s, case: s.amend(CHIEF, case, {}), InputError),
        (lambda s, case: s.amend(CHIEF, case, {"applicant_id": "123"}), InputError),
        (lambda s, case: s.notice(CHIEF, case, missing=[]), InputError),
        (lambda s, case: s.check_material(CHIEF, case, "没有的", grade="A"), NothingToAnswer),
        (lambda s, case: s.note(CHIEF, "no-such-case", "x"), UnknownCase),
        (lambda s, case: s.extend(CHIEF, case, days=0, reason="x", approver="y", notified=True), InputError),
        (lambda s, case: s.attach(CHIEF, case, Path("/nowhere/x")), InputError),
    ],
)
def test_what_is_not_possible_changes_nothing(village: Node, act: object, expected: type[LiandongError]) -> None:
    saved = accept(village)
    before = (village.service.digest(saved.case), village.status()["ops"])
    with pytest.raises(expected) as caught:
        act(village.service, saved.case)  # type: ignore[operator]
    assert caught.value.text and caught.value.text_zh
    assert (village.service.digest(saved.case), village.status()["ops"]) == before


def test_township_goes_up_only_with_an_opinion(town: Node) -> None:
    saved = accept(town)
    with pytest.raises(OpinionMissing):
        town.service.forward(CHIEF, saved.case)


def test_roles_bind_and_are_read_when_the_act_is_written(village: Node) -> None:
    village.staff.add(CHIEF, "小李", "agent")
    saved = accept(village)
    with pytest.raises(RoleNotAllowed):
        village.service.examine(Actor("小李", "chief"), saved.case, opinion="自封的负责人")
    assert village.service.show(saved.case)["timeline"][0]["staff"] == "chief"


def test_a_case_is_found_by_number_id_and_beginning(village: Node) -> None:
    saved = accept(village)
    for name in (saved.number, saved.number.lower().replace("-", " "), saved.case, saved.case[:10]):
        assert village.service.show(name)["case"] == saved.case
