"""`liandong case`: opening, listing and showing cases at an office; the further acts are in case_acts.py.

For: what a worker asks for most, with or without a running daemon and with no network at all.
May not: know rules (edge.service and conflict/ do); fold or store by itself.
Manual: docs/operating/commands.md, "case".
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ops import output
from ops.cli import case_acts
from ops.cli.office import Desk, at_office, edge_clock, say_saved
from ops.cli.options import (
    Case,
    EdgeDir,
    Fields,
    Files,
    Json,
    NodeDir,
    Original,
    Paper,
    StaffName,
    parse_fields,
)
from protocol.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Cases at an office. 办件")
case_acts.add_to(app)

LIST_MAX = 1_000

Item = Annotated[str, typer.Option("--item", help="Code of the service item. 事项编码")]
Applicant = Annotated[str, typer.Option("--applicant", help="Name of the applicant. 申请人")]
IdNumber = Annotated[
    str, typer.Option("--id-number", help="Identity number or credit code. 身份证号或统一社会信用代码")
]
Phone = Annotated[str, typer.Option("--phone", help="Telephone. 电话")]
Urgent = Annotated[bool, typer.Option("--urgent", help="特急")]
Later = Annotated[
    list[str] | None, typer.Option("--conditional", help="Name of a material due later (容缺受理); repeat.")
]
Mode = Annotated[str, typer.Option("--mode", help="direct, proxy, assist or inform (直办 代办 协办 公开告知)")]


@app.command()
def accept(
    directory: EdgeDir,
    item: Annotated[str | None, typer.Option("--item", help="Code of the service item. 事项编码")] = None,
    applicant: Annotated[str | None, typer.Option("--applicant", help="Name of the applicant. 申请人")] = None,
    id_number: Annotated[
        str | None, typer.Option("--id-number", help="Identity number or credit code. 证件号码")
    ] = None,
    case: Annotated[str | None, typer.Argument(help="A received case that is accepted now; else a new one.")] = None,
    phone: Phone = "",
    field: Fields = None,
    attach: Files = None,
    material: Paper = None,
    conditional: Later = None,
    urgent: Urgent = False,
    mode: Mode = "",
    original: Original = False,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Accept an application (受理): a new case with number and slip at once, or CASE if it was received before."""
    if case is not None:
        with at_office(directory, staff) as desk:
            say_saved(desk.service.accept_received(desk.actor, case, conditional=conditional or []), as_json=as_json)
        return
    if item is None or applicant is None or id_number is None:
        raise InputError(
            "A new case needs --item, --applicant and --id-number.", "新办件需要 --item、--applicant 和 --id-number。"
        )
    _open(
        directory,
        staff,
        as_json,
        item,
        applicant,
        id_number,
        phone,
        field,
        attach,
        material,
        conditional,
        urgent,
        mode,
        False,
        original,
    )


