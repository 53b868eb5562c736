"""A person decides that this copy of the hub goes on although another one has worked meanwhile.

For: beginning an epoch later than the other's, so that devices follow this one and the other stops if it wakes.
May not: be done by itself.
Manual: docs/operating/drills.md, "Two hubs".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from conflict.ledger.store import Store, daemon_lock
from hub import notices
from hub.enrolment import said_void
from hub.init import open_county
from hub.recovery import put_back


def take_over(directory: Path, *, clock_of: Callable[[Store], Callable[[], int]]) -> None:
    """clock_of: the county's time, from its store. Raises NotACounty, BadConfig, AlreadyRunning, StoreError."""
    with daemon_lock(directory):
        county = open_county(directory)
        try:
            now_ms = clock_of(county.store)()
            with county.store.write() as tx:
                void, void_zh = said_void(put_back(tx, os.urandom(8), now_ms=now_ms))
                notices.tell(
                    tx,
                    code="hub_takeover",
                    about=county.keys.incarnation.hex(),
                    office=county.config.county,
                    text="This copy of the hub was told to take over from another; devices offer again what it lacks."
                    + void,
                    text_zh="本机已被指定接替另一台县中心；各设备将补报本机缺少的条目。" + void_zh,
                    now_ms=now_ms,
                )
        finally:
            county.store.close()
