"""What the gateway reads of the county's ledger: view, ops and files of a case.

For: the one place in this package that calls conflict/ledger about cases.
May not: write; know the city.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from conflict.ledger import errors, files, views
from hub.upward.forwards import UpwardForward, upward_forwards

if TYPE_CHECKING:
    from conflict.view import CaseView
    from protocol.op import Op


@dataclass(frozen=True, slots=True)
class Files:
    """The attachments of one transaction's snapshot; fits bundle.HasFile and bundle.ReadFile."""

    tx: Connection

    def has(self, sha256: bytes) -> bool:
        """Whether all bytes are here and verified."""
        return files.has_file(self.tx, sha256)

    def read(self, sha256: bytes) -> bytes:
        """All bytes. Raises StoreFailed if they are not here (any more)."""
        content = files.read_file(self.tx, sha256)
        if content is None:
            raise errors.StoreFailed(
                "A file of this case is not in the store any more; restore it from a backup or from its office.",
                "本件的一个附件已不在数据库中，请从备份或原单位恢复。",
                sha256=sha256.hex(),
            )
        return content


def view_of(tx: Connection, case: bytes) -> CaseView:
    """The kept view of the case. Raises UnknownCase if this store has no op of it."""
    return views.view(tx, case)


def ops_of(tx: Connection, case: bytes) -> list[Op]:
    """All ops of the case that are not waiting for another."""
    return views.ops_of(tx, case)


def forwards_of(tx: Connection, view: CaseView) -> list[UpwardForward]:
    """The applied forwards of the case that leave the county."""
    return upward_forwards(view, ops_of(tx, view.case))
