"""The county's configuration: `county.json` in the hub's directory, and the key files beside it.

For: reading and writing what does not change while working; where things lie in the directory.
May not: hold a secret (keys are in `keys/`); hold state (that is in the store).
Manual: docs/operating/hub.md, "Directory".
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from hub.errors import BadConfig, NotACounty
from protocol.carriers.durable import PRIVATE, PUBLIC, write_durably
from protocol.errors import MalformedBytes
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
    path = directory / CONFIG_NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotACounty(
            f"{directory} holds no county; run `liandong county init` first.",
            f"目录 {directory} 中没有县级中心，请先运行 liandong county init。",
        ) from error
    except (OSError, ValueError) as error:
        raise BadConfig(f"{path} cannot be read: {error}", f"配置文件 {path} 无法读取：{error}") from error
    known = {field.name for field in fields(Config)}
    if not isinstance(raw, dict) or raw.get("version") != CONFIG_VERSION or set(raw) != known:
        raise BadConfig(
            f"{path} is not a configuration of version {CONFIG_VERSION}.",
            f"配置文件 {path} 不是第 {CONFIG_VERSION} 版的配置。",
        )
    return Config(**raw)


def write_config(directory: Path, config: Config) -> None:
    """Put `config` in place, whole or not at all."""
    text = json.dumps(asdict(config), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_durably(directory / CONFIG_NAME, text.encode(), mode=PUBLIC)


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
