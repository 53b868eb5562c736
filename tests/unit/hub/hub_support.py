"""A county to test with: real trees, real items, real keys and signatures; only time and randomness are chosen."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conflict.terms import terms_of
from hub import enrolment
from hub.init import County, init_county, open_county
from hub.intake import Intake
from protocol import keys as device_keys
from protocol.enrol import JoinRequest, open_answer, open_request, seal_answer, seal_request
from protocol.envelope import open_envelope, seal_envelope
from protocol.keys import DeviceKeys
from protocol.messages import Message, Ops
from protocol.op import Draft, Op, sign_op
from protocol.receipt import Receipt, open_receipt
from protocol.roster import Device
from protocol.trust import Trust

DATA = Path(__file__).parents[2] / "data"
AREAS = DATA / "counties" / "420222_yangxin.csv"
ITEMS = DATA / "items.csv"
COUNTY = "420222"
TOWN = "420222107"  # 白沙镇
VILLAGE = "420222107201"
NEIGHBOUR = "420222107202"
FAR = "420222108201"  # a village of 浮屠镇
NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z


class Clock:
    """A wall clock that tests turn."""

    def __init__(self, ms: int = NOW) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return self.ms


def random_source(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def new_county(directory: Path, *, database: str = "", seed: int = 1) -> County:
    """A county made and opened; the caller closes its store."""
    init_county(
        directory,
        areas=AREAS,
        items=ITEMS,
        county=COUNTY,
        database=database,
        now_ms=NOW,
        random_bytes=random_source(seed),
    )
    return open_county(directory)


def enrol(county: County, office: str, *, seed: int, now_ms: int = NOW) -> Machine:
    """A machine of `office`, enrolled with a code as a person would do it, through sealed request and answer."""
    keys = device_keys.generate(COUNTY, office, "edge", random_source(seed))
    with county.store.write() as tx:
        made = enrolment.make_code(
            tx,
            county.config,
            county.shelf.roster,
            office,
            staff="周强",
            now_ms=now_ms,
            random_bytes=random_source(seed + 1_000_000),
        )
    answer = ask(county, keys, made.code.secret, now_ms=now_ms)
    assert answer.refused == ""
    return Machine(county, keys)


def ask(county: County, keys: DeviceKeys, secret: bytes, *, now_ms: int = NOW, reply: str = "join-x") -> Any:
    """Send a join request with this secret; the opened answer."""
    trust = Trust.of(county.card)
    request = JoinRequest(
        COUNTY, keys.office, keys.sign_public, keys.seal_public, keys.suite, secret, "village PC", reply
    )
    opened = open_request(seal_request(request, keys=keys, hub=trust.hub), keys=county.keys)
    with county.store.write() as tx:
        done = enrolment.admit(tx, county.shelf, county.keys, opened, now_ms=now_ms, with_documents=False)
    sealed = seal_answer(done.answer, keys=county.keys, seal_public=keys.seal_public, device_suite=keys.suite)
    return open_answer(sealed, keys=keys, trust=trust)


@dataclass
class Machine:
    """A device with a chain of its own that signs ops and seals envelopes."""

    county: County
    keys: DeviceKeys
    seq: int = 0
    prev: bytes | None = None
    now_ms: int = NOW
    role: str = "chief"

    def op(
        self,
        kind: str,
        body: dict[str, Any],
        parents: Sequence[Op] = (),
        *,
        claimed_ms: int | None = None,
        evidence: tuple[int, int] | None = None,
        office: str | None = None,
        role: str | None = None,
        seed: bytes | None = None,
    ) -> Op:
        """The next op of this device, about the case of its parents."""
        draft = Draft(
            kind=kind,
            case=parents[0].case if parents else None,
            parents=[op.id for op in parents],
            staff="张三",
            role=role or self.role,
            claimed_ms=self.now_ms if claimed_ms is None else claimed_ms,
            body=body,
            evidence=evidence,
        )
        op = sign_op(
            draft,
            office=office or self.keys.office,
            device=self.keys.incarnation,
            seed=seed or self.keys.sign_seed,
            seq=self.seq + 1,
            prev=self.prev,
        )
        self.seq, self.prev = op.seq, op.id
        return op

    def accept(self, item: str = "JF-MZ-001", *, identity: str = "420222198001011237", **changes: Any) -> Op:
        """Open and accept a case of an item as it is published now."""
        known = self.county.shelf.items[item]
        body = {
            "number": f"{self.keys.office}-20260101-{self.seq + 1:04d}-X",
            "item": item,
            "terms": terms_of(known),
            "fields": {"applicant_name": "李四", "applicant_id": identity, "applicant_phone": "13800000000"},
            **changes.pop("body", {}),
        }
        return self.op("accept", body, **changes)

    def amend(self, *parents: Op, **fields: str) -> Op:
        return self.op("amend", {"fields": fields}, parents)

    def envelope(self, *ops: Op) -> bytes:
        """Ops sealed for the hub."""
        return self.seal(Ops([op.blob for op in ops]))

    def seal(self, *messages: Message) -> bytes:
        return seal_envelope(list(messages), keys=self.keys, recipient=hub_device(self.county))

    def open(self, envelope: bytes) -> tuple[Message, ...]:
        """What an envelope from the hub says to this device."""
        return open_envelope(envelope, keys=self.keys, speaker=lambda _name: hub_device(self.county)).messages

    def twin(self) -> Machine:
        """A clone of the machine: the same keys and place in the chain, and a life of its own from here."""
        return Machine(self.county, self.keys, self.seq, self.prev, self.now_ms, self.role)


def hub_device(county: County) -> Device:
    device = county.shelf.roster.device(county.keys.incarnation)
    assert device is not None
    return device


def new_intake(county: County, clock: Clock | None = None) -> Intake:
    return Intake(county.store, county.keys, county.shelf, now_ms=clock or Clock())


def receipts(county: County, blobs: Sequence[bytes]) -> list[Receipt]:
    """Opened as a device opens them."""
    return [open_receipt(blob, Trust.of(county.card)) for blob in blobs]


def accepted(county: County, blobs: Sequence[bytes]) -> list[tuple[int, int]]:
    """(first, last) of all accepted runs."""
    return [(run.first_seq, run.last_seq) for receipt in receipts(county, blobs) for run in receipt.accepted]


def refused(county: County, blobs: Sequence[bytes]) -> dict[bytes, str]:
    return {one.op: one.code for receipt in receipts(county, blobs) for one in receipt.refused}


def waiting(county: County, blobs: Sequence[bytes]) -> dict[bytes, str]:
    return {one.op: one.code for receipt in receipts(county, blobs) for one in receipt.waiting}
