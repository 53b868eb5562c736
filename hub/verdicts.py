"""Verdicts: what the hub says of each op, and the receipts that say it.

For: gathering accepted, refused and waiting ops by author into receipts of a bounded size.
May not: touch the store; decide the verdicts (append and fold do).
Spec: docs/protocol/receipt.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.receipt import AcceptedRun, Receipt, Refused, Waiting

ACCEPTED, REFUSED, WAITING = "accepted", "refused", "waiting"
RUNS_MAX = 200  # accepted runs in one receipt, about 45 bytes each
REFUSED_MAX = 20  # refusals in one receipt, up to 1.3 KB each: one receipt must fit one envelope
WAITING_MAX = 200  # about 60 bytes each


@dataclass(frozen=True, slots=True)
class Verdict:
    """One op's outcome. prev: the op before it in its author's chain, None for the first."""

    op: bytes
    device: bytes
    seq: int
    prev: bytes | None
    state: str
    code: str = ""
    reason: str = ""


def receipts_for(verdicts: Iterable[Verdict], *, county: str, hub_ms: int) -> dict[bytes, list[Receipt]]:
    """Receipts by author, as few as fit."""
    by_author: dict[bytes, list[Verdict]] = {}
    for verdict in verdicts:
        by_author.setdefault(verdict.device, []).append(verdict)
    return {author: _receipts(author, mine, county, hub_ms) for author, mine in by_author.items()}


def _receipts(author: bytes, mine: list[Verdict], county: str, hub_ms: int) -> list[Receipt]:
    runs = _runs([one for one in mine if one.state == ACCEPTED])
    refused = [Refused(one.op, one.seq, one.code, one.reason) for one in mine if one.state == REFUSED]
    waiting = [Waiting(one.op, one.seq, one.code) for one in mine if one.state == WAITING]
    receipts: list[Receipt] = []
    while runs or refused or waiting:
        receipts.append(
            Receipt(
                county,
                author,
                hub_ms,
                tuple(runs[:RUNS_MAX]),
                tuple(refused[:REFUSED_MAX]),
                tuple(waiting[:WAITING_MAX]),
            )
        )
        runs, refused, waiting = runs[RUNS_MAX:], refused[REFUSED_MAX:], waiting[WAITING_MAX:]
    return receipts


def _runs(accepted: list[Verdict]) -> list[AcceptedRun]:
    """Runs of consecutive numbers in which each op names the one before; two branches of a fork never share one."""
    runs: list[AcceptedRun] = []
    ends: dict[bytes, int] = {}  # id of a run's last op -> its place in `runs`
    for one in sorted(accepted, key=lambda verdict: (verdict.seq, verdict.op)):
        at = ends.pop(one.prev, None) if one.prev is not None else None
        if at is not None and runs[at].last_seq == one.seq - 1:
            runs[at] = AcceptedRun(runs[at].first_seq, one.seq, one.op)
        else:
            at = len(runs)
            runs.append(AcceptedRun(one.seq, one.seq, one.op))
        ends[one.op] = at
    return runs
