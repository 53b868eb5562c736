"""This device's identity on disk: its private keys, the hub card it trusts, its account at the broker.

For: reading and writing the files of `keys/` and the card, private ones for the owner's eyes only (0600).
May not: make up trust (edge/join.py checks a card against the enrolment code before it is written here).
Manual: docs/operating/edge.md, "Directory".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from protocol.carriers.durable import write_durably
from protocol.errors import BadConfig, MalformedBytes
from protocol.keys import DeviceKeys
from protocol.trust import HubCard

KEYS_NAME = "keys/device.key"
ACCOUNT_NAME = "keys/broker.json"
CARD_NAME = "hub.card"
PRIVATE = 0o600
PUBLIC = 0o644
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """User and password at the county's broker, given by the hub when the device joined."""

    user: str
    password: str


def has_keys(directory: Path) -> bool:
    return (directory / KEYS_NAME).exists()


def write_keys(directory: Path, keys: DeviceKeys) -> None:
    """Keep the private keys. Never overwrites: other keys would be another incarnation."""
    path = directory / KEYS_NAME
    if path.exists():
        raise BadConfig(f"{path} exists already and is kept.", f"密钥文件 {path} 已存在，不会覆盖。")
    write_durably(path, keys.to_bytes(), mode=PRIVATE)


def read_keys(directory: Path) -> DeviceKeys:
    """This device's keys. Raises BadConfig if the file is missing or damaged."""
    path = directory / KEYS_NAME
    return _read(path, DeviceKeys.from_bytes)


def write_card(directory: Path, card: HubCard) -> None:
    write_durably(directory / CARD_NAME, card.to_bytes(), mode=PUBLIC)


def read_card(directory: Path) -> HubCard:
    """The card that the device joined with. Raises BadConfig."""
    return _read(directory / CARD_NAME, HubCard.from_bytes)


def write_account(directory: Path, account: BrokerAccount) -> None:
    write_durably(directory / ACCOUNT_NAME, json.dumps(asdict(account)).encode(), mode=PRIVATE)


def read_account(directory: Path) -> BrokerAccount | None:
    """The broker account; None before the hub answered."""
    if not (directory / ACCOUNT_NAME).exists():
        return None
    return _read(directory / ACCOUNT_NAME, lambda blob: BrokerAccount(**json.loads(blob)))


def _read(path: Path, parse: Callable[[bytes], _T]) -> _T:
    try:
        return parse(path.read_bytes())
    except (OSError, MalformedBytes, ValueError, TypeError) as error:
        raise BadConfig(f"{path} cannot be used: {error}.", f"文件 {path} 无法使用：{error}。") from error
