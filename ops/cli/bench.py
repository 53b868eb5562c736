"""`liandong bench` and `bench drain`: what the product costs, beside what its primitives cost in the same run.

For: developers, and whoever chooses a machine for a county's hub.
May not: measure (ops/bench does); fail because a machine is slow.
Manual: docs/performance.md.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from ops import output
from ops.cli.options import Json

app = typer.Typer(help="Measurements beside the raw cost of the same primitives. 性能测量")
Disk = Annotated[Path | None, typer.Option("--dir", help="A disk to measure on; the temporary directory unless named.")]


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    seconds: Annotated[float, typer.Option("--seconds", help="How long each measurement runs.", min=0.1)] = 1.0,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="primitives, wire, save, intake, fold; repeat.")
    ] = None,
    directory: Disk = None,
    as_json: Json = False,
) -> None:
    """Measure intake, save, bytes on the line and fold, beside the raw cost of the same primitives. 性能测量"""
    if context.invoked_subcommand is not None:
        return
    from ops.bench.run import measure

    result = measure(seconds=seconds, only=only or [], directory=directory)
    output.show(result, as_json=as_json, text=lambda: output.table(["what", "value"], flat(result)))


@app.command()
def drain(
    offices: Annotated[int, typer.Option("--offices", help="Machines; each of another office. 机构数", min=2)] = 500,
    ops: Annotated[int, typer.Option("--ops", help="Ops that each holds without a receipt. 每机构条目数", min=1)] = 200,
    broker: Annotated[str, typer.Option("--broker", help="embedded or mosquitto. 消息服务")] = "embedded",
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait for the last receipt.")] = 1_800.0,
    directory: Disk = None,
    as_json: Json = False,
) -> None:
    """A county comes back after an outage: how long until every op has its receipt. 断网恢复后的积压清空"""
    from ops.bench.drain.run import MACHINES_MAX, OPS_MAX
    from ops.bench.drain.run import drain as play
    from ops.bench.drain.summary import text
    from ops.demo.processes import DemoFailed
    from protocol.errors import InputError

    if offices > MACHINES_MAX or ops > OPS_MAX:
        raise InputError(
            f"At most {MACHINES_MAX} offices with {OPS_MAX} ops each can be played on one machine.",
            f"单机最多模拟 {MACHINES_MAX} 个机构、每机构 {OPS_MAX} 条。",
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(output.FAILED))  # the processes end with us
    try:
        found = play(offices=offices, ops=ops, broker=broker, directory=directory, timeout_s=timeout, say=_say)
    except DemoFailed as error:
        output.say_failure("drain_failed", str(error), as_json=as_json, exit_code=output.FAILED)
        raise typer.Exit(output.FAILED) from error
    output.show(found, as_json=as_json, text=lambda: text(found))
    store = found["store"]
    raise typer.Exit(output.OK if found["finished"] and not store["lost"] and not store["doubled"] else output.FAILED)


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


def flat(result: dict[str, object], prefix: str = "") -> list[list[object]]:
    """A nested result as rows of dotted names and values."""
    rows: list[list[object]] = []
    for name, value in result.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{name}.")
        else:
            rows.append([prefix + name, round(value, 2) if isinstance(value, float) else value])
    return rows
