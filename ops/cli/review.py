"""`liandong hub conflicts`, `duplicates`, `rehome`: where a person settles what rules cannot.

For: the county administrator's review queue.
May not: decide by itself; change a case in any other way than by a signed op (hub/review.py).
Manual: docs/operating/commands.md, "hub".
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ops import output
from ops.cli.county import STAFF, county_open
from ops.cli.options import HubDir, Json, StaffName, only, parse_choice
from ops.clock import county_clock
from protocol.errors import InputError

Reason = Annotated[str, typer.Option("--reason", help="Why; every holder of the case sees it. 理由")]


def conflicts(
    directory: HubDir,
    action: Annotated[str, typer.Argument(help="list, show or resolve")] = "list",
    case: Annotated[str | None, typer.Argument(help="Case number or id; for show and resolve.")] = None,
    conflict: Annotated[
        str | None, typer.Argument(help="Id of the conflict, or its beginning; for show and resolve.")
    ] = None,
    choice: Annotated[
        str | None, typer.Option("--choice", help="Index of the value that counts, or another text.")
    ] = None,
    reason: Reason = "",
    settled: Annotated[bool, typer.Option("--settled", help="List settled ones too.")] = False,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Conflicts that wait for a person: what clashed, who said what, both values, the proposal. 冲突裁决"""
    from hub import review

    with county_open(directory) as county:
        now_ms = county_clock(county.store)()
        if action == "list":
            found = review.list_conflicts(county, now_ms=now_ms, settled=settled)
            rows = [
                [one["number"], one["id"], one["kind"], one["field"], len(one["values"]), one["due"], one["open"]]
                for one in found
            ]
            headers = ["number", "id", "kind", "field", "values", "due", "open"]
            output.show({"conflicts": found}, as_json=as_json, text=lambda: output.table(headers, rows))
            return
        if case is None or conflict is None:
            raise InputError(f"`conflicts {action}` needs a case and a conflict.", "请指定办件编号和冲突编号。")
        if action == "show":
            one = review.show_conflict(county, case, conflict, now_ms=now_ms)
            output.show(one, as_json=as_json, text=lambda: conflict_text(one))
            return
        only("resolve", action, "list, show, resolve")
        if choice is None or not reason:
            raise InputError("`conflicts resolve` needs --choice and --reason.", "裁决需要 --choice 和 --reason。")
        done = review.resolve(
            county, case, conflict, parse_choice(choice), reason=reason, staff=staff or STAFF, now_ms=now_ms
        )
    output.show(
        done,
        as_json=as_json,
        text=output.say(f"{done['number']}: settled by op {done['op'][:16]}", f"{done['number']}：已裁决"),
    )


def conflict_text(one: dict[str, Any]) -> str:
    """A conflict as lines for a person."""
    lines = [
        f"{one['number']} {one['id']} {one['kind']} {one['field'] or ''} "
        + output.say(
            f"(due {one['due']}, proposal {one['proposal']})", f"（期限 {one['due']}，建议 {one['proposal']}）"
        )
    ]
    lines += [
        f"  [{at}] {value.get('value')}  {value.get('office', '')} {value.get('staff', '')}"
        for at, value in enumerate(one["values"])
    ]
    said = "zh" if output.chinese() else "en"
    return "\n".join([*lines, *(sentence[said] for sentence in one["explanation"])])


def duplicates(
    directory: HubDir,
    action: Annotated[str, typer.Argument(help="list, keep or distinct")] = "list",
    pair: Annotated[int | None, typer.Argument(help="Number of the pair; for keep and distinct.")] = None,
    case: Annotated[str | None, typer.Argument(help="The case that is kept; for keep.")] = None,
    reason: Reason = "",
    decided: Annotated[bool, typer.Option("--decided", help="List decided ones too.")] = False,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Cases of the same applicant and item at two offices: keep one, or declare them different. 两头受理"""
    from hub import review

    who = staff or STAFF
    with county_open(directory) as county:
        now_ms = county_clock(county.store)()
        if action == "list":
            found = review.list_duplicates(county, open_only=not decided)
            rows = [[one["id"], one["certain"], *(case["number"] for case in one["cases"])] for one in found]
            output.show(
                {"duplicates": found},
                as_json=as_json,
                text=lambda: output.table(["id", "certain", "one", "other"], rows),
            )
            return
        if pair is None or not reason:
            raise InputError(f"`duplicates {action}` needs the pair's number and --reason.", "请指定编号和 --reason。")
        if action == "keep":
            if case is None:
                raise InputError("`duplicates keep` needs the case that is kept.", "请指定保留的办件。")
            done = review.keep_one(county, pair, case, reason=reason, staff=who, now_ms=now_ms)
        else:
            only("distinct", action, "list, keep, distinct")
            done = review.declare_distinct(county, pair, reason=reason, staff=who, now_ms=now_ms)
    output.show(done, as_json=as_json, text=output.say("Decided; both offices are told.", "已处理，两机构均会收到。"))


def rehome(
    directory: HubDir,
    office: Annotated[str, typer.Argument(help="Code of the office that moves.")],
    parent: Annotated[str, typer.Option("--parent", help="Code of its new superior.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; the reorganisation's document. 依据")],
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Put an office under another one; its cases in flight follow. 机构改隶"""
    from hub import review

    with county_open(directory) as county:
        done = review.rehome(
            county, office, parent, reason=reason, staff=staff or STAFF, now_ms=county_clock(county.store)()
        )
    text = output.say(
        f"{office} is under {parent} now; {done['cases']} cases in flight follow.",
        f"{office} 现隶属 {parent}，{done['cases']} 件在办件随转。",
    )
    output.show(done, as_json=as_json, text=text)


def add_to(app: typer.Typer) -> None:
    """Add the review queue to the group `hub`."""
    for command in (conflicts, duplicates, rehome):
        app.command()(command)
