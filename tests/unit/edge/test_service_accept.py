"""Opening cases at a village room with no network: what is saved, what is refused, and that a refusal changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from conflict.errors import RoleNotAllowed, WrongLevel
from conflict.identity import BadIdentityNumber
from edge.errors import AttachmentUnreadable, FieldTooLong, UnknownItem
from edge.main import Node
from edge.service import Application, Saved
from protocol.errors import InputError, LiandongError
from tests.unit.edge.county import GOOD_ID, NOW_MS, VILLAGE, Hands


def application(**changes: object) -> Application:
    values: dict[str, object] = {"item": "JF-1", "applicant": "张三", "id_number": GOOD_ID} | changes
    return Application(**values)  # type: ignore[arg-type]


def accept(node: Node, **changes: object) -> Saved:
    return node.service.accept(node.staff.check(), application(**changes))


def test_accepted_case_is_saved_numbered_and_queued(village: Node) -> None:
    saved = accept(village, phone="13800000000", fields={"applicant_address": "白沙村3组"}, urgent=True)
    assert saved.status == "accepted" and saved.number.startswith(VILLAGE)
    shown = village.service.show(saved.number)
    assert shown["holder"] == VILLAGE and shown["urgent"] is True
    assert shown["fields"]["applicant_address"]["value"] == "白沙村3组"
    assert shown["fields"]["applicant_name"]["staff"] == "chief"
    assert [entry["state"] for entry in shown["unsent"]] == ["pending"]
    assert shown["due"].startswith("2026-01-12")  # five working days after Monday 2026-01-05
    status = village.status()
    assert (status["pending"], status["refused"], status["waiting"], status["last_contact"]) == (1, 0, 0, None)


def test_numbers_count_on_whatever_the_clock_says(village: Node, hands: Hands) -> None:
    first = accept(village)
    hands.now_ms = 0  # the battery is dead
    second = accept(village)
    hands.now_ms = NOW_MS
    third = accept(village)
    parts = [saved.number.split("-") for saved in (first, second, third)]
    assert [part[3] for part in parts] == ["000001", "000002", "000003"]
    assert [part[1] for part in parts] == ["20260105", "19700101", "20260105"]


def test_received_first_then_accepted(village: Node) -> None:
    received = accept(village, received_only=True, materials=["个人申请书"])
    assert received.status == "received"
    accepted = village.service.accept_received(village.staff.check(), received.case, conditional=["身份证复印件"])
    assert accepted.status == "accepted" and accepted.case == received.case
    assert village.service.show(received.case)["accepted_mode"] == "conditional"


def test_attachments_are_part_of_the_same_act(village: Node, tmp_path: Path) -> None:
    scan = tmp_path / "身份证复印件.jpg"
    scan.write_bytes(b"scan" * 20_000)
    saved = accept(village, attachments=[scan])
    shown = village.service.show(saved.case)
    assert [one["material"] for one in shown["materials"]] == ["身份证复印件"]
    assert shown["missing_files"] == [] and len(shown["unsent"]) == 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id_number": "11010519491231002Y"}, BadIdentityNumber),
        ({"id_number": "110105194912310021"}, BadIdentityNumber),
        ({"id_number": "110105194902300025"}, BadIdentityNumber),
        ({"applicant": "  "}, InputError),
        ({"applicant": "长" * 61}, FieldTooLong),
        ({"fields": {"说明": "长" * 4_001}}, FieldTooLong),
        ({"fields": {"applicant_id": "1"}}, InputError),
        ({"phone": "no phone"}, InputError),
        ({"fields": {f"说明{number}": "长" * 4_000 for number in range(4)}}, FieldTooLong),
        ({"mode": "shout"}, InputError),
        ({"item": "NO-1"}, UnknownItem),
        ({"item": "XK-1"}, WrongLevel),
        ({"attachments": [Path("/nowhere/a.jpg")]}, AttachmentUnreadable),
    ],
)
def test_refused_input_changes_nothing(
    village: Node, changes: dict[str, object], expected: type[LiandongError]
) -> None:
    with pytest.raises(expected) as caught:
        accept(village, **changes)
    assert caught.value.text and caught.value.text_zh
    assert village.service.list_cases() == [] and village.status()["ops"] == 0
    assert accept(village).number.split("-")[3] == "000001"


def test_administrator_accepts_no_cases(village: Node) -> None:
    village.staff.add(village.staff.check(), "管理", "administrator")
    with pytest.raises(RoleNotAllowed):
        village.service.accept(village.staff.check("管理"), application())
    assert village.service.list_cases() == []


def test_identity_number_is_kept_in_normal_form(village: Node) -> None:
    saved = accept(village, id_number=" 11010519491231002x ")
    assert village.service.show(saved.case)["fields"]["applicant_id"]["value"] == GOOD_ID


def test_slip_is_written_at_once(village: Node) -> None:
    saved = accept(village, conditional=["身份证复印件"], materials=["个人申请书"])
    path, text = village.service.write_slip(village.directory, saved.number)
    assert path.name == f"{saved.number}.html" and saved.number in path.read_text("utf-8")
    for shown in ("最低生活保障审核确认", "白沙村便民服务室", "待补材料：身份证复印件", "2026-01-12"):
        assert shown in text
    assert GOOD_ID not in text
