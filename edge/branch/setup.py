"""Who a township serves and whom a village is linked to: small files in the device's directory.

For: the township's own broker (`branch.json`), the card that a village gets, the village's link (`keys/township.json`).
May not: make accounts at a broker (ops/branch.py does); make up trust: the roster says who the township's device is.
Manual: docs/operating/township.md.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from edge.errors import BadLink
from edge.identity import PRIVATE
from protocol.carriers.address import parse_url
from protocol.carriers.durable import write_durably
from protocol.keys import DeviceKeys
from protocol.roster import ACTIVE, Device, Roster

BRANCH_NAME = "keys/branch.json"  # of a township that serves its branch
LINK_NAME = "keys/township.json"  # of a village that is linked to its township
CA_NAME = "township-ca.pem"  # in a village's directory, if the township's broker has an authority of its own
_T = TypeVar("_T", "ServedBranch", "TownshipCard")


@dataclass(frozen=True, slots=True)
class ServedBranch:
    """The township's own broker and our account there, which is the broker's first."""

    broker: str
    user: str
    password: str
    version: int = 1


@dataclass(frozen=True, slots=True)
class TownshipCard:
    """What one device of a village needs for its second line. `device`, `township`: incarnations in hex; secret."""

    county: str
    device: str
    township: str
    office: str
    broker: str
    user: str
    password: str
    version: int = 1

    def to_bytes(self) -> bytes:
        return (json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def write_branch(directory: Path, branch: ServedBranch) -> None:
    """From its next start on the daemon serves the branch on this broker. Raises BadBrokerUrl."""
    parse_url(branch.broker)
    write_durably(directory / BRANCH_NAME, json.dumps(asdict(branch)).encode(), mode=PRIVATE)


def read_branch(directory: Path) -> ServedBranch | None:
    """The branch's broker; None if this device serves none. Raises BadLink for a damaged file."""
    path = directory / BRANCH_NAME
    return _parse(path.read_bytes(), ServedBranch) if path.exists() else None


def take_card(directory: Path, blob: bytes, keys: DeviceKeys) -> TownshipCard:
    """Link this device to its township by a card. A second card replaces the first.

    Raises:  BadLink if it is not for this device; BadBrokerUrl.
    """
    card = _parse(blob, TownshipCard)
    parse_url(card.broker)
    if (card.county, card.device) != (keys.county, keys.incarnation.hex()):
        raise BadLink(
            "This card is for another device; the township makes one for each device (edge branch-card).",
            "该卡片属于其他设备，请由乡镇为本设备制作（edge branch-card）。",
        )
    write_durably(directory / LINK_NAME, card.to_bytes(), mode=PRIVATE)
    return card


def read_link(directory: Path) -> TownshipCard | None:
    """The township that this device is linked to; None without one. Raises BadLink for a damaged file."""
    path = directory / LINK_NAME
    return _parse(path.read_bytes(), TownshipCard) if path.exists() else None


def server(roster: Roster, township: bytes, office: str) -> Device | None:
    """The township's device as the roster names it, if that puts it above `office` and lets it speak."""
    device = roster.device(township)
    if device is None or device.role != "edge" or device.state != ACTIVE:
        return None
    return device if roster.is_above(device.office, office) else None


def link_fits(directory: Path, roster: Roster, keys: DeviceKeys) -> bool:
    """Whether the link in `directory`, if there is one, is for this name of the device and a township that serves it."""
    try:
        link = read_link(directory)
    except BadLink:
        return False
    if link is None:
        return True
    return (
        link.device == keys.incarnation.hex() and server(roster, bytes.fromhex(link.township), keys.office) is not None
    )


def _parse(blob: bytes, shape: type[_T]) -> _T:
    try:
        raw: Any = json.loads(blob)
        if not isinstance(raw, dict) or raw.get("version") != 1 or set(raw) != {one.name for one in fields(shape)}:
            raise ValueError("not all fields are there")
        if any(type(value) is not str for name, value in raw.items() if name != "version"):
            raise ValueError("a field is no text")
        return shape(**raw)
    except (ValueError, UnicodeDecodeError) as error:
        raise BadLink(f"This is no usable card or link file: {error}.", f"卡片或连接文件无法使用：{error}。") from error
