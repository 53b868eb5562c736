"""`liandong reconcile`: ask for comparisons with every device, wait, let differences be repaired, prove equality.

For: a timer's or an administrator's call; beside a running hub, or with one of its own for the time it takes.
May not: be needed for anything else: it may be killed at any moment and run again at any time.
Manual: docs/operating/reconcile.md.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from conflict.ledger.errors import AlreadyRunning
from conflict.ledger.meta import delete_meta, get_meta, put_meta
from conflict.ledger.store import daemon_lock
from ops.clock import mono_ms, wall_clock
from ops.reconcile.comparer import REQUEST, RESULT, HubComparer
from ops.reconcile.report import DeviceResult, Report, save
from protocol.errors import InputError, LiandongError, RefusedError
from protocol.roster import ACTIVE, Device

if TYPE_CHECKING:
    from hub.init import County

PASSES_MAX = 5  # comparison, repair, comparison …; what differs after so many needs a person
PAUSE_S = 2.0  # between a repair and the next look: what was offered again is under way
LOOK_S = 0.2
TIMEOUT_S = 60.0  # longest wait for devices in one pass
LOCK_NAME = "reconcile.lock"


class ReconcileRunning(RefusedError):
    """Another reconciliation of this county is under way."""

    code = "reconcile_running"


def reconcile(directory: Path, *, office: str | None = None, timeout_s: float = TIMEOUT_S) -> Report:
    """Compare every active device (of `office`, if named) with the hub, repair, compare again; write the report.

    Raises:  ReconcileRunning; InputError for an office without a device; what keeps the hub from being opened.
    """
    from hub.init import open_county

    county = open_county(directory)
    try:
        with _alone(directory), _hub_at_work(directory):
            return _reconcile(county, office or "", timeout_s)
    finally:
        county.store.close()


def hub_comparer(county: County) -> HubComparer:
    """The comparer that the hub's daemon gets."""
    return HubComparer(county, now_ms=wall_clock(), mono_ms=mono_ms)


def _reconcile(county: County, office: str, timeout_s: float) -> Report:
    now_ms = wall_clock()
    devices = _devices(county, office)
    report = Report(county.config.county, now_ms(), devices=list(devices.values()))
    left = set(devices)
    while left and report.passes < PASSES_MAX:
        report.passes += 1
        results = _one_pass(county, office, left, timeout_s)
        for name, result in results.items():
            _take(devices[name], result, first=report.passes == 1)
        left = {name for name, result in results.items() if not result["equal"]}
        if left:
            time.sleep(PAUSE_S)
    report.ended_ms = now_ms()
    save(report, county.directory)
    return report


def _one_pass(county: County, office: str, names: set[str], timeout_s: float) -> dict[str, dict[str, Any]]:
    """Ask, and collect one result per device that answers in time."""
    request = os.urandom(8)
    with county.store.write() as tx:
        put_meta(tx, REQUEST, {"id": request, "office": office})
    found: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + timeout_s
    try:
        while len(found) < len(names) and time.monotonic() < deadline:
            time.sleep(LOOK_S)
            with county.store.read() as tx:
                for name in names - set(found):
                    result = get_meta(tx, RESULT + name)
                    if result is not None and result["request"] == request:
                        found[name] = result
    finally:
        with county.store.write() as tx:
            delete_meta(tx, REQUEST)
    return found


def _devices(county: County, office: str) -> dict[str, DeviceResult]:
    from hub.devices import load

    with county.store.read() as tx:
        county.shelf.refresh(tx)
        contacts = load(tx)
    roster = county.shelf.roster

    def entry(device: Device) -> DeviceResult:
        known = roster.office(device.office)
        contact = contacts.get(device.incarnation)
        seen = contact.contact_ms or None if contact else None
        return DeviceResult(device.incarnation.hex(), device.office, known.name if known else "", last_contact_ms=seen)

    chosen = [device for device in roster.devices.values() if device.role == "edge" and device.state == ACTIVE]
    if office:
        chosen = [device for device in chosen if device.office == office]
        if not chosen:
            raise InputError(f"No active device of office {office}.", f"机构 {office} 没有在用设备。", office=office)
    chosen.sort(key=lambda device: (device.office, device.since_ms))
    return {device.incarnation.hex(): entry(device) for device in chosen}


def _take(entry: DeviceResult, result: dict[str, Any], *, first: bool) -> None:
    entry.state = "equal" if result["equal"] else "different"
    for name in ("cases", "purged", "ops", "files", "only_hub", "only_office"):
        setattr(entry, name, result[name])
    entry.rounds += result["rounds"]
    entry.bytes += result["bytes"]
    entry.named = [[tag, name.hex()] for tag, name in result["named"]]
    if first:
        entry.first_only_hub, entry.first_only_office = result["only_hub"], result["only_office"]
        entry.repaired = not result["equal"]


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    lock = FileLock(directory / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ReconcileRunning(
            "Another reconciliation is under way; wait for it to end.", "另一次对账正在进行,请等待其结束。"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _hub_at_work(directory: Path) -> Iterator[None]:
    """A hub serves the county during the block: the daemon that runs already, or one of our own."""
    from hub.main import run_hub

    try:
        with daemon_lock(directory):
            pass
    except AlreadyRunning:
        yield
        return
    stop, ready = threading.Event(), threading.Event()
    failed: list[LiandongError] = []

    def serve() -> None:
        try:
            run_hub(directory, stop, now_ms=wall_clock(), mono_ms=mono_ms, ready=ready.set, comparer=hub_comparer)
        except LiandongError as error:
            failed.append(error)
            ready.set()

    worker = threading.Thread(target=partial(serve), name="hub", daemon=True)
    worker.start()
    try:
        ready.wait()
        if failed:
            raise failed[0]
        yield
    finally:
        stop.set()
        worker.join()
