"""Enrolment: one-time codes, and how a machine with a code becomes a device of an office.

For: giving out codes, admitting join requests (from a mailbox or a file), revoking devices, fingerprints to compare.
May not: keep a code's secret (only its hash); open a connection.
Spec: docs/protocol/trust.md, "Enrolment".  Manual: docs/operating/hub.md, "Enrolling a device".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from conflict.numbers import device_part
from hub import broker_accounts, documents, era, notices, refusals, schema
from hub.config import Config
from hub.errors import (
    CodeExpired,
    CodeUnknown,
    CodeUsed,
    CodeVoid,
    DevicePartTaken,
    KeysTaken,
    UnknownDevice,
    UnknownOffice,
)
from hub.turn import take_turn
from protocol import topics
from protocol.carriers.accounts import join_account
from protocol.enrol import SECRET_BYTES, EnrolCode, JoinAnswer, JoinRequest
from protocol.errors import LiandongError, RemoteProtocolError
from protocol.keys import DeviceKeys, incarnation_of
from protocol.roster import ACTIVE, FROZEN, REVOKED, Device, Office, Roster
from protocol.trust import fingerprint, spoken

CODE_VALID_MS = 7 * 86_400_000  # a week: the code travels on paper to a village
ACCOUNT_KEPT_MS = 30 * 86_400_000  # after a code expired its broker account still lets the machine ask why
TIDIED_MAX = 200  # accounts taken away at once
LABEL_MAX = 60  # characters of a machine's own name
DOMAIN_CODE = b"liandong enrolment code v1"
VOID = b""  # in the place of the device that used a code: nobody did, and nobody may
VOID_NAMED_MAX = 20  # offices that one notice names


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code as the administrator gets it, once. user, password: the broker account that the joining machine uses."""

    code: EnrolCode
    expires_ms: int
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to a request. new: the roster changed. accounts: broker accounts to write (`write_accounts`) after the
    commit and before the answer leaves: user and password."""

    answer: JoinAnswer
    new: bool
    accounts: tuple[tuple[str, str], ...]


def make_code(
    tx: Connection,
    config: Config,
    roster: Roster,
    office: str,
    *,
    staff: str,
    now_ms: int,
    random_bytes: Callable[[int], bytes],
    valid_ms: int = CODE_VALID_MS,
) -> NewCode:
    """A code for one device of `office`. After the commit write its broker account (`write_accounts`).

    Raises:  UnknownOffice if the county has none of this code, it is retired, or it lies above the county.
    """
    known_office(roster, office)
    secret = random_bytes(SECRET_BYTES)
    expires_ms = now_ms + valid_ms
    user, password = join_account(secret)
    tx.execute(
        insert(schema.code).values(
            hash=_hash(secret),
            office=office,
            made_ms=now_ms,
            expires_ms=expires_ms,
            used_ms=0,
            device=b"",
            staff=staff,
            account=user,
        )
    )
    code = EnrolCode(config.county, office, config.broker, fingerprint(bytes.fromhex(config.root_public)), secret)
    return NewCode(code, expires_ms, user, password)


def admit(
    tx: Connection,
    shelf: documents.Shelf,
    keys: DeviceKeys,
    request: JoinRequest,
    *,
    now_ms: int,
    with_documents: bool,
) -> Admission:
    """Answer a join request whose seal and signature held: the device enters the roster, or is told why not.

    The same machine asking again with the same code gets the same answer (the first may have been lost). Every refusal
    is recorded.

    Args:    with_documents: put roster, catalogue and calendar into the answer (when files are exchanged).
    """
    take_turn(tx)
    shelf.refresh(tx)
    incarnation = incarnation_of(request.sign_public, request.seal_public, request.suite)
    try:
        used_before = _redeem(tx, shelf.roster, request, incarnation, now_ms)
    except (RemoteProtocolError, UnknownOffice) as error:
        return turn_away(tx, request, incarnation, error, now_ms=now_ms)
    if not used_before:
        device = device_of(request, incarnation, now_ms)
        shelf.change_roster(tx, keys, lambda roster: roster.put_device(device), now_ms=now_ms)
    papers = shelf.whole() if with_documents else ()
    return let_in(request, incarnation, keys, new=not used_before, now_ms=now_ms, papers=papers)


def turn_away(
    tx: Connection, request: JoinRequest, incarnation: bytes, error: LiandongError, *, now_ms: int
) -> Admission:
    """The answer that says why not, recorded as a refusal."""
    one = refusals.Refusal("join", incarnation, error.code, error.text_zh, incarnation, request.office)
    refusals.record(tx, one, now_ms=now_ms)
    refused = JoinAnswer(request.county, request.office, incarnation, error.code, error.text_zh, "", "", now_ms)
    return Admission(refused, False, ())


def let_in(
    request: JoinRequest,
    incarnation: bytes,
    keys: DeviceKeys,
    *,
    new: bool,
    now_ms: int,
    papers: tuple[bytes, ...] = (),
) -> Admission:
    """The answer to a machine that is a device now, with its broker account."""
    user, password = topics.mailbox(incarnation), broker_accounts.device_password(keys.sign_seed, incarnation)
    answer = JoinAnswer(request.county, request.office, incarnation, "", "", user, password, now_ms, papers)
    return Admission(answer, new, ((user, password),))


def device_of(request: JoinRequest, incarnation: bytes, now_ms: int) -> Device:
    """The roster's entry for who asks."""
    return Device(
        incarnation=incarnation,
        office=request.office,
        role="edge",
        sign_public=request.sign_public,
        seal_public=request.seal_public,
        suite=request.suite,
        since_ms=now_ms,
        label=request.label[:LABEL_MAX],
    )


