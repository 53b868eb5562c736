"""The hub's side of a reconciliation, over the links that exist anyway: it begins, devices answer, each side repairs.

For: comparing with the devices that a request names, and daily with those that are here; putting what an office lacks
into its stream again; noting which device holds bytes that the hub lacks.
May not: send anything (bodies go in and out); delete or overwrite a fact; believe that equal counts mean equal facts.
Spec: docs/protocol/reconcile.md.  The device's side: edge/sync/compare.py.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from conflict.ledger.meta import get_meta, put_meta
from conflict.ledger.views import refold
from ops.reconcile import items
from ops.reconcile.daily import Daily
from protocol.errors import RemoteProtocolError
from protocol.reconcile import NONCE_BYTES, Comparison, item_of
from protocol.roster import ACTIVE, Device

if TYPE_CHECKING:
    from hub.init import County

_log = logging.getLogger("liandong.reconcile")

REQUEST = "reconcile.request"
RESULT = "reconcile.result."  # and the device in hex
SESSION_BYTES = 8
AGAIN_MS = 20_000  # a comparison without an answer for so long begins anew: an envelope was lost
NAMED_MAX = 50  # differences named in a result; the counts are whole


@dataclass
class _Running:
    """One comparison under way at the hub."""

    session: bytes
    comparison: Comparison
    cases: list[bytes]
    counts: dict[str, int]
    heard_ms: int
    purged: int = 0  # cases that the device has purged by its own word, left out of the comparison


class HubComparer:
    """Compares with the devices that a request names, and with each once a day, while they are present; writes one
    result per device."""

    def __init__(self, county: County, *, now_ms: Callable[[], int], mono_ms: Callable[[], int]) -> None:
        self._county = county
        self._store = county.store
        self._now_ms, self._mono_ms = now_ms, mono_ms
        self._builder = ThreadPoolExecutor(1, thread_name_prefix="reconcile")
        self._building: dict[bytes, Future[_Running]] = {}
        self._running: dict[bytes, _Running] = {}
        self._finished: set[bytes] = set()
        self._request: dict[str, Any] = {}
        self._daily = Daily(RESULT, now_ms=now_ms, mono_ms=mono_ms)

    def begin(self, present: set[bytes]) -> list[tuple[bytes, bytes, bytes]]:
        """(device, session, body) of comparisons that begin now. Called twice a second; quick when nothing is due."""
        with self._store.read() as tx:
            request = get_meta(tx, REQUEST, {})
            if request != self._request:
                self._request = request
                self._building, self._running, self._finished = {}, {}, set()
            wanted = [name for name in sorted(present) if self._wanted(tx, name)]
        for name in wanted:
            if name not in self._building and self._silent(name):
                self._running.pop(name, None)
                self._building[name] = self._builder.submit(self._build, self._county.shelf.roster.devices[name])
        return self._started()

    def arrived(self, device: Device, session: bytes, body: bytes) -> list[bytes]:
        """What a device's comparison message is answered with."""
        running = self._running.get(device.incarnation)
        if running is None or running.session != session:
            return []
        running.heard_ms = self._mono_ms()
        try:
            answer = running.comparison.receive(body)
        except RemoteProtocolError as error:
            _log.warning("comparison with %s broke off: %s", device.incarnation.hex(), error.code)
            del self._running[device.incarnation]
            return []
        if running.comparison.done:
            del self._running[device.incarnation]
            self._finish(device, running)
        return [] if answer is None else [answer]

    def _wanted(self, tx: Connection, name: bytes) -> bool:
        device = self._county.shelf.roster.devices.get(name)
        if device is None or device.role != "edge" or device.state != ACTIVE:
            return False
        asked = self._request.get("office", "") in ("", device.office) if self._request else False
        return (asked and name not in self._finished) or name in self._running or self._daily.due(tx, device)

    def _silent(self, name: bytes) -> bool:
        running = self._running.get(name)
        return running is None or self._mono_ms() - running.heard_ms > AGAIN_MS

    def _build(self, device: Device) -> _Running:
        from hub import purges
        from hub.streams import cases_of

        counts = dict.fromkeys((items.OP, items.VIEW, items.FILE), 0)
        mine: set[bytes] = set()
        with self._store.read() as tx:
            gone = purges.cases_of(tx, device.incarnation)
            cases = [case for case in cases_of(tx, device.office) if case not in gone]
            for thing in items.things(tx, cases):
                mine.add(thing.item)
                counts[thing.tag] += 1
        comparison = Comparison(mine, os.urandom(NONCE_BYTES))
        return _Running(os.urandom(SESSION_BYTES), comparison, cases, counts, self._mono_ms(), len(gone))

    def _started(self) -> list[tuple[bytes, bytes, bytes]]:
        ready = [name for name, future in self._building.items() if future.done()]
        out = []
        for name in ready:
            running = self._building.pop(name).result()
            running.heard_ms = self._mono_ms()
            self._running[name] = running
            out.append((name, running.session, running.comparison.begin()))
        return out

    def _finish(self, device: Device, running: _Running) -> None:
        """Repair what the office lacks by putting it at the end of its stream, and write the result down."""
        from hub.contents import found_at
        from hub.state import epoch_of
        from hub.streams import Item, extend
        from protocol.messages import STREAM_OP

        comparison = running.comparison
        with self._store.write() as tx:
            mine = [thing for thing in items.things(tx, running.cases) if thing.item in comparison.only_mine]
            ops = [thing for thing in mine if thing.tag == items.OP]
            views = [thing for thing in mine if thing.tag == items.VIEW]
            # without the author's name, because a device's own ops are left out of its stream
            extend(tx, {device.office: [Item(STREAM_OP, b"", thing.name) for thing in ops]})
            if comparison.only_theirs:
                found_at(tx, device, lambda sha256: item_of(b"file", sha256) in comparison.only_theirs)
            if not ops and views:
                refold(tx, [thing.name for thing in views])
            epoch = epoch_of(tx)
            result = {
                "request": self._request.get("id", b""),
                "epoch": epoch,
                "equal": not comparison.only_mine and not comparison.only_theirs,
                "at_ms": self._now_ms(),
                "cases": len(running.cases),
                "purged": running.purged,
                "ops": running.counts[items.OP],
                "files": running.counts[items.FILE],
                "only_hub": len(comparison.only_mine),
                "only_office": len(comparison.only_theirs),
                "rounds": comparison.rounds,
                "bytes": comparison.bytes_seen,
                "named": [[thing.tag, thing.name] for thing in mine[:NAMED_MAX]],
            }
            put_meta(tx, RESULT + device.incarnation.hex(), result)
        self._finished.add(device.incarnation)
        self._daily.done(device, epoch)
