"""The configuration file of an edge device: who it is, whom it trusts, where the broker is.

For: reading and writing `edge.json` in the device's directory; file helpers that survive a power cut.
May not: hold a secret (keys are in `keys/`); hold anything that changes while working (that is in the store).
Manual: docs/operating/edge.md, "Directory".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.errors import NotANode
from protocol.carriers.settings import read_settings, write_settings

CONFIG_NAME = "edge.json"
STORE_NAME = "edge.db"
SLIPS_NAME = "slips"
CONFIG_VERSION = 1
SOFTWARE = "0.1.0"  # told to the hub; the same as in pyproject.toml, a test compares them
JOINING, JOINED, RENEWING = "joining", "joined", "renewing"


@dataclass(frozen=True, slots=True)
class Config:
    """What a device is.

    `incarnation` is hex; `broker` a URL; `code_mark` the hash of the enrolment code that made the device, hex;
    `state` is "joining" until the hub's answer is stored, then "joined", and "renewing" while new keys in an old
    directory wait for the county (edge/incarnation.py); `phone` is printed on slips, the office may
    fill it in.
    """

    county: str
    office: str
    incarnation: str
    broker: str
    code_mark: str
    state: str = JOINED
    phone: str = ""
    version: int = CONFIG_VERSION


def read_config(directory: Path) -> Config:
    """The configuration in `directory`. Raises NotANode if there is none, BadConfig if it cannot be used."""
    found = read_settings(directory / CONFIG_NAME, Config, version=CONFIG_VERSION)
    if found is None:
        raise NotANode(
            f"{directory} holds no device; run `liandong edge join` first.",
            f"目录 {directory} 中没有设备，请先运行 liandong edge join。",
        )
    return found


def write_config(directory: Path, config: Config) -> None:
    """Put `config` in place, whole or not at all."""
    write_settings(directory / CONFIG_NAME, config)
