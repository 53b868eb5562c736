"""Handling a case: start, examine (初审, 审核, 批准), decide, extend, suspend and resume.

For: what an examiner, verifier or chief does with a case that their office holds.
May not: need a network; judge powers (the desk asks conflict/powers.py).
Manual: docs/operating/edge.md, "Handling".
"""

from __future__ import annotations

from conflict.kinds import NAME_MAX
from edge.acts.base import Acts, body, choice, limit, text
from edge.acts.open_ops import open_suspension
from edge.desk import Saved
from edge.staff import Actor

OUTCOMES = ("agree", "disagree")
STEPS = ("handle", "verify", "approve")
DECISIONS = ("granted", "denied", "answered")


class DecisionActs(Acts):
    """See the module."""

    def start(self, actor: Actor, case: str) -> Saved:
        """Begin handling an accepted case (any other act of handling implies it)."""
        return self.desk.act(actor, case, lambda _tx, _view: [("start", {})])

    def examine(
        self,
        actor: Actor,
        case: str,
        *,
        opinion: str,
        outcome: str = "agree",
        step: str = "",
        department: str = "",
    ) -> Saved:
        """Record an opinion: agree or disagree, at a step, for a department of a joint case."""
        content = body(
            outcome=choice(outcome, "outcome", OUTCOMES),
            opinion=text(opinion, "opinion"),
            step=choice(step, "step", STEPS) if step else "",
            department=text(department, "department", most=NAME_MAX) if department else "",
        )
        return self.desk.act(actor, case, lambda _tx, _view: [("examine", content)])

    def decide(
        self,
        actor: Actor,
        case: str,
        *,
        decision: str,
        opinion: str = "",
        reasons: str = "",
        remedies: str = "",
        document: str = "",
    ) -> Saved:
        """Decide. A denial needs reasons and remedies; a reply case is answered."""
        chosen = choice(decision, "decision", DECISIONS)
        content = {
            "decision": chosen,
            "opinion": opinion.strip(),
            **body(
                reasons=text(reasons, "reasons") if reasons or chosen == "denied" else "",
                remedies=text(remedies, "remedies") if remedies or chosen == "denied" else "",
                document=document.strip(),
            ),
        }
        return self.desk.act(actor, case, lambda _tx, _view: [("decide", content)])

    def extend(
        self, actor: Actor, case: str, *, days: int, reason: str, approver: str, notified: bool, unit: str = "workday"
    ) -> Saved:
        """Extend the limit: approved by a named person, the applicant notified."""
        count, unit = limit(days, unit, "days")
        content = body(
            days=count,
            unit=unit,
            reason=text(reason, "reason"),
            approver=text(approver, "approver", most=NAME_MAX),
            notified=notified,
        )
        return self.desk.act(actor, case, lambda _tx, _view: [("extend", content)])

    def suspend(
        self,
        actor: Actor,
        case: str,
        *,
        cause: str,
        reason: str = "",
        days: int | None = None,
        written_notice: bool = False,
    ) -> Saved:
        """Begin a special procedure (特别程序), which stops the clock only with a written notice."""
        content = {
            "cause": text(cause, "cause", most=NAME_MAX),
            "reason": reason.strip(),
            "written_notice": written_notice,
            **body(days=None if days is None else limit(days, "workday", "days")[0]),
        }
        return self.desk.act(actor, case, lambda _tx, _view: [("suspend", content)])

    def resume(self, actor: Actor, case: str) -> Saved:
        """End the newest open special procedure."""
        return self.desk.act(actor, case, lambda _tx, view: [("resume", {"of": open_suspension(view)})])
