"""`liandong hub`: the county's daemon and what its administrator looks at and decides.

For: nodes, refusals, held ops, notices, conflicts, the way up to the city, publishing reference data.
May not: hold a rule of its own (hub/ does).
Manual: docs/operating/commands.md, "hub".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ops import output
from ops.cli import review
from ops.cli.county import STAFF, county_open, find_device
from ops.cli.options import HubDir, Json, StaffName, only
from ops.cli.signals import stop_on_signals
from ops.clock import county_clock, local_text, mono_ms, wall_clock
from ops.headings import DEVICE_STATES
from protocol.errors import InputError

app = typer.Typer(no_args_is_help=True, help="The county's hub. 县级中心")
review.add_to(app)

CITY_TOKEN_VARIABLE = "LIANDONG_CITY_TOKEN"
Reason = Annotated[str, typer.Option("--reason", help="Why; the origin is told. 理由")]


@app.command()
def run(
    directory: HubDir,
    broker: Annotated[
        str | None, typer.Option("--broker", help="Where to find the broker; the county's own unless named.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve the county until SIGTERM. Says `ready` on stdout when set up. 运行县级中心"""
    from hub.main import run_hub
    from ops.reconcile.run import hub_comparer

    stop = stop_on_signals()

    def ready() -> None:
        output.show({"ready": True, "dir": directory}, as_json=as_json, text=f"ready {directory}")

    run_hub(directory, stop, now_ms=wall_clock(), mono_ms=mono_ms, broker=broker, ready=ready, comparer=hub_comparer)


@app.command()
def nodes(directory: HubDir, as_json: Json = False) -> None:
    """Every device: state, last contact, backlog both ways, refusals, versions. 设备一览"""
    from hub.admin import list_nodes, list_refusals

    with county_open(directory) as county:
        found = list_nodes(county)
        refused = list_refusals(county)
    rows = [
        [one["office"], one["name"], one["device"][:8],
         output.say(one["state"], DEVICE_STATES[one["state"]]), local_text(one["last_contact_ms"]), one["behind_up"],
         one["behind_down"], one["refused"], one["held"], one["waiting"]]
        for one in found
    ]  # fmt: skip
    headers = [
        "office",
        "name",
        "device",
        "state",
        "last contact",
        "behind up",
        "behind down",
        "refused",
        "held",
        "waiting",
    ]
    output.show({"nodes": found, "refusals": refused}, as_json=as_json, text=lambda: output.table(headers, rows))


@app.command()
def refusals(
    directory: HubDir,
    device: Annotated[str | None, typer.Option("--device", help="Only of this device.")] = None,
    as_json: Json = False,
) -> None:
    """What was not taken, with the reason. 拒收记录"""
    from hub.admin import list_refusals

    with county_open(directory) as county:
        found = list_refusals(county, device=None if device is None else find_device(county, device))
    rows = [
        [local_text(one["at_ms"]), one["office"], one["what"], one["code"], one["reason"], one["times"]]
        for one in found
    ]
    headers = ["at", "office", "what", "code", "reason", "times"]
    output.show({"refusals": found}, as_json=as_json, text=lambda: output.table(headers, rows))


