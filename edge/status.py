"""How this device stands: backlog, last contact, versions, what was refused or set aside, and warnings in plain words.

For: one answer that scripts read as JSON and screens show as banners.
May not: write; talk to anybody; show citizen data (cases appear by number only).
Manual: docs/operating/edge.md, "Status".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from conflict.ledger.chains import chain
from conflict.ledger.files import file_totals, incomplete_files
from conflict.ledger.meta import get_meta
from conflict.ledger.schema import ops, views
from conflict.ledger.views import op as stored_op
from conflict.ledger.views import view_rows
from conflict.ledger.waiting import missing_parents
from edge import aside, incarnation, memory, outbox, purge, unsent
from edge.branch import relay, setup
from edge.clock import Clock, implausible
from edge.config import SOFTWARE
from edge.lanes import read_lanes
from edge.slip import county_time
from edge.staff import FIRST_ACCOUNT
from protocol.lanes import Lane
from protocol.roster import Roster
from protocol.trust import fingerprint, spoken

if TYPE_CHECKING:
    from edge.main import Node

ENTRIES_MAX = 200  # refusals, waits and set-aside items listed; the counts are whole
SILENT_MS_MAX = 3 * 86_400_000  # without contact for so long a banner says so: receipts and deadlines may be stale


def status(node: Node) -> dict[str, Any]:
    """Counts and lists.

    Returns: pending, carried (for offices below, without the hub's word), refused, waiting (numbers of ops), last_contact (county time or None), last_contact_ms, accepted,
             refusals, waits, set_aside (lists), loading (of the office's scope), purged, attachments, versions, banners, and who the device is.
    """
    with node.store.read() as tx:
        counts = outbox.counts(tx)
        contact_ms = memory.last_contact_ms(tx)
        seq, _last = chain(tx, node.keys.incarnation)
        roster = node.reference.roster(tx)
        office = roster.office(node.keys.office)
        return {
            "county": node.keys.county,
            "office": node.keys.office,
            "office_name": office.name if office else "",
            "device": node.keys.incarnation.hex(),
            "fingerprint": spoken(fingerprint(node.keys.sign_public)),
            "pending": counts["pending"] + counts["offered"],
            "carried": relay.pending(tx),
            "accepted": counts["accepted"],
            "refused": counts["refused"],
            "waiting": counts["waiting"] + _waiting_here(tx),
            "ops": seq,
            "last_contact": county_time(contact_ms) if contact_ms is not None else None,
            "last_contact_ms": contact_ms,
            "loading": _loading(tx),
            "purged": purge.counts(tx),
            "refusals": _refusals(tx),
            "waits": _waits(tx),
            "set_aside": _set_aside(tx),
            "attachments": _attachments(tx, node),
            "versions": {
                "software": SOFTWARE,
                **node.reference.versions(tx),
                "roster_issued": county_time(roster.issued_ms) if roster.version else None,
            },
            "banners": _disk_banner(node)
            + banners(tx, node.clock)
            + _card_banner(node, roster)
            + _password_banner(node),
        }


def banners(tx: Connection, clock: Clock) -> list[dict[str, str]]:
    """Warnings that a screen shows on every page: {code, text, text_zh}."""
    found = []
    state = implausible(clock, memory.hub_time(tx))
    if state:
        found.append(
            _banner(
                f"clock_{state}",
                f"The clock of this computer cannot be right (it is {state}). Cases can be entered; set the clock.",
                "本机时钟不准确，办件仍可录入，请校准时间。",
            )
        )
    contact_ms = memory.last_contact_ms(tx)
    if contact_ms is not None and not state and clock.now_ms() - contact_ms > SILENT_MS_MAX:
        found.append(
            _banner(
                "long_silence",
                "The county has not been heard for more than three days. Work goes on; check the line.",
                "已超过三天未与县中心联系，业务可继续办理，请检查网络。",
            )
        )
    found += _renewal_banner(tx)
    found += _unknown_banner(tx)
    position, end = memory.loading(tx)
    if position < end:
        share = position * 100 // end
        text = f"The cases of this office are being loaded from the county: {share} % are here. Work can go on."
        found.append(_banner("loading", text, f"正在从县中心下载本机构办件（已完成 {share}%），可先办理业务。"))
    hub_state = get_meta(tx, memory.HUB_STATE, "active")
    if hub_state in ("revoked", "frozen"):
        found.append(
            _banner(
                f"device_{hub_state}",
                f"The county has {hub_state} this device. What is entered here is kept; call the county administrator.",
                "县中心已注销或冻结本设备，本机数据仍保留，请联系县管理员。",
            )
        )
    if get_meta(tx, memory.OTHER_HISTORY) is not None:
        found.append(
            _banner(
                "other_history",
                "The county holds other facts under this device's name: a restored backup or a copied disk. "
                "Call the county administrator and join anew.",
                "县中心存有本设备的另一份历史（可能恢复过旧备份或复制过磁盘），请联系县管理员重新入网。",
            )
        )
    if aside.counts(tx):
        found.append(
            _banner(
                "set_aside",
                "Something could not be handled and was set aside; `node aside` says what and why.",
                "有内容未能处理，已单独存放；用 node aside 查看原因。",
            )
        )
    return found


def _attachments(tx: Connection, node: Node) -> dict[str, Any]:
    """Counts of contents here and not here, of what this office has not sent, the lane, and what is missing where."""
    lanes = read_lanes(node.directory)
    settings = lanes[Lane.ATTACHMENTS]
    files, size = unsent.total(tx)
    waiting = unsent.entries(tx)[:ENTRIES_MAX]
    return {
        **file_totals(tx),
        "unsent": files,
        "unsent_bytes": size,
        "lane": {
            **settings.as_json(),
            "unsent_bytes_max": lanes.unsent_bytes_max,
            "open": settings.window is None or settings.window.holds(node.clock.now_ms()),
        },
        "missing_here": [
            {"sha256": sha256.hex(), "size": bytes_} for _row, sha256, bytes_ in incomplete_files(tx, limit=ENTRIES_MAX)
        ],
        "missing_at_hub": [
            {"sha256": sha256.hex(), "size": bytes_, "op": op_id.hex()} for sha256, bytes_, op_id in waiting
        ],
    }


def _loading(tx: Connection) -> dict[str, Any]:
    """How much of the office's scope is here: positions of the hub's stream, and cases."""
    position, end = memory.loading(tx)
    cases = tx.execute(select(func.count()).select_from(views)).scalar_one()
    return {"position": position, "of": end, "cases": cases, "complete": position >= end}


def _disk_banner(node: Node) -> list[dict[str, str]]:
    if not node.store.short_of_room():
        return []
    text = (
        "The disk of this computer is full: nothing new can be saved or received. Free some space (old logs, old backups; "
        "never files named *.db*); work goes on by itself."
    )
    text_zh = "本机磁盘已满，暂时不能保存新办件，也收不到新内容。请清理旧日志、旧备份（名称含 .db 的文件不要动），清出空间后自动恢复。"
    return [_banner("disk_full", text, text_zh)]


def _unknown_banner(tx: Connection) -> list[dict[str, str]]:
    if get_meta(tx, memory.UNKNOWN) is None:
        return []
    text = (
        "The county was put back from a backup and does not know this device any more. Work goes on and nothing is "
        "lost. If it stays so, ask the county for a code, then: liandong edge join --code CODE."
    )
    text_zh = (
        "县中心恢复备份后不认识本设备。业务可继续办理，数据不会丢失。"
        "如一直如此，请向县中心申请入网码，并在本目录运行 liandong edge join --code 入网码。"
    )
    return [_banner("unknown_at_county", text, text_zh)]


def _renewal_banner(tx: Connection) -> list[dict[str, str]]:
    pending = incarnation.renewal(tx)
    if pending is None:
        return []
    why, _since, reason = pending
    cause, cause_zh = {
        incarnation.RESTORED: ("an older copy of it was put back", "曾恢复旧备份"),
        incarnation.COPIED: ("its disk runs a second time somewhere", "磁盘可能被复制"),
        incarnation.REBUILT: ("its store was damaged and rebuilt", "数据库损坏后已重建"),
    }.get(why, ("of an earlier fault", "曾发生故障"))
    if not reason:
        text = f"This device goes on under new keys because {cause}; the county is asked at the next contact. Work goes on."
        return [_banner("renewing", text, f"本设备因{cause_zh}已更换密钥，下次联系时向县中心登记，业务可继续办理。")]
    text = f"This device has new keys because {cause}, and the county wants a new code: liandong edge join --code CODE."
    text_zh = f"本设备因{cause_zh}已更换密钥，须向县中心申请新入网码后重新入网；业务可继续办理，数据不会丢失。"
    return [_banner("needs_code", text, text_zh)]


def _card_banner(node: Node, roster: Roster) -> list[dict[str, str]]:
    """The second line lies idle: the card is for an earlier name of this device, or of a machine that may not serve it."""
    if setup.link_fits(node.directory, roster, node.keys):
        return []
    text = (
        "The card of the township hall does not fit any more (new keys here or there, or another township). The line to "
        "the county is used as before. Ask the hall for a new card, then: liandong edge link-township --card CARD."
    )
    text_zh = (
        "乡镇连接卡片已失效（本机或乡镇设备更换了密钥，或已归其他乡镇管理），县中心线路照常使用。"
        "请向乡镇索取新卡片，运行 liandong edge link-township --card 卡片文件。"
    )
    return [_banner("township_card", text, text_zh)]


def _password_banner(node: Node) -> list[dict[str, str]]:
    first = [account for account in node.staff.list() if account["name"] == FIRST_ACCOUNT]
    if not first or first[0]["has_password"] or first[0]["disabled"]:
        return []
    text = f"The account {FIRST_ACCOUNT} has no password yet; whoever sits here may act as it."
    return [_banner("no_password", text, f"账号 {FIRST_ACCOUNT} 尚未设置密码，请尽快设置。")]


def _banner(code: str, text: str, text_zh: str) -> dict[str, str]:
    return {"code": code, "text": text, "text_zh": text_zh}


def _refusals(tx: Connection) -> list[dict[str, Any]]:
    entries = outbox.entries(tx, ["refused"], limit=ENTRIES_MAX)
    numbers = view_rows(tx, {entry.case for entry in entries})
    return [
        {
            "op": entry.op.hex(),
            "case": entry.case.hex(),
            "number": numbers[entry.case].number if entry.case in numbers else "",
            "code": entry.code,
            "reason": entry.reason,
            "since_ms": entry.since_ms,
        }
        for entry in entries
    ]


def _waits(tx: Connection) -> list[dict[str, Any]]:
    """Own ops that the hub holds and cannot apply yet, and ops here that wait for others that have not come."""
    own = [
        {"op": entry.op.hex(), "case": entry.case.hex(), "where": "hub", "code": entry.code, "since_ms": entry.since_ms}
        for entry in outbox.entries(tx, ["waiting"], limit=ENTRIES_MAX)
    ]
    here: dict[bytes, dict[str, Any]] = {}
    for op_id, parent, since_ms in missing_parents(tx, limit=ENTRIES_MAX):
        waiting = stored_op(tx, op_id)
        case = waiting.case.hex() if waiting else ""
        one = {"op": op_id.hex(), "case": case, "where": "here", "code": "missing_parent", "since_ms": since_ms}
        here.setdefault(op_id, {**one, "missing": []})["missing"].append(parent.hex())
    return own + list(here.values())


def _waiting_here(tx: Connection) -> int:
    return tx.execute(select(func.count()).select_from(ops).where(ops.c.waiting == 1)).scalar_one()


def _set_aside(tx: Connection) -> list[dict[str, Any]]:
    return [one.as_json() for one in aside.listed(tx, limit=ENTRIES_MAX)]
