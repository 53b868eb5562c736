"""The hub's daemon: everything wired together, until SIGTERM.

For: `liandong hub run`.
May not: think; be imported by anything but ops.
Manual: docs/operating/hub.md, "The daemon".
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from conflict.ledger.errors import StoreUnreachable
from conflict.ledger.rights import keep_private
from conflict.ledger.store import daemon_lock
from hub import lineage, state
from hub.clock import CountyClock, county_clock
from hub.config import BLIND_KEY_NAME, HUB_KEY_NAME, ROOT_KEY_NAME, STORE_NAME, read_secret
from hub.documents import Shelf
from hub.init import HUB_PASSWORD_NAME, open_county, settle_restored
from hub.intake import Intake
from hub.line import Comparer
from hub.sync_loop import SyncLoop
from hub.upward_run import run_gateway
from protocol import topics
from protocol.carriers.mqtt import MqttCarrier
from protocol.schedule import delays_s
from protocol.trust import Trust

CA_NAME = "broker-ca.pem"  # of a broker whose certificate comes from an authority of the county's own, as at an edge
PRIVATE_NAMES = (ROOT_KEY_NAME, HUB_KEY_NAME, BLIND_KEY_NAME, HUB_PASSWORD_NAME, STORE_NAME)
JOIN_S = 15.0  # what the gateway's thread gets to end a call under way
DATABASE_LOOK_S = 2.0  # between two looks at a database server that does not answer at the start

_log = logging.getLogger("liandong.hub")


def run_hub(
    directory: Path,
    stop: threading.Event,
    *,
    now_ms: Callable[[], int],
    mono_ms: Callable[[], int],
    broker: str | None = None,
    ready: Callable[[], None] = lambda: None,
    comparer: Callable[..., Comparer] | None = None,
) -> None:
    """Serve the county in `directory` until `stop` is set.

    Args:    broker: where to find the broker instead of the county's own address. ready: called once all is set up.
    Raises:  NotACounty, BadConfig, AlreadyRunning, BadBrokerUrl, StoreError: what keeps it from starting.

    A database server that does not answer is waited for: after a power cut it may come up later than the hub.
    """
    with daemon_lock(directory):
        keep_private(directory / name for name in PRIVATE_NAMES)
        while not stop.is_set():
            try:
                _serve(directory, stop, now_ms=now_ms, mono_ms=mono_ms, broker=broker, ready=ready, comparer=comparer)
            except StoreUnreachable as error:
                _log.error("%s (%s); trying again in %d s", error.text, error.facts.get("detail", ""), DATABASE_LOOK_S)
                stop.wait(DATABASE_LOOK_S)


def _serve(
    directory: Path,
    stop: threading.Event,
    *,
    now_ms: Callable[[], int],
    mono_ms: Callable[[], int],
    broker: str | None,
    ready: Callable[[], None],
    comparer: Callable[..., Comparer] | None,
) -> None:
    """Set up and serve until `stop` is set. Raises StoreUnreachable if the database server is away during the set-up."""
    county = open_county(directory, check=True)
    fraction = random.random
    space = topics.space(county.card.fingerprint)
    try:
        settle_restored(county, now_ms=county_clock(county.store, now_ms, mono_ms)())
        with county.store.read() as tx:
            lineage.need_newest(tx)
            clock = CountyClock(now_ms, mono_ms, signed_ms=state.signed_ms(tx))
        carrier = MqttCarrier(
            broker or county.config.broker,
            client_id=topics.HUB_USER,
            delays=partial(delays_s, fraction, cap_ms=15_000),
            username=topics.HUB_USER,
            password=read_secret(directory, HUB_PASSWORD_NAME).decode(),
            subscriptions=(topics.all_up(space),),
            ca_file=authority if (authority := directory / CA_NAME).exists() else None,
        )
        intake = Intake(county.store, county.keys, county.shelf, now_ms=clock)
        loop = SyncLoop(
            county,
            carrier,
            intake,
            now_ms=clock,
            mono_ms=mono_ms,
            fraction=fraction,
            random_bytes=os.urandom,
            comparer=comparer(county) if comparer else None,
            hourly=clock.tell,
        )
        shelf = Shelf(Trust.of(county.card), county.keys)
        gateway = threading.Thread(
            target=run_gateway,
            name="upward",
            args=(county, shelf, stop, carrier.wake),
            kwargs={"now_ms": clock},
            daemon=True,
        )
        carrier.start()
        gateway.start()
        ready()
        try:
            loop.run_forever(stop)
        finally:
            stop.set()
            carrier.stop()
            gateway.join(JOIN_S)
            intake.close()
    finally:
        county.store.close()
