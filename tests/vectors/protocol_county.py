"""A county of fixed test keys for vectors and protocol tests: test-only, derived from names, never secret."""

from __future__ import annotations

import hashlib

from protocol.keys import DeviceKeys
from protocol.roster import Device, Office, Roster
from protocol.suites import suite
from protocol.trust import HubCard, HubCertificate, Trust, sign_certificate

COUNTY = "420222"
NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def seed(name: str) -> bytes:
    return hashlib.sha256(b"liandong test-only key " + name.encode()).digest()


def keys(name: str, office: str, role: str = "edge", county: str = COUNTY) -> DeviceKeys:
    return DeviceKeys(county, office, role, seed(name + " sign"), seed(name + " seal"))


def device(own: DeviceKeys, state: str = "active") -> Device:
    return Device(own.incarnation, own.office, own.role, own.sign_public, own.seal_public, own.suite, NOW_MS, state)


ROOT_SEED = seed("root")
HUB = keys("hub", COUNTY, "hub")
VILLAGE = keys("village", "420222107205")
TOWNSHIP = keys("township", "420222107")
REVOKED = keys("revoked", "420222107201")
STRANGER = keys("stranger", "420222107202")
FOREIGN = keys("foreign", "331123101201", county="331123")
KEYS = {
    "hub": HUB,
    "village": VILLAGE,
    "township": TOWNSHIP,
    "revoked": REVOKED,
    "stranger": STRANGER,
    "foreign": FOREIGN,
}


def certificate(serial: int = 1, own: DeviceKeys = HUB) -> bytes:
    named = HubCertificate(COUNTY, serial, own.sign_public, own.seal_public, own.suite, NOW_MS)
    return sign_certificate(named, root_seed=ROOT_SEED)


def card() -> HubCard:
    root = suite(1).signing_public(ROOT_SEED)
    return HubCard(COUNTY, "阳新县", "mqtt://127.0.0.1:1883", root, certificate())


def trust() -> Trust:
    return Trust.of(card())


def roster() -> Roster:
    county = Roster(COUNTY)
    for code, name, level, parent in (
        ("420222", "阳新县", "county", "4202"),
        ("420222107", "白沙镇", "township", "420222"),
        ("420222107205", "白沙铺村委会", "village", "420222107"),
        ("420222107201", "潘祥村委会", "village", "420222107"),
        ("420222107202", "下畈村委会", "village", "420222107"),
    ):
        county.put_office(Office(code, name, level, parent))
    for own in (HUB, VILLAGE, TOWNSHIP):
        county.put_device(device(own))
    county.put_device(device(REVOKED, "revoked"))
    county.publish(NOW_MS)
    return county
