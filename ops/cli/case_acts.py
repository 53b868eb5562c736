"""`liandong case`: the acts on a case, one command each; options bear the names of the body fields they fill.

For: amend, attach, note, notice, supplement, forward, take, return, examine, decide and what else changes a case.
May not: know when an act is allowed (edge.service asks conflict/powers.py).
Manual: docs/operating/commands.md, "case".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ops.cli.office import at_office, say_saved
from ops.cli.options import (
    Case,
    EdgeDir,
    Fields,
    Files,
    Json,
    Original,
    Paper,
    Reason,
    StaffName,
    parse_choice,
    parse_fields,
    parse_limit,
)
from protocol.errors import InputError

Opinion = Annotated[str, typer.Option("--opinion", help="What is said about it. 意见")]


def amend(
    directory: EdgeDir,
    case: Case,
    field: Fields = None,
    reason: Reason = "",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Correct or add form fields; the values before stay readable. 更正"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.amend(desk.actor, case, parse_fields(field), reason=reason), as_json=as_json)


def attach(
    directory: EdgeDir,
    case: Case,
    files: Annotated[list[Path] | None, typer.Argument(help="The file. 文件")] = None,
    file: Files = None,
    material: Annotated[
        str, typer.Option("--material", help="Name of the material; the file's name unless given.")
    ] = "",
    grade: Annotated[
        str | None, typer.Option("--grade", help="A original seen, B certified copy, C copy, D statement.")
    ] = None,
    original: Original = False,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Attach a file as a material. 上传材料"""
    from edge.attachment import DEFAULT_GRADE

    chosen = [*(files or []), *(file or [])]
    if len(chosen) != 1:
        raise InputError("Name one file to attach; repeat the command for more.", "请指定一个文件,多个文件请分次上传。")
    with at_office(directory, staff) as desk:
        saved = desk.service.attach(
            desk.actor, case, chosen[0], material=material, grade=grade or DEFAULT_GRADE, original=original
        )
        say_saved(saved, as_json=as_json)


