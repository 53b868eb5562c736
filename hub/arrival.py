"""What arrives: op blobs from a sender, parsed and authenticated before anything is written.

For: telling authentic ops from bytes that nobody entitled has signed; one refusal per blob with its reason.
May not: touch the store; judge what an op means for its case (the fold does).
Spec: docs/protocol/op.md, "Checking".  Decision: docs/decisions/0080-every-signature-is-checked.md.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
    urgent: by its word they are of urgent or nearly due cases; they are taken before what came with them.
    """

    sender: bytes
    blobs: tuple[bytes, ...]
    via: str = "mqtt"
    answer_repeats: bool = False
    urgent: bool = False


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


def parse_all(arrivals: Sequence[Arrival]) -> tuple[list[tuple[Op, Arrival]], list[Rejected]]:
    """The well-formed ops in order of arrival, each once; and what is not well formed."""
    parsed: dict[bytes, tuple[Op, Arrival]] = {}
    rejected: list[Rejected] = []
    for arrival in arrivals:
        for blob in arrival.blobs:
            try:
                op = parse_op(blob)
            except RemoteProtocolError as error:
                digest = hashlib.sha256(blob).digest()
                rejected.append(Rejected(arrival.sender, digest, 0, b"", "", b"", error.code, error.text_zh, blob))
                continue
            parsed.setdefault(op.id, (op, arrival))
    return list(parsed.values()), rejected


class Forged(Exception):
    """Some ops of a batch are not signed by their authors; everything done with the batch must be undone."""

    def __init__(self, rejected: list[Rejected]) -> None:
        super().__init__(f"{len(rejected)} ops with bad signatures")
        self.rejected = rejected


Pair = tuple[Op, Arrival]


def screen(pairs: Sequence[Pair], roster: Roster) -> tuple[list[Pair], list[Rejected]]:
    """The ops whose author may have written them, in order, and the others. Signatures are not checked here."""
    fitting: list[Pair] = []
    rejected: list[Rejected] = []
    for op, arrival in pairs:
        fault = _misfit(op, roster)
        if fault is None:
            fitting.append((op, arrival))
        else:
            rejected.append(_rejected(op, arrival, fault))
    return fitting, rejected


class Checker:
    """Checks signatures, those of a large batch in threads while the batch is worked on (Ed25519 releases the lock)."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="signatures") if THREADS > 1 else None

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def begin(self, pairs: Sequence[Pair], roster: Roster) -> Gate:
        """Begin to check the signatures of ops that `screen` let pass; the gate says when all are good."""
        if self._pool is None or len(pairs) < 2 * SHARE_MIN:
            return Gate([_bad_signatures(pairs, roster)])
        size = max(SHARE_MIN, -(-len(pairs) // THREADS))
        parts = [pairs[at : at + size] for at in range(0, len(pairs), size)]
        return Gate([self._pool.submit(_bad_signatures, part, roster) for part in parts])


class Gate:
    """Nothing of a batch may be committed before it has passed here."""

    def __init__(self, parts: Sequence[Future[list[Rejected]] | list[Rejected]]) -> None:
        self._parts = parts

    def hold(self) -> None:
        """Wait for all signatures. Raises Forged if one is bad."""
        rejected = [one for part in self._parts for one in (part if isinstance(part, list) else part.result())]
        if rejected:
            raise Forged(rejected)


def _bad_signatures(pairs: Sequence[Pair], roster: Roster) -> list[Rejected]:
    bad = []
    for op, arrival in pairs:
        try:
            check_signature(op, roster.devices[op.device].sign_public)
        except RemoteProtocolError as error:
            fault = BadSignature(error.text, "签名与名册中登记的公钥不符。")
            bad.append(_rejected(op, arrival, fault))
    return bad


def _misfit(op: Op, roster: Roster) -> RemoteProtocolError | None:
    """Why the roster does not let this device have written this op; None if it does. Its state counts later."""
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
    return None


def _rejected(op: Op, arrival: Arrival, fault: RemoteProtocolError) -> Rejected:
    return Rejected(arrival.sender, op.id, op.seq, op.device, op.office, op.case, fault.code, fault.text_zh, op.blob)
