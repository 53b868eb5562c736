"""A small county for tests of the edge: real root, hub keys, signed documents, and devices that join with files.

No broker and no hub process: what the hub would sign is signed here with the hub's keys, by the protocol's own code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import select

from conflict.ledger.schema import ops as ops_table
from edge.clock import Clock
from edge.join import finish, prepare
from edge.main import Node, open_node
from edge.sync.intake import Intake
from protocol import keys as device_keys
from protocol.documents import Document, sign_document
from protocol.enrol import EnrolCode, JoinAnswer, seal_answer
from protocol.keys import DeviceKeys
from protocol.roster import Device, Office, Roster
from protocol.suites import suite
from protocol.trust import HubCard, HubCertificate, Trust, fingerprint, sign_certificate

COUNTY = "420222"
TOWN = "420222102"
VILLAGE = "420222102001"
OTHER_VILLAGE = "420222102002"
NOW_MS = 1_767_574_800_000  # 2026-01-05 09:00 in the county, a Monday
GOOD_ID = "11010519491231002X"  # the example of GB 11643

ITEMS = [
    {"code": "JF-1", "name": "最低生活保障审核确认", "kind": "committed", "accept_level": "village", "approve_level": "county",
     "promised": [5, "workday"], "statutory": [20, "workday"], "materials": ["个人申请书", "身份证复印件"]},
    {"code": "JB-1", "name": "城乡居民养老保险参保登记", "kind": "immediate", "accept_level": "village",
     "approve_level": "village", "materials": []},
    {"code": "DF-1", "name": "政策咨询", "kind": "reply", "accept_level": "village", "approve_level": "village", "materials": []},
    {"code": "SB-1", "name": "烟草专卖零售许可", "kind": "submit_up", "accept_level": "village", "approve_level": "city",
     "statutory": [20, "workday"], "materials": ["申请表"]},
    {"code": "XK-1", "name": "建设工程规划许可", "kind": "committed", "accept_level": "county", "approve_level": "county",
     "materials": []},
]  # fmt: skip


def seeds(name: str) -> Callable[[int], bytes]:
    """Bytes that look random and are the same in every run."""
    numbers = count()
    return lambda size: hashlib.sha512(f"{name} {next(numbers)}".encode()).digest()[:size]


@dataclass
class Hands:
    """A clock that a test moves."""

    now_ms: int = NOW_MS
    mono_ms: int = 1_000_000
    boot_id: str = "boot-1"

    def clock(self) -> Clock:
        return Clock(lambda: self.now_ms, lambda: self.mono_ms, self.boot_id)

    def forward(self, ms: int) -> None:
        self.now_ms += ms
        self.mono_ms += ms


@dataclass
class County:
    """Root, hub and documents. `enrol` makes devices in directories of their own."""

    root_seed: bytes = field(default_factory=lambda: seeds("root")(32))
    hub: DeviceKeys = field(default_factory=lambda: device_keys.generate(COUNTY, COUNTY, "hub", seeds("hub")))
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        hub = self.hub
        certificate = HubCertificate(COUNTY, 1, hub.sign_public, hub.seal_public, hub.suite, NOW_MS)
        blob = sign_certificate(certificate, root_seed=self.root_seed)
        root_public = suite(1).signing_public(self.root_seed)
        self.card = HubCard(COUNTY, "阳新县", "mqtt://127.0.0.1:1", root_public, blob)
        self.trust = Trust.of(self.card)
        self.roster = Roster(COUNTY)
        for code, name, level, parent in (
            (COUNTY, "阳新县政务服务中心", "county", ""),
            (TOWN, "白沙镇便民服务厅", "township", COUNTY),
            (VILLAGE, "白沙村便民服务室", "village", TOWN),
            (OTHER_VILLAGE, "下白沙村便民服务室", "village", TOWN),
        ):
            self.roster.put_office(Office(code, name, level, parent))
        self.roster.put_device(Device(hub.incarnation, COUNTY, "hub", hub.sign_public, hub.seal_public, 1, NOW_MS))

    def enrol(self, directory: Path, office: str, hands: Hands, *, documents: bool = True) -> Node:
        """A joined device, open."""
        secret = seeds(f"code {office} {next(self.numbers)}")(16)
        code = EnrolCode(COUNTY, office, self.card.broker, fingerprint(self.card.root_public), secret)
        _config, _code, keys = prepare(directory, code.to_text(), self.card)
        device = Device(keys.incarnation, office, "edge", keys.sign_public, keys.seal_public, keys.suite, NOW_MS)
        self.roster.put_device(device)
        blobs = tuple(self.documents()) if documents else ()
        answer = JoinAnswer(COUNTY, office, keys.incarnation, "", "", "user", "password", NOW_MS, blobs)
        sealed = seal_answer(answer, keys=self.hub, seal_public=keys.seal_public, device_suite=keys.suite)
        finish(directory, sealed, hands.clock())
        return open_node(directory, hands.clock())

    def documents(self) -> list[bytes]:
        """A new version of the roster, and the first of catalogue and calendar."""
        return [
            sign_document(self.roster.publish(NOW_MS), self.hub),
            self.document(
                "catalogue", 1, {"items": [{"version": 1, "department": "民政局", **item} for item in ITEMS]}
            ),
            self.document(
                "calendar", 1, {"years": {"2026": {"off": ["01-01", "01-02"], "work": ["01-04"]}}, "source": "test"}
            ),
        ]

    def document(self, kind: str, version: int, content: Any) -> bytes:
        return sign_document(Document(kind, COUNTY, version, 0, NOW_MS, content), self.hub)


def carry(source: Node, target: Node) -> int:
    """Hand all ops of one device to another through its intake, as a stick would; returns how many were new."""
    with source.store.read() as tx:
        blobs = list(tx.execute(select(ops_table.c.blob).order_by(ops_table.c.pos)).scalars())
    intake = Intake(target.store, target.keys, target.reference, target.clock)
    return intake.ops(blobs, via="test")


def spread(county: County, *nodes: Node) -> None:
    """Give every device the newest roster, so that each knows the others' keys."""
    blob = sign_document(county.roster.publish(NOW_MS), county.hub)
    for node in nodes:
        Intake(node.store, node.keys, node.reference, node.clock).document(blob)
