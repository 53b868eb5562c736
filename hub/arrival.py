"""What arrives: op blobs from a sender, parsed and authenticated before anything is written.

For: telling authentic ops from bytes that nobody entitled has signed; one refusal per blob with its reason.
May not: touch the store; judge what an op means for its case (the fold does).
Spec: docs/protocol/op.md, "Checking".  Decision: docs/decisions/0080-every-signature-is-checked.md.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from conflict.kinds import Role
from hub.errors import WrongOffice, WrongRole
from protocol.errors import BadSignature, RemoteProtocolError, SuiteNotAllowed, UnknownSender
from protocol.op import Op, check_signature, parse_op
from protocol.roster import Roster

THREADS = min(4, os.cpu_count() or 1)
SHARE_MIN = 16  # signatures worth a thread of their own: 16 x 0.1 ms


@dataclass(frozen=True, slots=True)
class Arrival:
    """Op blobs that one sender handed in together.

    sender: incarnation of the device whose envelope it was. via: "mqtt" or "bundle:…".
    answer_repeats: the sender has taken all that we sent and still offers, so it needs its receipts once more.
    """

    sender: bytes
    blobs: tuple[bytes, ...]
    via: str = "mqtt"
    answer_repeats: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """A blob that is no authentic op. id: the op's id, or SHA-256 of the blob where it does not parse."""

    sender: bytes
    id: bytes
    seq: int
    author: bytes
    office: str
    case: bytes
    code: str
    reason: str
    blob: bytes


def parse_all(arrivals: Sequence[Arrival]) -> tuple[dict[bytes, tuple[Op, Arrival]], list[Rejected]]:
    """The well-formed ops by id, in order of arrival, each once; and what is not well formed."""
    parsed: dict[bytes, tuple[Op, Arrival]] = {}
    rejected: list[Rejected] = []
    for arrival in arrivals:
        for blob in arrival.blobs:
            try:
                op = parse_op(blob)
            except RemoteProtocolError as error:
                digest = hashlib.sha256(blob).digest()
                rejected.append(Rejected(arrival.sender, digest, 0, b"", "", b"", error.code, _words(error), blob))
                continue
            parsed.setdefault(op.id, (op, arrival))
    return parsed, rejected


class Checker:
    """Checks authors and signatures; signatures of a large batch on several threads (Ed25519 releases the lock)."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="signatures") if THREADS > 1 else None

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def split(self, ops: Sequence[tuple[Op, Arrival]], roster: Roster) -> tuple[list[Op], list[Rejected]]:
        """The authentic ops, in order, and the others with their reasons."""
        authentic: list[Op] = []
        rejected: list[Rejected] = []
        faults = self._faults([op for op, _arrival in ops], roster)
        for (op, arrival), fault in zip(ops, faults, strict=True):
            if fault is None:
                authentic.append(op)
            else:
                rejected.append(
                    Rejected(
                        arrival.sender, op.id, op.seq, op.device, op.office, op.case, fault.code, _words(fault), op.blob
                    )
                )
        return authentic, rejected

    def _faults(self, ops: list[Op], roster: Roster) -> list[RemoteProtocolError | None]:
        if self._pool is None or len(ops) < 2 * SHARE_MIN:
            return _faults(ops, roster)
        size = max(SHARE_MIN, -(-len(ops) // THREADS))
        parts = [ops[at : at + size] for at in range(0, len(ops), size)]
        found = self._pool.map(_faults, parts, [roster] * len(parts))
        return [fault for part in found for fault in part]


def _faults(ops: list[Op], roster: Roster) -> list[RemoteProtocolError | None]:
    return [_fault(op, roster) for op in ops]


def _fault(op: Op, roster: Roster) -> RemoteProtocolError | None:
    """Why an op is not authentic; None if its author stands in the roster and signed it. Its state counts later."""
    device = roster.device(op.device)
    if device is None:
        return UnknownSender("The roster names no such device.", "名册中没有该设备。")
    if op.office != device.office:
        return WrongOffice("The op names another office than its device's.", "该条目的机构与其设备登记的机构不符。")
    if op.role == Role.HUB and device.role != "hub":
        return WrongRole("Only the hub speaks as the hub.", "只有县中心可以使用县中心角色。")
    if op.suite != device.suite or op.suite not in roster.suites:
        return SuiteNotAllowed(
            "The roster does not allow this suite for the device.", "名册不允许该设备使用此密码套件。"
        )
    try:
        check_signature(op, device.sign_public)
    except RemoteProtocolError as error:
        return BadSignature(error.text, "签名与名册中登记的公钥不符。")
    return None


def _words(error: RemoteProtocolError) -> str:
    return error.text_zh