def check_material(
    directory: EdgeDir,
    case: Case,
    material: Annotated[str, typer.Option("--material", help="Name of the material, or the id of its op.")],
    grade: Annotated[str, typer.Option("--grade", help="A original seen, B certified copy, C copy, D statement.")],
    note: Annotated[str, typer.Option("--note")] = "",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Say what a material is worth after comparing it. 核验材料"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.check_material(desk.actor, case, material, grade=grade, note=note), as_json=as_json)


def note(
    directory: EdgeDir,
    case: Case,
    text: Annotated[str, typer.Option("--text", help="The remark. 备注")],
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """A remark for everybody who holds the case. 备注"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.note(desk.actor, case, text), as_json=as_json)


def notice(
    directory: EdgeDir,
    case: Case,
    missing: Annotated[list[str], typer.Option("--missing", help="What is missing or wrong; repeat. 需补正内容")],
    reason: Reason = "",
    limit: Annotated[
        str | None, typer.Option("--limit", help="How long the applicant has: 5w, 30c, 24h. 补正期限")
    ] = None,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """The one-time notice of everything that is missing. 一次性告知"""
    days, unit = parse_limit(limit) or (None, "workday")
    with at_office(directory, staff) as desk:
        saved = desk.service.notice(desk.actor, case, missing=missing, reason=reason, days=days, unit=unit)
        say_saved(saved, as_json=as_json)


def supplement(
    directory: EdgeDir,
    case: Case,
    field: Fields = None,
    attach: Files = None,
    material: Paper = None,
    text: Annotated[str, typer.Option("--text", help="What else is said. 说明")] = "",
    original: Original = False,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """What the applicant brings in answer to the open notice. 补正"""
    with at_office(directory, staff) as desk:
        saved = desk.service.supplement(
            desk.actor,
            case,
            fields=parse_fields(field),
            attachments=attach or [],
            materials=material or [],
            said=text,
            original=original,
        )
        say_saved(saved, as_json=as_json)


def refuse(
    directory: EdgeDir,
    case: Case,
    reason: Annotated[str, typer.Option("--reason", help="Why. 理由")],
    remedies: Annotated[str, typer.Option("--remedies", help="What the applicant may do. 救济途径")] = "",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Refuse acceptance of a received case. 不予受理"""
    with at_office(directory, staff) as desk:
        saved = desk.service.refuse_acceptance(desk.actor, case, reason=reason, remedies=remedies)
        say_saved(saved, as_json=as_json)


def forward(
    directory: EdgeDir,
    case: Case,
    to: Annotated[str, typer.Option("--to", help="Code of the office; the one above unless named. 目标机构")] = "",
    opinion: Opinion = "",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Hand the case over to another office. 转报"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.forward(desk.actor, case, to=to, opinion=opinion), as_json=as_json)


def recall(directory: EdgeDir, case: Case, reason: Reason = "", staff: StaffName = None, as_json: Json = False) -> None:
    """Call a hand-over back before it is taken. 撤回转报"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.recall(desk.actor, case, reason=reason), as_json=as_json)


def take(
    directory: EdgeDir,
    case: Case,
    reference: Annotated[str, typer.Option("--reference", help="The taker's own number for it. 本级编号")] = "",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Take the case that was forwarded to this office. 接收"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.take(desk.actor, case, reference=reference), as_json=as_json)


def send_back(
    directory: EdgeDir,
    case: Case,
    reason: Annotated[str, typer.Option("--reason", help="Why. 理由")],
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Return the case to the office that forwarded it. 退回"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.send_back(desk.actor, case, reason=reason), as_json=as_json)


def start(directory: EdgeDir, case: Case, staff: StaffName = None, as_json: Json = False) -> None:
    """Begin handling an accepted case; any other act of handling implies it. 开始承办"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.start(desk.actor, case), as_json=as_json)


def examine(
    directory: EdgeDir,
    case: Case,
    opinion: Opinion,
    outcome: Annotated[str, typer.Option("--outcome", help="agree or disagree")] = "agree",
    department: Annotated[str, typer.Option("--department", help="Department of a joint case. 部门")] = "",
    step: Annotated[str, typer.Option("--step", help="handle, verify or approve (承办 审核 批准)")] = "",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Record an opinion on the case. 初审 审核"""
    with at_office(directory, staff) as desk:
        saved = desk.service.examine(
            desk.actor, case, opinion=opinion, outcome=outcome, step=step, department=department
        )
        say_saved(saved, as_json=as_json)


def decide(
    directory: EdgeDir,
    case: Case,
    decision: Annotated[str, typer.Option("--decision", "--outcome", help="granted, denied or answered")],
    opinion: Opinion = "",
    reasons: Annotated[str, typer.Option("--reasons", help="Needed for a denial. 理由")] = "",
    remedies: Annotated[str, typer.Option("--remedies", help="Needed for a denial. 救济途径")] = "",
    document: Annotated[str, typer.Option("--document", help="Number or text of the document. 文书")] = "",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Decide the case. 决定"""
    with at_office(directory, staff) as desk:
        saved = desk.service.decide(
            desk.actor, case, decision=decision, opinion=opinion, reasons=reasons, remedies=remedies, document=document
        )
        say_saved(saved, as_json=as_json)


def extend(
    directory: EdgeDir,
    case: Case,
    days: Annotated[int, typer.Option("--days", help="How many.", min=1)],
    reason: Annotated[str, typer.Option("--reason", help="Why. 理由")],
    approver: Annotated[str, typer.Option("--approver", help="Who approved it. 批准人")],
    notified: Annotated[bool, typer.Option("--notified", help="The applicant was told. 已告知申请人")] = False,
    unit: Annotated[str, typer.Option("--unit", help="workday, calendar or hour")] = "workday",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Extend the limit, once and before it ends. 延期"""
    with at_office(directory, staff) as desk:
        saved = desk.service.extend(
            desk.actor, case, days=days, reason=reason, approver=approver, notified=notified, unit=unit
        )
        say_saved(saved, as_json=as_json)


def suspend(
    directory: EdgeDir,
    case: Case,
    cause: Annotated[str, typer.Option("--cause", help="hearing, inspection, expert review … 听证 勘验 专家评审")],
    reason: Reason = "",
    days: Annotated[int | None, typer.Option("--days", help="How long it will take.", min=1)] = None,
    written_notice: Annotated[
        bool, typer.Option("--written-notice", help="The applicant was told in writing; stops the clock. 已书面告知")
    ] = False,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Begin a special procedure. 特别程序"""
    with at_office(directory, staff) as desk:
        saved = desk.service.suspend(
            desk.actor, case, cause=cause, reason=reason, days=days, written_notice=written_notice
        )
        say_saved(saved, as_json=as_json)


def resume(directory: EdgeDir, case: Case, staff: StaffName = None, as_json: Json = False) -> None:
    """End the open special procedure. 恢复办理"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.resume(desk.actor, case), as_json=as_json)


def conclude(
    directory: EdgeDir,
    case: Case,
    conclusion: Annotated[
        str, typer.Option("--type", help="certificate_issued, normal, returned, forwarded, supplement_expired, voided")
    ] = "normal",
    text: Annotated[str, typer.Option("--text")] = "",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Conclude a decided case. 办结"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.conclude(desk.actor, case, conclusion=conclusion, said=text), as_json=as_json)


def deliver(
    directory: EdgeDir,
    case: Case,
    method: Annotated[str, typer.Option("--method", help="window, post, electronic … 送达方式")] = "window",
    receiver: Annotated[str, typer.Option("--receiver", help="Who received it. 签收人")] = "",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Record that the result was handed over or sent. 送达"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.deliver(desk.actor, case, method=method, receiver=receiver), as_json=as_json)


def withdraw(
    directory: EdgeDir,
    case: Case,
    reason: Annotated[str, typer.Option("--reason", help="Why. 理由")] = "申请人撤回",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """The applicant takes the application back. 撤回"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.withdraw(desk.actor, case, reason=reason), as_json=as_json)


def void(
    directory: EdgeDir,
    case: Case,
    reason: Annotated[str, typer.Option("--reason", help="Why. 理由")],
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """The case is technically invalid; it stays readable. 作废"""
    with at_office(directory, staff) as desk:
        say_saved(desk.service.void(desk.actor, case, reason=reason), as_json=as_json)


def resolve(
    directory: EdgeDir,
    case: Case,
    conflict: Annotated[str, typer.Option("--conflict", help="Id of the conflict as `case show` gives it.")],
    choice: Annotated[str, typer.Option("--choice", help="Index of a value as shown, or a value of one's own.")],
    reason: Annotated[str, typer.Option("--reason", help="Why. 理由")],
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Settle an open conflict of the case. 裁决冲突"""
    with at_office(directory, staff) as desk:
        saved = desk.service.resolve(desk.actor, case, conflict=conflict, choice=parse_choice(choice), reason=reason)
        say_saved(saved, as_json=as_json)


ACTS: dict[str, Callable[..., None]] = {
    "amend": amend,
    "attach": attach,
    "check-material": check_material,
    "note": note,
    "notice": notice,
    "supplement": supplement,
    "refuse": refuse,
    "forward": forward,
    "recall": recall,
    "take": take,
    "return": send_back,
    "start": start,
    "examine": examine,
    "decide": decide,
    "extend": extend,
    "suspend": suspend,
    "resume": resume,
    "conclude": conclude,
    "deliver": deliver,
    "withdraw": withdraw,
    "void": void,
    "resolve": resolve,
}


def add_to(app: typer.Typer) -> None:
    """Add every act to the group `case`."""
    for name, act in ACTS.items():
        app.command(name)(act)
