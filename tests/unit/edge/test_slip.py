"""The triplicate slip: three copies, no whole identity number, no markup from a form."""

from __future__ import annotations

from dataclasses import replace

from edge.slip import COPIES, DueLine, SlipFacts, as_html, as_text, mask

FACTS = SlipFacts(
    number="420222102001-20260105-0007-X",
    status="accepted",
    item_code="JF-MZ-001",
    item_name="最低生活保障审核确认",
    applicant="张三",
    applicant_id="420222199001011234",
    materials=["个人申请书"],
    materials_due=["户口簿复印件"],
    due=[DueLine("承诺办结", "2026-01-19", provisional=True)],
    office_name="白沙镇某村便民服务室",
    office_code="420222102001",
    office_phone="0714-1234567",
    staff="李四",
    at_ms=1_767_574_800_000,
    urgent=True,
)


def test_text_has_three_copies_with_all_facts() -> None:
    text = as_text(FACTS)
    assert [text.count(copy) for copy in COPIES] == [1, 1, 1]
    for shown in (FACTS.number, "JF-MZ-001", "特急", "张三", "户口簿复印件", "2026-01-19", "暂定", "2026-01-05 09:00"):
        assert text.count(shown) == 3, shown
    assert "受理凭证" in text


def test_received_case_gets_a_receipt_of_materials() -> None:
    assert "收件凭证" in as_text(replace(FACTS, status="received"))


def test_identity_number_is_masked_everywhere() -> None:
    assert mask("420222199001011234") == "420222**********34"
    assert mask("1234") == "****"
    assert FACTS.applicant_id not in as_text(FACTS) and FACTS.applicant_id not in as_html(FACTS)


def test_lines_without_content_are_left_out() -> None:
    assert "联系电话" not in as_text(replace(FACTS, office_phone=""))


def test_html_escapes_what_people_typed_and_asks_no_network() -> None:
    page = as_html(replace(FACTS, applicant="<script>alert(1)</script>"))
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert page.count("<section>") == 3 and "@page" in page
    assert "http" not in page and "src=" not in page
