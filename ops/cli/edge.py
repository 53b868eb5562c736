"""`liandong edge`: a device of an office: joining, the daemon, one round with the hub, staff accounts.

For: setting an office's machine up and keeping it running.
May not: handle cases (case.py); know the wire.
Manual: docs/operating/commands.md, "edge".
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops import output
from ops.cli import branch
from ops.cli.county import read_file
from ops.cli.office import PASSWORD_VARIABLE, ask_password, at_office, edge_clock
from ops.cli.options import EdgeDir, Json, StaffName
from ops.cli.signals import stop_on_signals
from protocol.errors import InputError

if TYPE_CHECKING:
    from protocol.trust import HubCard

app = typer.Typer(no_args_is_help=True, help="A device of an office. 机构设备")
staff_app = typer.Typer(no_args_is_help=True, help="Staff accounts of this device. 账号")
app.add_typer(staff_app, name="staff")
app.command("branch")(branch.branch)
app.command("branch-card")(branch.branch_card)
app.command("link-township")(branch.link_township)

Code = Annotated[str | None, typer.Option("--code", help="The one-time code from `county enrol`. 入网码")]
Card = Annotated[
    Path | None, typer.Option("--hub-card", help="The hub card as a file; else the broker has it. 中心名片")
]
NEW_PASSWORD_VARIABLE = "LIANDONG_NEW_PASSWORD"


@app.command()
def join(
    directory: EdgeDir,
    code: Code = None,
    hub_card: Card = None,
    request: Annotated[
        Path | None, typer.Option("--request", help="Without a line: write the request to this file.")
    ] = None,
    answer: Annotated[
        Path | None, typer.Option("--answer", help="Without a line: the hub's answer from this file.")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Longest wait for the hub, seconds.", min=1)] = 60.0,
    as_json: Json = False,
) -> None:
    """Make this machine a device of its office: keys, local store; needs the hub once, or the exchanged files. 入网"""
    from edge import join as steps
    from edge.main import join as join_by_line

    if answer is not None:
        made = steps.finish(directory, read_file(answer), edge_clock())
    elif code is None:
        raise InputError("Give the one-time code with --code.", "请用 --code 提供入网码。")
    elif request is not None:
        _write_request(directory, code, hub_card, request, as_json=as_json)
        return
    else:
        made = join_by_line(directory, code, edge_clock(), card=_card(hub_card), timeout_s=timeout)
    text = output.say(
        f"{made.office} of {made.county} has joined as {made.device}.\nFingerprint: {made.fingerprint}",
        f"{made.office} 已加入 {made.county}，设备标识 {made.device}。\n核对指纹：{made.fingerprint}",
    )
    output.show(asdict(made), as_json=as_json, text=text)


def _write_request(directory: Path, code: str, hub_card: Path | None, target: Path, *, as_json: bool) -> None:
    from edge import join as steps
    from protocol.carriers.durable import write_durably

    card = _card(hub_card)
    if card is None:
        raise InputError("Without a line the hub card is needed: --hub-card FILE.", "离线入网需要 --hub-card 文件。")
    config, parsed, keys = steps.prepare(directory, code, card)
    write_durably(target, steps.request_bytes(parsed, keys, card, reply_box=""), mode=0o644)
    data = {"office": config.office, "device": config.incarnation, "file": target}
    then = f"liandong edge join --dir {directory} --answer FILE"
    text = output.say(
        f"Carry {target} to the county (county admit), then: {then}",
        f"请将 {target} 带到县中心（county admit），带回答复后运行：{then}",
    )
    output.show(data, as_json=as_json, text=text)


def _card(path: Path | None) -> HubCard | None:
    from protocol.trust import HubCard

    return None if path is None else HubCard.from_bytes(read_file(path))


@app.command()
def run(directory: EdgeDir, as_json: Json = False) -> None:
    """Synchronise until SIGTERM. Says `ready` on stdout when set up. 运行同步服务"""
    from edge.main import open_node
    from edge.main import run as run_daemon

    stop = stop_on_signals()
    with open_node(directory, edge_clock(), check=True) as node:
        data = {"ready": True, "office": node.config.office, "device": node.config.incarnation}
        text = f"ready {node.config.office}"
        run_daemon(node, stop, ready=lambda: output.show(data, as_json=as_json, text=text))


@app.command()
def sync(
    directory: EdgeDir,
    timeout: Annotated[float, typer.Option("--timeout", help="Longest time of the round, seconds.", min=1)] = 60.0,
    as_json: Json = False,
) -> None:
    """One round with the hub: offer what has no receipt, take what is there, until all is quiet. 同步一次"""
    from edge.main import open_node, sync_once

    with open_node(directory, edge_clock()) as node:
        done = sync_once(node, timeout_s=timeout)
    text = output.say(
        f"sent {done.sent}, received {done.received}, pending {done.pending}"
        + ("" if done.complete else " (time was up)"),
        f"发出 {done.sent}，收到 {done.received}，待上传 {done.pending}" + ("" if done.complete else "（时间已到）"),
    )
    output.show(asdict(done), as_json=as_json, text=text)


@app.command()
def lanes(
    directory: EdgeDir,
    act: Annotated[str | None, typer.Argument(help="`set` changes one lane; without it all are shown. 设置")] = None,
    lane: Annotated[str | None, typer.Argument(help="urgent, ops, reference or attachments. 通道")] = None,
    rate: Annotated[str | None, typer.Option("--rate", help="20kB/s, or none for no limit. 速率")] = None,
    window: Annotated[
        str | None, typer.Option("--window", help="When the lane travels: 22:00-06:00, or always. 时段")
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Bytes at once; 0 is the usual. 批量")] = None,
    attachments_rate: Annotated[
        int | None, typer.Option("--attachments-rate", help="The rate of attachments, bytes a second. 附件速率")
    ] = None,
    unsent_limit: Annotated[
        int | None, typer.Option("--unsent-limit", help="Bytes of attachments that may wait to be sent. 待传上限")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the lanes of this device's lines, or set rate, window and batch of one. 通道"""
    from edge.lanes import change, read_lanes, write_lanes
    from edge.main import open_node

    if act not in (None, "set") or (act is None) != (lane is None):
        raise InputError(
            "Write `edge lanes` to see the lanes, `edge lanes set LANE` with --rate, --window or --batch to change one.",
            "查看通道请用 edge lanes；修改请用 edge lanes set 通道名，并写明 --rate、--window 或 --batch。",
        )
    with open_node(directory, edge_clock()) as node:
        settings = read_lanes(node.directory)
        made = change(settings, lane, rate=rate, window=window, batch=batch)
        if attachments_rate is not None:
            made = change(made, None, rate=str(attachments_rate))
        if unsent_limit is not None:
            made = replace(made, unsent_bytes_max=unsent_limit)
        if made != settings:
            write_lanes(node.directory, made)
    data = made.as_json()
    rows = [
        [name, f"{one['bytes_per_s']} bytes/s" if one["bytes_per_s"] else "none", one["window"], one["batch_bytes"]]
        for name, one in data["lanes"].items()
    ]
    most = data["unsent_bytes_max"]
    words = output.say(f"at most {most} bytes of attachments wait to be sent", f"待传附件上限 {most} 字节")
    table = output.table(["lane", "rate", "window", "batch"], rows)
    output.show(data, as_json=as_json, text=f"{table}\n{words}")


