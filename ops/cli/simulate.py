"""`liandong simulate`: a county of bad luck on simulated time, network, disks and clocks.

For: developers and whoever wants to see what the product does when everything goes wrong; nothing real is touched.
May not: know what a fault or a planted bug does (ops/simulate does).
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from ops import output
from ops.cli.options import Json
from protocol.errors import InputError


def simulate(
    seed: Annotated[int, typer.Option("--seed", help="Of all chance; the same seed is the same run. 随机种子")] = 1,
    offices: Annotated[int, typer.Option("--offices", help="3 to 200. 机构数")] = 6,
    days: Annotated[float, typer.Option("--days", help="Simulated days with faults. 模拟天数")] = 2.0,
    faults: Annotated[str, typer.Option("--faults", help="Names divided by commas, all, or none. 故障")] = "all",
    mode: Annotated[
        str, typer.Option("--mode", help="heal: the faults stop and all must become equal; or nothing-lost. 方式")
    ] = "heal",
    mutant: Annotated[str, typer.Option("--mutant", help="Play with this planted bug. 植入错误")] = "",
    all_mutants: Annotated[
        bool,
        typer.Option("--mutants", help="Play every planted bug in its own short run; is each caught? 全部植入错误"),
    ] = False,
    list_faults: Annotated[bool, typer.Option("--list", help="Name faults and planted bugs and end. 列出")] = False,
    as_json: Json = False,
) -> None:
    """Play a simulated county through bad luck and check that nothing is lost. 模拟"""
    from ops.simulate.faults.catalogue import NAMES
    from ops.simulate.mutants.catalogue import MUTANTS
    from ops.simulate.options import make_options
    from ops.simulate.run import simulate as play

    if list_faults:
        _list(as_json=as_json)
        return
    if all_mutants:
        raise typer.Exit(0 if _try_all(as_json=as_json) else 1)
    options = make_options(seed, offices, days, faults, mode, NAMES)
    if mutant and mutant not in MUTANTS:
        raise InputError(
            f"There is no planted bug {mutant!r}; `liandong simulate --list` names all {len(MUTANTS)}.",
            f"没有名为“{mutant}”的植入错误；用 liandong simulate --list 查看全部 {len(MUTANTS)} 种。",
        )
    options = replace(options, mutant=mutant)
    sys.stderr.write(f"seed {seed}: {options.replay()}\n")
    until = MUTANTS[mutant].shows if mutant else ""
    found = play(options, until=until, progress=lambda text: _say(text, as_json=as_json))
    data = found.as_json()
    lines = [f"mutant: {mutant}"] if mutant else []
    lines += [f"{key}: {data[key]}" for key in ("node_days", "acts", "ops", "crashes", "fault_kinds", "trace")]
    lines += [f"{key}: {data[key]}" for key in ("lost", "diverged", "doubled", "silent", "errors")]
    lines += [f"! {problem}" for problem in data["problems"]]
    output.show(data, as_json=as_json, text="\n".join(lines))
    raise typer.Exit(0 if found.clean else 1)


def _list(*, as_json: bool) -> None:
    from ops.simulate.faults.catalogue import FAULTS
    from ops.simulate.mutants.catalogue import MUTANTS

    faults = {fault.name: fault.about for fault in FAULTS.values()}
    mutants = {mutant.name: f"{mutant.broken} ({mutant.shows})" for mutant in MUTANTS.values()}
    lines = [f"{name}: {about}" for name, about in faults.items()]
    lines += ["", "planted bugs (--mutant NAME), and the kind of finding that each must lead to:"]
    lines += [f"{name}: {about}" for name, about in mutants.items()]
    output.show({"faults": faults, "mutants": mutants}, as_json=as_json, text="\n".join(lines))


def _try_all(*, as_json: bool) -> bool:
    """Every mutant in its own run, and the same run without it. True if all are caught and all the others are clean."""
    from ops.simulate.mutants.catalogue import MUTANTS
    from ops.simulate.mutants.trial import attempt, without_mutant

    rows = []
    for name, mutant in MUTANTS.items():
        trial = attempt(name)
        clean = trial.caught and without_mutant(mutant.run.options(trial.seed)).clean
        row = {"name": name, "broken": mutant.broken, "shows": mutant.shows, "caught": trial.caught}
        row |= {"finding": trial.finding, "clean_without": clean, "replay": trial.replay}
        rows.append(row)
        result = "caught" if clean else "NOT CLEAN WITHOUT IT" if trial.caught else "NOT CAUGHT"
        _say(f"{name} | {mutant.broken} | {mutant.shows}: {result} | {trial.finding}", as_json=as_json)
    good = all(row["caught"] and row["clean_without"] for row in rows)
    caught = sum(bool(row["caught"]) for row in rows)
    output.show({"mutants": rows, "all_caught": good}, as_json=as_json, text=f"{caught} of {len(rows)} caught")
    return good


def _say(text: str, *, as_json: bool) -> None:
    if not as_json:
        sys.stderr.write(text + "\n")
