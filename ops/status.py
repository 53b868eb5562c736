"""What `node status` says of an office's device or of the hub: one shape for both.

For: pending, waiting, refused, last_contact and versions, whichever kind of node it is.
May not: change anything.
Manual: docs/operating/commands.md, "node".
"""

from __future__ import annotations

from typing import Any

from ops.cli.office import edge_clock
from ops.clock import local_text
from ops.nodes import Node

DISK_FULL = {
    "code": "disk_full",
    "text": "The disk of the hub is full: nothing is taken from the offices, which keep it and offer it again. Free some space "
    "(old logs, old backups; never files named *.db*); work goes on by itself.",
    "text_zh": "县中心磁盘已满，暂时不能接收各机构的内容；内容都保留在各机构，会自动重发。"
    "请清理旧日志、旧备份（名称含 .db 的文件不要动），清出空间后自动恢复。",
}


def node_status(node: Node) -> dict[str, Any]:
    """kind, office, county, device, pending, waiting, refused (numbers of ops), refusals (list with reasons),
    last_contact (county time, or None), last_contact_ms, versions. Further keys depend on the kind.
    """
    return _edge(node) if node.kind == "edge" else _hub(node)


def _edge(node: Node) -> dict[str, Any]:
    from edge.main import open_node

    with open_node(node.directory, edge_clock()) as opened:
        said = opened.status()
    return {"kind": "edge", **said}


def _hub(node: Node) -> dict[str, Any]:
    from conflict.ledger.files import file_totals
    from hub.admin import list_nodes, list_refusals, overview
    from hub.init import open_county

    county = open_county(node.directory)
    try:
        with county.store.read() as tx:
            files = file_totals(tx)
        devices, refused, summary = list_nodes(county), list_refusals(county), overview(county)
        full = county.store.short_of_room()
    finally:
        county.store.close()
    contacts = [one["last_contact_ms"] for one in devices if one["last_contact_ms"] is not None]
    return {
        "kind": "hub",
        "office": node.office,
        "county": node.county,
        "device": node.incarnation,
        "pending": sum(one["behind_down"] for one in devices),
        "waiting": sum(one["waiting"] for one in devices),
        "refused": len(refused),
        "refusals": [
            {
                "op": one["id"],
                "case": one["case"],
                "office": one["office"],
                "code": one["code"],
                "reason": one["reason"],
            }
            for one in refused
        ],
        "last_contact": local_text(max(contacts)) if contacts else None,
        "last_contact_ms": max(contacts, default=None),
        "versions": summary["documents"],
        "devices": len(devices),
        "conflicts": summary["conflicts"],
        "notices": summary["notices"],
        "held": summary["held"],
        "attachments": files,
        "banners": [DISK_FULL] if full else [],
    }