def set_state(
    tx: Connection, shelf: documents.Shelf, keys: DeviceKeys, incarnation: bytes, state: str, *, staff: str, now_ms: int
) -> Device:
    """Revoke or freeze a device, or make a frozen one active again. After a revocation remove its broker account.

    Raises:  UnknownDevice. A revoked device stays revoked: its machine comes back under a new code and new keys.
    """
    take_turn(tx)
    shelf.refresh(tx)
    device = shelf.roster.device(incarnation)
    if device is None or device.role != "edge" or state not in (ACTIVE, REVOKED, FROZEN):
        raise UnknownDevice("The roster names no such device.", "名册中没有该设备。", device=incarnation.hex())
    if device.state == REVOKED or device.state == state:
        return device
    changed = replace(device, state=state, state_ms=now_ms)
    shelf.change_roster(tx, keys, lambda roster: roster.put_device(changed), now_ms=now_ms)
    notices.tell(
        tx,
        code=f"device_{state}",
        about=incarnation.hex(),
        office=device.office,
        text=f"{staff} set the device to {state}.",
        text_zh=f"{staff} 已将设备状态改为 {state}。",
        now_ms=now_ms,
    )
    return changed


def known_office(roster: Roster, code: str) -> Office:
    """The office of this code inside the county. Raises UnknownOffice if there is none or it is retired."""
    office = roster.office(code)
    if office is None or office.retired or not code.startswith(roster.county):
        raise UnknownOffice(
            f"The county {roster.county} has no office {code}.",
            f"{roster.county} 县没有代码为 {code} 的机构。",
            office=code,
        )
    return office


def device_mark(sign_public: bytes) -> str:
    """Twenty digits that the office reads out and the administrator compares."""
    return spoken(fingerprint(sign_public))


def _redeem(tx: Connection, roster: Roster, request: JoinRequest, incarnation: bytes, now_ms: int) -> bool:
    """Use the code up for this machine. True if this very machine had used it before."""
    mark = _hash(request.secret)
    row = tx.execute(select(schema.code).where(schema.code.c.hash == mark)).first()
    if (row is None or (row.used_ms and row.device == VOID)) and _is_back(tx, roster, request, incarnation):
        return True
    if row is None or row.office != request.office:
        raise CodeUnknown("This county did not issue the code.", "本县没有发放过该入网码。")
    if row.used_ms:
        if row.device == incarnation:
            return True
        if row.device == VOID:
            raise CodeVoid(
                "The county's hub was put back from a backup after this code was made; ask for a new one.",
                "该入网码发放后县中心曾恢复备份，已作废，请重新申请。",
            )
        raise CodeUsed("The code was already used by another device.", "该入网码已被另一台设备使用。")
    if now_ms > row.expires_ms:
        raise CodeExpired("The code has expired; ask for a new one.", "该入网码已过期，请重新申请。")
    known_office(roster, request.office)
    if roster.device(incarnation) is not None:
        raise KeysTaken("These keys already belong to a device of the county.", "该设备密钥已登记，请重新生成。")
    _need_own_part(roster, request.office, incarnation)
    tx.execute(update(schema.code).where(schema.code.c.hash == mark).values(used_ms=now_ms, device=incarnation))
    return False


