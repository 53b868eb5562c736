"""Is an op authentic? Checked again here, at the reader, although the hub has checked it (law 8).

For: parsing op blobs and holding them to the roster that this device has: author known, office and role its own,
suite allowed, signature good.
May not: touch the store; judge what an op means for its case (the fold does).
Spec: docs/protocol/op.md, "Checking".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conflict.kinds import Role
from protocol.errors import LiandongError, RemoteProtocolError, SuiteNotAllowed, UnknownSender
from protocol.op import Op, check_signature, parse_op
from protocol.roster import Roster
from protocol.trust import Trust

HUB_ROLES = (Role.HUB, Role.ADMINISTRATOR)  # the hub also writes for a county administrator who works at it


class ForgedAuthor(RemoteProtocolError):
    """An op that names another office or role than its device has."""

    code = "forged_author"


@dataclass(frozen=True, slots=True)
class Faulty:
    """Bytes that cannot be taken, as far as this device can tell now."""

    blob: bytes
    author: bytes
    error: LiandongError


def sort_out(blobs: Iterable[bytes]) -> tuple[list[Op], list[Faulty]]:
    """The well-formed ops, each once, in order; and what does not parse."""
    ops: dict[bytes, Op] = {}
    faulty: list[Faulty] = []
    for blob in blobs:
        try:
            op = parse_op(blob)
        except RemoteProtocolError as error:
            faulty.append(Faulty(blob, b"", error))
            continue
        ops.setdefault(op.id, op)
    return list(ops.values()), faulty


def authentic(ops: Iterable[Op], roster: Roster, trust: Trust) -> tuple[list[Op], list[Faulty]]:
    """The ops that their author really signed, in order; and the others."""
    good: list[Op] = []
    faulty: list[Faulty] = []
    for op in ops:
        try:
            _check(op, roster, trust)
        except RemoteProtocolError as error:
            faulty.append(Faulty(op.blob, op.device, error))
            continue
        good.append(op)
    return good, faulty


def _check(op: Op, roster: Roster, trust: Trust) -> None:
    """Raises UnknownSender (perhaps a newer roster names it), ForgedAuthor, SuiteNotAllowed, BadSignature.

    A revoked or frozen device's state is no matter here: the hub lets only such ops of it pass that count. Only the hub
    speaks as the hub.
    """
    if op.device == trust.hub.incarnation:
        office, role, public, suite_number = trust.county, "hub", trust.hub.sign_public, trust.hub.suite
    else:
        device = roster.device(op.device)
        if device is None:
            raise UnknownSender(
                "The roster that we hold does not name the op's device.", "本机的机构名册中没有该设备。"
            )
        office, role, public, suite_number = device.office, device.role, device.sign_public, device.suite
    fitting = op.role in HUB_ROLES if role == "hub" else op.role != Role.HUB
    if op.office != office or not fitting:
        raise ForgedAuthor(
            "The op speaks for an office or role that its device does not have.", "条目的机构或角色与其设备不符。"
        )
    if op.suite != suite_number:
        raise SuiteNotAllowed("The op uses another suite than its device.", "条目使用的密码套件与其设备不符。")
    check_signature(op, public)
