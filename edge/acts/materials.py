"""Facts and papers of a case: correcting fields, attaching files, checking materials, notes.

For: everything that adds to a case without moving it.
May not: need a network; change what was said before (a correction is a new op).
Manual: docs/operating/edge.md, "Materials".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from conflict.kinds import GRADES, NAME_MAX
from edge.acts.base import Acts, body, choice, text
from edge.acts.open_ops import material_op
from edge.acts.papers import kept
from edge.attachment import DEFAULT_GRADE, FileToAttach, read_file
from edge.desk import Saved, attach_step
from edge.forms import check_fields
from edge.staff import Actor


class MaterialActs(Acts):
    """See the module."""

    def amend(self, actor: Actor, case: str, fields: Mapping[str, str], *, reason: str = "") -> Saved:
        """Correct or add fields; the values before stay readable.

        Raises:  InputError (no field, too long), BadIdentityNumber for `applicant_id`.
        """
        content = body(fields=check_fields(fields, needed=True), reason=reason.strip())
        return self.desk.act(actor, case, lambda _tx, _view: [("amend", content)])

    def attach(
        self,
        actor: Actor,
        case: str,
        path: Path,
        *,
        material: str = "",
        grade: str = DEFAULT_GRADE,
        original: bool = False,
    ) -> Saved:
        """Attach the file at `path` as a material of this name and trust grade (A to D).

        Args:    original: keep a photo as it is, although the item does not ask for that.
        Raises:  AttachmentUnreadable, AttachmentTooLarge, TooMuchUnsent.
        """
        name = text(material, "material", most=NAME_MAX) if material else ""
        file = read_file(path, material=name, grade=choice(grade, "grade", GRADES))
        return self.attach_file(actor, case, file, original=original)

    def attach_file(self, actor: Actor, case: str, file: FileToAttach, *, original: bool = False) -> Saved:
        """The same for a file already in memory."""
        files = kept(self.desk, [file], case=case, original=original)
        return self.desk.act(actor, case, lambda _tx, _view: list(map(attach_step, files)), files)

    def check_material(self, actor: Actor, case: str, material: str, *, grade: str, note: str = "") -> Saved:
        """Say what a material is worth after comparing it: A original seen, B certified copy, C copy, D statement.

        Args:    material: its name, or the hex id of the op that attached it.
        """
        content = body(grade=choice(grade, "grade", GRADES), note=note.strip())
        return self.desk.act(
            actor, case, lambda _tx, view: [("check_material", {"of": material_op(view, material), **content})]
        )

    def note(self, actor: Actor, case: str, said: str) -> Saved:
        """A remark for everybody who holds the case."""
        content = body(text=text(said, "text"))
        return self.desk.act(actor, case, lambda _tx, _view: [("note", content)])
