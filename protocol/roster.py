"""The roster: which offices and devices a county has, with their keys and states.

For: looking up who may speak and for which office; applying the hub's signed versions; saying what changed since one.
May not: judge what an office may do with a case (conflict/ does); read a clock.
Spec: docs/protocol/trust.md, "Roster".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from protocol.documents import Document
from protocol.errors import MalformedBytes, RevokedSender, StaleDocument, SuiteNotAllowed, UnknownSender

ACTIVE, REVOKED, FROZEN = "active", "revoked", "frozen"
DEPTH_MAX = 8  # province, city, county, township, village, and room for a level that some county has in between
LEVELS = {12: "village", 9: "township", 6: "county", 4: "city", 2: "province"}  # by length of the area code


@dataclass(frozen=True, slots=True)
class Office:
    """One office. `parent` is empty for the topmost; it usually is the code's prefix, but the roster rules."""

    code: str
    name: str
    level: str
    parent: str
    retired: bool = False
    changed: int = 0  # roster version that last changed this entry


@dataclass(frozen=True, slots=True)
class Device:
    """One incarnation of one machine. state: active, revoked (may not speak), frozen (two machines spoke as it)."""

    incarnation: bytes
    office: str
    role: str
    sign_public: bytes
    seal_public: bytes
    suite: int
    since_ms: int
    state: str = ACTIVE
    state_ms: int = 0
    label: str = ""
    changed: int = 0


class Roster:
    """A county's offices and devices at one version. Changed only by `apply` and, at the hub, by `put_*`."""

    def __init__(self, county: str) -> None:
        self.county = county
        self.version = 0
        self.issued_ms = 0
        self.suites: tuple[int, ...] = (1,)
        self.offices: dict[str, Office] = {}
        self.devices: dict[bytes, Device] = {}
        self._children: dict[str, list[str]] | None = None

    def office(self, code: str) -> Office | None:
        return self.offices.get(code)

    def device(self, incarnation: bytes) -> Device | None:
        return self.devices.get(incarnation)

    def speaker(self, incarnation: bytes) -> Device:
        """The device that may speak under this name now. Raises UnknownSender, RevokedSender, SuiteNotAllowed."""
        device = self.devices.get(incarnation)
        if device is None:
            raise UnknownSender("the roster that we hold does not name this device")
        if device.state == REVOKED:
            raise RevokedSender("this device was revoked", office=device.office)
        if device.suite not in self.suites:
            raise SuiteNotAllowed(f"suite {device.suite} is not allowed in this county", office=device.office)
        return device

    def devices_of(self, office: str) -> list[Device]:
        return [device for device in self.devices.values() if device.office == office and device.role == "edge"]

    def parent(self, code: str) -> str:
        office = self.offices.get(code)
        return office.parent if office else ""

    def is_above(self, upper: str, lower: str) -> bool:
        """Whether office `upper` is somewhere above office `lower`; no office is above itself."""
        for _ in range(DEPTH_MAX):
            lower = self.parent(lower)
            if not lower or lower == upper:
                return lower == upper != ""
        return False

    def level(self, code: str) -> str:
        office = self.offices.get(code)
        return office.level if office else LEVELS.get(len(code), "")

    def children(self, code: str) -> list[str]:
        """Codes of the offices directly below, sorted."""
        if self._children is None:
            table: dict[str, list[str]] = {}
            for office in self.offices.values():
                table.setdefault(office.parent, []).append(office.code)
            self._children = {parent: sorted(codes) for parent, codes in table.items()}
        return self._children.get(code, [])

    def go_on_from(self, version: int) -> None:
        """Have the next version be at least `version`; before anything is put. Hub only, after a restore."""
        self.version = max(self.version, version - 1)

    def put_office(self, office: Office) -> None:
        self.offices[office.code] = replace(office, changed=self.version + 1)
        self._children = None

    def put_device(self, device: Device) -> None:
        self.devices[device.incarnation] = replace(device, changed=self.version + 1)

    def publish(self, issued_ms: int) -> Document:
        """The next version with all that was put since the last, as a whole document. Hub only."""
        self.version += 1
        self.issued_ms = issued_ms
        return self.changes_since(0)

    def changes_since(self, version: int) -> Document:
        """The document that brings a holder of `version` to this one; the whole roster for version 0."""
        content = {
            "suites": list(self.suites),
            "offices": [
                [o.code, o.name, o.level, o.parent, o.retired, o.changed]
                for o in sorted(self.offices.values(), key=lambda o: o.code)
                if o.changed > version
            ],
            "devices": [
                [
                    d.incarnation,
                    d.office,
                    d.role,
                    d.sign_public,
                    d.seal_public,
                    d.suite,
                    d.since_ms,
                    d.state,
                    d.state_ms,
                    d.label,
                    d.changed,
                ]
                for d in sorted(self.devices.values(), key=lambda d: d.incarnation)
                if d.changed > version
            ],
        }
        return Document("roster", self.county, self.version, version, self.issued_ms, content)

    def apply(self, document: Document) -> None:
        """Take over a newer version.

        Raises:  StaleDocument if it is not newer or builds on a version that we do not hold yet; MalformedBytes.
        """
        if document.version <= self.version or document.base_version > self.version:
            raise StaleDocument(
                f"roster {document.version} based on {document.base_version} does not follow {self.version}"
            )
        offices, devices, suites = entries_of(document)
        if document.base_version == 0:
            self.offices, self.devices = {}, {}
        self.offices.update({office.code: office for office in offices})
        self.devices.update({device.incarnation: device for device in devices})
        self.suites, self.version, self.issued_ms = suites, document.version, document.issued_ms
        self._children = None

    @staticmethod
    def of(county: str, *documents: Document) -> Roster:
        """A roster from a whole document and the changes after it."""
        roster = Roster(county)
        for document in documents:
            roster.apply(document)
        return roster


def entries_of(document: Document) -> tuple[list[Office], list[Device], tuple[int, ...]]:
    """Offices, devices and suites that a roster document names, whole or a change. Raises MalformedBytes."""
    try:
        offices = [Office(*row) for row in document.content["offices"]]
        devices = [Device(*row) for row in document.content["devices"]]
        return offices, devices, tuple(int(number) for number in document.content["suites"])
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedBytes("a roster with a malformed entry") from error


def entry(device: Device) -> dict[str, Any]:
    """A device as people and scripts see it: no keys."""
    return {
        "device": device.incarnation.hex(),
        "office": device.office,
        "role": device.role,
        "state": device.state,
        "since_ms": device.since_ms,
        "label": device.label,
    }
