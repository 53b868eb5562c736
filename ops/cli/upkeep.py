"""`liandong reconcile`, `backup`, `restore`, `node retry|aside|repair|purge`, `case fetch`, `hub takeover`: what keeps a node and a county in order.

For: the commands that a timer or an administrator runs.
May not: do the work (ops/reconcile and ops/backup.py do).
Manual: docs/operating/commands.md.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ops import output
from ops.cli.office import edge_clock
from ops.cli.options import Case, EdgeDir, HubDir, Json, NodeDir
from ops.clock import county_clock, local_text, wall_clock
from ops.nodes import find_node
from protocol.errors import InputError

HUB_NEXT = (  # what a person should know who puts a hub back
    (
        "Start the broker and the hub. Devices bring back cases, catalogue, calendar and roster that the backup lacks.",
        "启动消息服务器和县中心后，各设备会补报备份中缺少的办件、事项目录、日历和名册。",
    ),
    (
        "Until a device that knows of it is heard, devices revoked since the backup are trusted again: revoke them now "
        "if you remember them, and look at hub notices.",
        "在知情设备连上之前，备份之后注销的设备仍被信任；如有印象请先行重新注销，并查看 hub notices。",
    ),
    (
        "Enrolment codes that were open are void: make new ones.",
        "未使用的入网码已作废，请重新发放。",
    ),
    (
        "Publish no catalogue or calendar before devices are heard: what is published now overrules what comes back.",
        "各设备连上之前请勿发布目录或日历，否则以新发布的为准。",
    ),
)
ADMINISTRATOR = "administrator"  # in whose name a retry releases held ops


def backup(
    directory: NodeDir,
    target: Annotated[Path, typer.Option("--to", help="File to write; must not exist. 备份文件")],
    as_json: Json = False,
) -> None:
    """Copy a node into one file: store, keys, configuration. It holds private keys: keep it locked away. 备份"""
    from ops.backup import backup as make_backup

    made = make_backup(directory, target, now_ms=wall_clock()())
    size = target.stat().st_size
    data = {
        "file": target,
        "bytes": size,
        **{key: made[key] for key in ("kind", "county", "office", "incarnation", "made_ms")},
    }
    text = output.say(
        f"{target}: {size} bytes, {len(made['files'])} parts, read back and compared. It holds private keys: lock it away.",
        f"{target}：{size} 字节，{len(made['files'])} 个部分，已回读核对。内含私钥，请妥善保管。",
    )
    output.show(data, as_json=as_json, text=text)


def restore(
    directory: NodeDir,
    source: Annotated[Path, typer.Option("--from", help="A backup file. 备份文件")],
    as_json: Json = False,
) -> None:
    """Put a backup into an empty directory, marked as restored. 恢复"""
    from ops.backup import restore as put_back

    made = put_back(source, directory, now_ms=wall_clock()())
    data = {
        "directory": directory,
        **{key: made[key] for key in ("kind", "county", "office", "incarnation", "made_ms")},
    }
    text = output.say(
        f"{directory}: {made['kind']} of {made['office']}, marked as restored. The machine it came from must stay off.",
        f"{directory}：已恢复 {made['office']} 的数据。原设备不得再开机。",
    )
    if made["kind"] == "hub":
        data["next"] = [output.say(*said) for said in HUB_NEXT]
        text = "\n".join([text, *data["next"]])
    output.show(data, as_json=as_json, text=text)


def retry(directory: NodeDir, as_json: Json = False) -> None:
    """Try again what was set aside here, after an update or with the county's help. 重试搁置内容"""
    node = find_node(directory)
    if node.kind == "edge":
        from edge.main import open_node
        from edge.retry import retry as try_again

        with open_node(directory, edge_clock()) as opened:
            done = try_again(opened)
    else:
        from hub.init import open_county
        from hub.retry import retry as try_held

        county = open_county(directory)
        try:
            done = try_held(county, staff=ADMINISTRATOR, now_ms=county_clock(county.store)())
        finally:
            county.store.close()
    said = output.say(
        f"tried {done['tried']}, handled {done['handled']}, left {done['left']}",
        f"重试 {done['tried']}，已处理 {done['handled']}，剩余 {done['left']}",
    )
    output.show(done, as_json=as_json, text=said)


