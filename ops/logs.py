"""Where the log goes: one line an event on stderr, from warnings up for commands, from information up for daemons.

For: setting logging up once per process.
May not: log by itself; be told citizen data (no room of ours logs any).
Manual: docs/operating/commands.md, "Logs".
"""

from __future__ import annotations

import logging
import sys

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def quiet() -> None:
    """For a command: a person reads its one sentence; only what nobody foresaw is logged beside it."""
    _set_up(logging.CRITICAL)


def daemon() -> None:
    """For a daemon: its log tells what it does."""
    _set_up(logging.INFO)


def _set_up(level: int) -> None:
    logging.basicConfig(stream=sys.stderr, format=FORMAT, level=logging.WARNING, force=True)
    logging.getLogger("liandong").setLevel(level)
    for name in ("paho", "amqtt", "httpx", "httpcore", "asyncio", "transitions", "alembic"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
