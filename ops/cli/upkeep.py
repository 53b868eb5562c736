"""`liandong reconcile`, `backup`, `restore`, `bench`: what keeps a node and a county in order.

For: the commands that a timer or an administrator runs.
May not: do the work (ops/reconcile, ops/backup.py and ops/bench do).
Manual: docs/operating/commands.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops import output
from ops.cli.options import HubDir, Json, NodeDir
from ops.clock import wall_clock


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
    text = f"{target}: {size} bytes, {len(made['files'])} parts, read back and compared. It holds private keys. 请妥善保管。"
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
    text = f"{directory}: {made['kind']} of {made['office']}, marked as restored. The machine it came from must stay off. 原设备不得再开机。"
    output.show(data, as_json=as_json, text=text)


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


def bench(
    seconds: Annotated[float, typer.Option("--seconds", help="How long each measurement runs.", min=0.1)] = 1.0,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="primitives, wire, save, intake, fold; repeat.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="A disk to measure on; the temporary directory unless named.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure intake, save, bytes on the line and fold, beside the raw cost of the same primitives. 性能测量"""
    from ops.bench.run import measure

    result = measure(seconds=seconds, only=only or [], directory=directory)
    output.show(result, as_json=as_json, text=lambda: output.table(["what", "value"], flat(result)))


def flat(result: dict[str, object], prefix: str = "") -> list[list[object]]:
    """A nested result as rows of dotted names and values."""
    rows: list[list[object]] = []
    for name, value in result.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{name}.")
        else:
            rows.append([prefix + name, round(value, 2) if isinstance(value, float) else value])
    return rows
