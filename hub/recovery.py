"""Taking back documents that this hub signed and no longer holds: verified, merged, published as the next versions.

For: believing nothing but our own signature, merging what is believed, saying to a person what came back, and releasing
what waited for it, all in the caller's transaction.
May not: commit; talk to devices (hub/recall.py does); give a number twice (hub/era.py sees to it).
Spec: docs/protocol/documents.md, "After a restore".  Decision: docs/decisions/0108-a-restored-hub-takes-its-documents-back.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from conflict.calendar import Calendar, CalendarError
from conflict.ledger import schema as ledger
from conflict.ledger.meta import get_meta, put_meta
from conflict.terms import terms_of
from hub import carriers, enrolment, era, held, judge, notices, state
from hub.documents import Shelf
from hub.held import CATALOGUE_LOST, RELEASED
from hub.merge import Gains, gains
from hub.transaction import Work
from hub.turn import take_turn
from protocol.documents import Document, open_document
from protocol.errors import BadSignature, MalformedBytes
from protocol.keys import DeviceKeys
from protocol.op import parse_op
from protocol.roster import REVOKED, Device, entries_of
from protocol.trust import HubCertificate, Trust

STATE = "hub.recovery"
NAMED_MAX = 20  # offices and items that one notice names


@dataclass(slots=True)
class Memory:
    """What has come back so far.

    stamps: as in hub/merge.py. sources: catalogue and calendar: [version taken over, own version that carries it].
    since_ms: when the hub was put back. asked: devices that have shown all they hold since.
    """

    stamps: dict[str, tuple[int, int]] = field(default_factory=dict)
    sources: dict[str, tuple[int, int]] = field(default_factory=dict)
    since_ms: int = 0
    asked: set[bytes] = field(default_factory=set)


def memory(tx: Connection) -> Memory:
    """Empty in a county whose hub was never put back."""
    found = get_meta(tx, STATE)
    if found is None:
        return Memory()
    stamps, sources, since_ms, asked = found
    return Memory(
        {key: (lost, own) for key, (lost, own) in stamps.items()},
        {key: (lost, own) for key, (lost, own) in sources.items()},
        since_ms,
        set(asked),
    )


def keep(tx: Connection, kept: Memory) -> None:
    put_meta(
        tx,
        STATE,
        [
            {key: list(pair) for key, pair in kept.stamps.items()},
            {key: list(pair) for key, pair in kept.sources.items()},
            kept.since_ms,
            sorted(kept.asked),
        ],
    )


def begin(tx: Connection, *, now_ms: int) -> None:
    """The store is an old copy: every device is to be asked what it holds."""
    before = memory(tx)
    keep(tx, Memory(before.stamps, before.sources, now_ms))


def put_back(
    tx: Connection, random: bytes, *, now_ms: int, look_back: int = era.LOOK_BACK, beyond: int = 0
) -> list[str]:
    """The store is certainly an old copy: a new epoch and era, every device is to be asked, open codes are void.

    Args:    random: 8 bytes. look_back, beyond: as in `era.begin`.
    Returns: the offices whose codes are void now.
    """
    state.new_epoch(tx, random, now_ms=now_ms, look_back=look_back, beyond=beyond)
    begin(tx, now_ms=now_ms)
    return enrolment.void_codes(tx, now_ms=now_ms)


def note_asked(tx: Connection, names: Iterable[bytes]) -> None:
    """These devices have shown what they hold."""
    kept = memory(tx)
    kept.asked |= set(names)
    keep(tx, kept)


def believe(blob: bytes, shelf: Shelf, trust: Trust) -> Document:
    """A document that this county's hub signed, now or under keys that the roster names as a hub's.

    Raises:  BadSignature, WrongRecipient, MalformedBytes: whatever is wrong with it, nothing was changed.
    """
    hubs = [device for device in shelf.roster.devices.values() if device.role == "hub" and device.state != REVOKED]
    former = [
        Trust(trust.county, trust.root_public, HubCertificate(trust.county, 0, *_keys_of(one), one.since_ms))
        for one in hubs
        if one.incarnation != trust.hub.incarnation
    ]
    for one in (trust, *former):
        try:
            document = open_document(blob, one)
        except BadSignature:
            continue
        _check_content(document)
        return document
    raise BadSignature("a document that no hub of this county has signed", "该数据未经本县中心签名。")


def recover(
    tx: Connection,
    shelf: Shelf,
    keys: DeviceKeys,
    documents: Sequence[Document],
    *,
    random_bytes: Callable[[int], bytes],
    now_ms: int,
) -> Work | None:
    """Merge documents that `believe` let pass and publish what they add. Repeats, and what we hold, change nothing.

    Returns: the finished work with which ops that had waited for the catalogue were taken; None if there were none.
    """
    take_turn(tx)
    shelf.refresh(tx)
    top = max((one.version for one in documents if _proves_a_loss(shelf, one)), default=0)
    if top:
        _admit_the_loss(tx, keys, top, random_bytes=random_bytes, now_ms=now_ms)
        shelf.refresh(tx)
    kept = memory(tx)
    _recover_roster(tx, shelf, keys, [one for one in documents if one.kind == "roster"], kept, now_ms)
    for kind in ("catalogue", "calendar"):
        for one in sorted(documents, key=lambda document: -document.version):
            if one.kind == kind:
                _recover_whole(tx, shelf, keys, one, kept, now_ms)
    keep(tx, kept)
    return _release(tx, shelf, keys, now_ms=now_ms)


def _proves_a_loss(shelf: Shelf, document: Document) -> bool:
    """Our signature under a version beyond all that we know of: this store is older than nobody told us."""
    return document.version > shelf.version(document.kind) and not shelf.era.lost(document.kind, document.version)


def _admit_the_loss(
    tx: Connection, keys: DeviceKeys, top: int, *, random_bytes: Callable[[int], bytes], now_ms: int
) -> None:
    void, void_zh = enrolment.said_void(put_back(tx, random_bytes(8), now_ms=now_ms, beyond=top))
    notices.tell(
        tx,
        code="hub_restored",
        about=keys.incarnation.hex(),
        office=keys.county,
        text="A device holds documents that this hub signed and does not have: its store is an old copy. Devices load "
        f"their streams anew and hand back what it lost.{void}",
        text_zh="有设备持有本中心已签发而本机没有的数据：县中心数据库是旧备份，"
        f"各设备将重新下载并交回丢失的内容。{void_zh}",
        now_ms=now_ms,
    )


def _recover_roster(
    tx: Connection, shelf: Shelf, keys: DeviceKeys, documents: Sequence[Document], kept: Memory, now_ms: int
) -> None:
    before = dict(shelf.roster.devices)
    found = gains(shelf.roster, documents, kept.stamps, is_lost=lambda version: shelf.era.lost("roster", version))
    kept.stamps |= found.same
    known_elsewhere = max((one.version for one in documents), default=0) > shelf.version("roster")
    if found or known_elsewhere:  # also without news: nobody is to hold a version above ours
        for office in found.offices:
            before_that = shelf.roster.parent(office.code)
            if before_that not in ("", office.parent):
                carriers.left(tx, office.code, before_that)  # it may hold and carry what was made before

        def put(roster: Any) -> None:
            for office in found.offices:
                roster.put_office(office)
            for device in found.devices:
                roster.put_device(device)

        shelf.change_roster(tx, keys, put, now_ms=now_ms)
        version = shelf.version("roster")
        kept.stamps |= {key: (lost, version) for key, lost in found.stamps.items()}
        revoked = [
            one
            for one in found.devices
            if one.state == REVOKED and (was := before.get(one.incarnation)) is not None
            if was.state != REVOKED
        ]
        if found:
            _tell_roster(tx, keys, found, documents, revoked, version, now_ms)
        for device in revoked:
            _tell_revoked(tx, device, kept.since_ms, now_ms)
    if found.kept:
        _tell_kept(tx, keys, "roster", "、".join(found.kept[:NAMED_MAX]), now_ms)


def _recover_whole(
    tx: Connection, shelf: Shelf, keys: DeviceKeys, document: Document, kept: Memory, now_ms: int
) -> None:
    """A catalogue or calendar: the later publication counts as a whole; item versions are kept in any case."""
    kind, own = document.kind, shelf.version(document.kind)
    if kind == "catalogue":
        items = document.content["items"]
        shelf.keep_items(tx, items, now_ms=now_ms)
        shelf.read_terms(tx)
        differing = [
            item["code"] for item in items if shelf.terms.get((item["code"], item["version"])) != terms_of(item)
        ]
        if differing:
            _tell_kept(tx, keys, "catalogue", "、".join(differing[:NAMED_MAX]), now_ms)
    taken_from, carried_by = kept.sources.get(kind, (0, 0))
    counts_as = taken_from if carried_by == own else own
    same = shelf.content(kind) == document.content
    if document.version > (own if same else counts_as):  # also without news: nobody is to hold a version above ours
        version = shelf.publish_again(tx, keys, kind, document.content, now_ms=now_ms)
        kept.sources[kind] = (document.version, version)
        _tell(
            tx,
            keys,
            f"{kind} {version}",
            f"The {kind} of version {document.version}, lost with the restore, is published again as version {version}.",
            f"因恢复备份丢失的 {kind} 第 {document.version} 版已找回，现以第 {version} 版重新发布。",
            now_ms,
        )
    elif same and document.version > counts_as:
        kept.sources[kind] = (document.version, own)
    elif not same and counts_as >= shelf.era.documents and shelf.era.lost(kind, document.version):
        _tell_kept(tx, keys, kind, str(document.version), now_ms)


def _release(tx: Connection, shelf: Shelf, keys: DeviceKeys, *, now_ms: int) -> Work | None:
    """Take the ops that waited for a catalogue which is back, unless their device was revoked since."""
    ready = []
    for one in held.listed(tx, limit=10_000):
        if one.code != CATALOGUE_LOST:
            continue
        op, device = parse_op(one.blob), shelf.roster.device(one.device)
        if judge.objection(op, shelf.terms) is None and device is not None and device.state != REVOKED:
            held.decide(tx, one.op, RELEASED, staff="hub", now_ms=now_ms)
            ready.append(op)
    if not ready:
        return None
    work = Work(tx, keys, shelf, now_ms=now_ms)
    work.take(ready, via="released:hub", released=True)
    work.finish()
    return work


def _check_content(document: Document) -> None:
    """Raises MalformedBytes for a content that no program of ours would have signed."""
    try:
        if document.kind == "roster":
            entries_of(document)
        elif document.kind == "catalogue":
            for item in document.content["items"]:
                if type(item["code"]) is not str or type(item["version"]) is not int:
                    raise MalformedBytes("a catalogue with a malformed item")
        elif document.kind == "calendar":
            Calendar.from_content(document.content, document.version)
        else:
            raise MalformedBytes("a document of a kind that we do not publish")
    except (KeyError, TypeError, ValueError, CalendarError) as error:
        raise MalformedBytes(f"a {document.kind} with a malformed content") from error


def _keys_of(device: Device) -> tuple[bytes, bytes, int]:
    return device.sign_public, device.seal_public, device.suite


def _tell_roster(
    tx: Connection,
    keys: DeviceKeys,
    found: Gains,
    documents: Sequence[Document],
    revoked: Sequence[Device],
    version: int,
    now_ms: int,
) -> None:
    lost = sorted({one.version for one in documents})
    span = f"{lost[0]}-{lost[-1]}" if len(lost) > 1 else str(lost[0])
    named = "、".join(f"{one.office}/{one.incarnation.hex()}" for one in found.devices[:NAMED_MAX])
    _tell(
        tx,
        keys,
        f"roster {version}",
        f"Roster entries of the lost versions {span} are back in version {version}: {len(found.offices)} offices, "
        f"{len(found.devices)} devices, {len(revoked)} of them revoked. Devices: {named or '-'}.",
        f"因恢复备份丢失的名册第 {span} 版已并入第 {version} 版：机构 {len(found.offices)} 个，"
        f"设备 {len(found.devices)} 台，其中注销 {len(revoked)} 台。设备：{named or '无'}。",
        now_ms,
    )


def _tell_revoked(tx: Connection, device: Device, since_ms: int, now_ms: int) -> None:
    mine = (ledger.ops.c.device == device.incarnation) & (ledger.ops.c.arrived_ms >= since_ms)
    taken = tx.scalar(select(func.count()).select_from(ledger.ops).where(mine)) or 0
    notices.tell(
        tx,
        code="revocation_recovered",
        about=device.incarnation.hex(),
        office=device.office,
        text="This device had been revoked after the backup was made and is revoked again. "
        f"Since the restore {taken} ops of it were taken; look at their cases.",
        text_zh=f"该设备在备份之后曾被注销，现已重新注销。恢复之后收到其条目 {taken} 条，请核查相关办件。",
        now_ms=now_ms,
    )


def _tell_kept(tx: Connection, keys: DeviceKeys, kind: str, named: str, now_ms: int) -> None:
    notices.tell(
        tx,
        code="recovery_overruled",
        about=f"{kind} {named}"[:200],
        office=keys.county,
        text=f"A lost {kind} says otherwise than what the county published since: {named}. What was published since "
        "stands; publish again if the other is right.",
        text_zh=f"丢失后找回的 {kind} 与恢复后发布的内容不一致：{named}。以恢复后发布的为准，如有误请重新发布。",
        now_ms=now_ms,
    )


def _tell(tx: Connection, keys: DeviceKeys, about: str, text: str, text_zh: str, now_ms: int) -> None:
    notices.tell(
        tx,
        code="documents_recovered",
        about=about,
        office=keys.county,
        text=text,
        text_zh=text_zh,
        now_ms=now_ms,
    )
