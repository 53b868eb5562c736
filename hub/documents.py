"""Documents: the hub's signed reference data, and the shelf from which devices take what they lack.

For: publishing roster, catalogue and calendar; the hub's own copy of them, refreshed when another process published;
saying what would bring a device up to date, and handing it out in chunks.
May not: commit; read CSV (hub.catalogue and hub.areas do).
Spec: docs/protocol/documents.md.  Decision: docs/decisions/0082-changes-of-the-roster.md.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, delete, func, select

from conflict.calendar import Calendar
from conflict.ledger import meta
from conflict.ledger import schema as ledger
from conflict.ledger.statements import insert_new
from conflict.terms import terms_of
from hub import catalogue, era, schema
from hub.turn import take_turn
from protocol import canonical
from protocol.chunks import CHUNK_BYTES
from protocol.documents import KINDS, Document, open_document, sign_document
from protocol.errors import InputError
from protocol.keys import DeviceKeys
from protocol.roster import Roster
from protocol.trust import Trust

OLD_KEPT = 20  # versions of a kind that stay in the store; each enrolment makes one of some 50 KB
BLOBS_KEPT = 64  # documents and changes that devices may be fetching at this moment


class Shelf:
    """The published reference data in memory. One per process; `refresh` at the start of each transaction."""

    def __init__(self, trust: Trust, keys: DeviceKeys) -> None:
        self._trust = trust
        self._keys = keys
        self._versions: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._wholes: dict[str, bytes] = {}
        self._changes: dict[tuple[int, int], bytes] = {}  # roster: (base, version) -> signed document
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self.era = era.Era()
        self.roster = Roster(trust.county)
        self.items: dict[str, catalogue.Item] = {}
        self.terms: dict[tuple[str, int], dict[str, Any]] = {}
        self.calendar = Calendar()

    def refresh(self, tx: Connection) -> bool:
        """Take over what was published since. True if anything was. Four small rows are read."""
        self.era = era.read(tx)
        query = select(ledger.documents.c.kind, func.max(ledger.documents.c.version)).group_by(ledger.documents.c.kind)
        newer = {kind: version for kind, version in tx.execute(query) if version != self._versions.get(kind)}
        for kind, version in newer.items():
            stored = meta.document(tx, kind, version)
            if stored is not None:
                self._load(tx, open_document(stored.blob, self._trust), stored.blob)
        return bool(newer)

    def reset(self) -> None:
        """A transaction that published something was undone: read everything again at the next refresh."""
        self._versions = dict.fromkeys(KINDS, 0)
        self._wholes.clear()

    def version(self, kind: str) -> int:
        """The published version of a kind; 0 if none."""
        return self._versions[kind]

    def change_roster(self, tx: Connection, keys: DeviceKeys, change: Callable[[Roster], None], *, now_ms: int) -> None:
        """Publish the next roster version with what `change` puts into it. Raises InputError if it grew too large."""
        take_turn(tx)
        self.refresh(tx)
        self.roster.go_on_from(self.era.documents)
        change(self.roster)
        self._publish(tx, keys, self.roster.publish(now_ms))

    def publish_catalogue(
        self, tx: Connection, keys: DeviceKeys, items: Iterable[catalogue.Item], *, now_ms: int
    ) -> int:
        """Publish these items as the next catalogue; changed ones get their next version. Returns the version.

        An unchanged catalogue is not published again. Raises InputError if it is too large for a document.
        """
        take_turn(tx)
        self.refresh(tx)
        numbered = catalogue.number_versions(
            items, self._newest_items(tx), from_ms=now_ms, at_least=max(1, self.era.items)
        )
        if numbered == list(self.items.values()):
            return self._versions["catalogue"]
        self.keep_items(tx, numbered, now_ms=now_ms)
        return self._publish_next(tx, keys, "catalogue", {"items": numbered}, now_ms)

    def keep_items(self, tx: Connection, items: Iterable[catalogue.Item], *, now_ms: int) -> None:
        """Keep these versions of items, so that terms of cases that rest on them are known; those kept stay as they are."""
        rows = [
            {
                "code": item["code"],
                "version": item["version"],
                "item": canonical.encode(item),
                "since_ms": now_ms,
            }
            for item in items
        ]
        insert_new(tx, schema.item_version, rows)

    def publish_calendar(self, tx: Connection, keys: DeviceKeys, content: Mapping[str, Any], *, now_ms: int) -> int:
        """Publish a calendar as the next version; an unchanged one is not published again. Returns the version."""
        take_turn(tx)
        self.refresh(tx)
        if self.content("calendar") == content:
            return self._versions["calendar"]
        return self._publish_next(tx, keys, "calendar", dict(content), now_ms)

    def publish_again(self, tx: Connection, keys: DeviceKeys, kind: str, content: Any, *, now_ms: int) -> int:
        """Publish a catalogue or calendar that an earlier era had published, as the next version. Returns the version."""
        take_turn(tx)
        self.refresh(tx)
        return self._publish_next(tx, keys, kind, content, now_ms)

    def read_terms(self, tx: Connection) -> None:
        """Read the terms of all item versions again, after `keep_items`."""
        rows = tx.execute(select(schema.item_version))
        self.terms = {(row.code, row.version): terms_of(canonical.decode(row.item)) for row in rows}

    def content(self, kind: str) -> Any:
        """What was published of a kind; None if nothing was."""
        held = self._wholes.get(kind)
        return None if held is None else open_document(held, self._trust).content

    def offers(self, held: Mapping[str, int]) -> list[list[Any]]:
        """[kind, version, base_version, sha256, size] of what brings a holder of these versions up to date."""
        rows: list[list[Any]] = []
        for kind in KINDS:
            version, mine = self._versions[kind], held.get(kind, 0)
            if kind not in self._wholes or mine >= version:
                continue  # a holder of a higher version has what we lost: hub/recall.py asks for it
            foreign = self.era.lost(kind, mine)  # changes would rest on a content that is not ours
            base = mine if kind == "roster" and mine > 0 and not foreign else 0
            blob = self._change(base) if base else self._wholes[kind]
            rows.append([kind, version, base, self._keep(blob), len(blob)])
        return rows

    def chunk(self, digest: bytes, index: int) -> tuple[int, bytes] | None:
        """(size of the whole, bytes of this piece) of a document offered lately; None if it is not on the shelf."""
        blob = self._kept.get(digest)
        if blob is None or index * CHUNK_BYTES >= len(blob):
            return None
        return len(blob), blob[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]

    def whole(self) -> tuple[bytes, ...]:
        """The current documents themselves: for a device that gets them in a file."""
        return tuple(self._wholes[kind] for kind in KINDS if kind in self._wholes)

    def _load(self, tx: Connection, document: Document, blob: bytes) -> None:
        if document.kind == "roster":
            self.roster = Roster.of(document.county, document)
        elif document.kind == "catalogue":
            self.items = catalogue.by_code(document.content["items"])
            self.read_terms(tx)
        elif document.kind == "calendar":
            self.calendar = Calendar.from_content(document.content, document.version)
        self._versions[document.kind] = document.version
        self._wholes[document.kind] = blob

    def _newest_items(self, tx: Connection) -> dict[str, catalogue.Item]:
        query = select(schema.item_version).order_by(schema.item_version.c.version)
        return {row.code: canonical.decode(row.item) for row in tx.execute(query)}

    def _publish_next(self, tx: Connection, keys: DeviceKeys, kind: str, content: Any, now_ms: int) -> int:
        version = max(self._versions[kind] + 1, self.era.documents)
        self._publish(tx, keys, Document(kind, keys.county, version, 0, now_ms, content))
        return version

    def _publish(self, tx: Connection, keys: DeviceKeys, document: Document) -> None:
        blob = sign_document(document, keys)
        if len(blob) > canonical.BYTES_MAX:
            raise InputError(
                f"The {document.kind} is too large to be published ({len(blob)} bytes).",
                f"{document.kind} 过大，无法发布（{len(blob)} 字节）。",
            )
        stored = meta.StoredDocument(document.kind, document.version, document.base_version, document.issued_ms, blob)
        meta.save_document(tx, stored, arrived_ms=document.issued_ms)
        old = (ledger.documents.c.kind == document.kind) & (ledger.documents.c.version <= document.version - OLD_KEPT)
        tx.execute(delete(ledger.documents).where(old))
        self._load(tx, document, blob)

    def _change(self, base: int) -> bytes:
        """The signed changes of the roster since `base`; the same bytes each time, so a fetch can be resumed."""
        key = (base, self._versions["roster"])
        if key not in self._changes:
            if len(self._changes) >= BLOBS_KEPT:
                self._changes.clear()
            self._changes[key] = sign_document(self.roster.changes_since(base), self._keys)
        return self._changes[key]

    def _keep(self, blob: bytes) -> bytes:
        digest = sha256(blob).digest()
        self._kept[digest] = blob
        self._kept.move_to_end(digest)
        while len(self._kept) > BLOBS_KEPT:
            self._kept.popitem(last=False)
        return digest
