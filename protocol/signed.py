"""Signed statements: the one shape of everything signed that is neither an op nor an envelope.

For: receipts, documents, certificates, join answers: canonical content, its type named inside, one signature.
May not: decide whose key counts (callers pass it); read a clock.
Spec: docs/protocol/signed.md.
"""

from __future__ import annotations

from typing import Any

from protocol import canonical
from protocol.errors import BadSignature, MalformedBytes, UnknownVersion
from protocol.suites import suite

VERSION = 1
DOMAIN = b"liandong statement v1"


def sign_statement(kind: str, content: dict[str, Any], *, seed: bytes, suite_number: int = 1) -> bytes:
    """The bytes of a signed statement.

    Args:    kind: what it is ("receipt", "document", …); signed with the content, so that a statement made for one
             use never passes for another. content: canonical values, str keys, none of "v", "suite", "kind".
    """
    signed = canonical.encode({"v": VERSION, "suite": suite_number, "kind": kind, **content})
    return canonical.encode([signed, suite(suite_number).sign(seed, DOMAIN, signed)])


def open_statement(blob: bytes, kind: str, *, public: bytes) -> dict[str, Any]:
    """The content of a statement of this kind, signed by the owner of `public`.

    Raises:  MalformedBytes, UnknownVersion, BadSignature.
    """
    signed, signature, content = _parts(blob, kind)
    suite(content["suite"]).verify(public, DOMAIN, signed, signature)
    return content


def peek_statement(blob: bytes, kind: str) -> dict[str, Any]:
    """The content before its signature was checked: only to learn whose key to check it with."""
    return _parts(blob, kind)[2]


def _parts(blob: bytes, kind: str) -> tuple[bytes, bytes, dict[str, Any]]:
    pair = canonical.decode(blob)
    if not (isinstance(pair, list) and len(pair) == 2 and all(type(part) is bytes for part in pair)):
        raise MalformedBytes("a statement is a pair of signed bytes and signature")
    content = canonical.decode(pair[0])
    if not isinstance(content, dict):
        raise MalformedBytes("the content of a statement is a map")
    if content.get("v") != VERSION or type(content.get("suite")) is not int:
        raise UnknownVersion("a statement of another format version")
    if content.get("kind") != kind:
        raise BadSignature(f"a statement of another kind where a {kind} is due")
    return pair[0], pair[1], content
