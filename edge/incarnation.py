"""A new incarnation in place: the same machine, store and cases go on under new keys.

For: a device whose old name has another history elsewhere (restored backup, copied disk, rebuilt store). New keys are
drawn here, without a network, so that cases can be entered at once and nobody signs under the old name again; ops of
the old name that have no receipt stay in the outbox and are offered as they were signed.
May not: talk to anybody (edge/succession.py and edge/join.py do); forget an old name.
Spec: docs/protocol/trust.md, "Succession".  Decision: docs/decisions/0130-new-keys-in-place.md.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from conflict.ledger.meta import delete_meta, get_meta, put_meta
from conflict.ledger.schema import ops
from conflict.ledger.store import Store
from conflict.numbers import device_part
from edge import memory
from edge.config import JOINED, RENEWING, read_config, write_config
from edge.errors import Renewed
from edge.identity import KEYS_NAME, PRIVATE, read_keys
from edge.reference import Reference
from edge.schema import outbox
from protocol import keys as device_keys
from protocol.carriers.durable import sync_directory, write_durably
from protocol.keys import DeviceKeys
from protocol.roster import FROZEN

NAMES = "edge.incarnations"  # [[incarnation, base], …] once there was more than one; base: see `base`
RENEWAL = "edge.renewal"  # [why, since ms, the hub's refusal or ""] until the county knows the new name
DUE = "edge.renewal_due"  # why: a store that was rebuilt must take new keys before anybody signs
NEXT_NAME = "keys/next.key"
EARLIER = "keys/earlier"
DRAWS_MAX = 50
RESTORED, COPIED, REBUILT = "restored", "copied", "rebuilt"

log = logging.getLogger("liandong.edge.incarnation")


def names(tx: Connection) -> dict[bytes, int]:
    """Every incarnation that this store has had, oldest first, with its base; empty while there was only one."""
    return {bytes(name): int(start) for name, start in get_meta(tx, NAMES, [])}


def base(tx: Connection, incarnation: bytes) -> int:
    """What is added to an op's number to have its place in the outbox: places go on where the earlier name ended."""
    return names(tx).get(incarnation, 0)


def own(tx: Connection, current: bytes) -> set[bytes]:
    """All names of this store, the current one included."""
    return {current, *names(tx)}


def need_current(tx: Connection, incarnation: bytes) -> None:
    """Raises Renewed if this store has taken another name since the caller read its keys."""
    known = names(tx)
    if known and list(known)[-1] != incarnation:
        raise Renewed(
            "This device has just taken new keys. Nothing was saved; run the command again.",
            "本设备刚刚更换了密钥，本次内容没有保存，请重试。",
        )


def due(tx: Connection, reference: Reference, incarnation: bytes) -> str:
    """Why this device must go on under another name, or "": the hub holds another history of it, or has frozen it."""
    if get_meta(tx, memory.OTHER_HISTORY) is not None:
        return RESTORED
    device = reference.roster(tx).device(incarnation)
    frozen = get_meta(tx, memory.HUB_STATE) == FROZEN or (device is not None and device.state == FROZEN)
    return COPIED if frozen else ""


