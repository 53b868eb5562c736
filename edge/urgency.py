"""Urgency: which cases go first on the line: urgent ones (特急), then those that are due within two days or overdue.

For: the ranks of cases of which something is still to be sent, read again only when it may have changed.
May not: decide a deadline (conflict.deadline does); hold anything back: a case without a rank goes with the rest.
Manual: docs/operating/lanes.md.  Decision: docs/decisions/0151-urgent-cases-overtake.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Select, and_, or_, select

from conflict.ledger.schema import ops, views
from conflict.status import UNFINISHED
from edge.branch.schema import relay
from edge.outbox import UNSETTLED
from edge.schema import outbox
from protocol.lanes import EXPRESS, NEAR

NEAR_DUE_MS = 2 * 86_400_000  # by the machine's clock: a wrong one changes the order of sending and nothing else
CASES_MAX = 500  # with a rank; among more nobody would be first
LOOK_MS = 2_000  # how often it is read again while only others' words come in

CasesToSend = Select[Any]  # of one column: ids of the cases of which something is still to be sent

OWN: CasesToSend = select(outbox.c.case_id).where(outbox.c.state.in_(UNSETTLED))
CARRIED: CasesToSend = select(ops.c.case_id).join(relay, relay.c.op_id == ops.c.id).where(relay.c.state == "pending")


def ranks(tx: Connection, cases: CasesToSend, *, now_ms: int) -> dict[bytes, int]:
    """EXPRESS or NEAR by case, for those among `cases` that have one; urgent ones first, then by their due dates."""
    near = and_(views.c.due_ms <= now_ms + NEAR_DUE_MS, views.c.status.in_(sorted(UNFINISHED)))
    query = (
        select(views.c.case_id, views.c.urgent)
        .where(or_(views.c.urgent == 1, near), views.c.case_id.in_(cases))
        .order_by(views.c.urgent.desc(), views.c.due_ms)
        .limit(CASES_MAX)
    )
    return {row.case_id: EXPRESS if row.urgent else NEAR for row in tx.execute(query)}


class Ranks:
    """The ranks of the cases to send, remembered between turns."""

    def __init__(
        self, cases: Callable[[Connection], CasesToSend], newest: Select[Any], now_ms: Callable[[], int]
    ) -> None:
        """newest: one number that grows when something is to be sent that was not here before; then it is read at once."""
        self._cases, self._newest, self._now_ms = cases, newest, now_ms
        self._known: dict[bytes, int] = {}
        self._top: int | None = None
        self._read_ms: int | None = None

    def of(self, tx: Connection, rank: int) -> list[bytes]:
        """The cases of this rank."""
        now_ms = self._now_ms()
        top = tx.execute(self._newest).scalar()
        if self._read_ms is None or top != self._top or abs(now_ms - self._read_ms) >= LOOK_MS:
            self._known, self._top, self._read_ms = ranks(tx, self._cases(tx), now_ms=now_ms), top, now_ms
        return [case for case, one in self._known.items() if one == rank]

    def all(self, tx: Connection) -> list[bytes]:
        """The cases of either rank: what the rest leaves out."""
        return [*self.of(tx, EXPRESS), *self.of(tx, NEAR)]
