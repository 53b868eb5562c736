"""What a hub that was put back from a backup takes over from documents that it had signed and lost.

For: the merge as a pure function: entry by entry the one with the later roster version, and a revocation beats everything.
May not: check a signature (hub/recovery.py does); touch the store; read a clock.
Spec: docs/protocol/documents.md, "After a restore".  Decision: docs/decisions/0108-a-restored-hub-takes-its-documents-back.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from protocol.documents import Document
from protocol.roster import FROZEN, REVOKED, Device, Office, Roster, entries_of

Stamps = Mapping[str, tuple[int, int]]  # entry -> (version that it was taken over from, own version that carries it)


@dataclass(frozen=True, slots=True)
class Gains:
    """Entries to publish anew, and the names of offices for which a later decision of the county stands.

    stamps: entry to the version that it is taken over from. same: entries that a lost version says as we do, with its
    version and ours: what an earlier lost version says of them does not count.
    """

    offices: tuple[Office, ...]
    devices: tuple[Device, ...]
    stamps: Mapping[str, int]
    same: Stamps
    kept: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.offices or self.devices)


def gains(
    roster: Roster, documents: Iterable[Document], stamps: Stamps, *, is_lost: Callable[[int], bool] = lambda _: False
) -> Gains:
    """What these rosters, whole or changes, in any order and with any repeats, add to ours.

    Args:    stamps: what was taken over before, so that the order of their arrival does not matter.
             is_lost: whether a version belongs to what the hub lost; only such entries can be overruled and named.
    Raises:  MalformedBytes.
    """
    offices: dict[str, Office] = {}
    devices: dict[bytes, Device] = {}
    stamped: dict[str, int] = {}
    same: dict[str, tuple[int, int]] = {}
    kept: set[str] = set()

    def stamp(key: str, own: Office | Device) -> int:
        if key in stamped:
            return stamped[key]
        taken_from, carried_by = same.get(key) or stamps.get(key, (0, 0))
        return taken_from if own.changed == carried_by else own.changed

    def confirm(key: str, lost: Office | Device, own: Office | Device) -> None:
        if lost.changed > stamp(key, own) and not _differ(lost, own):
            if key in stamped:
                stamped[key] = lost.changed
            else:
                same[key] = (lost.changed, own.changed)

    for document in documents:
        lost_offices, lost_devices, _suites = entries_of(document)
        for office in lost_offices:
            key, mine = f"office {office.code}", offices.get(office.code) or roster.office(office.code)
            if mine is None or (office.changed > stamp(key, mine) and _differ(office, mine)):
                offices[office.code], stamped[key] = office, office.changed
            elif _differ(office, mine) and is_lost(office.changed) and not _is_older(office, stamp(key, mine), is_lost):
                kept.add(office.code)
            else:
                confirm(key, office, mine)
        for device in lost_devices:
            known = devices.get(device.incarnation) or roster.device(device.incarnation)
            key = f"device {device.incarnation.hex()}"
            if device.role == "edge" and (known is None or _beats(device, known, stamp(key, known))):
                devices[device.incarnation], stamped[key] = device, device.changed
            elif known is not None:
                confirm(key, device, known)
    same = {key: pair for key, pair in same.items() if key not in stamped}
    return Gains(tuple(offices.values()), tuple(devices.values()), stamped, same, tuple(sorted(kept)))


def _beats(lost: Device, mine: Device, stamp: int) -> bool:
    """Whether the lost entry says more than ours: a revocation always, else what was said later; in doubt the stricter."""
    if mine.state == REVOKED or not _differ(lost, mine):
        return False
    return lost.state == REVOKED or lost.changed > stamp or (lost.changed == stamp and lost.state == FROZEN)


def _is_older(lost: Office, stamp: int, is_lost: Callable[[int], bool]) -> bool:
    """Whether ours is taken over from a later lost version: no decision was overruled then."""
    return lost.changed < stamp and is_lost(stamp)


def _differ(lost: Office | Device, mine: Office | Device) -> bool:
    return replace(lost, changed=0) != replace(mine, changed=0)
