"""Succession: a device with new keys asks the county to take them, by the word of its old keys, without a visit.

For: the request and the conversation over the old name's mailbox. The hub accepts it once for each old name, if that
name is neither frozen nor revoked; else a new code is needed (`edge join` in the same directory).
May not: draw keys (edge/incarnation.py did); believe an answer that the certified hub did not sign.
Spec: docs/protocol/trust.md, "Succession".  Decision: docs/decisions/0131-succession.md.
"""

from __future__ import annotations

import logging
import random
import socket
import threading
from pathlib import Path

from edge.clock import Clock
from edge.errors import JoinRefused, NeedsCode
from edge.identity import read_account, read_keys
from edge.incarnation import earlier_keys
from edge.join import finish
from protocol import topics
from protocol.enrol import JoinRequest, open_answer, seal_request
from protocol.errors import RemoteProtocolError, TransportError
from protocol.keys import DeviceKeys
from protocol.schedule import delays_s
from protocol.succession import sign_succession
from protocol.trust import Trust, fingerprint

ASK_AGAIN_MS = 5_000
LOOK_S = 0.2

log = logging.getLogger("liandong.edge.succession")


def request_bytes(keys: DeviceKeys, old: DeviceKeys, trust: Trust) -> bytes:
    """The sealed request: new public keys, and the old name's signed word that they follow it."""
    request = JoinRequest(
        county=keys.county,
        office=keys.office,
        sign_public=keys.sign_public,
        seal_public=keys.seal_public,
        suite=keys.suite,
        secret=sign_succession(keys, old),
        label=socket.gethostname()[:60],
        reply_box=topics.mailbox(old.incarnation),
    )
    return seal_request(request, keys=keys, hub=trust.hub)


def ask(directory: Path, trust: Trust, broker: str, clock: Clock, *, timeout_s: float, stop: threading.Event) -> None:
    """Ask until the hub answers; afterwards the directory is a joined device again.

    Raises:  NeedsCode (no old name whose word would count), JoinRefused with the hub's reason, TransportError.
    """
    from protocol.carriers.mqtt import MqttCarrier

    keys, account = read_keys(directory), read_account(directory)
    old = next(
        (one for name, one in earlier_keys(directory).items() if account and topics.mailbox(name) == account.user), None
    )
    if account is None or old is None:
        raise NeedsCode(
            "The county must give this device a new code; then: liandong edge join --code CODE in this directory.",
            "请向县中心申请新的入网码，并在本目录运行 liandong edge join --code 入网码。",
        )
    space, box = topics.space(fingerprint(trust.root_public)), topics.mailbox(old.incarnation)
    authority = directory / "broker-ca.pem"
    carrier = MqttCarrier(
        broker,
        client_id=box,
        delays=lambda: delays_s(random.random, first_ms=500, cap_ms=5_000),
        username=account.user,
        password=account.password,
        subscriptions=[topics.down(space, box)],
        ca_file=authority if authority.exists() else None,
    )
    carrier.start()
    try:
        begun, asked = clock.mono_ms(), 0
        while not stop.is_set() and clock.mono_ms() - begun < timeout_s * 1000:
            now = clock.mono_ms()
            if carrier.state == "online" and (not asked or now - asked > ASK_AGAIN_MS):
                carrier.publish(topics.up(space, box), request_bytes(keys, old, trust))
                asked = now
            arrived = carrier.receive(LOOK_S)
            if arrived is not None and _is_mine(arrived[1], keys, trust):
                finish(directory, arrived[1], clock)
                return
    except JoinRefused as error:
        log.warning("the county did not take the new keys: %s", error.text)
        raise
    finally:
        carrier.stop()
    raise TransportError(
        f"The county cannot be reached ({carrier.reason or 'no answer'}). Nothing is lost; it is asked again.",
        "暂时无法连接县中心。数据已保存在本机，线路恢复后会再次申请。",
    )


def _is_mine(payload: bytes, keys: DeviceKeys, trust: Trust) -> bool:
    """Envelopes for the old name lie in the same mailbox; they are passed over."""
    try:
        open_answer(payload, keys=keys, trust=trust)
    except RemoteProtocolError as error:
        log.debug("not the answer: %s", error.code)
        return False
    return True
