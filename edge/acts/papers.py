"""Files on their way into a case: photos made smaller, unless the item or the worker wants them as they came.

For: what accept, supplement and attach have in common before the desk writes.
May not: write; hold the writer's lock while a picture is unpacked (it takes a tenth of a second).
Manual: docs/operating/attachments.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from conflict.ledger.views import find, view
from edge.attachment import FileToAttach
from edge.desk import Desk
from edge.errors import NoReference
from edge.photo import is_photo, reduced


def kept(
    desk: Desk, files: Sequence[FileToAttach], *, item: str = "", case: str = "", original: bool = False
) -> list[FileToAttach]:
    """The files as they are kept, for a new case of `item` or for `case`.

    Raises:  AttachmentUnreadable for a picture of too many pixels; UnknownCase, AmbiguousCase.
    """
    if original or not any(is_photo(file.data) for file in files):
        return list(files)
    with desk.store.read() as tx:
        code = item or view(tx, find(tx, case)).item
        if _wants_original(desk, tx, code):
            return list(files)
    return [reduced(file) for file in files]


def _wants_original(desk: Desk, tx: Connection, item: str) -> bool:
    try:
        return bool(desk.reference.items(tx).get(item, {}).get("keep_original"))
    except NoReference:
        return False  # a device without a catalogue still works on cases that came to it
