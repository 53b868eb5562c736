"""Eras: after a hub was put back from a backup, version numbers jump, so that none is ever given to two contents.

For: the lowest numbers of documents and items that this era may use, and the gaps between its start and them, in which
devices may hold what the hub signed and lost.
May not: commit; look into a document; take a number from anything but time and what is stored or proven.
Spec: docs/protocol/documents.md, "After a restore".  Decision: docs/decisions/0107-version-numbers-jump.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from conflict.ledger.meta import document_versions, get_meta, put_meta
from hub import schema
from protocol.documents import KINDS

ERA = "hub.era"
SINCE_S = (
    1_577_836_800  # 2020-01-01 UTC; numbers count seconds from here, so that those of items fit 31 bits until 2088
)
PER_SECOND = 1_000  # versions of documents that fit one second: nobody publishes that fast
LEAP, ITEM_LEAP = 1_000_000, 10_000  # where the clock is no help, beyond the highest number known
LOOK_BACK = 20  # versions before the store's own that may be another content elsewhere, if nobody marked the restore


@dataclass(frozen=True, slots=True)
class Era:
    """documents, items: the lowest version that may be given; 0 in a county whose hub was never put back.

    gaps: kind, above, below (both exclusive): version numbers that an earlier era may have given.
    """

    documents: int = 0
    items: int = 0
    gaps: tuple[tuple[str, int, int], ...] = ()

    def lost(self, kind: str, version: int) -> bool:
        """Whether an earlier era may have given this number to a document that this store does not hold."""
        return any(kind == one and above < version < below for one, above, below in self.gaps)


def read(tx: Connection) -> Era:
    """The present era."""
    found = get_meta(tx, ERA)
    if found is None:
        return Era()
    documents, items, gaps = found
    return Era(documents, items, tuple((kind, above, below) for kind, above, below in gaps))


def begin(tx: Connection, start_s: int, *, look_back: int = LOOK_BACK, beyond: int = 0) -> Era:
    """Begin an era: from now on every number lies above all that earlier ones can have reached.

    Args:    start_s: of the stream epoch that begins with it; later than that of any hub that devices have met.
             look_back: 0 where the store is known to be a backup as it was made. beyond: a version proven to exist.
    """
    held, before = document_versions(tx), read(tx)
    top = max([before.documents, beyond, *held.values()])
    by_clock = (start_s - SINCE_S) * PER_SECOND
    documents = by_clock if by_clock > top else top + LEAP
    newest = max(before.items, tx.scalar(select(func.max(schema.item_version.c.version))) or 0)
    items = start_s - SINCE_S if start_s - SINCE_S > newest else newest + ITEM_LEAP
    gaps = [*before.gaps, *((kind, max(0, held.get(kind, 0) - look_back), documents) for kind in KINDS)]
    era = Era(documents, items, tuple(_joined(gaps)))
    put_meta(tx, ERA, [era.documents, era.items, [list(gap) for gap in era.gaps]])
    return era


def _joined(gaps: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """The same numbers in as few ranges as possible, by kind and number."""
    found: list[tuple[str, int, int]] = []
    for kind, above, below in sorted(gaps):
        if found and found[-1][0] == kind and above < found[-1][2]:
            found[-1] = (kind, found[-1][1], max(below, found[-1][2]))
        else:
            found.append((kind, above, below))
    return found
