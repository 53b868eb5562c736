"""`liandong edge branch`, `branch-card`, `link-township`: a township and its villages on the township's own broker.

For: setting both sides up; the daemons (`edge run`) then keep the lines.
May not: run a daemon.
Manual: docs/operating/township.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops import output
from ops.cli.county import read_file
from ops.cli.office import edge_clock
from ops.cli.options import EdgeDir, Json

SECRET = 0o600


def branch(
    directory: EdgeDir,
    broker: Annotated[
        str, typer.Option("--broker", help="The township's own broker, as villages dial it. 乡镇消息服务")
    ],
    as_json: Json = False,
) -> None:
    """Let this township's device serve its villages on a broker of its own. 为下级提供服务"""
    from edge.main import open_node
    from ops.branch import set_up

    with open_node(directory, edge_clock()) as node:
        made = set_up(node, broker)
    run_it = f"liandong broker run --dir {directory}"
    text = output.say(
        f"Serving on {made.broker} from the next `edge run` on; its broker: {run_it}",
        f"下次 edge run 起在 {made.broker} 为下级提供服务；消息服务：{run_it}",
    )
    output.show({"broker": made.broker}, as_json=as_json, text=text)


def branch_card(
    directory: EdgeDir,
    office: Annotated[str, typer.Option("--office", help="Code of the village's office. 村机构编码")],
    target: Annotated[Path, typer.Option("--out", help="The card, a secret file. 卡片文件")],
    device: Annotated[str | None, typer.Option("--device", help="Which device, if the office has several.")] = None,
    as_json: Json = False,
) -> None:
    """Make the card with which one village device links itself to this township. 制作村设备卡片"""
    from edge.main import open_node
    from ops.branch import make_card
    from protocol.carriers.durable import write_durably

    with open_node(directory, edge_clock()) as node:
        card = make_card(node, office, device)
    write_durably(target, card.to_bytes(), mode=SECRET)
    data = {"office": office, "device": card.device, "file": target}
    text = output.say(
        f"Carry {target} to {office}: liandong edge link-township --card FILE",
        f"请将 {target} 带到 {office}，在那里运行：liandong edge link-township --card FILE",
    )
    output.show(data, as_json=as_json, text=text)


def link_township(
    directory: EdgeDir,
    card: Annotated[Path, typer.Option("--card", help="The card that the township made. 乡镇制作的卡片")],
    as_json: Json = False,
) -> None:
    """Give this village's device a second line, to its township. Start `edge run` anew after it. 连接乡镇"""
    from edge.branch.setup import take_card
    from edge.main import open_node

    with open_node(directory, edge_clock()) as node:
        taken = take_card(directory, read_file(card), node.keys)
    data = {"office": taken.office, "township": taken.township, "broker": taken.broker}
    text = output.say(
        f"Linked to {taken.office} on {taken.broker}; start `edge run` anew.",
        f"已连接 {taken.office}（{taken.broker}），请重新启动 edge run。",
    )
    output.show(data, as_json=as_json, text=text)
