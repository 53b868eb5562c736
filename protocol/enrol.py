"""Enrolment: how a machine that has no name yet becomes a device of an office.

For: the one-time code an administrator hands out, the machine's request, the hub's answer.
May not: keep codes (hub/ does, hashed); talk to anybody; draw randomness.
Spec: docs/protocol/trust.md, "Enrolment".
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from protocol import canonical
from protocol.errors import BadSeal, InputError, MalformedBytes, TooLarge, WrongRecipient
from protocol.keys import DeviceKeys
from protocol.signed import open_statement, peek_statement, sign_statement
from protocol.suites import suite
from protocol.trust import HubCard, HubCertificate, Trust

SECRET_BYTES = 16
PREFIX = "LD1"
REQUEST_BYTES_MAX = 8_192
ANSWER_BYTES_MAX = 4_194_304  # an answer in a file may carry the roster and catalogue of a large county
DOMAIN_SEAL = b"liandong join v1"


class BadCode(InputError):
    """An enrolment code that was mistyped or is none of ours."""

    code = "bad_code"


@dataclass(frozen=True, slots=True)
class EnrolCode:
    """What the code says: where to knock, whom to believe, and a secret that works once."""

    county: str
    office: str
    broker: str
    root_fingerprint: bytes
    secret: bytes

    def to_text(self) -> str:
        """`LD1-XXXXX-…`: base32 with a check, letters that no one confuses aloud need not be typed: it is copied."""
        raw = canonical.encode([self.county, self.office, self.broker, self.root_fingerprint, self.secret])
        raw += hashlib.sha256(raw).digest()[:3]
        text = base64.b32encode(raw).decode("ascii").rstrip("=")
        return "-".join([PREFIX, *(text[at : at + 6] for at in range(0, len(text), 6))])

    @staticmethod
    def from_text(text: str) -> EnrolCode:
        """Raises BadCode; spaces, line ends and lower case are forgiven."""
        compact = "".join(text.split()).upper().replace("-", "")
        wrong = BadCode(
            "This is not an enrolment code; copy it again from the county's list.", "这不是有效的入网码，请重新抄录。"
        )
        if not compact.startswith(PREFIX):
            raise wrong
        body = compact[len(PREFIX) :]
        try:
            raw = base64.b32decode(body + "=" * (-len(body) % 8))
            if hashlib.sha256(raw[:-3]).digest()[:3] != raw[-3:]:
                raise wrong
            county, office, broker, mark, secret = canonical.decode(raw[:-3])
        except (ValueError, TypeError, MalformedBytes, TooLarge) as error:
            raise wrong from error
        return EnrolCode(county, office, broker, mark, secret)

    def check_card(self, card: HubCard) -> None:
        """Raises WrongRecipient if the card is not of the county that issued this code."""
        if card.fingerprint != self.root_fingerprint or card.county != self.county:
            raise WrongRecipient(
                "This hub card does not belong to the county that issued the code.",
                "该中心名片与入网码不属于同一个县。",
            )


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A new machine's public keys and the code's secret. reply_box: where it listens; empty when files are exchanged."""

    county: str
    office: str
    sign_public: bytes
    seal_public: bytes
    suite: int
    secret: bytes
    label: str
    reply_box: str


def seal_request(request: JoinRequest, *, keys: DeviceKeys, hub: HubCertificate) -> bytes:
    """For the hub's eyes only, signed with the new key (proof of possession)."""
    content = {
        "county": request.county,
        "office": request.office,
        "sign": request.sign_public,
        "seal": request.seal_public,
        "device_suite": request.suite,
        "secret": request.secret,
        "label": request.label,
        "reply": request.reply_box,
    }
    statement = sign_statement("join request", content, seed=keys.sign_seed, suite_number=keys.suite)
    sealed = suite(hub.suite).seal(hub.seal_public, DOMAIN_SEAL, statement)
    return canonical.encode([1, hub.incarnation, sealed])


def open_request(blob: bytes, *, keys: DeviceKeys) -> JoinRequest:
    """Raises MalformedBytes, WrongRecipient, BadSeal, BadSignature, WeakKey."""
    sealed = _sealed_for(blob, keys.incarnation, REQUEST_BYTES_MAX)
    statement = suite(keys.suite).open(keys.seal_seed, DOMAIN_SEAL, sealed)
    claimed = peek_statement(statement, "join request")
    content = open_statement(statement, "join request", public=claimed.get("sign", b""))
    try:
        request = JoinRequest(
            content["county"],
            content["office"],
            content["sign"],
            content["seal"],
            content["device_suite"],
            content["secret"],
            content["label"],
            content["reply"],
        )
    except KeyError as error:
        raise MalformedBytes("a join request without all its fields") from error
    if request.county != keys.county:
        raise WrongRecipient("a join request for another county")
    suite(request.suite).check_public(request.sign_public, request.seal_public)
    return request


@dataclass(frozen=True, slots=True)
class JoinAnswer:
    """The hub's word on a request: refused with a code, or the broker account and (in files) the documents."""

    county: str
    office: str
    device: bytes
    refused: str
    reason: str
    broker_user: str
    broker_password: str
    hub_ms: int
    documents: tuple[bytes, ...] = ()


def seal_answer(answer: JoinAnswer, *, keys: DeviceKeys, seal_public: bytes, device_suite: int) -> bytes:
    """For the new device's eyes only, signed by the hub."""
    content = {
        "county": answer.county,
        "office": answer.office,
        "device": answer.device,
        "refused": answer.refused,
        "reason": answer.reason,
        "user": answer.broker_user,
        "password": answer.broker_password,
        "at": answer.hub_ms,
        "documents": list(answer.documents),
    }
    statement = sign_statement("join answer", content, seed=keys.sign_seed, suite_number=keys.suite)
    return canonical.encode([1, answer.device, suite(device_suite).seal(seal_public, DOMAIN_SEAL, statement)])


def open_answer(blob: bytes, *, keys: DeviceKeys, trust: Trust) -> JoinAnswer:
    """Raises MalformedBytes, WrongRecipient (for another machine), BadSeal, BadSignature."""
    sealed = _sealed_for(blob, keys.incarnation, ANSWER_BYTES_MAX)
    statement = suite(keys.suite).open(keys.seal_seed, DOMAIN_SEAL, sealed)
    content = open_statement(statement, "join answer", public=trust.hub.sign_public)
    try:
        return JoinAnswer(
            content["county"],
            content["office"],
            content["device"],
            content["refused"],
            content["reason"],
            content["user"],
            content["password"],
            content["at"],
            tuple(content["documents"]),
        )
    except KeyError as error:
        raise MalformedBytes("a join answer without all its fields") from error


def _sealed_for(blob: bytes, incarnation: bytes, bytes_max: int) -> bytes:
    parts = canonical.decode(blob, bytes_max=bytes_max)
    if not (isinstance(parts, list) and len(parts) == 3 and parts[0] == 1 and type(parts[2]) is bytes):
        raise MalformedBytes("not a join message")
    if parts[1] != incarnation:
        raise WrongRecipient("a join message for another machine")
    if not parts[2]:
        raise BadSeal("an empty seal")
    return bytes(parts[2])
