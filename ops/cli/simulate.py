"""`liandong simulate`: a county of bad luck on simulated time, network, disks and clocks.

For: developers and whoever wants to see what the product does when everything goes wrong; nothing real is touched.
May not: know what a fault does (ops/simulate does).
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ops import output
from ops.cli.options import Json


def simulate(
    seed: Annotated[int, typer.Option("--seed", help="Of all chance; the same seed is the same run. 随机种子")] = 1,
    offices: Annotated[int, typer.Option("--offices", help="3 to 200. 机构数")] = 6,
    days: Annotated[float, typer.Option("--days", help="Simulated days with faults. 模拟天数")] = 2.0,
    faults: Annotated[str, typer.Option("--faults", help="Names divided by commas, all, or none. 故障")] = "all",
    mode: Annotated[
        str, typer.Option("--mode", help="heal: the faults stop and all must become equal; or nothing-lost. 方式")
    ] = "heal",
    list_faults: Annotated[bool, typer.Option("--list", help="Name the faults and end. 列出故障")] = False,
    as_json: Json = False,
) -> None:
    """Play a simulated county through bad luck and check that nothing is lost. 模拟"""
    from ops.simulate.faults.catalogue import FAULTS, NAMES
    from ops.simulate.options import make_options
    from ops.simulate.run import simulate as play

    if list_faults:
        rows = [[fault.name, fault.about] for fault in FAULTS.values()]
        output.show({"faults": dict(rows)}, as_json=as_json, text="\n".join(f"{name}: {about}" for name, about in rows))
        return
    options = make_options(seed, offices, days, faults, mode, NAMES)
    sys.stderr.write(f"seed {seed}: {options.replay()}\n")
    found = play(options, progress=lambda text: _say(text, as_json=as_json))
    data = found.as_json()
    lines = [f"{key}: {data[key]}" for key in ("node_days", "acts", "ops", "crashes", "fault_kinds", "trace")]
    lines += [f"{key}: {data[key]}" for key in ("lost", "diverged", "doubled", "silent", "errors")]
    lines += [f"! {problem}" for problem in data["problems"]]
    output.show(data, as_json=as_json, text="\n".join(lines))
    raise typer.Exit(0 if found.clean else 1)


def _say(text: str, *, as_json: bool) -> None:
    if not as_json:
        sys.stderr.write(text + "\n")