@staff_app.command("list")
def staff_list(directory: EdgeDir, as_json: Json = False) -> None:
    """All accounts of this device. 账号列表"""
    from edge.main import open_node

    with open_node(directory, edge_clock()) as node:
        accounts = node.staff.list()
    rows = [[one["name"], one["role"], one["has_password"], one["disabled"]] for one in accounts]
    output.show(
        {"staff": accounts}, as_json=as_json, text=lambda: output.table(["name", "role", "password", "disabled"], rows)
    )


@staff_app.command("add")
def staff_add(
    directory: EdgeDir,
    name: Annotated[str, typer.Argument(help="Name of the account. 账号名")],
    role: Annotated[str, typer.Option("--role", help="agent, examiner, verifier, chief or administrator")] = "agent",
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """A new account; its password from LIANDONG_NEW_PASSWORD, or set later with `staff passwd`. 新增账号"""
    with at_office(directory, staff) as desk:
        desk.node.staff.add(desk.actor, name, role, os.environ.get(NEW_PASSWORD_VARIABLE))
    output.show({"name": name, "role": role}, as_json=as_json, text=f"{name}: {role}")


@staff_app.command("passwd")
def staff_passwd(
    directory: EdgeDir,
    name: Annotated[str, typer.Argument(help="Name of the account. 账号名")],
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Set a password: one's own, or as a chief anybody's; from LIANDONG_NEW_PASSWORD or asked for. 设置密码"""
    secret = os.environ.get(NEW_PASSWORD_VARIABLE)
    if secret is None and sys.stdin.isatty():
        secret = ask_password("New password 新密码: ")
    if secret is None:
        raise InputError(
            f"Set {NEW_PASSWORD_VARIABLE}, or run it at a terminal.", f"请设置 {NEW_PASSWORD_VARIABLE} 或在终端运行。"
        )
    with at_office(directory, staff or name) as desk:
        desk.node.staff.set_password(desk.actor, name, secret)
    output.show(
        {"name": name},
        as_json=as_json,
        text=output.say(
            f"{name}: password set; commands take it from {PASSWORD_VARIABLE}",
            f"{name}：密码已设置；命令从 {PASSWORD_VARIABLE} 读取。",
        ),
    )


@staff_app.command("disable")
def staff_disable(
    directory: EdgeDir,
    name: Annotated[str, typer.Argument(help="Name of the account. 账号名")],
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Close an account; what it did stays. 停用账号"""
    with at_office(directory, staff) as desk:
        desk.node.staff.disable(desk.actor, name)
    output.show(
        {"name": name, "disabled": True}, as_json=as_json, text=output.say(f"{name}: disabled", f"{name}：已停用")
    )
