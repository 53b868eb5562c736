"""What a device has set aside, for a person: the list, and taking an entry out into a file.

For: `node aside`. An entry that no update will ever handle (garbage that somebody sent) need not warn for ever.
May not: take an entry out before its evidence lies in a file that survives a power cut.
Manual: docs/operating/edge.md, "Set aside".
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protocol.carriers.durable import PRIVATE, write_durably
from protocol.errors import InputError

if TYPE_CHECKING:
    from edge.main import Node


def list_aside(node: Node) -> list[dict[str, Any]]:
    """Every entry, oldest first, without its bytes: id, what, code, reason, author, since_ms, tries, bytes."""
    from edge import aside

    with node.store.read() as tx:
        return [one.as_json() | {"bytes": len(one.blob)} for one in aside.listed(tx, limit=aside.KEPT_MAX)]


def close_entry(node: Node, beginning: str, target: Path) -> dict[str, Any]:
    """Write an entry with its bytes into a new file, then take it out. Returns its line.

    The bytes are sealed or signed as they came; the file may hold what a case says, so only its owner may read it.

    Raises:  UnknownEntry; InputError if the file exists.
    """
    from edge import aside

    if target.exists():
        raise InputError(f"{target} exists; name a new file.", f"文件 {target} 已存在，请另取文件名。")
    with node.store.write(reserve=True) as tx:
        entry = aside.named(tx, beginning)
        line = entry.as_json()
        evidence = line | {"blob": base64.b64encode(entry.blob).decode("ascii")}
        write_durably(target, (json.dumps(evidence, ensure_ascii=False, indent=2) + "\n").encode(), mode=PRIVATE)
        aside.handled(tx, [entry.blob])
    return line
