"""Receipts: the hub's signed words about ops of this office, taken over into the ledger and the outbox.

For: keeping the signed receipt, noting what it says of each op that we hold, noticing that the hub has another history
of this device than we have; receipts about ops that we carry for others settle those and are passed down.
May not: commit; believe an unsigned word.
Spec: docs/protocol/receipt.md.
"""

from __future__ import annotations

from sqlalchemy import Connection

from conflict.ledger.meta import put_meta
from conflict.ledger.receipts import OpOutcome, ops_in_run, outcomes_of, save_outcomes, save_receipt
from conflict.ledger.views import ops_by_id
from edge import incarnation, memory, outbox
from edge.branch import relay
from edge.clock import Clock
from protocol.receipt import AcceptedRun, Receipt, open_receipt
from protocol.trust import Trust


def take_receipt(tx: Connection, blob: bytes, trust: Trust, own: bytes, clock: Clock) -> Receipt:
    """Verify a receipt and take over what it says, in the caller's transaction. A repeat changes nothing.

    Args:    own: this device's incarnation.
    Raises:  MalformedBytes, BadSignature, WrongRecipient.
    """
    receipt = open_receipt(blob, trust)
    now_ms = clock.now_ms()
    receipt_id = save_receipt(tx, blob, author=receipt.author, hub_ms=receipt.hub_ms, arrived_ms=now_ms)
    words = [OpOutcome(one.op, "refused", one.code, one.reason, receipt.hub_ms) for one in receipt.refused]
    words += [OpOutcome(one.op, "waiting", one.code, "", receipt.hub_ms) for one in receipt.waiting]
    for run in receipt.accepted:
        words += _accepted(tx, receipt, run, own)
    save_outcomes(tx, words)
    if receipt.author in incarnation.own(tx, own):
        outbox.settle(tx, outcomes_of(tx, [word.op_id for word in words]).values(), now_ms=now_ms)
    else:
        relay.settle(tx, [word.op_id for word in words], now_ms=now_ms)
        relay.keep_receipt(tx, receipt_id, receipt.author)
    memory.learn_hub_time(tx, receipt.hub_ms, clock, fresh=False)
    return receipt


def _accepted(tx: Connection, receipt: Receipt, run: AcceptedRun, own: bytes) -> list[OpOutcome]:
    """The hub's acceptance of the ops of a run that we hold; none if our op of that number is another."""
    held = ops_in_run(tx, receipt.author, run.first_seq, run.last_seq)
    if (run.last_seq, run.last_op) not in held:
        if receipt.author == own and not memory.holds_op(tx, own, run.last_seq, run.last_op):
            put_meta(tx, memory.OTHER_HISTORY, [run.last_seq, run.last_op])
        return []
    return [OpOutcome(op_id, "accepted", hub_ms=receipt.hub_ms) for op_id in _of_run(tx, held, run)]


def _of_run(tx: Connection, held: list[tuple[int, bytes]], run: AcceptedRun) -> list[bytes]:
    """The ops of the one history that the run's last op ends: a device that wrote two has two ops of one number."""
    ids = [op_id for _seq, op_id in held]
    if len({seq for seq, _op_id in held}) == len(held):
        return ids
    ops, found, op_id = ops_by_id(tx, ids), [], run.last_op
    while op_id in ops:
        found.append(op_id)
        op_id = ops[op_id].prev or b""
    return found
