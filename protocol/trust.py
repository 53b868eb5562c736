"""Whom a device believes: the county root certifies the hub, the hub signs everything else.

For: hub certificates, the hub card that carries one, fingerprints that two people compare.
May not: hold private keys; read a clock.
Spec: docs/protocol/trust.md.  Decision: docs/decisions/0002-root-certifies-hub.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol import canonical
from protocol.errors import MalformedBytes, StaleDocument, WrongRecipient
from protocol.keys import incarnation_of
from protocol.signed import open_statement, sign_statement
from protocol.suites import suite

FINGERPRINT_BYTES = 16
DOMAIN_FINGERPRINT = b"liandong fingerprint v1"


@dataclass(frozen=True, slots=True)
class HubCertificate:
    """What the root says of the hub. `serial` only grows: a replaced hub has a higher one."""

    county: str
    serial: int
    sign_public: bytes
    seal_public: bytes
    suite: int
    since_ms: int

    @property
    def incarnation(self) -> bytes:
        return incarnation_of(self.sign_public, self.seal_public, self.suite)


def sign_certificate(certificate: HubCertificate, *, root_seed: bytes) -> bytes:
    """The certificate as signed by the county root."""
    content = {
        "county": certificate.county,
        "serial": certificate.serial,
        "sign": certificate.sign_public,
        "seal": certificate.seal_public,
        "hub_suite": certificate.suite,
        "since": certificate.since_ms,
    }
    return sign_statement("hub certificate", content, seed=root_seed)


def open_certificate(blob: bytes, *, root_public: bytes) -> HubCertificate:
    """Raises MalformedBytes, BadSignature."""
    content = open_statement(blob, "hub certificate", public=root_public)
    try:
        return HubCertificate(
            content["county"],
            content["serial"],
            content["sign"],
            content["seal"],
            content["hub_suite"],
            content["since"],
        )
    except KeyError as error:
        raise MalformedBytes("a hub certificate without all its fields") from error


@dataclass(frozen=True, slots=True)
class HubCard:
    """What a new device must know of its county: public, but the device checks it against its enrolment code."""

    county: str
    name: str
    broker: str
    root_public: bytes
    certificate: bytes

    def to_bytes(self) -> bytes:
        return canonical.encode(
            {
                "v": 1,
                "county": self.county,
                "name": self.name,
                "broker": self.broker,
                "root": self.root_public,
                "certificate": self.certificate,
            }
        )

    @staticmethod
    def from_bytes(blob: bytes) -> HubCard:
        """Raises MalformedBytes if it is no card; BadSignature if its certificate is not the root's."""
        content = canonical.decode(blob)
        try:
            card = HubCard(
                content["county"], content["name"], content["broker"], content["root"], content["certificate"]
            )
            open_certificate(card.certificate, root_public=card.root_public)
        except (KeyError, TypeError) as error:
            raise MalformedBytes("not a hub card") from error
        return card

    @property
    def hub(self) -> HubCertificate:
        return open_certificate(self.certificate, root_public=self.root_public)

    @property
    def fingerprint(self) -> bytes:
        return fingerprint(self.root_public)


def fingerprint(public: bytes) -> bytes:
    """16 bytes that stand for a public key where the whole is too long."""
    return suite(1).hash(DOMAIN_FINGERPRINT, public)[:FINGERPRINT_BYTES]


def spoken(mark: bytes) -> str:
    """A fingerprint's first 80 bits as digits in groups, for two people on the telephone."""
    number = int.from_bytes(mark[:10], "big") % 10**20
    text = f"{number:020d}"
    return " ".join(text[at : at + 4] for at in range(0, 20, 4))


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys a device believes: its county, the root, the hub's current certificate."""

    county: str
    root_public: bytes
    hub: HubCertificate

    @staticmethod
    def of(card: HubCard) -> Trust:
        return Trust(card.county, card.root_public, card.hub)

    def renewed(self, certificate: bytes) -> Trust:
        """This trust with a newer hub certificate.

        Raises:  BadSignature (not the root's), WrongRecipient (another county), StaleDocument (a lower serial).
        """
        hub = open_certificate(certificate, root_public=self.root_public)
        if hub.county != self.county:
            raise WrongRecipient("a hub certificate of another county")
        if hub.serial < self.hub.serial:
            raise StaleDocument("a hub certificate older than the one we hold")
        return Trust(self.county, self.root_public, hub)
