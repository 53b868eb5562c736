"""Planted bugs of the rules: winners by the clock or by order of arrival, losers thrown away, vetoes without effect.

For: mutants of conflict/.
May not: be imported by the product.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

from conflict import fields, history
from conflict.kinds import OpKind
from conflict.replay import Replay
from ops.simulate.mutants import runs
from ops.simulate.mutants.mutant import DIVERGED, LOST, Mutant, Swap

fold = import_module("conflict.fold")  # the package has a function of that name too


def _clock_decides() -> list[Swap]:
    def ranked(self: Any, writes: Any, rule: Any, holder: str) -> list[Any]:
        return sorted(writes, key=lambda write: -self._history.ops[write.at].claimed_ms)

    return [(fields.Fields, "_ranked", ranked), (fields.Fields, "_decided", lambda self, writes, rule, holder: True)]


def _arrival_decides() -> list[Swap]:
    real = history.read_history

    def read_history(ops: Any, **named: Any) -> Any:
        arrived = {op.id: op for op in ops}
        found = real(arrived.values(), **named)
        place = {op_id: number for number, op_id in enumerate(arrived)}
        return _reordered(found, sorted(range(len(found.ops)), key=lambda at: _weight(found, at, place)))

    def ranked(self: Any, writes: Any, rule: Any, holder: str) -> list[Any]:
        return sorted(writes, key=lambda write: -write.at)

    return [
        (fold, "read_history", read_history),
        (fields.Fields, "_ranked", ranked),
        (fields.Fields, "_decided", lambda self, writes, rule, holder: True),
    ]


def _weight(found: Any, at: int, place: dict[bytes, int]) -> tuple[int, int]:
    return found.before[at].bit_count(), place[found.ops[at].id]


def _reordered(found: Any, order: list[int]) -> Any:
    """The same graph with other indexes; parents still come before their children."""
    new = {old: at for at, old in enumerate(order)}

    def mask(old: int) -> int:
        return sum(1 << new[bit] for bit in history.bits(found.before[old]))

    return replace(
        found,
        ops=tuple(found.ops[old] for old in order),
        index={found.ops[old].id: at for at, old in enumerate(order)},
        parents=tuple(tuple(new[parent] for parent in found.parents[old]) for old in order),
        before=tuple(mask(old) for old in order),
        children=tuple(found.children[old] for old in order),
    )


def _loser_thrown_away() -> list[Swap]:
    real = fields.Fields.view

    def view(self: Any, field: str, kind: Any, void: int, holder: str) -> Any:
        found = real(self, field, kind, void, holder)
        return None if found is None else (found[0]._replace(losing=()), found[1])

    return [(fields.Fields, "view", view)]


def _veto_ignored() -> list[Swap]:
    real_write, real_admit = fold._Fold._write, Replay.admit

    def write(self: Any, sight: Any, index: int, op: Any) -> None:
        if op.kind != OpKind.VETO:
            real_write(self, sight, index, op)

    def admit(self: Any, index: int, base: Any) -> None:
        if self._history.ops[index].kind == OpKind.VETO:
            self.pass_by(base)
        else:
            real_admit(self, index, base)

    return [(fold._Fold, "_write", write), (Replay, "admit", admit)]


CONFLICT = (
    Mutant(
        "clock_decides",
        "conflict/fields.py",
        "of concurrent values of a field the one with the later clock wins",
        DIVERGED,
        "under other clocks",
        _clock_decides,
        runs.APART,
    ),
    Mutant(
        "arrival_decides",
        "conflict/history.py, conflict/fields.py",
        "of concurrent values of a field the one that arrived last wins",
        DIVERGED,
        "case ",
        _arrival_decides,
        runs.APART,
    ),
    Mutant(
        "loser_thrown_away",
        "conflict/fields.py",
        "the value that lost a conflict is not kept in the view",
        LOST,
        "is not readable",
        _loser_thrown_away,
        runs.APART,
    ),
    Mutant(
        "veto_ignored",
        "conflict/fold.py, conflict/replay.py",
        "the hub's veto stands in the case and changes nothing",
        DIVERGED,
        "counts although the hub's veto",
        _veto_ignored,
        runs.POISON,
    ),
)
