"""Succession: the old name's signed word that new keys follow it, inside a join request that needs no code.

For: making and checking that word; telling a join request from an envelope in a device's mailbox.
May not: decide whether a succession is taken (hub/succession.py does).
Spec: docs/protocol/trust.md, "Succession".
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.enrol import REQUEST_BYTES_MAX, SECRET_BYTES, JoinRequest
from protocol.errors import MalformedBytes, WrongRecipient
from protocol.keys import DeviceKeys
from protocol.roster import Device
from protocol.signed import open_statement, peek_statement, sign_statement

KIND = "succession"
_REQUEST_START = b"\x93\x01"  # canonical: a list of three that begins with 1; an envelope begins with bytes
_BYTES = {"from": 8, "sign": 32, "seal": 32}


@dataclass(frozen=True, slots=True)
class Succession:
    """The old incarnation and the new public keys that it names."""

    old: bytes
    county: str
    office: str
    sign_public: bytes
    seal_public: bytes


def sign_succession(keys: DeviceKeys, old: DeviceKeys) -> bytes:
    """What stands in a join request instead of a code's secret."""
    content = {
        "county": keys.county,
        "office": keys.office,
        "from": old.incarnation,
        "sign": keys.sign_public,
        "seal": keys.seal_public,
    }
    return sign_statement(KIND, content, seed=old.sign_seed, suite_number=old.suite)


def is_succession(request: JoinRequest) -> bool:
    """Whether the request rests on an old name and not on a code."""
    return len(request.secret) > SECRET_BYTES


def peek_old(request: JoinRequest) -> bytes:
    """The old incarnation that the request names, before its signature was checked. Raises MalformedBytes and kin."""
    old = peek_statement(request.secret, KIND).get("from")
    if type(old) is not bytes or len(old) != _BYTES["from"]:
        raise MalformedBytes("a succession without an old name")
    return old


def check_succession(request: JoinRequest, old: Device) -> Succession:
    """The word of `old` in this request, its signature checked and its keys compared with those that ask.

    Raises:  MalformedBytes, UnknownVersion, BadSignature; WrongRecipient if it speaks for other keys or another office.
    """
    content = open_statement(request.secret, KIND, public=old.sign_public)
    said = (content.get("county"), content.get("office"), content.get("from"), content.get("sign"), content.get("seal"))
    asks = (request.county, request.office, old.incarnation, request.sign_public, request.seal_public)
    if said != asks:
        raise WrongRecipient("a succession for other keys or another office", "承继声明与申请的密钥或机构不符。")
    return Succession(old.incarnation, request.county, request.office, request.sign_public, request.seal_public)


def is_request(payload: bytes) -> bool:
    """Whether bytes in a device's mailbox are a join request and not an envelope. Both are checked in full later."""
    return len(payload) <= REQUEST_BYTES_MAX and payload.startswith(_REQUEST_START)
