"""`liandong bundle`: carrying envelopes on a stick where there is no line.

For: export, import and check, at an office's device and at the hub alike.
May not: know what is in a bundle (ops/stick.py asks edge and hub).
Manual: docs/operating/sticks.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ops import output
from ops.cli.options import Json, NodeDir

MIB = 2**20
ROOM_MIB, ROOM_MIB_MAX = 1_000, 1_900  # as in protocol/carriers/stick.py; a test compares them

app = typer.Typer(no_args_is_help=True, help="Sticks: bundles of sealed envelopes in a file. U盘数据包")
RoomMib = Annotated[
    int, typer.Option("--max-mib", help="Room for one bundle, MiB. 单个数据包上限", min=1, max=ROOM_MIB_MAX)
]


@app.command("export")
def export_(
    directory: NodeDir,
    to: Annotated[Path, typer.Option("--to", help="A new file, or a directory such as the stick. 目标文件或目录")],
    since_last: Annotated[
        bool, typer.Option("--since-last", help="Only what no earlier stick has carried. 仅上次之后的内容")
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--everything", help="All that it holds: a machine's last stick. 全部内容，设备停用前最后一次"),
    ] = False,
    office: Annotated[
        list[str] | None, typer.Option("--office", help="At the hub: only for this office; repeat. 仅发给该机构")
    ] = None,
    max_mib: RoomMib = ROOM_MIB,
    as_json: Json = False,
) -> None:
    """Write what the other side lacks into a bundle; the medium is read again before it counts. 导出"""
    from ops.stick import export

    data = export(
        directory,
        to,
        offices=office or [],
        since_last=since_last,
        everything=everything,
        room_bytes=max_mib * MIB,
    )
    output.show(data, as_json=as_json, text=lambda: _export_text(data))


@app.command("import")
def import_(
    directory: NodeDir,
    place: Annotated[Path, typer.Argument(help="A bundle, or a directory of bundles. 数据包或目录")],
    answer: Annotated[
        Path | None,
        typer.Option("--answer", help="At the hub: where the answer goes; beside the bundle unless named. 回复数据包"),
    ] = None,
    max_mib: RoomMib = ROOM_MIB,
    as_json: Json = False,
) -> None:
    """Take what bundles hold for this node; repeating it is harmless. The hub writes an answer to carry back. 导入"""
    from ops.stick import take

    data = take(directory, place, answer_to=answer, room_bytes=max_mib * MIB)
    output.show(data, as_json=as_json, text=lambda: _import_text(data))


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A bundle. 数据包")],
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Node that opens what is for it; else form and hashes. 节点目录")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is in a bundle without taking anything from it. 检查"""
    from ops.stick import verify as look

    data, error = look(file, directory)
    if error is None:
        output.show(data, as_json=as_json, text=lambda: _verify_text(data))
        return
    message = error.text_zh if output.chinese() else error.text
    typer.echo(f"liandong: {message}", err=True)
    if as_json:
        output.show({**data, "error": {"code": error.code, "message": message}}, as_json=True, text="")
    raise typer.Exit(output.FAILED)


def _export_text(data: dict[str, Any]) -> str:
    said = f"{data['file']}: {data['ops']} ops, {data['chunks']} chunks of attachments, {data['bytes']} bytes."
    if output.chinese():
        said = f"{data['file']}：{data['ops']} 条记录，{data['chunks']} 个附件分块，{data['bytes']} 字节。"
    if data["left"]:
        more = f" {data['left']} found no room: export again onto another stick."
        said += f" 另有 {data['left']} 项未装下，请再导出一次。" if output.chinese() else more
    return said


def _import_text(data: dict[str, Any]) -> str:
    ops = data["ops"]
    if output.chinese():
        lines = [
            f"记录：新增 {ops['new']}，重复 {ops['repeated']}，拒收 {ops['refused']}，等待 {ops['waiting']}；"
            f"收到回执 {data['settled']}，参考数据 {data['documents']}，附件分块 {data['chunks']}。"
        ]
    else:
        lines = [
            f"ops: {ops['new']} new, {ops['repeated']} repeated, {ops['refused']} refused, {ops['waiting']} waiting; "
            f"{data['settled']} settled by receipts, {data['documents']} documents, {data['chunks']} chunks of attachments."
        ]
    if data["gaps"]:
        lines.append(
            "缺少之前的U盘，请先导入；否则下次回复会补齐。"
            if output.chinese()
            else "An earlier stick is missing: import it first, or wait for the next answer, which has it again."
        )
    text = "text_zh" if output.chinese() else "text"
    lines += [f"! {one['file']} {one['number'] or ''}: {one[text]} ({one['code']})" for one in data["set_aside"]]
    if data["answer"]:
        lines.append(f"回复：{data['answer']}" if output.chinese() else f"Carry back: {data['answer']}")
    return "\n".join(lines)


def _verify_text(data: dict[str, Any]) -> str:
    names = ("county", "sender", "recipient", "created", "envelopes", "bytes", "sha256", "for_this_node")
    rows = [[name.replace("_", " "), data[name]] for name in names if name in data]
    rows += [[name, number] for name, number in data.get("contents", {}).items()]
    rows += [[f"envelope {one['number']}", one["code"]] for one in data.get("bad", [])]
    return output.pairs([[name, value.hex() if isinstance(value, bytes) else value] for name, value in rows])
