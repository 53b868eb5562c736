"""`liandong broker`: the embedded broker, for first steps, the demo and the tests.

For: serving the accounts of a county's directory without root or an installed broker.
May not: be taken for Mosquitto (docs/operating/broker.md says why).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from ops import output
from ops.cli.options import HubDir, Json

app = typer.Typer(no_args_is_help=True, help="The embedded broker. 内置消息服务")
PORT = 1883


@app.command()
def run(
    directory: HubDir,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; the county's own unless named.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port; the county's own unless named, 0 takes a free one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve until SIGTERM. Says `ready` on stdout when machines may connect. 运行内置消息服务"""
    from ops.broker.embedded import run_broker

    place = urlsplit(_address(directory))
    listen = host or place.hostname or "127.0.0.1"

    def ready(bound: int) -> None:
        url = f"mqtt://{listen}:{bound}"
        output.show({"ready": True, "url": url}, as_json=as_json, text=f"ready {url}")

    run_broker(directory, listen, port if port is not None else place.port or PORT, ready)


@app.command()
def mosquitto(
    directory: HubDir,
    port: Annotated[int, typer.Option("--port", help="Listener without TLS on the loopback address.")] = PORT,
    as_json: Json = False,
) -> None:
    """Write Mosquitto's configuration and ACL file for this county into D/broker. 生成 Mosquitto 配置"""
    from hub.broker_accounts import passwords_path
    from ops.broker.mosquitto import ACL_NAME, acl_text, mosquitto_config
    from protocol.carriers.durable import PUBLIC, write_durably

    _address(directory)
    home = passwords_path(directory.resolve()).parent
    write_durably(home / "mosquitto.conf", mosquitto_config(directory.resolve(), port=port).encode(), mode=PUBLIC)
    write_durably(home / ACL_NAME, acl_text().encode(), mode=PUBLIC)
    data = {"config": home / "mosquitto.conf", "acl": home / ACL_NAME}
    output.show(data, as_json=as_json, text=f"mosquitto -c {data['config']}")


def _address(directory: Path) -> str:
    """Where this directory's broker is reached: a township's own, else the county's. Raises NotACounty."""
    from edge.branch.setup import read_branch
    from hub.config import read_config

    served = read_branch(directory)
    return served.broker if served is not None else read_config(directory).broker
