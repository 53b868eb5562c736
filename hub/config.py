"""The county's configuration: `county.json` in the hub's directory, and the key files beside it.

For: reading and writing what does not change while working; where things lie in the directory.
May not: hold a secret (keys are in `keys/`); hold state (that is in the store).
Manual: docs/operating/hub.md, "Directory".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hub.errors import NotACounty
from protocol.carriers.durable import PRIVATE, write_durably
from protocol.carriers.settings import read_settings, write_settings
from protocol.errors import BadConfig, MalformedBytes
from protocol.keys import DeviceKeys

CONFIG_NAME = "county.json"
STORE_NAME = "hub.db"
ROOT_KEY_NAME = "keys/root.key"
HUB_KEY_NAME = "keys/hub.key"
BLIND_KEY_NAME = "keys/blind.key"
CARD_NAME = "hub.card"
RESTORED_NAME = "restored.json"  # left by a restore, until the daemon has begun a new epoch
CONFIG_VERSION = 1
DEFAULT_BROKER = "mqtt://127.0.0.1:1883"


@dataclass(frozen=True, slots=True)
class Config:
    """What this hub is. `root_public` and `incarnation` are hex; `database` is a PostgreSQL URL or "" for D/hub.db."""

    county: str
    name: str
    broker: str
    database: str
    incarnation: str
    root_public: str
    version: int = CONFIG_VERSION

    def store_place(self, directory: Path) -> str:
        """What the ledger is opened with: a URL, or the path of the SQLite file."""
        return self.database or str(directory / STORE_NAME)


def read_config(directory: Path) -> Config:
    """The configuration in `directory`. Raises NotACounty if there is none, BadConfig if it cannot be used."""
    found = read_settings(directory / CONFIG_NAME, Config, version=CONFIG_VERSION)
    if found is None:
        raise NotACounty(
            f"{directory} holds no county; run `liandong county init` first.",
            f"目录 {directory} 中没有县级中心，请先运行 liandong county init。",
        )
    return found


def write_config(directory: Path, config: Config) -> None:
    """Put `config` in place, whole or not at all."""
    write_settings(directory / CONFIG_NAME, config)


def read_keys(directory: Path, name: str = HUB_KEY_NAME) -> DeviceKeys:
    """The keys in one key file. Raises BadConfig if it is missing or damaged."""
    try:
        return DeviceKeys.from_bytes(read_secret(directory, name))
    except MalformedBytes as error:
        raise BadConfig(f"The key file {name} is damaged.", f"密钥文件 {name} 已损坏。") from error


def read_secret(directory: Path, name: str) -> bytes:
    """The bytes of a private file. Raises BadConfig if it cannot be read."""
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise BadConfig(
            f"The key file {directory / name} cannot be read ({error.strerror}).",
            f"密钥文件 {directory / name} 无法读取（{error.strerror}）。",
        ) from error


def write_secret(directory: Path, name: str, content: bytes) -> None:
    """Write a file that only its owner may read."""
    write_durably(directory / name, content, mode=PRIVATE)