def aside(
    directory: EdgeDir,
    close: Annotated[
        str | None, typer.Option("--close", help="Beginning of the id of an entry that is dealt with. 已处理的项")
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="New file for its bytes, as evidence. 证据文件")] = None,
    as_json: Json = False,
) -> None:
    """What could not be handled here, and why; with --close and --to one entry leaves the list for a file. 搁置内容"""
    from edge.main import open_node
    from ops.aside import close_entry, list_aside

    if (close is None) != (to is None):
        raise InputError("--close and --to belong together.", "--close 与 --to 须同时使用。")
    with open_node(directory, edge_clock()) as node:
        if close is not None and to is not None:
            done = close_entry(node, close, to)
            output.show(done | {"file": to}, as_json=as_json, text=str(to))
            return
        found = list_aside(node)
    rows = [
        [one["id"][:12], local_text(one["since_ms"]), one["what"], one["code"], one["reason"], one["tries"]]
        for one in found
    ]
    headers = ["id", "at", "what", "code", "reason", "times"]
    output.show({"aside": found}, as_json=as_json, text=lambda: output.table(headers, rows))


def repair(directory: EdgeDir, as_json: Json = False) -> None:
    """Check the whole store; rebuild it if it is damaged, fold anew what does not fit. Stop the daemon first. 修复"""
    from conflict.ledger.check import check_contents, repair_views
    from edge.main import open_node

    before = set(directory.glob("damaged-*"))
    with open_node(directory, edge_clock(), check=True) as node:
        with node.store.read() as tx:
            problems = check_contents(tx)
        with node.store.write() as tx:
            folded = repair_views(tx, problems)
        lost = [problem for problem in problems if problem.what == "op"]
        data = {
            "rebuilt": sorted(set(directory.glob("damaged-*")) - before),
            "folded": folded,
            "problems": [{"what": one.what, "id": one.id, "detail": one.detail} for one in problems],
        }
    output.show(data, as_json=as_json, text=output.say(*_repaired(bool(data["rebuilt"]), folded, len(lost))))


def _repaired(rebuilt: bool, folded: int, lost: int) -> tuple[str, str]:
    text = "The store was damaged and is rebuilt; synchronise now." if rebuilt else "The store is sound."
    text += f" {folded} views folded anew." + (f" {lost} changed ops: reconcile brings them." if lost else "")
    text_zh = "数据库已损坏并重建，请立即同步。" if rebuilt else "数据库完好。"
    text_zh += f"重算办件 {folded} 件。" + (f"有 {lost} 条记录被改动，对账时补回。" if lost else "")
    return text, text_zh


def purge(
    directory: EdgeDir,
    older_than: Annotated[int, typer.Option("--older-than", help="Days since the last change, at least 7.", min=7)],
    as_json: Json = False,
) -> None:
    """Delete old concluded cases here that the county holds for certain; `case fetch` brings one back. 清理旧办件"""
    from edge import purge as room
    from edge.main import open_node

    with open_node(directory, edge_clock()) as node, node.store.write(reserve=True) as tx:
        done = room.purge(tx, older_than_days=older_than, now_ms=node.clock.now_ms())
    text = output.say(
        f"{done.cases} cases, {done.ops} ops, {done.files} attachments deleted here; {done.kept} old cases must stay.",
        f"本机已清理办件 {done.cases} 件、记录 {done.ops} 条、附件 {done.files} 个；另有 {done.kept} 件旧办件须保留。",
    )
    output.show(asdict(done), as_json=as_json, text=text)


def fetch(
    directory: EdgeDir,
    case: Case,
    timeout: Annotated[float, typer.Option("--timeout", help="Longest wait for the county, seconds.", min=1)] = 60.0,
    as_json: Json = False,
) -> None:
    """Bring a purged case back from the county. 取回已清理的办件"""
    from edge.main import fetch_case, open_node

    with open_node(directory, edge_clock()) as node:
        found = fetch_case(node, case, timeout_s=timeout)
    output.show({"case": found}, as_json=as_json, text=output.say(f"{case} is here again.", f"{case} 已取回。"))


def takeover(directory: HubDir, as_json: Json = False) -> None:
    """Let this hub go on although another copy of it has worked meanwhile; switch that one off first. 接替"""
    from hub.takeover import take_over

    take_over(directory, clock_of=county_clock)
    text = output.say(
        "This hub may start now; devices load their streams anew.", "本中心现在可以启动；各设备将重新接收数据。"
    )
    output.show({"county": directory}, as_json=as_json, text=text)


def reconcile(
    directory: HubDir,
    office: Annotated[str | None, typer.Option("--office", help="Only this office. 仅此机构")] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Longest wait for devices in one pass, seconds.", min=1)
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Prove that every office and the hub hold the same facts, repair what differs, write a report. 对账"""
    from ops.reconcile.run import reconcile as compare

    report = compare(directory, office=office, timeout_s=timeout)
    output.show(report.as_json(), as_json=as_json, text=report.text())
    if not report.equal:
        raise typer.Exit(output.FAILED)
