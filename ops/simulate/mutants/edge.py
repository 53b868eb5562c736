"""Planted bugs of an office's device: what it calls saved, what it calls settled, what it calls itself.

For: mutants of edge/.
May not: be imported by the product.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from unittest import mock

from sqlalchemy import update

from conflict.ledger.receipts import OpOutcome, ops_in_run
from edge import desk, incarnation, memory, outbox
from edge.schema import outbox as outbox_table
from edge.stick import export
from edge.sync import intake, receipts
from ops.simulate.mutants import runs
from ops.simulate.mutants.mutant import DOUBLED, LOST, SILENT, Mutant, Swap
from protocol.receipt import open_receipt


def _saved_before_commit() -> list[Swap]:
    real_write, said = desk.Desk._write, list[Any]()

    def write(self: Any, *args: Any) -> Any:
        said[:] = [real_write(self, *args)]
        return said[0]

    def answering(real: Any) -> Any:
        def act(self: Any, *args: Any, **named: Any) -> Any:
            said.clear()
            try:
                return real(self, *args, **named)
            except BaseException:
                if not said:
                    raise
                return said[0]  # the commit failed, and the screen says Saved all the same

        return act

    cls = desk.Desk
    return [(cls, "_write", write), (cls, "act", answering(cls.act)), (cls, "open_case", answering(cls.open_case))]


def _settle(tx: Any, numbers: Iterable[int], *, now_ms: int) -> None:
    these = outbox_table.c.seq.in_(list(numbers)) & outbox_table.c.state.in_(outbox.UNSETTLED)
    tx.execute(update(outbox_table).where(these).values(state="accepted", since_ms=now_ms))


def _sent_is_delivered() -> list[Swap]:
    return [(outbox, "offered", _settle)]


def _stick_is_delivered() -> list[Swap]:
    real = export._Load.remember

    def remember(self: Any, now_ms: int) -> None:
        with mock.patch.object(outbox, "offered", _settle):
            real(self, now_ms)

    return [(export._Load, "remember", remember)]


def _offered_once() -> list[Swap]:
    def of_pending(real: Any) -> Any:
        def look(*args: Any, **named: Any) -> Any:
            with mock.patch.object(outbox, "UNSETTLED", ("pending",)):
                return real(*args, **named)

        return look

    return [
        (outbox, "unsettled", of_pending(outbox.unsettled)),
        (outbox, "lowest_unsettled", of_pending(outbox.lowest_unsettled)),
    ]


def _receipt_covers_all_before() -> list[Swap]:
    def accepted(tx: Any, receipt: Any, run: Any, own: bytes) -> list[OpOutcome]:
        held = ops_in_run(tx, receipt.author, 1, run.last_seq)
        return [OpOutcome(op_id, "accepted", hub_ms=receipt.hub_ms) for _seq, op_id in held]

    return [(receipts, "_accepted", accepted)]


def _refusal_dropped() -> list[Swap]:
    real = open_receipt
    return [(receipts, "open_receipt", lambda blob, trust: replace(real(blob, trust), refused=()))]


def _keeps_its_name() -> list[Swap]:
    return [(incarnation, "due", lambda tx, reference, name: "")]


def _counter_in_memory() -> list[Swap]:
    counts: dict[Any, int] = {}

    def next_number(tx: Any) -> int:
        counts[tx.engine] = counts.get(tx.engine, 0) + 1
        return counts[tx.engine]

    return [(memory, "next_number", next_number)]


def _place_before_ops() -> list[Swap]:
    real = intake.Intake.stream

    def stream(self: Any, arrived: Any, *, via: str, place: Any = None) -> int:
        with self._store.write() as tx:
            memory.set_stream_place(tx, arrived.epoch, arrived.last)
        return real(self, arrived, via=via, place=place)

    return [(intake.Intake, "stream", stream)]


EDGE = (
    Mutant(
        "saved_before_commit",
        "edge/desk.py",
        "the screen says Saved before the commit, which may fail",
        LOST,
        "said Saved",
        _saved_before_commit,
        runs.CRASHES,
    ),
    Mutant(
        "sent_is_delivered",
        "edge/outbox.py",
        "an op that the broker acknowledged counts as accepted by the county",
        LOST,
        "is receipted as accepted and not at the hub",
        _sent_is_delivered,
        runs.WEATHER,
    ),
    Mutant(
        "offered_once",
        "edge/outbox.py",
        "the outbox forgets an op once it was handed to a carrier: it is never offered again",
        SILENT,
        "still has no word of the hub",
        _offered_once,
        runs.WEATHER,
    ),
    Mutant(
        "receipt_covers_all_before",
        "edge/sync/receipts.py",
        "a receipt for one op settles every earlier op of the device with it",
        SILENT,
        "is refused at the hub and accepted at",
        _receipt_covers_all_before,
        runs.POISON,
    ),
    Mutant(
        "refusal_dropped",
        "edge/sync/receipts.py",
        "the device passes over the refusals in a receipt",
        SILENT,
        "has no word of it",
        _refusal_dropped,
        runs.POISON,
    ),
    Mutant(
        "keeps_its_name",
        "edge/incarnation.py",
        "a device restored from a backup goes on under its old name and writes a second history",
        SILENT,
        "goes on under a name that has two histories",
        _keeps_its_name,
        runs.RESTORED,
    ),
    Mutant(
        "counter_in_memory",
        "edge/memory.py",
        "the counter of case numbers begins anew when the program does",
        DOUBLED,
        "stands for two cases",
        _counter_in_memory,
        runs.CRASHES,
    ),
    Mutant(
        "place_before_ops",
        "edge/sync/intake.py",
        "the place in the stream is committed before the ops that lead up to it",
        LOST,
        "has its stream up to",
        _place_before_ops,
        runs.DYING,
    ),
    Mutant(
        "stick_is_delivered",
        "edge/stick/export.py",
        "what was written to a stick counts as accepted by the county",
        LOST,
        "is receipted as accepted and not at the hub",
        _stick_is_delivered,
        runs.STICKS,
    ),
)
