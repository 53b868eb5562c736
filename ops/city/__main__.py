"""`python -m ops.city`: the city platform as a process of its own.

For: the demo and the tests with real processes. Prints one JSON line with its address when it is ready. LIANDONG_NOW
sets its clock.
May not: hold any rule of the platform.
Spec: docs/protocol/city.md, "Running".
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from ops.city.server import run_city
from ops.city.settings import AUTOMATIC, CitySettings
from ops.clock import wall_clock

TOKEN_VARIABLE = "LIANDONG_CITY_TOKEN"


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM. The token comes from the environment, so that no process list shows it."""
    parser = argparse.ArgumentParser(
        prog="python -m ops.city", description="a city platform for the demo and the tests"
    )
    parser.add_argument("--dir", type=Path, required=True, help="where the platform keeps its store")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free port, printed at the start")
    parser.add_argument("--office", default="4202", help="area code of the city")
    parser.add_argument("--automatic", choices=AUTOMATIC, default="none", help="what happens by itself to each case")
    parser.add_argument("--delay-ms", type=int, default=0, help="how long after the receipt it happens")
    options = parser.parse_args(arguments)
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        parser.error(f"set {TOKEN_VARIABLE} to the token that the county uses")
    settings = CitySettings(options.dir, token, options.office, options.automatic, options.delay_ms)
    run_city(
        settings,
        host=options.host,
        port=options.port,
        now_ms=wall_clock(),
        ready=lambda url: print(json.dumps({"url": url}), flush=True),
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
