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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

from conflict.ledger.errors import AlreadyRunning, StoreDamaged, StoreForeign
from conflict.ledger.rights import keep_private
from conflict.ledger.store import Store, daemon_lock, open_store
from conflict.ledger.views import find, view_rows
from edge import incarnation, memory, outbox, purge
from edge.branch.schema import COMPONENT as BRANCH
from edge.clock import Clock
from edge.config import JOINED, RENEWING, STORE_NAME, Config, read_config
from edge.errors import NeedsCode, NotANode
from edge.identity import ACCOUNT_NAME, KEYS_NAME, read_account, read_card, read_keys
from edge.lanes import read_lanes
from edge.reference import Reference
from edge.schema import COMPONENT
from edge.service import Service
from edge.staff import Staff
from edge.status import status
from protocol.errors import LiandongError, StoreError, TransportError
from protocol.keys import DeviceKeys
from protocol.trust import HubCard, Trust

if TYPE_CHECKING:
    from edge.join import Joined
    from edge.sync_loop import Round, SyncLoop

CA_NAME = "broker-ca.pem"  # put there by whoever runs a broker with an authority of the county's own
JOIN_TIMEOUT_S = 60.0
SYNC_TIMEOUT_S = 60.0
DAEMON_LOOK_S = 0.1
RENEWAL_LOOK_S = 2.0  # how often a daemon that waits for a code looks again

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
             check: also run the store's quick integrity check, and rebuild a store that is damaged (edge/salvage.py).
    Raises:  NotANode (none there, or still joining), BadConfig, StoreError and its kin.
    """
    config = read_config(directory)
    if not incarnation.is_open(config.state):
        raise NotANode(
            "This device has not finished joining; run `liandong edge join` with its code again.",
            "本设备尚未完成入网，请用入网码再次运行 liandong edge join。",
        )
    card = read_card(directory)
    store = _open_store(directory, clock, check=check)
    try:
        store.ensure(COMPONENT)
        store.ensure(BRANCH)
        reference = Reference(Trust.of(card))
        with store.read() as tx:
            for certificate in memory.certificates(tx):
                reference.renew(certificate)
        incarnation.settle(directory, store, reference, now_ms=clock.now_ms())
        config, keys = read_config(directory), read_keys(directory)
        lanes = read_lanes(directory)
    except BaseException:
        store.close()
        raise
    staff = Staff(store, clock.now_ms)
    service = Service(store, keys, reference, clock, office_phone=config.phone)
    service.desk.unsent_bytes_max = lanes.unsent_bytes_max
    return Node(directory, config, keys, store, reference, clock, staff, service)


def _open_store(directory: Path, clock: Clock, *, check: bool) -> Store:
    from edge.salvage import is_half_done, rebuild

    if is_half_done(directory):
        rebuild(directory, clock, detail="a rebuild that was broken off")
    try:
        return open_store(directory / STORE_NAME, check=check)
    except (StoreDamaged, StoreForeign) as error:
        if not check:
            raise
        rebuild(directory, clock, detail=str(error.facts.get("detail", error.code)))
    return open_store(directory / STORE_NAME, check=True)


def join(
    directory: Path, code: str, clock: Clock, *, card: HubCard | None = None, timeout_s: float = JOIN_TIMEOUT_S
) -> Joined:
    """Join over the broker, then fetch roster, catalogue and calendar, so that cases can be entered from now on.

    May be repeated after any break. Raises: as edge.join.join_by_broker; TransportError if the line is down.
    """
    from edge.join import join_by_broker, read_state

    if read_state(directory) == JOINED:
        with open_node(directory, clock) as node:
            renew_if_due(node)
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
            return _sync_as_whoever(node, timeout_s)
    except AlreadyRunning:
        return _await_daemon(node, timeout_s)


def _sync_as_whoever(node: Node, timeout_s: float) -> Round:
    """One round; where it shows that the old name must not go on, new keys, the county's word, and a round more."""
    if node.config.state != RENEWING:
        done = _one_round(node, timeout_s)
        if not renew_if_due(node):
            return done
    with open_node(node.directory, node.clock) as renewed:
        _succeed(renewed, timeout_s, threading.Event())
    with open_node(node.directory, node.clock) as joined:
        return _loop(joined).run_once(timeout_s)


def _one_round(node: Node, timeout_s: float) -> Round:
    """With the hub; where that is out of reach, with the township, if there is a link."""
    try:
        return _loop(node).run_once(timeout_s)
    except TransportError:
        from edge.branch.wiring import township_line

        line = township_line(node, county_open=lambda: False)
        if line is None:
            raise
        return line.run_once(timeout_s)


