"""The triplicate slip (三联单): three copies of one sheet, for the applicant, the handling office and the centre.

For: printable HTML with its print rules, and the same as plain text, from facts that are handed in.
May not: read a clock, a file or a store; show a whole identity number.
Manual: docs/operating/edge.md, "Slips".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from html import escape

COUNTY_TIME = timezone(timedelta(hours=8))
COPIES = ("第一联 申请人留存", "第二联 受理单位存档", "第三联 县政务服务中心备查")
TITLES = {"received": "收件凭证", "accepted": "受理凭证"}
RULE = "-" * 32
CUT = "- - - - - - - - ✂ - - - - - - - -"


@dataclass(frozen=True, slots=True)
class DueLine:
    """One due date as printed: what it is for, the day (or day and time), and whether it may still move."""

    label: str
    when: str
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class SlipFacts:
    """Everything that one slip shows. `at_ms` is ms UTC; `applicant_id` is masked here, hand in the whole."""

    number: str
    status: str
    item_code: str
    item_name: str
    applicant: str
    applicant_id: str
    materials: Sequence[str]
    materials_due: Sequence[str]
    due: Sequence[DueLine]
    office_name: str
    office_code: str
    office_phone: str
    staff: str
    at_ms: int
    urgent: bool = False


def mask(identity_number: str) -> str:
    """First six and last two characters; the birth date and the rest are starred. Short texts are starred whole."""
    if len(identity_number) < 12:
        return "*" * len(identity_number)
    return identity_number[:6] + "*" * (len(identity_number) - 8) + identity_number[-2:]


def county_time(at_ms: int) -> str:
    """`at_ms` as 2026-11-26 09:05 in the county's time (UTC+8)."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(COUNTY_TIME).strftime("%Y-%m-%d %H:%M")


def rows(facts: SlipFacts) -> list[tuple[str, str]]:
    """The labelled lines of one copy, in printing order; lines without content are left out."""
    lines = [
        ("办件编号", facts.number),
        ("事项", f"{facts.item_name}（{facts.item_code}）" + (" 特急" if facts.urgent else "")),
        ("申请人", facts.applicant),
        ("证件号码", mask(facts.applicant_id)),
        ("已收材料", "、".join(facts.materials)),
        ("待补材料", "、".join(facts.materials_due)),
        *(
            (line.label, line.when + ("（暂定，以公布的工作日历为准）" if line.provisional else ""))
            for line in facts.due
        ),
        ("收件单位", f"{facts.office_name}（{facts.office_code}）"),
        ("联系电话", facts.office_phone),
        ("经办人", facts.staff),
        ("时间", county_time(facts.at_ms)),
    ]
    return [(label, text) for label, text in lines if text]


def as_text(facts: SlipFacts) -> str:
    """The three copies as plain text, divided by cutting lines."""
    body = "\n".join(f"{label}：{text}" for label, text in rows(facts))
    title = _title(facts)
    copies = [f"{title}  {copy}\n{RULE}\n{body}\n{RULE}\n" for copy in COPIES]
    return f"{CUT}\n".join(copies)


def as_html(facts: SlipFacts) -> str:
    """The three copies as one HTML page that prints on one sheet of A4. Needs nothing from a network."""
    table = "".join(f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>" for label, text in rows(facts))
    title = escape(_title(facts))
    copies = "".join(
        f"<section><header><h1>{title}</h1><p>{escape(copy)}</p></header><table>{table}</table>"
        "<footer><span>经办人签字：</span><span>申请人签字：</span></footer></section>"
        for copy in COPIES
    )
    return (
        f'<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>{title} {escape(facts.number)}</title>'
        f"<style>{CSS}</style></head><body>{copies}</body></html>\n"
    )


def _title(facts: SlipFacts) -> str:
    return f"{facts.office_name} {TITLES.get(facts.status, '办件凭证')}"


CSS = """
@page { size: A4; margin: 8mm 12mm }
body { font-family: "Noto Sans CJK SC", "Microsoft YaHei", SimSun, sans-serif; font-size: 10.5pt; margin: 0; color: #000 }
section { box-sizing: border-box; min-height: 90mm; padding: 3mm 0; border-bottom: 1px dashed #666; break-inside: avoid }
section:last-of-type { border-bottom: 0 }
header { display: flex; justify-content: space-between; align-items: baseline }
h1 { font-size: 13pt; margin: 0 }
header p { margin: 0 }
table { width: 100%; border-collapse: collapse; margin: 2mm 0 }
th, td { border: 1px solid #000; padding: 0.8mm 2mm; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { width: 22mm; font-weight: normal; white-space: nowrap }
footer { display: flex; justify-content: space-between; padding-right: 40mm }
"""
