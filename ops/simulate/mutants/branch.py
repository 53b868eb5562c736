"""Planted bugs of a township that carries for its villages, and of villages that believe it too much.

For: mutants of edge/branch/.
May not: be imported by the product.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from conflict.ledger import schema as ledger
from edge import outbox
from edge.branch import given, stream
from edge.schema import outbox as outbox_table
from ops.simulate.mutants import runs
from ops.simulate.mutants.mutant import DIVERGED, LOST, Mutant, Swap


def _held_is_delivered() -> list[Swap]:
    real = given.TownshipSource.note_given

    def note_given(self: Any, tx: Any, position: int) -> None:
        real(self, tx, position)
        there = select(ledger.ops.c.id).where(ledger.ops.c.pos <= position)
        these = outbox_table.c.op_id.in_(there) & outbox_table.c.state.in_(outbox.UNSETTLED)
        tx.execute(update(outbox_table).where(these).values(state="accepted"))

    return [(given.TownshipSource, "note_given", note_given)]


def _township_sends_all() -> list[Swap]:
    real = stream._among

    def among(tx: Any, column: Any, where: Any, cases: Any) -> set[bytes]:
        """Every office takes part in every case."""
        return set(cases) if column is ledger.case_offices.c.case_id else real(tx, column, where, cases)

    return [(stream, "_among", among)]


BRANCH = (
    Mutant(
        "held_is_delivered",
        "edge/branch/given.py",
        "an op that the township holds counts as accepted by the county",
        LOST,
        "is receipted as accepted and not at the hub",
        _held_is_delivered,
        runs.HERMIT,
    ),
    Mutant(
        "township_sends_all",
        "edge/branch/stream.py",
        "a township sends an office every case that it has, whoever takes part in it",
        DIVERGED,
        "in which it has no part",
        _township_sends_all,
        runs.HERMIT,
    ),
)
