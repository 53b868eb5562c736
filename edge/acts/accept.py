"""Opening a case: handing in (收件) and accepting (受理), refusing acceptance, asking for what is missing.

For: what happens at the window before a case is handled.
May not: need a network; judge powers (the desk asks conflict/powers.py).
Manual: docs/operating/edge.md, "Accepting".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection

from conflict.kinds import NAME_MAX
from conflict.numbers import make
from conflict.terms import terms_of
from conflict.view import CaseView
from edge import memory
from edge.acts.base import Acts, body, limit, text, texts
from edge.acts.open_ops import open_notice
from edge.acts.papers import kept
from edge.attachment import read_file
from edge.desk import Saved, Steps, attach_step
from edge.forms import Application, check_fields, fields_of
from edge.staff import Actor


class AcceptActs(Acts):
    """See the module."""

    def accept(self, actor: Actor, application: Application) -> Saved:
        """Open a case: accepted at once, or only received if the application says so.

        Returns: with the number that the applicant's slip shows; the case is durable then.
        Raises:  InputError (required field, limits), BadIdentityNumber, NoReference, UnknownItem, WrongLevel,
                 AttachmentUnreadable, AttachmentTooLarge, RefusedError. Nothing is changed then.
        """
        fields = fields_of(application)
        read = [read_file(path) for path in application.attachments]
        files = kept(self.desk, read, item=application.item, original=application.original)
        kind = "receive" if application.received_only else "accept"

        def opening(tx: Connection) -> Steps:
            desk = self.desk
            item = desk.reference.item(tx, application.item)
            sequence = memory.next_number(tx)
            number = make(desk.office, desk.clock.now_ms(), sequence, device=desk.keys.incarnation)
            content = body(
                number=number,
                item=application.item,
                terms=terms_of(item),
                fields=fields,
                urgent=application.urgent or None,
                mode=application.mode,
                materials=_names(application.materials, "materials"),
                conditional=_names(application.conditional, "conditional"),
            )
            return [(kind, content), *map(attach_step, files)]

        return self.desk.open_case(actor, opening, files)

    def accept_received(self, actor: Actor, case: str, *, conditional: Sequence[str] = ()) -> Saved:
        """Accept a case that was received; with `conditional`, materials that may come later (容缺受理)."""
        content = body(conditional=_names(conditional, "conditional"))
        return self.desk.act(actor, case, lambda _tx, _view: [("accept", content)])

    def refuse_acceptance(self, actor: Actor, case: str, *, reason: str, remedies: str = "") -> Saved:
        """Refuse acceptance (不予受理) with the reason and the applicant's remedies."""
        content = body(reason=text(reason, "reason"), remedies=remedies.strip())
        return self.desk.act(actor, case, lambda _tx, _view: [("refuse_acceptance", content)])

    def notice(
        self,
        actor: Actor,
        case: str,
        *,
        missing: Sequence[str],
        reason: str = "",
        days: int | None = None,
        unit: str = "workday",
    ) -> Saved:
        """The one-time notice (一次性告知): everything that is missing, and how long the applicant has."""
        content = body(
            missing=texts(missing, "missing"),
            reason=reason.strip(),
            limit=None if days is None else limit(days, unit, "days"),
        )
        return self.desk.act(actor, case, lambda _tx, _view: [("notice", content)])

    def supplement(
        self,
        actor: Actor,
        case: str,
        *,
        fields: Mapping[str, str] | None = None,
        attachments: Sequence[Path] = (),
        materials: Sequence[str] = (),
        said: str = "",
        original: bool = False,
    ) -> Saved:
        """What the applicant brings in answer to the newest open notice (补正).

        Raises:  NothingToAnswer if no notice is open, and as `accept` for files and fields.
        """
        files = kept(self.desk, [read_file(path) for path in attachments], case=case, original=original)
        content = body(
            fields=check_fields(fields or {}) or None,
            materials=_names([*materials, *(file.material for file in files)], "materials"),
            text=said.strip(),
        )

        def step(_tx: Connection, view: CaseView) -> Steps:
            return [("supplement", {"of": open_notice(view), **content}), *map(attach_step, files)]

        return self.desk.act(actor, case, step, files)


def _names(values: Sequence[str], name: str) -> list[str]:
    unique = list(dict.fromkeys(values))
    return texts(unique, name, most=NAME_MAX) if unique else []
