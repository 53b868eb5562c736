"""Due dates of views: reckoned with the published calendar and kept beside the views for lists and lanes.

For: one call after every refold, by the desk and by the intake alike; all cases anew after a new calendar.
May not: change a view (due dates are derived from a calendar that may be corrected); commit.
Spec: docs/conflict/deadlines.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from conflict.calendar import Calendar
from conflict.deadline import due
from conflict.ledger.views import ViewRow, list_views, set_due, view
from conflict.status import UNFINISHED

if TYPE_CHECKING:
    from conflict.view import CaseView

PAGE = 200  # cases reckoned between two looks at the list


def keep_due(tx: Connection, views: Iterable[CaseView], calendar: Calendar, *, now_ms: int) -> None:
    """Reckon and keep the next due instant of each view."""
    set_due(tx, {view.case: due(view.clock, calendar, now_ms=now_ms).due_ms for view in views})


def reckon_all(tx: Connection, calendar: Calendar, *, now_ms: int) -> None:
    """Reckon every unfinished case anew, after a calendar arrived (about 0.3 ms per op of each case)."""
    last: ViewRow | None = None
    while page := list_views(tx, status=sorted(UNFINISHED), after=last, limit=PAGE):
        keep_due(tx, (view(tx, row.case) for row in page), calendar, now_ms=now_ms)
        last = page[-1]
