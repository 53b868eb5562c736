"""What a worker looks at: lists of cases, one case whole, digests, the slip.

For: plain JSON-able answers from the kept views, with due dates by the published calendar and what the hub has said.
May not: write the store; show a case that this device does not hold.
Manual: docs/operating/edge.md, "Looking up".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from conflict.calendar import Calendar
from conflict.deadline import Deadlines, due
from conflict.labels import label
from conflict.ledger.files import has_file
from conflict.ledger.views import ViewRow, digests, list_views, view
from conflict.time_limit import LABELS, civil_text
from edge import outbox, unsent
from edge.acts.base import Acts
from edge.config import SLIPS_NAME
from edge.desk import Desk
from edge.purge import find_here
from edge.slip import DueLine, SlipFacts, as_html, as_text
from protocol.carriers.durable import write_durably

if TYPE_CHECKING:
    from conflict.view import CaseView


class Listing(Acts):
    """See the module."""

    def __init__(self, desk: Desk, *, office_phone: str = "") -> None:
        super().__init__(desk)
        self.office_phone = office_phone

    def list_cases(
        self,
        *,
        status: str | None = None,
        holder: str | None = None,
        item: str | None = None,
        kind: str | None = None,
        urgent: bool | None = None,
        conflicted: bool | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Cases on this device that fit all that is given, most recently changed first.

        Returns: per case: case, number, status, status_zh, kind, item, holder, opened_by, opened_ms, updated_ms, urgent,
                 due (county time or None), due_ms, open_conflicts, waiting, unsent (ops without the hub's word).
        """
        with self.desk.store.read() as tx:
            rows = list_views(
                tx,
                status=status,
                holder=holder,
                item=item,
                kind=kind,
                urgent=urgent,
                conflicted=conflicted,
                limit=limit,
            )
            unsent = outbox.unsettled_by_case(tx)
        return [line_of(row, unsent.get(row.case, 0)) for row in rows]

    def show(self, case: str) -> dict[str, Any]:
        """One case whole, as `CaseView.as_json` gives it, with `due`, `deadlines`, and what is not delivered yet.

        Raises:  UnknownCase, AmbiguousCase.
        """
        with self.desk.store.read() as tx:
            found = view(tx, find_here(tx, case))
            deadlines = self._deadlines(tx, found).as_json()
            entries = outbox.entries(tx, ["pending", "offered", "refused", "waiting"], case=found.case)
            missing = [one["sha256"].hex() for one in found.materials if not has_file(tx, one["sha256"])]
            waiting = {entry[0] for entry in unsent.entries(tx)}
        return {
            **found.as_json(),
            "due": deadlines["due"],
            "deadlines": deadlines,
            "unsent": [
                {"op": entry.op.hex(), "state": entry.state, "code": entry.code, "reason": entry.reason}
                for entry in entries
            ],
            "missing_files": missing,
            "unsent_files": [one["sha256"].hex() for one in found.materials if one["sha256"] in waiting],
        }

    def digest(self, case: str) -> str:
        """The digest of one case's view, hex: equal wherever the same ops are held."""
        with self.desk.store.read() as tx:
            found = find_here(tx, case)
            return digests(tx, [found])[found].hex()

    def digests(self) -> dict[str, str]:
        """The digest of every case on this device, by case id, hex."""
        with self.desk.store.read() as tx:
            return {case.hex(): digest.hex() for case, digest in digests(tx).items()}

    def slip(self, case: str) -> SlipFacts:
        """What the triplicate slip of a case shows; edge.slip turns it into text or HTML."""
        with self.desk.store.read() as tx:
            found = view(tx, find_here(tx, case))
            office = self.desk.reference.roster(tx).office(self.desk.office)
            item = self.desk.reference.items(tx).get(found.item, {})
            deadlines = self._deadlines(tx, found)
        fields = {name: value["value"] for name, value in found.fields.items()}
        opened = found.timeline[0]
        return SlipFacts(
            number=found.number,
            status=str(found.status),
            item_code=found.item,
            item_name=str(item.get("name") or found.terms.get("name", "")),
            applicant=fields.get("applicant_name", ""),
            applicant_id=fields.get("applicant_id", ""),
            materials=list(found.papers),
            materials_due=[name for name in found.conditional if name not in found.papers],
            due=_due_lines(deadlines),
            office_name=office.name if office else "",
            office_code=self.desk.office,
            office_phone=self.office_phone,
            staff=str(opened["staff"]),
            at_ms=int(opened["at_ms"]),
            urgent=bool(found.urgent),
        )

    def write_slip(self, directory: Path, case: str) -> tuple[Path, str]:
        """Write the slip of a case as `slips/NUMBER.html` below the device's directory; also returns its plain text."""
        facts = self.slip(case)
        path = directory / SLIPS_NAME / f"{facts.number}.html"
        write_durably(path, as_html(facts).encode(), mode=0o600)
        return path, as_text(facts)

    def _deadlines(self, tx: Connection, found: CaseView) -> Deadlines:
        calendar: Calendar = self.desk.reference.calendar(tx)
        return due(found.clock, calendar, now_ms=self.desk.clock.now_ms())


def line_of(row: ViewRow, unsent: int) -> dict[str, Any]:
    """One case in a list, with the keys that `list_cases` names."""
    return {
        "case": row.case.hex(),
        "number": row.number,
        "status": row.status,
        "status_zh": label(row.status),
        "kind": row.kind,
        "item": row.item,
        "holder": row.holder,
        "opened_by": row.opened_by,
        "opened_ms": row.opened_ms,
        "updated_ms": row.updated_ms,
        "urgent": row.urgent,
        "due": None if row.due_ms is None else civil_text(row.due_ms),
        "due_ms": row.due_ms,
        "open_conflicts": row.open_conflicts,
        "waiting": row.waiting,
        "unsent": unsent,
    }


def _due_lines(deadlines: Deadlines) -> list[DueLine]:
    """The limits that run now, as the slip prints them."""
    return [
        DueLine(LABELS[one.name], civil_text(one.due_ms), one.provisional)
        for one in deadlines.limits
        if one.open and one.name != "stage"
    ]
