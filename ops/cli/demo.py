"""`liandong demo`: one county's day with real processes.

For: the first look at Liandong, and a check that everything works together.
May not: be part of a county's operation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops.cli.options import Json


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Stay up afterwards, until Ctrl-C. 演示后保持运行")] = False,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="An empty directory to play in; a temporary one unless named.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Play one county's day: villages, township, county and city, offline and online. 演示"""
    from ops.demo.play import play

    raise typer.Exit(play(keep=keep, as_json=as_json, room=directory))