def _is_back(tx: Connection, roster: Roster, request: JoinRequest, incarnation: bytes) -> bool:
    """Whether these very keys were admitted before the hub was put back from a backup, and only our answer was lost."""
    device = roster.device(incarnation)
    known = device is not None and device.state == ACTIVE and device.office == request.office
    return known and era.read(tx).documents > 0


def void_codes(tx: Connection, *, now_ms: int) -> list[str]:
    """Make all open codes worthless: which of them were used after the backup, nobody can say. Returns their offices."""
    open_codes = (schema.code.c.used_ms == 0) & (schema.code.c.expires_ms >= now_ms)
    offices = sorted(set(tx.scalars(select(schema.code.c.office).where(open_codes))))
    tx.execute(update(schema.code).where(schema.code.c.used_ms == 0).values(used_ms=now_ms, device=VOID))
    return offices


def said_void(offices: Sequence[str]) -> tuple[str, str]:
    """A sentence for a notice, in both languages; empty if no code was open."""
    if not offices:
        return "", ""
    named = "、".join(offices[:VOID_NAMED_MAX])
    return (
        f" Open enrolment codes are void, make new ones for {named}.",
        f"未使用的入网码已作废，请为 {named} 重新发放。",
    )


def follow_accounts(directory: Path, roster: Roster, keys: DeviceKeys) -> None:
    """Have the broker's accounts of devices be as the roster says, after a hub was put back: accounts that are missing
    are made anew with the passwords that the devices have; those of revoked devices are taken away."""
    devices = [device for device in roster.devices.values() if device.role == "edge"]
    wanted = {
        topics.mailbox(one.incarnation): broker_accounts.device_password(keys.sign_seed, one.incarnation)
        for one in devices
        if one.state != REVOKED
    }
    unwanted = [topics.mailbox(one.incarnation) for one in devices if one.state == REVOKED]
    broker_accounts.settle(directory, wanted, unwanted)


def _need_own_part(roster: Roster, office: str, incarnation: bytes) -> None:
    """Case numbers of an office are unique for certain: no two of its devices, present or past, share the device part."""
    part = device_part(incarnation)
    if any(device_part(one.incarnation) == part for one in roster.devices_of(office)):
        raise DevicePartTaken(
            "An earlier device of the office has the same part of case numbers; draw other keys.",
            "与本机构已有设备的编号段相同，请重新生成密钥。",
        )


def write_accounts(directory: Path, accounts: Iterable[tuple[str, str]]) -> None:
    """Write broker accounts, user and password each. Repeating it is harmless."""
    for user, password in accounts:
        broker_accounts.write_password(directory, user, password)


def tidy_accounts(tx: Connection, directory: Path, *, now_ms: int) -> int:
    """Take away the broker accounts of codes that expired long ago. Returns how many. Repeating is harmless.

    They stay for a while, so that who comes late or second hears why from the hub and not a closed door.
    """
    over = (schema.code.c.account != "") & (schema.code.c.expires_ms < now_ms - ACCOUNT_KEPT_MS)
    users = list(tx.scalars(select(schema.code.c.account).where(over).limit(TIDIED_MAX)))
    for user in users:
        broker_accounts.remove_account(directory, user)
    if users:
        tx.execute(update(schema.code).where(schema.code.c.account.in_(users)).values(account=""))
    return len(users)


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(DOMAIN_CODE + secret).digest()
