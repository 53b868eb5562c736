"""Papers: the hub's signed documents, passed on as they are to devices that do not reach the hub.

For: saying which stored documents bring a device up to date, and handing them out in chunks.
May not: sign or change one; every reader verifies the hub's signature itself.
Spec: docs/protocol/documents.md.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from conflict.ledger.meta import StoredDocument, documents_after
from conflict.ledger.store import Store
from protocol.chunks import CHUNK_BYTES
from protocol.documents import KINDS

KEPT = 16  # blobs offered lately, kept to be asked for


class Papers:
    """Over one store; used from one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    def offers(self, held: Mapping[str, int]) -> list[list[Any]]:
        """[kind, version, base_version, sha256, size] of the best next step for a holder of these versions."""
        rows: list[list[Any]] = []
        with self._store.read() as tx:
            for kind in KINDS:
                mine = held.get(kind, 0)
                fitting = [one for one in documents_after(tx, kind, mine) if one.base_version <= mine]
                if fitting:
                    best = max(fitting, key=lambda one: one.version)
                    rows.append([kind, best.version, best.base_version, self._keep(best), len(best.blob)])
        return rows

    def chunk(self, digest: bytes, index: int) -> tuple[int, bytes] | None:
        """(size of the whole, bytes of this piece) of a document offered lately; None otherwise."""
        blob = self._kept.get(digest)
        if blob is None or index * CHUNK_BYTES >= len(blob):
            return None
        return len(blob), blob[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]

    def _keep(self, document: StoredDocument) -> bytes:
        digest = sha256(document.blob).digest()
        self._kept[digest] = document.blob
        self._kept.move_to_end(digest)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return digest
