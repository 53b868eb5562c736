"""A process that runs the gateway until its case is decided, and may be told to kill itself at one commit.

For: test_city_kill.py. `python -m tests.contract.city_sender DIRECTORY URL COMMIT before|after`, COMMIT 0: never.
May not: hold any promise of the product.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from hub.upward import resume
from tests.contract.city_world import County, client_of

STEPS_MAX = 20


class MortalStore:
    """The real store; at one write block the process dies, before or after the commit."""

    def __init__(self, store: Any, commit: int, moment: str) -> None:
        self._store, self._left, self._moment = store, commit, moment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def write(self, **options: Any) -> Iterator[Connection]:
        with self._store.write(**options) as tx:
            yield tx
            self._left -= 1
            if self._left == 0 and self._moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def run(directory: Path, url: str, commit: int, moment: str) -> None:
    """Step until the only case is decided."""
    county = County(directory)
    (case,) = {bytes.fromhex(row["case"]) for row in county.rows()}
    county.store = MortalStore(county.store, commit, moment)  # type: ignore[assignment]
    resume(county.store, now_ms=county.now_ms)
    with client_of(url) as city:
        for _ in range(STEPS_MAX):
            county.step(city, after_ms=10_000)
            if county.status(case) == "decided":
                return
    raise SystemExit("the case was not decided")


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
