"""Planted bugs of the county's machine: receipts too early, refusals without a trace, offices forgotten, the city twice.

For: mutants of hub/.
May not: be imported by the product.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from sqlalchemy import update

from conflict.ledger.meta import get_meta
from hub import arrival, init, intake, routing, state, streams, sync_loop, transaction, upward_run
from hub.upward import gateway, queue, tries
from hub.upward.schema import upward
from hub.verdicts import ACCEPTED, REFUSED, Verdict, receipts_for
from ops.simulate.mutants import runs
from ops.simulate.mutants.mutant import DIVERGED, DOUBLED, LOST, SILENT, Mutant, Swap
from protocol.receipt import sign_receipt


def _refused_without_trace() -> list[Swap]:
    real = transaction.Work._keep_verdicts

    def keep(self: Any) -> None:
        said, self.verdicts = self.verdicts, [one for one in self.verdicts if one.state != REFUSED]
        real(self)
        self.verdicts = said

    return [(transaction.Work, "_keep_verdicts", keep)]


def _receipt_before_commit() -> list[Swap]:
    real = intake.Intake._take_once

    def take_once(self: Any, pairs: Any, rejected: Any, via: str) -> Any:
        """Receipts are in the streams, committed, before the transaction that takes the ops."""
        verdicts = [Verdict(op.id, op.device, op.seq, op.prev, ACCEPTED) for op, _arrival in pairs]
        early: dict[str, list[Any]] = {}
        for author, some in receipts_for(verdicts, county=self._keys.county, hub_ms=self._now_ms()).items():
            device = self._shelf.roster.device(author)
            if device is not None:
                early.setdefault(device.office, []).extend(
                    streams.receipt_item(sign_receipt(receipt, self._keys)) for receipt in some
                )
        with self._store.write() as tx:
            streams.extend(tx, early)
        return real(self, pairs, rejected, via)

    return [(intake.Intake, "_take_once", take_once)]


def _office_forgotten() -> list[Swap]:
    real = routing.scope_of

    def scope_of(participants: Any, parent: Any, county: str) -> frozenset[str]:
        return frozenset(office for office in real(participants, parent, county) if len(office) != 9)

    return [(transaction, "scope_of", scope_of)]


def _epoch_stays() -> list[Swap]:
    real = state.new_epoch

    def new_epoch(tx: Any, random: bytes, **named: Any) -> None:
        if get_meta(tx, state.EPOCH) is None:
            real(tx, random, **named)

    return [(init, "new_epoch", new_epoch), (state, "new_epoch", new_epoch)]


def _poison_blocks() -> list[Swap]:
    real = transaction.Work.take

    def take(self: Any, ops: Any, **named: Any) -> Any:
        stopped = _refused_devices(self.tx)
        return real(self, [op for op in ops if op.device not in stopped], **named)

    return [(transaction.Work, "take", take)]


def _refused_devices(tx: Any) -> set[bytes]:
    query = "select distinct o.device from op_outcomes w join ops o on o.id = w.op_id where w.outcome = 'refused'"
    return {row[0] for row in tx.exec_driver_sql(query)}


def _revoked_believed() -> list[Swap]:
    return [(transaction.Work, "_hold_late", lambda self, ops: list(ops))]


def _author_not_checked() -> list[Swap]:
    real = arrival._misfit

    def misfit(op: Any, roster: Any) -> Any:
        return None if roster.device(op.device) is not None else real(op, roster)

    return [(arrival, "_misfit", misfit), (arrival, "_bad_signatures", lambda pairs, roster: [])]


def _new_key_each_try() -> list[Swap]:
    real = tries.claim

    def claim(tx: Any, forward_op: bytes, now_ms: int) -> Any:
        parcel = real(tx, forward_op, now_ms)
        if parcel is None:
            return None
        key = os.urandom(32).hex()
        tx.execute(update(upward).where(upward.c.forward_op == forward_op).values(key=key))
        return replace(parcel, key=key)

    return [(tries, "claim", claim)]


def _new_key_each_queueing() -> list[Swap]:
    return [(queue, "idempotency_key", lambda forward_op: os.urandom(32).hex())]


def _lost_documents_forgotten() -> list[Swap]:
    return [(sync_loop.SyncLoop, "_take_back", lambda self, mono_ms: None)]


def _signed_time_forgotten() -> list[Swap]:
    return [(state, "signed_ms", lambda tx: 0)]


def _answer_lost() -> list[Swap]:
    def hand_over(self: Any, tx: Any, answer: Any) -> bytes:
        return bytes(answer.case)  # noted as handed over, and no op says so

    real = upward_run.HubDesk.hand_over
    return [
        (
            upward_run.HubDesk,
            "hand_over",
            lambda self, tx, answer: real(self, tx, answer) if answer.kind == "take" else hand_over(self, tx, answer),
        ),
        (gateway, "_op_of", lambda tx, answer: None),
    ]


HUB = (
    Mutant(
        "receipt_before_commit",
        "hub/intake.py",
        "receipts leave in a transaction of their own before the one that takes the ops",
        LOST,
        "is receipted in a stream and not at the hub that died",
        _receipt_before_commit,
        runs.DYING,
    ),
    Mutant(
        "refused_without_trace",
        "hub/transaction.py",
        "the hub refuses an op and keeps no trace of it",
        SILENT,
        "at the hub and refused at",
        _refused_without_trace,
        runs.POISON,
    ),
    Mutant(
        "office_forgotten",
        "hub/routing.py",
        "the township is forgotten when a case of its village is routed",
        DIVERGED,
        "is not routed to",
        _office_forgotten,
        runs.WEATHER,
    ),
    Mutant(
        "epoch_stays",
        "hub/init.py, hub/ahead.py",
        "a hub put back from a backup goes on in the old epoch of its streams",
        DIVERGED,
        "goes on in the epoch",
        _epoch_stays,
        runs.HUB_BACK,
    ),
    Mutant(
        "poison_blocks",
        "hub/transaction.py",
        "after one refused op of a device the hub does not listen to its later ones",
        SILENT,
        "still has no word of the hub",
        _poison_blocks,
        runs.POISON,
    ),
    Mutant(
        "revoked_believed",
        "hub/transaction.py",
        "ops of a revoked device that come late count without anybody being asked",
        SILENT,
        "nobody was asked",
        _revoked_believed,
        runs.REVOKED,
    ),
    Mutant(
        "author_not_checked",
        "hub/arrival.py",
        "the hub takes an op for its named author's without checking signature and office",
        SILENT,
        "the forged op",
        _author_not_checked,
        runs.POISON,
    ),
    Mutant(
        "new_key_each_try",
        "hub/upward/tries.py",
        "a hand-in whose answer was cut off is tried again under another key",
        DOUBLED,
        "the city has forward",
        _new_key_each_try,
        runs.CITY,
    ),
    Mutant(
        "answer_lost",
        "hub/upward_run.py",
        "the city's answer is noted as handed over and no op says it",
        LOST,
        "the city's answer",
        _answer_lost,
        runs.CITY,
    ),
    Mutant(
        "new_key_each_queueing",
        "hub/upward/queue.py",
        "a hub put back from a backup queues a forward that the city has under a key drawn anew",
        DOUBLED,
        "the city has forward",
        _new_key_each_queueing,
        runs.HUB_BACK,
    ),
    Mutant(
        "lost_documents_forgotten",
        "hub/sync_loop.py",
        "a hub put back from a backup does not take its lost documents back from the devices",
        DIVERGED,
        "holds documents",
        _lost_documents_forgotten,
        runs.PUT_BACK,
    ),
    Mutant(
        "signed_time_forgotten",
        "hub/state.py",
        "the hub signs with what its machine's clock says, earlier than what it has signed before",
        DIVERGED,
        "as made in",
        _signed_time_forgotten,
        runs.OLD_CLOCK,
    ),
)
