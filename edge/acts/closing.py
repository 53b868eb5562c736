"""Ending a case: conclude, deliver, withdraw, void; settling a conflict that rules cannot.

For: what happens when handling is over, or the case should not go on.
May not: need a network; delete anything.
Manual: docs/operating/edge.md, "Closing".
"""

from __future__ import annotations

from conflict.kinds import NAME_MAX, ConclusionType
from edge.acts.base import Acts, body, choice, text
from edge.desk import Saved
from edge.staff import Actor


class ClosingActs(Acts):
    """See the module."""

    def conclude(self, actor: Actor, case: str, *, conclusion: str = "normal", said: str = "") -> Saved:
        """Conclude a decided case with a conclusion type of the glossary."""
        content = body(type=choice(conclusion, "type", [kind.value for kind in ConclusionType]), text=said.strip())
        return self.desk.act(actor, case, lambda _tx, _view: [("conclude", content)])

    def deliver(self, actor: Actor, case: str, *, method: str, receiver: str = "") -> Saved:
        """Record that the result was handed over or sent."""
        content = body(method=text(method, "method", most=NAME_MAX), receiver=receiver.strip())
        return self.desk.act(actor, case, lambda _tx, _view: [("deliver", content)])

    def withdraw(self, actor: Actor, case: str, *, reason: str) -> Saved:
        """The applicant takes the application back."""
        content = body(reason=text(reason, "reason"))
        return self.desk.act(actor, case, lambda _tx, _view: [("withdraw", content)])

    def void(self, actor: Actor, case: str, *, reason: str) -> Saved:
        """The case is technically invalid; it stays readable."""
        content = body(reason=text(reason, "reason"))
        return self.desk.act(actor, case, lambda _tx, _view: [("void", content)])

    def resolve(self, actor: Actor, case: str, *, conflict: str, choice: int | str, reason: str) -> Saved:
        """Settle an open conflict: the index of a value as shown, or a value of one's own."""
        content = {"conflict": text(conflict, "conflict"), "choice": choice, "reason": text(reason, "reason")}
        return self.desk.act(actor, case, lambda _tx, _view: [("resolve", content)])