def renew_if_due(node: Node) -> bool:
    """Take new keys if the hub holds another history under this device's name, or has frozen it."""
    with node.store.read() as tx:
        why = incarnation.due(tx, node.reference, node.keys.incarnation)
    if why:
        incarnation.renew(node.directory, node.store, node.reference, why=why, now_ms=node.clock.now_ms())
    return bool(why)


def _succeed(node: Node, timeout_s: float, stop: threading.Event) -> None:
    """Ask the county to take the new keys by the word of the old ones. Raises JoinRefused, NeedsCode, TransportError."""
    from edge.succession import ask

    with node.store.read() as tx:
        pending = incarnation.renewal(tx)
    if pending and pending[2]:
        raise NeedsCode(
            f"The county must give this device a new code ({pending[2]}); then: liandong edge join --code CODE here.",
            f"请向县中心申请新的入网码（{pending[2]}），并在本目录运行 liandong edge join --code 入网码。",
        )
    ask(node.directory, node.reference.trust, node.config.broker, node.clock, timeout_s=timeout_s, stop=stop)


def fetch_case(node: Node, text: str, *, timeout_s: float = SYNC_TIMEOUT_S) -> str:
    """Bring a purged case back; returns its id in hex. One that is here already is simply here.

    Raises:  UnknownCase and its kin; TransportError if the hub did not send it in time (it is asked again at the next contact).
    """
    with node.store.write() as tx:
        case = purge.want_back(tx, text)
        if case is None:
            return find(tx, text).hex()
    end = node.clock.mono_ms() + int(timeout_s * 1000)
    while not _is_here(node, case):
        if node.clock.mono_ms() >= end:
            raise TransportError(
                "The county has not sent the case yet; it is asked for again at the next contact.",
                "县中心尚未发回该办件，下次联系时会再次索取。",
            )
        sync_once(node, timeout_s=max(1.0, (end - node.clock.mono_ms()) / 1000))
        time.sleep(DAEMON_LOOK_S)
    return case.hex()


def _is_here(node: Node, case: bytes) -> bool:
    with node.store.read() as tx:
        return bool(view_rows(tx, [case]))


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


def run(node: Node, stop: threading.Event, *, ready: Callable[[], None] = lambda: None) -> None:
    """The daemon: synchronise until `stop` is set (SIGTERM sets it, see ops/). Raises AlreadyRunning, StoreUnsafe.

    Args:    ready: called once it is the only daemon here.

    Where the county shows that this device's name has another history, it goes on under new keys by itself.
    """
    with daemon_lock(node.directory):
        keep_private(node.directory / name for name in (KEYS_NAME, ACCOUNT_NAME, STORE_NAME))
        log.info("device %s of office %s is running", node.config.incarnation, node.config.office)
        ready()
        while not stop.is_set():
            with open_node(node.directory, node.clock) as now:
                if now.config.state == RENEWING:
                    _await_county(now, stop)
                else:
                    _run_lines(now, cast(threading.Event, Watch(now, stop)))
                    renew_if_due(now)
        log.info("stopped")


def _run_lines(node: Node, stop: threading.Event) -> None:
    """The loop with the hub, and beside it the lines with the township or with the villages, where there are any."""
    from edge.branch.wiring import beside

    loop = _loop(node)
    with beside(node, county_open=lambda: loop.open):
        loop.run_forever(stop)


def _await_county(node: Node, stop: threading.Event) -> None:
    """Have the new keys taken; a refusal or a dead line is tried again or waited out, `case` commands work beside."""
    try:
        _succeed(node, JOIN_TIMEOUT_S, stop)
    except LiandongError as error:
        log.warning("not taken by the county yet: %s", error.text)
        stop.wait(RENEWAL_LOOK_S)


class Watch:
    """The sync loop's `stop`: also set once this device must go on under another name, or has taken one."""

    def __init__(self, node: Node, stop: threading.Event) -> None:
        self._node, self._stop = node, stop
        self._version, self._over = -1, False

    def is_set(self) -> bool:
        return self._stop.is_set() or self._is_over()

    def wait(self, timeout: float) -> bool:
        return self._stop.wait(timeout)

    def _is_over(self) -> bool:
        try:
            version = self._node.store.data_version()
            if version != self._version:
                with self._node.store.read() as tx:
                    self._over = bool(incarnation.due(tx, self._node.reference, self._node.keys.incarnation))
                self._version = version
        except StoreError as error:
            log.warning("looked at the store in vain: %s", error.text)  # the loop says what the store refuses
        return self._over


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
    loop = SyncLoop(node.store, node.keys, node.reference, node.clock, carrier)
    loop.lanes.follow(node.directory)
    return loop
