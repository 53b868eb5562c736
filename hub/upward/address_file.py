"""Where the hub keeps the city's address and our token there: `keys/city.json`, readable by its owner only.

For: `liandong hub upward` and the daemon. A county without this file sends nothing and says so.
May not: call the city.
Manual: docs/operating/upward.md, "Connecting the city".
"""

from __future__ import annotations

import json
from pathlib import Path

from hub.upward.client import CityAddress
from hub.upward.errors import BadCityAddress
from protocol.carriers.durable import PRIVATE, write_durably

ADDRESS_NAME = "keys/city.json"


def save_address(directory: Path, address: CityAddress) -> None:
    """Keep `address` in the hub's directory, whole or not at all. Raises BadCityAddress if it cannot be used."""
    address.check()
    content = {
        "url": address.url,
        "token": address.token,
        "ca_file": str(address.ca_file.resolve()) if address.ca_file else "",
    }
    write_durably(directory / ADDRESS_NAME, json.dumps(content, indent=2).encode() + b"\n", mode=PRIVATE)


def load_address(directory: Path) -> CityAddress | None:
    """The kept address, or None if this county has no city yet. Raises BadCityAddress if the file is damaged."""
    try:
        raw = json.loads((directory / ADDRESS_NAME).read_text(encoding="utf-8"))
        address = CityAddress(raw["url"], raw["token"], Path(raw["ca_file"]) if raw["ca_file"] else None)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadCityAddress(
            f"The file {ADDRESS_NAME} is damaged; give the city's address again.",
            f"文件 {ADDRESS_NAME} 已损坏，请重新设置市级平台地址。",
        ) from error
    address.check()
    return address
