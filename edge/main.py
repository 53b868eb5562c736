"""An office's device, wired together: directory -> store, keys, reference data, service, sync loop.

For: `open_node` for every command; joining, synchronising and running on, for the command line and the demonstration.
May not: read sys.argv or environment variables (ops/ does); hold a rule of its own.
Manual: docs/operating/edge.md.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from conflict.ledger.errors import AlreadyRunning
from conflict.ledger.store import Store, daemon_lock, open_store
from edge import memory, outbox
from edge.clock import Clock
from edge.config import JOINED, STORE_NAME, Config, read_config
from edge.errors import NotANode
from edge.identity import read_account, read_card, read_keys
from edge.reference import Reference
from edge.schema import COMPONENT
from edge.service import Service
from edge.staff import Staff
from edge.status import status
from protocol.keys import DeviceKeys
from protocol.trust import HubCard, Trust

if TYPE_CHECKING:
    from edge.join import Joined
    from edge.sync_loop import Round, SyncLoop

CA_NAME = "broker-ca.pem"  # put there by whoever runs a broker with an authority of the county's own
JOIN_TIMEOUT_S = 60.0
SYNC_TIMEOUT_S = 60.0
DAEMON_LOOK_S = 0.1

log = logging.getLogger("liandong.edge")


@dataclass(frozen=True, slots=True)
class Node:
    """One open device. Close it, or use it as a context manager."""

    directory: Path
    config: Config
    keys: DeviceKeys
    store: Store
    reference: Reference
    clock: Clock
    staff: Staff
    service: Service

    def close(self) -> None:
        self.store.close()

    def status(self) -> dict[str, object]:
        """See edge/status.py."""
        return status(self)

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_node(directory: Path, clock: Clock, *, check: bool = False) -> Node:
    """Open the device in `directory`.

    Args:    clock: `edge.clock.machine_clock()`, with a test's wall clock where there is one.
             check: also run the store's quick integrity check.
    Raises:  NotANode (none there, or still joining), BadConfig, StoreError and its kin.
    """
    config = read_config(directory)
    if config.state != JOINED:
        raise NotANode(
            "This device has not finished joining; run `liandong edge join` with its code again.",
            "本设备尚未完成入网，请用入网码再次运行 liandong edge join。",
        )
    keys, card = read_keys(directory), read_card(directory)
    store = open_store(directory / STORE_NAME, check=check)
    try:
        store.ensure(COMPONENT)
        reference = Reference(Trust.of(card))
        with store.read() as tx:
            for certificate in memory.certificates(tx):
                reference.renew(certificate)
    except BaseException:
        store.close()
        raise
    staff = Staff(store, clock.now_ms)
    service = Service(store, keys, reference, clock, office_phone=config.phone)
    return Node(directory, config, keys, store, reference, clock, staff, service)


def join(
    directory: Path, code: str, clock: Clock, *, card: HubCard | None = None, timeout_s: float = JOIN_TIMEOUT_S
) -> Joined:
    """Join over the broker, then fetch roster, catalogue and calendar, so that cases can be entered from now on.

    May be repeated after any break. Raises: as edge.join.join_by_broker; TransportError if the line is down.
    """
    from edge.join import join_by_broker

    made = join_by_broker(directory, code, clock, card=card, timeout_s=timeout_s)
    with open_node(directory, clock) as node:
        with node.store.read() as tx:
            complete = all(node.reference.versions(tx).values())
        if not complete:
            sync_once(node, timeout_s=timeout_s)
    return made


def sync_once(node: Node, *, timeout_s: float = SYNC_TIMEOUT_S) -> Round:
    """One round with the hub. Beside a running daemon, which synchronises by itself: wait until it has.

    Raises:  TransportError (`offline`) if the hub was not reached within the time.
    """
    try:
        with daemon_lock(node.directory):
            return _loop(node).run_once(timeout_s)
    except AlreadyRunning:
        return _await_daemon(node, timeout_s)


def _await_daemon(node: Node, timeout_s: float) -> Round:
    from edge.sync_loop import Round, offline

    end = node.clock.mono_ms() + int(timeout_s * 1000)
    before = _unsettled(node)
    while (pending := _unsettled(node)) and node.clock.mono_ms() < end:
        time.sleep(DAEMON_LOOK_S)
    if pending == before and pending:
        raise offline("the running daemon has no answer from the hub")
    return Round(before - pending, 0, pending, complete=not pending)


def _unsettled(node: Node) -> int:
    with node.store.read() as tx:
        counts = outbox.counts(tx)
    return counts["pending"] + counts["offered"]


def run(node: Node, stop: threading.Event) -> None:
    """The daemon: synchronise until `stop` is set (SIGTERM sets it, see ops/). Raises AlreadyRunning."""
    with daemon_lock(node.directory):
        log.info("device %s of office %s is running", node.config.incarnation, node.config.office)
        _loop(node).run_forever(stop)
        log.info("stopped")


def _loop(node: Node) -> SyncLoop:
    from edge.sync_loop import SyncLoop, listens_to
    from protocol import topics
    from protocol.carriers.mqtt import MqttCarrier
    from protocol.schedule import delays_s

    account = read_account(node.directory)
    if account is None:
        raise NotANode(
            "This device has no account at the broker; run `liandong edge join` again.",
            "本设备没有消息服务账号，请再次运行 liandong edge join。",
        )
    authority = node.directory / CA_NAME
    carrier = MqttCarrier(
        node.config.broker,
        client_id=topics.mailbox(node.keys.incarnation),
        delays=lambda: delays_s(random.random),
        username=account.user,
        password=account.password,
        subscriptions=listens_to(node.keys, node.reference.trust),
        ca_file=authority if authority.exists() else None,
    )
    return SyncLoop(node.store, node.keys, node.reference, node.clock, carrier)
