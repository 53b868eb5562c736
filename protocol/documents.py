"""Documents: versioned reference data that the hub publishes under its signature.

For: roster, catalogue, calendar and whatever else every office must hold alike; whole or as changes since a version.
May not: know what a catalogue item or a calendar day is; read a clock.
Spec: docs/protocol/documents.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocol.errors import MalformedBytes, WrongRecipient
from protocol.keys import DeviceKeys
from protocol.signed import open_statement, sign_statement
from protocol.trust import Trust

KINDS = ("roster", "catalogue", "calendar")
DOCUMENT_BYTES_MAX = 8 * 2**20  # a roster of a large county has about 1 MiB


@dataclass(frozen=True, slots=True)
class Document:
    """One version of one kind. `base_version` 0 is the whole; above 0 only what changed since that version."""

    kind: str
    county: str
    version: int
    base_version: int
    issued_ms: int
    content: Any


def sign_document(document: Document, keys: DeviceKeys) -> bytes:
    """The document signed by the hub. Raises LocalProtocolError if its content is not canonical."""
    content = {
        "document": document.kind,
        "county": document.county,
        "version": document.version,
        "base": document.base_version,
        "issued": document.issued_ms,
        "content": document.content,
    }
    return sign_statement("document", content, seed=keys.sign_seed, suite_number=keys.suite)


def open_document(blob: bytes, trust: Trust) -> Document:
    """The document, believed because the certified hub of our county signed it.

    Raises:  MalformedBytes, BadSignature, WrongRecipient (another county's).
    """
    content = open_statement(blob, "document", public=trust.hub.sign_public)
    try:
        document = Document(
            content["document"],
            content["county"],
            content["version"],
            content["base"],
            content["issued"],
            content["content"],
        )
    except KeyError as error:
        raise MalformedBytes("a document without all its fields") from error
    if document.county != trust.county:
        raise WrongRecipient("a document of another county")
    if not 0 <= document.base_version < document.version:
        raise MalformedBytes("a document whose base is not older than itself")
    return document
