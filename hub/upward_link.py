"""The hub's side of the upward gateway: the queue follows the fold, answers of the superior become ops of the hub.

For: the two places where intake and gateway meet, both within one transaction.
May not: call the city (hub.upward.gateway does); commit.
Spec: docs/operating/upward.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from conflict.ledger.statements import steps
from hub.upward import sync_queue
from hub.upward.forwards import above_county
from hub.upward.schema import upward

if TYPE_CHECKING:
    from conflict.view import CaseView


def follow(tx: Connection, views: Iterable[CaseView], *, now_ms: int) -> None:
    """Make the queue say what these views say.

    Concerned are cases that go beyond the county, and those in the queue whose forward does not count any more. A case
    of one op was never forwarded.
    """
    by_case = {view.case: view for view in views if len(view.timeline) > 1}
    concerned = {case for case, view in by_case.items() if any(above_county(office) for office in view.offices)}
    for part in steps(case for case in by_case if case not in concerned):
        concerned |= set(tx.scalars(select(upward.c.case_id).where(upward.c.case_id.in_(part))))
    for case in sorted(concerned):
        sync_queue(tx, by_case[case], now_ms=now_ms)
