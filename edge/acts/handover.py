"""Hand-overs between offices: forward (转报), recall, take, return.

For: moving the holder of a case; each answers one forward op, so that races have one outcome everywhere.
May not: need a network; decide who wins (the fold does).
Spec: docs/conflict/fold.md, "Hand-over".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from conflict.kinds import NAME_MAX
from conflict.view import CaseView
from edge.acts.base import Acts, body, text
from edge.acts.open_ops import forward_of
from edge.desk import Saved, Steps
from edge.errors import UnknownOffice
from edge.staff import Actor


class HandoverActs(Acts):
    """See the module."""

    def forward(self, actor: Actor, case: str, *, to: str = "", opinion: str = "") -> Saved:
        """Hand the case over to another office; without `to` to the office above by the roster.

        Raises:  UnknownOffice (not in the roster, or retired), OpinionMissing, BadTarget, HeldByAnother and others.
        """
        said = opinion.strip()

        def step(tx: Connection, _view: CaseView) -> Steps:
            return [("forward", body(to=self._target(tx, to.strip()), opinion=said))]

        return self.desk.act(actor, case, step)

    def recall(self, actor: Actor, case: str, *, reason: str = "") -> Saved:
        """Call a hand-over back before it is taken."""
        return self._answer(actor, case, "recall", body(reason=reason.strip()))

    def take(self, actor: Actor, case: str, *, reference: str = "") -> Saved:
        """Take the case that was forwarded to this office."""
        name = text(reference, "reference", most=NAME_MAX) if reference else ""
        return self._answer(actor, case, "take", body(reference=name))

    def send_back(self, actor: Actor, case: str, *, reason: str) -> Saved:
        """Return the case to the office that forwarded it."""
        return self._answer(actor, case, "return", body(reason=text(reason, "reason")))

    def _answer(self, actor: Actor, case: str, kind: str, content: Mapping[str, Any]) -> Saved:
        return self.desk.act(actor, case, lambda _tx, view: [(kind, {"of": forward_of(view), **content})])

    def _target(self, tx: Connection, to: str) -> str:
        roster = self.desk.reference.roster(tx)
        target = to or roster.parent(self.desk.office)
        office = roster.office(target)
        if office is None or office.retired:
            raise UnknownOffice(
                f"The roster has no office {target!r} in use.", f"机构名册中没有在用的机构“{target}”。", office=target
            )
        return target