@app.command()
def receive(
    directory: EdgeDir,
    item: Item,
    applicant: Applicant,
    id_number: IdNumber,
    phone: Phone = "",
    field: Fields = None,
    attach: Files = None,
    material: Paper = None,
    urgent: Urgent = False,
    mode: Mode = "",
    original: Original = False,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Take an application in (收件) and decide later whether to accept it."""
    _open(
        directory,
        staff,
        as_json,
        item,
        applicant,
        id_number,
        phone,
        field,
        attach,
        material,
        None,
        urgent,
        mode,
        True,
        original,
    )


def _open(
    directory: EdgeDir,
    staff: str | None,
    as_json: bool,
    item: str,
    applicant: str,
    id_number: str,
    phone: str,
    field: list[str] | None,
    attach: Any,
    material: list[str] | None,
    conditional: list[str] | None,
    urgent: bool,
    mode: str,
    received_only: bool = False,
    original: bool = False,
) -> None:
    from edge.forms import Application

    application = Application(
        item=item,
        applicant=applicant,
        id_number=id_number,
        phone=phone,
        fields=parse_fields(field),
        attachments=attach or [],
        materials=material or [],
        conditional=conditional or [],
        urgent=urgent,
        mode=mode,
        received_only=received_only,
        original=original,
    )
    with at_office(directory, staff) as desk:
        saved = desk.service.accept(desk.actor, application)
        say_saved(saved, as_json=as_json, slip=print_slip(desk, directory, saved.case))


def print_slip(desk: Desk, directory: Path, case: str) -> Path | None:
    """Write the slip of a case just saved. The case stands whatever becomes of the slip, which can be made again."""
    try:
        return desk.service.write_slip(directory, case)[0]
    except OSError as error:
        sys.stderr.write(f"liandong: the case is saved, its slip could not be written ({error}); use `case slip`.\n")
        return None


@app.command("list")
def list_cases(
    directory: NodeDir,
    status: Annotated[str | None, typer.Option("--status", help="Only of this status.")] = None,
    holder: Annotated[str | None, typer.Option("--holder", help="Only held by this office.")] = None,
    item: Annotated[str | None, typer.Option("--item", help="Only of this item.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="immediate, committed, reply, submit_up or joint")] = None,
    urgent: Annotated[bool | None, typer.Option("--urgent/--not-urgent", help="特急")] = None,
    conflicted: Annotated[
        bool | None, typer.Option("--conflicted/--no-conflict", help="With an open conflict. 有冲突")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1, max=LIST_MAX)] = LIST_MAX,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Cases that this node holds, most recently changed first. 办件列表"""
    from ops.cases import list_cases as listed

    wanted = {
        "status": status,
        "holder": holder,
        "item": item,
        "kind": kind,
        "urgent": urgent,
        "conflicted": conflicted,
    }
    found = listed(directory, edge_clock(), staff, limit=limit, **wanted)
    rows = [
        [one["number"], one["status_zh"] if output.chinese() else one["status"], one["item"], one["holder"],
         one.get("due"), "特急" if one["urgent"] else "", one["open_conflicts"] or "", one.get("unsent") or ""]
        for one in found
    ]  # fmt: skip
    headers = ["number", "status", "item", "holder", "due", "", "conflicts", "unsent"]
    output.show({"cases": found}, as_json=as_json, text=lambda: output.table(headers, rows))


@app.command()
def show(directory: NodeDir, case: Case, staff: StaffName = None, as_json: Json = False) -> None:
    """One case whole: fields with their origin, status, holder, due dates, conflicts, timeline. 办件详情"""
    from ops.cases import as_text, show_case

    found = show_case(directory, edge_clock(), staff, case)
    output.show(found, as_json=as_json, text=lambda: as_text(found, output.chinese()))


@app.command()
def digest(
    directory: NodeDir,
    case: Annotated[str | None, typer.Argument(help="A case; all unless named. 办件编号")] = None,
    as_json: Json = False,
) -> None:
    """Digest of a case's view, or of all: equal wherever the same facts are held. 摘要"""
    from ops.cases import digests_of

    found = digests_of(directory, case)
    if case is not None:
        ((case_id, one),) = found.items()
        output.show({"case": case_id, "digest": one}, as_json=as_json, text=one)
        return
    text = "\n".join(f"{case_id} {one}" for case_id, one in found.items())
    output.show({"digests": found}, as_json=as_json, text=text)


@app.command()
def explain(directory: NodeDir, case: Case, as_json: Json = False) -> None:
    """What happened to the case and why, conflict by conflict, in plain sentences. 说明"""
    from ops.cases import explanation

    sentences = explanation(directory, case, language="zh" if output.chinese() else "en")
    output.show({"explanation": sentences}, as_json=as_json, text="\n".join(one["text"] for one in sentences))


@app.command()
def slip(
    directory: EdgeDir,
    case: Case,
    out: Annotated[Path | None, typer.Option("--out", help="Copy of the printable page (HTML) to this file.")] = None,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """The triplicate slip: for the applicant, the office and the centre. 回执(三联单)"""
    with at_office(directory, staff) as desk:
        path, text = desk.service.write_slip(directory, case)
    if out is not None:
        out.write_bytes(path.read_bytes())
        path = out
    output.show({"file": path, "text": text}, as_json=as_json, text=text)
