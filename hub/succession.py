"""Successions: a device goes on under new keys by the word of its old ones, once for each old name, and a person is told.

For: what the hub does with a join request that rests on an old name instead of a code.
May not: let two machines follow one name; take the word of a name that is frozen or revoked; commit.
Spec: docs/protocol/trust.md, "Succession".  Decision: docs/decisions/0131-succession.md.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from conflict.ledger.meta import get_meta, put_meta
from hub import enrolment, notices
from hub.documents import Shelf
from hub.errors import SuccessionRefused
from hub.turn import take_turn
from protocol.enrol import JoinRequest
from protocol.errors import RemoteProtocolError
from protocol.keys import DeviceKeys, incarnation_of
from protocol.roster import ACTIVE, FROZEN, REVOKED, Device, Roster
from protocol.succession import check_succession, peek_old

FOLLOWED = "hub.followed."  # and the old name in hex: who follows it


def admit(tx: Connection, shelf: Shelf, keys: DeviceKeys, request: JoinRequest, *, now_ms: int) -> enrolment.Admission:
    """Answer a succession whose seal and signature of the new keys held. The same machine asking again is answered again,
    also by a hub that was put back from a backup and knows it from the roster only.

    The old name is frozen: ops under it that still come are kept and counted, and nobody else may follow it.
    """
    take_turn(tx)
    shelf.refresh(tx)
    fresh = incarnation_of(request.sign_public, request.seal_public, request.suite)
    try:
        old = _old(shelf.roster, request)
        again = get_meta(tx, FOLLOWED + old.incarnation.hex()) == fresh or _is_named(shelf.roster, fresh, old.office)
        if not again:
            _need_free(tx, shelf.roster, old, fresh, now_ms)
    except RemoteProtocolError as error:
        return enrolment.turn_away(tx, request, fresh, error, now_ms=now_ms)
    if not again:
        put_meta(tx, FOLLOWED + old.incarnation.hex(), fresh)
        _follow(tx, shelf, keys, old, enrolment.device_of(request, fresh, now_ms), now_ms)
    return enrolment.let_in(request, fresh, keys, new=not again, now_ms=now_ms)


def _old(roster: Roster, request: JoinRequest) -> Device:
    old = roster.device(peek_old(request))
    if old is None or old.role != "edge" or old.office != request.office:
        raise SuccessionRefused("The roster names no such device of this office.", "名册中没有该机构的这台设备。")
    check_succession(request, old)
    return old


def _is_named(roster: Roster, fresh: bytes, office: str) -> bool:
    """Whether these very keys are a device of the office already, whose answer was lost."""
    device = roster.device(fresh)
    return device is not None and device.office == office and device.state != REVOKED


def _need_free(tx: Connection, roster: Roster, old: Device, fresh: bytes, now_ms: int) -> None:
    """Raises SuccessionRefused if the old name may not be followed, and tells a person that somebody tried."""
    if old.state == ACTIVE and roster.device(fresh) is None:
        return
    notices.tell(
        tx,
        code="succession_refused",
        about=old.incarnation.hex(),
        office=old.office,
        text="A machine with the keys of a frozen or revoked device asks to go on. Give it a new code if it is yours.",
        text_zh="持有已冻结或已注销设备密钥的机器申请继续使用；如确属本机构，请发放新的入网码。",
        now_ms=now_ms,
    )
    raise SuccessionRefused(
        f"The device's old name is {old.state}; the county must give a new code.",
        "本设备原名称已冻结或注销，请向县中心申请新的入网码。",
    )


def _follow(tx: Connection, shelf: Shelf, keys: DeviceKeys, old: Device, fresh: Device, now_ms: int) -> None:
    def put(roster: Roster) -> None:
        roster.put_device(replace(old, state=FROZEN, state_ms=now_ms))
        roster.put_device(fresh)

    shelf.change_roster(tx, keys, put, now_ms=now_ms)
    mark = enrolment.device_mark(fresh.sign_public)
    notices.tell(
        tx,
        code="succeeded",
        about=fresh.incarnation.hex(),
        office=fresh.office,
        text=f"Device {old.incarnation.hex()} goes on as {fresh.incarnation.hex()} (restored or repaired there). "
        f"Ask the office, compare {mark}; if nobody did so, revoke it.",
        text_zh=f"设备 {old.incarnation.hex()} 以新名称 {fresh.incarnation.hex()} 继续（曾恢复备份或修复）。"
        f"请与该机构核对指纹 {mark}，如无人操作请注销。",
        now_ms=now_ms,
    )