@app.command()
def notices(
    directory: HubDir,
    close: Annotated[int | None, typer.Option("--close", help="Number of a notice that was dealt with.")] = None,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Matters that a person must know of. 待办提示"""
    from hub.admin import close_notice, list_notices

    with county_open(directory) as county:
        if close is not None:
            close_notice(county, close, staff=staff or STAFF, now_ms=county_clock(county.store)())
        found = list_notices(county)
    said = "text_zh" if output.chinese() else "text"
    rows = [[one["id"], local_text(one["at_ms"]), one["office"], one["code"], one[said], one["times"]] for one in found]
    headers = ["id", "at", "office", "code", "text", "times"]
    output.show({"notices": found}, as_json=as_json, text=lambda: output.table(headers, rows))


@app.command()
def held(
    directory: HubDir,
    action: Annotated[str, typer.Argument(help="list, release or refuse")] = "list",
    ops: Annotated[list[str] | None, typer.Argument(help="Ids of held ops.")] = None,
    reason: Reason = "",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Ops that wait for a person, such as late ones of a revoked device. 待人工处理的操作"""
    from hub.admin import list_held, refuse, release

    who = staff or STAFF
    with county_open(directory) as county:
        now_ms = county_clock(county.store)()
        if action == "release":
            data: dict[str, Any] = {"released": release(county, op_ids(ops), staff=who, now_ms=now_ms)}
        elif action == "refuse":
            if not reason:
                raise InputError("A refusal needs --reason.", "拒收需要 --reason 说明理由。")
            data = {"refused": refuse(county, op_ids(ops), reason=reason, staff=who, now_ms=now_ms)}
        else:
            only("list", action, "list, release, refuse")
            data = {"held": list_held(county)}
    rows = [[one["op"][:16], one["office"], one["kind"], one["code"], one["detail"]] for one in data.get("held", [])]
    if "held" in data:
        text = output.table(["op", "office", "kind", "code", "detail"], rows)
    else:
        done = next(iter(data.values()))
        text = output.say(f"{done} ops decided.", f"已处理 {done} 条。")
    output.show(data, as_json=as_json, text=text)


def op_ids(words: list[str] | None) -> list[bytes]:
    """Op ids from hex. Raises InputError for none, or one that is none."""
    try:
        found = [bytes.fromhex(word) for word in words or []]
    except ValueError:
        found = []
    if not found or any(len(one) != 32 for one in found):
        raise InputError("Give op ids of 64 hexadecimal characters.", "请提供 64 位十六进制的操作标识。")
    return found


@app.command()
def upward(
    directory: HubDir,
    action: Annotated[str, typer.Argument(help="list, connect or retry")] = "list",
    case: Annotated[str | None, typer.Argument(help="A case; for list and retry.")] = None,
    url: Annotated[str, typer.Option("--url", help="Address of the city's platform; for connect.")] = "",
    ca_file: Annotated[Path | None, typer.Option("--ca-file", help="Its certificate authority; for connect.")] = None,
    as_json: Json = False,
) -> None:
    """Cases on their way to the city and back; `connect` takes the token from LIANDONG_CITY_TOKEN. 上报队列"""
    from conflict.ledger import views
    from hub import upward as gateway

    with county_open(directory) as county:
        now_ms = county_clock(county.store)()
        if action == "connect":
            address = gateway.CityAddress(url, os.environ.get(CITY_TOKEN_VARIABLE, ""), ca_file)
            gateway.save_address(county.directory, address)
            with county.store.write() as tx:
                gateway.call_now(tx)
        elif action == "retry":
            with county.store.write() as tx:
                gateway.requeue(tx, views.find(tx, case or ""), now_ms=now_ms)
        else:
            only("list", action, "list, connect, retry")
        with county.store.read() as tx:
            chosen = None if case is None else views.find(tx, case)
            data = {"queue": gateway.list_queue(tx, case=chosen), **gateway.overview(tx, now_ms=now_ms)}
            address_known = gateway.load_address(county.directory)
    data["connected"] = address_known is not None
    data["url"] = address_known.url if address_known else None
    rows = [
        [one["number"], one["target"], one["state"], one["receipt"], one["attempts"], one["reason"]]
        for one in data["queue"]
    ]
    text = output.table(["number", "to", "state", "receipt", "attempts", "reason"], rows)
    output.show(
        data,
        as_json=as_json,
        text=text if data["connected"] else f"{output.say('No city is connected.', '尚未连接市级平台。')}\n{text}",
    )


@app.command()
def publish(
    directory: HubDir,
    items: Annotated[Path | None, typer.Option("--items", help="CSV of the service items.")] = None,
    areas: Annotated[Path | None, typer.Option("--areas", help="CSV of the area tree.")] = None,
    calendar: Annotated[bool, typer.Option("--calendar", help="What the installed calendar library knows.")] = False,
    as_json: Json = False,
) -> None:
    """Publish new reference data, signed and versioned; running cases keep their terms. 发布参考数据"""
    from hub import admin

    data: dict[str, Any] = {}
    with county_open(directory) as county:
        now_ms = county_clock(county.store)()
        if areas is not None:
            data["roster"] = admin.publish_areas(county, areas, now_ms=now_ms)
        if items is not None:
            data["catalogue"] = admin.publish_items(county, items, now_ms=now_ms)
        if calendar:
            data["calendar"] = admin.publish_calendar(county, now_ms=now_ms)
    if not data:
        raise InputError(
            "Name what to publish: --items, --areas or --calendar.", "请指定 --items、--areas 或 --calendar。"
        )
    output.show(data, as_json=as_json, text="\n".join(f"{kind}: {said}" for kind, said in data.items()))


@app.command()
def overview(directory: HubDir, as_json: Json = False) -> None:
    """The county in one look: versions, open conflicts, notices, held ops. 概况"""
    from hub.admin import overview as look

    with county_open(directory) as county:
        data = look(county)
    years = data["calendar_years"]
    shown = data | {
        "documents": ", ".join(f"{kind} {version}" for kind, version in data["documents"].items()),
        "calendar_years": f"{years[0]}-{years[-1]}" if years else None,
    }
    rows = [[name.replace("_", " "), value] for name, value in shown.items()]
    output.show(data, as_json=as_json, text=lambda: output.pairs(rows))
