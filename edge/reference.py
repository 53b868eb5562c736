"""Reference data as this device holds it: the newest verified roster, catalogue and calendar in the store.

For: looking up offices, items and the calendar; taking in a newer signed document; the versions an op names.
May not: believe a document that the certified hub did not sign; make up a missing one.
Spec: docs/protocol/documents.md.  Manual: docs/operating/edge.md, "Reference data".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from conflict.calendar import Calendar
from conflict.ledger.meta import StoredDocument, document, document_versions, documents_after, save_document
from edge.errors import NoReference, UnknownItem
from protocol.documents import KINDS, Document, open_document
from protocol.errors import BadSignature, StaleDocument
from protocol.roster import Roster
from protocol.trust import Trust


class Reference:
    """The reference data of one store, read in the caller's transaction. Cached by version."""

    def __init__(self, trust: Trust, former: Sequence[Trust] = ()) -> None:
        """`former`: earlier certificates of the hub, under which documents of this store were verified."""
        self.trust = trust
        self._former = tuple(former)
        self._cache: dict[str, tuple[int, Any]] = {}

    def renew(self, certificate: bytes) -> bool:
        """Take over a newer hub certificate; True if it changed what we trust.

        Raises:  BadSignature (not the root's), WrongRecipient (another county), StaleDocument (a lower serial).
        """
        newer = self.trust.renewed(certificate)
        if newer == self.trust:
            return False
        self._former = (*self._former, self.trust)
        self.trust = newer
        return True

    def roster(self, tx: Connection) -> Roster:
        """The newest roster; an empty one (version 0) before the first arrived."""
        return self._newest(tx, "roster", self._read_roster) or Roster(self.trust.county)

    def items(self, tx: Connection) -> Mapping[str, Mapping[str, Any]]:
        """The published items by code. Raises NoReference before the first catalogue arrived."""
        found: Mapping[str, Mapping[str, Any]] | None = self._newest(tx, "catalogue", self._read_catalogue)
        if found is None:
            raise NoReference(
                "The catalogue of items has not arrived yet; connect this device to the county once.",
                "事项目录尚未下发，请先让本设备与县中心连接一次。",
            )
        return found

    def calendar(self, tx: Connection) -> Calendar:
        """The newest calendar; before the first arrived one that knows no year, so that every date is provisional."""
        return self._newest(tx, "calendar", self._read_calendar) or Calendar()

    def item(self, tx: Connection, code: str) -> Mapping[str, Any]:
        """The published item. Raises NoReference, UnknownItem."""
        found = self.items(tx).get(code)
        if found is None:
            raise UnknownItem(
                f"The catalogue has no item {code!r}.", f"事项目录中没有编码为“{code}”的事项。", item=code
            )
        return found

    def versions(self, tx: Connection) -> dict[str, int]:
        """The version held of each kind of document, 0 for none."""
        held = document_versions(tx)
        return {kind: held.get(kind, 0) for kind in KINDS}

    def _newest(self, tx: Connection, kind: str, read: Callable[[Connection, int], Any]) -> Any:
        version = document_versions(tx).get(kind, 0)
        if version == 0:
            return None
        cached = self._cache.get(kind)
        if cached is None or cached[0] != version:
            cached = (version, read(tx, version))
            self._cache[kind] = cached
        return cached[1]

    def _read_roster(self, tx: Connection, version: int) -> Roster:
        stored = documents_after(tx, "roster")
        whole = max((one.version for one in stored if one.base_version == 0), default=0)
        return Roster.of(self.trust.county, *(self._open(one.blob) for one in stored if one.version >= whole))

    def _read_catalogue(self, tx: Connection, version: int) -> dict[str, Any]:
        return {str(item["code"]): item for item in self._content(tx, "catalogue", version)["items"]}

    def _read_calendar(self, tx: Connection, version: int) -> Calendar:
        return Calendar.from_content(self._content(tx, "calendar", version), version)

    def _content(self, tx: Connection, kind: str, version: int) -> Any:
        stored = document(tx, kind, version)
        assert stored is not None  # read in the same snapshot as its version
        return self._open(stored.blob).content

    def _open(self, blob: bytes) -> Document:
        for trust in (self.trust, *reversed(self._former)):
            try:
                return open_document(blob, trust)
            except BadSignature:
                continue
        raise BadSignature("a stored document is not signed by any hub that this device has trusted")


def take_document(tx: Connection, blob: bytes, trust: Trust, *, arrived_ms: int) -> Document:
    """Verify a document and keep it, in the caller's transaction. One that we hold already changes nothing.

    Raises:  MalformedBytes, BadSignature, WrongRecipient; StaleDocument if it is older than ours, or a change of a
             version that we do not hold.
    """
    opened = open_document(blob, trust)
    held = document_versions(tx).get(opened.kind, 0)
    if opened.version < held or (opened.base_version and opened.base_version > held):
        raise StaleDocument(
            f"{opened.kind} {opened.version} based on {opened.base_version} does not follow version {held}"
        )
    stored = StoredDocument(opened.kind, opened.version, opened.base_version, opened.issued_ms, blob)
    save_document(tx, stored, arrived_ms=arrived_ms)
    return opened
