"""`liandong city`: a city platform over HTTP, for the demo and the tests.

For: something that behaves like the superior's platform, on this machine.
May not: be used for real cases: it keeps what it gets in plain form.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ops import output
from ops.cli.options import Json
from ops.cli.signals import stop_on_signals
from ops.clock import wall_clock
from protocol.errors import InputError

app = typer.Typer(no_args_is_help=True, help="A city platform for trying things out. 市级平台(演示)")


@app.command()
def run(
    directory: Annotated[Path, typer.Option("--dir", help="Where it keeps its store.")],
    host: Annotated[str, typer.Option("--host")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0 takes a free one, said at the start.")] = 0,
    office: Annotated[str, typer.Option("--office", help="Area code of the city, four digits.")] = "4202",
    automatic: Annotated[
        str, typer.Option("--automatic", help="What happens by itself: none, grant, deny, return.")
    ] = "none",
    delay_ms: Annotated[int, typer.Option("--delay-ms", help="How long after the receipt it happens.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Serve until SIGTERM; the county's token comes from LIANDONG_CITY_TOKEN. 运行演示用市级平台"""
    from ops.city.__main__ import TOKEN_VARIABLE
    from ops.city.server import run_city
    from ops.city.settings import AUTOMATIC, CitySettings

    token = os.environ.get(TOKEN_VARIABLE, "")
    known = [name for name in AUTOMATIC if name == automatic]
    if not token or not known:
        raise InputError(
            f"Set {TOKEN_VARIABLE} to the county's token, and --automatic to one of {', '.join(AUTOMATIC)}.",
            f"请设置环境变量 {TOKEN_VARIABLE},--automatic 可取 {'、'.join(AUTOMATIC)}。",
        )

    def ready(url: str) -> None:
        output.show({"ready": True, "url": url}, as_json=as_json, text=f"ready {url}")

    settings = CitySettings(directory, token, office, known[0], delay_ms)
    stop_on_signals()  # the server takes the signals over and hands them back when it has ended cleanly
    run_city(settings, host=host, port=port, now_ms=wall_clock(), ready=ready)
