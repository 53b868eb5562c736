"""Notices: what a person at the county must know, one open entry per matter.

For: telling (an office's device forked, a code was tried twice, ops are held …), listing, closing.
May not: commit; hold citizen data in its texts.
Manual: docs/operating/hub.md, "Notices".
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from hub.errors import UnknownEntry
from hub.schema import notice
from protocol.roster import Device

CLOCK_MS_MAX = 600_000  # the machine's clock may be so far behind the last signed time before a person is told


@dataclass(frozen=True, slots=True)
class Notice:
    """One matter. about: device or case in hex, or a document. times: how often it was seen since it was opened."""

    id: int
    at_ms: int
    code: str
    about: str
    office: str
    text: str
    text_zh: str
    times: int
    closed_ms: int
    closed_by: str


def tell(tx: Connection, *, code: str, about: str, office: str, text: str, text_zh: str, now_ms: int) -> None:
    """Open a notice, or count one more time if the same matter is open already."""
    same = (notice.c.closed_ms == 0) & (notice.c.code == code) & (notice.c.about == about)
    if tx.execute(update(notice).where(same).values(times=notice.c.times + 1)).rowcount:
        return
    row = {"at_ms": now_ms, "code": code, "about": about, "office": office, "text": text, "text_zh": text_zh}
    tx.execute(insert(notice).values(**row, times=1, closed_ms=0, closed_by=""))


def tell_mismatch(tx: Connection, device: Device, *, now_ms: int) -> None:
    """A device sent bytes of an attachment that have another hash than its op names."""
    tell(
        tx,
        code="attachment_mismatch",
        about=device.incarnation.hex(),
        office=device.office,
        text="The bytes of an attachment do not have the hash that its op names; they are asked for again.",
        text_zh="附件内容与登记的摘要不符，将重新索取。",
        now_ms=now_ms,
    )


def tell_clock(tx: Connection, *, now_ms: int) -> None:
    """The clock of the hub's machine cannot be right; the county's time is reckoned without it."""
    tell(
        tx,
        code="clock_wrong",
        about="",
        office="",
        text="The clock of the hub's machine cannot be right: set it, then close this notice.",
        text_zh="县中心主机的时钟不正确：请校准时钟，然后关闭本提示。",
        now_ms=now_ms,
    )


def open_notices(tx: Connection, *, limit: int = 500) -> list[Notice]:
    """Open notices, newest first."""
    query = select(notice).where(notice.c.closed_ms == 0).order_by(notice.c.id.desc()).limit(limit)
    return [Notice(*row) for row in tx.execute(query)]


def close(tx: Connection, number: int, *, staff: str, now_ms: int) -> None:
    """Mark a notice as dealt with. Raises UnknownEntry."""
    one = (notice.c.id == number) & (notice.c.closed_ms == 0)
    if not tx.execute(update(notice).where(one).values(closed_ms=now_ms, closed_by=staff)).rowcount:
        raise UnknownEntry(f"There is no open notice {number}.", f"没有编号为 {number} 的未处理提示。")
