"""A node's configuration: one JSON file that is a dataclass, whole or not at all.

For: `edge.json` of a device and `county.json` of the hub, read and checked in one way.
May not: know what the fields mean; hold a secret.
Manual: docs/operating/edge.md, "Directory"; docs/operating/hub.md, "Directory".
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from protocol.carriers.durable import PUBLIC, write_durably
from protocol.errors import BadConfig

T = TypeVar("T")
_KINDS = {"str": str, "int": int}


def read_settings(path: Path, kind: type[T], *, version: int) -> T | None:
    """The dataclass in `path`, whose fields are str or int and one of them `version`; None where there is no file.

    Raises:  BadConfig if it cannot be read, is of another version, or its fields are not those of `kind`.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadConfig(f"{path} cannot be read: {error}.", f"配置文件 {path} 无法读取：{error}。") from error
    expected = {field.name: _KINDS[str(field.type)] for field in fields(kind)}  # type: ignore[arg-type]
    if (
        not isinstance(raw, dict)
        or raw.get("version") != version
        or {name: type(value) for name, value in raw.items()} != expected
    ):
        raise BadConfig(
            f"{path} is not a configuration of version {version}.", f"配置文件 {path} 不是第 {version} 版的配置。"
        )
    return kind(**raw)


def write_settings(path: Path, settings: Any) -> None:
    """Put a dataclass in place, whole or not at all."""
    text = json.dumps(asdict(settings), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_durably(path, text.encode(), mode=PUBLIC)
