"""`liandong node`: how an office's device or the hub is doing.

For: backlog, last contact, receipts, refusals, what waits, versions.
May not: change anything (retry, aside, repair and purge are in upkeep.py).
Manual: docs/operating/commands.md, "node".
"""

from __future__ import annotations

from typing import Any

import typer

from ops import output
from ops.cli.options import Json, NodeDir
from ops.nodes import find_node

app = typer.Typer(no_args_is_help=True, help="A node: a device or the hub. 节点状态")


@app.command()
def status(directory: NodeDir, as_json: Json = False) -> None:
    """Backlog, last contact, receipts, refusals, what waits, versions. 积压、最近联系、回执、拒收、等待、版本"""
    from ops.status import node_status

    data = node_status(find_node(directory))
    rows = [
        ["node", f"{data['kind']} {data['office']}"],
        *[[name.replace("_", " "), data[name]] for name in ("pending", "waiting", "refused", "last_contact")],
        *[[f"version of {name}", version] for name, version in data["versions"].items()],
    ]
    rows += _attachment_rows(data.get("attachments"))
    text = output.pairs(rows)
    for one in data["refusals"]:
        what = one.get("number") or one["case"] or one["op"]
        text += f"\n{output.say('refused', '被拒收')} {what}: {one['reason']} ({one['code']})"
    for banner in data.get("banners", []):
        text += f"\n! {banner['text_zh' if output.chinese() else 'text']}"
    output.show(data, as_json=as_json, text=text)


def _attachment_rows(files: dict[str, Any] | None) -> list[list[Any]]:
    """What of attachments is missing here or at the county, and whether it waits for its window."""
    if files is None:
        return []
    if "lane" not in files:  # the hub has no window of its own
        return [["attachments missing here", str(files["incomplete"])]]
    lane = files["lane"]
    shut = "" if lane["open"] else output.say(f", waiting for {lane['window']}", f"，等到 {lane['window']}")
    size = output.say(f"{files['unsent_bytes']} bytes", f"{files['unsent_bytes']} 字节")
    return [
        ["attachments missing here", f"{files['incomplete']}{shut if files['incomplete'] else ''}"],
        ["attachments not sent", f"{files['unsent']} ({size}){shut if files['unsent'] else ''}"],
    ]