def renew(
    directory: Path,
    store: Store,
    reference: Reference,
    *,
    why: str,
    now_ms: int,
    again: bool = False,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> DeviceKeys:
    """Go on under new keys; safe to repeat after any crash. A device that is being renewed already stays as it is.

    Args:    why: RESTORED, COPIED or REBUILT, for people. again: also if it is being renewed (see `draw_again`).
    Returns: the keys that count from now on.
    """
    config, old = read_config(directory), read_keys(directory)
    path = directory / NEXT_NAME
    begun = path.exists()
    if config.state == RENEWING and config.incarnation == old.incarnation.hex() and not (again or begun):
        with store.write(reserve=True) as tx:
            delete_meta(tx, DUE)
        return old
    if not begun:
        write_durably(path, _draw(store, reference, old, random_bytes).to_bytes(), mode=PRIVATE)
    fresh = DeviceKeys.from_bytes(path.read_bytes())
    with store.write(reserve=True) as tx:
        _remember(tx, old.incarnation, fresh.incarnation, why, now_ms)
    _switch(directory, old, fresh)
    log.warning("device %s goes on as %s (%s)", old.incarnation.hex(), fresh.incarnation.hex(), why)
    return fresh


def draw_again(directory: Path, store: Store, reference: Reference, *, now_ms: int) -> DeviceKeys:
    """Other keys for a device that waits for the county: another copy of this disk has joined with the ones it drew, or
    an earlier device has their part of case numbers. Nobody can tell the copies' ops apart by them."""
    with store.read() as tx:
        waiting = renewal(tx)
    return renew(directory, store, reference, why=waiting[0] if waiting else COPIED, now_ms=now_ms, again=True)


def settle(directory: Path, store: Store, reference: Reference, *, now_ms: int) -> None:
    """Finish a renewal that a power cut broke off, or that a disk forgot in the store and not in the key file. Cheap
    when there is none."""
    with store.read() as tx:
        why = str(get_meta(tx, DUE) or (get_meta(tx, RENEWAL) or [RESTORED])[0])
        must = get_meta(tx, DUE) is not None
    if must or (directory / NEXT_NAME).exists():
        renew(directory, store, reference, why=why, now_ms=now_ms)
        return
    config = read_config(directory)
    keys = read_keys(directory)
    if config.incarnation != keys.incarnation.hex():
        config = replace(config, incarnation=keys.incarnation.hex(), state=RENEWING, code_mark="")
        write_config(directory, config)
    with store.read() as tx:
        before = _last_name(tx)
    if before not in (b"", keys.incarnation):
        with store.write(reserve=True) as tx:
            _remember(tx, before, keys.incarnation, why, now_ms, waits=config.state == RENEWING)
        log.warning("the store did not know that device %s goes on as %s", before.hex(), keys.incarnation.hex())


def _last_name(tx: Connection) -> bytes:
    """The name under which this store worked last, by what it holds; empty if it has never written an op."""
    known = names(tx)
    if known:
        return list(known)[-1]
    author = select(ops.c.device).join(outbox, outbox.c.op_id == ops.c.id).order_by(outbox.c.seq.desc()).limit(1)
    return bytes(tx.execute(author).scalar() or b"")


def refused(tx: Connection, reason: str) -> None:
    """Note that the county did not take the new name by the old one's word: it needs a code."""
    why, since_ms, _reason = get_meta(tx, RENEWAL, [RESTORED, 0, ""])
    put_meta(tx, RENEWAL, [why, since_ms, reason])


def admitted(tx: Connection) -> None:
    """The county knows the current name."""
    delete_meta(tx, RENEWAL)


def renewal(tx: Connection) -> tuple[str, int, str] | None:
    """(why, since ms, refusal or "") of a renewal that the county has not admitted yet."""
    found: Any = get_meta(tx, RENEWAL)
    return None if found is None else (str(found[0]), int(found[1]), str(found[2]))


def earlier_keys(directory: Path) -> dict[bytes, DeviceKeys]:
    """Keys of earlier names by incarnation."""
    found = {}
    for path in sorted((directory / EARLIER).glob("*.key")):
        keys = DeviceKeys.from_bytes(path.read_bytes())
        found[keys.incarnation] = keys
    return found


def _draw(store: Store, reference: Reference, old: DeviceKeys, random_bytes: Callable[[int], bytes]) -> DeviceKeys:
    """Keys whose case numbers no device of this office, as far as the store knows, can ever give."""
    with store.read() as tx:
        taken = {device_part(name) for name in own(tx, old.incarnation)}
        taken |= {device_part(one.incarnation) for one in reference.roster(tx).devices_of(old.office)}
    for _ in range(DRAWS_MAX):
        fresh = device_keys.generate(old.county, old.office, old.role, random_bytes, old.suite)
        if device_part(fresh.incarnation) not in taken:
            break
    return fresh


def _remember(tx: Connection, old: bytes, fresh: bytes, why: str, now_ms: int, *, waits: bool = True) -> None:
    """waits: the county does not know the new name yet."""
    known = get_meta(tx, NAMES, [])
    if not known or known[-1][0] != fresh:
        last = tx.execute(select(func.max(outbox.c.seq))).scalar() or 0
        put_meta(tx, NAMES, [*(known or [[old, 0]]), [fresh, last]])
    if waits:
        put_meta(tx, RENEWAL, [why, now_ms, ""])
    for key in (DUE, memory.STREAM, memory.OTHER_HISTORY, memory.HUB_STATE):
        delete_meta(tx, key)  # ops of the old name that are not here come with the stream, from its start


def _switch(directory: Path, old: DeviceKeys, fresh: DeviceKeys) -> None:
    if old.incarnation != fresh.incarnation:
        write_durably(directory / EARLIER / f"{old.incarnation.hex()}.key", old.to_bytes(), mode=PRIVATE)
    (directory / NEXT_NAME).replace(directory / KEYS_NAME)
    sync_directory((directory / KEYS_NAME).parent)
    config = read_config(directory)
    write_config(directory, replace(config, incarnation=fresh.incarnation.hex(), state=RENEWING, code_mark=""))


def is_open(state: str) -> bool:
    """Whether cases can be entered in this state of a directory."""
    return state in (JOINED, RENEWING)
