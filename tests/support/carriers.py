"""MQTT carriers as tests use them: a hub and a device at a broker, with quick delays, and patient waits.

For: contract and story tests.
May not: wait longer than a loaded machine needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from protocol import topics
from protocol.carriers.mqtt import MqttCarrier
from tests.support.brokers import Broker
from tests.support.process import PATIENCE_S

SPACE = "testland"
CARD = topics.card(SPACE)
_numbers = count(1)


def quick() -> Iterator[float]:
    """Waits between attempts that suit a test."""
    while True:
        yield 0.05


def carrier(
    broker: Broker,
    user: str,
    *,
    port: int | None = None,
    password: str | None = None,
    subscriptions: tuple[str, ...] | None = None,
    **more: Any,
) -> MqttCarrier:
    """A carrier for `user`, not started; its account is made unless a password is given.

    Args:    subscriptions: default to what the user may hear: all `up` topics for the hub, its own `down` for a device.
    """
    if subscriptions is None:
        subscriptions = (topics.all_up(SPACE),) if user == topics.HUB_USER else (topics.down(SPACE, user),)
    url = f"mqtt://127.0.0.1:{port or broker.port}"
    secret = password or broker.account(user)
    return MqttCarrier(
        url, client_id=user, username=user, password=secret, subscriptions=subscriptions, delays=quick, **more
    )


def until(true: Callable[[], Any], what: str, timeout: float = PATIENCE_S) -> Any:
    """Wait until `true()` is; its value."""
    end = time.monotonic() + timeout
    while not (value := true()):
        assert time.monotonic() < end, f"never came true: {what}"
        time.sleep(0.01)
    return value


def online(*carriers: MqttCarrier) -> None:
    """Start those that are not, and wait until all are connected."""
    for one in carriers:
        one.start()
    for one in carriers:
        until(lambda one=one: one.state == "online", f"online: {one.reason}")


def receive(one: MqttCarrier, count: int, timeout: float = PATIENCE_S) -> list[bytes]:
    """The next `count` payloads."""
    end, got = time.monotonic() + timeout, []
    while len(got) < count:
        item = one.receive(max(0.0, end - time.monotonic()))
        assert item is not None, f"{len(got)} of {count} payloads came"
        got.append(item[1])
    return got


def offer(sender: MqttCarrier, topic: str, receiver: MqttCarrier) -> list[bytes]:
    """Repeat a payload until it arrives, as a link does. Whatever else arrived meanwhile, without earlier repeats."""
    mark, others = f"offer {next(_numbers)}".encode(), []
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        sender.publish(topic, mark)
        item = receiver.receive(0.3)
        while item is not None and item[1] != mark:
            if not item[1].startswith(b"offer "):
                others.append(item[1])
            item = receiver.receive(0.0)
        if item is not None:
            return others
    raise AssertionError(
        f"nothing arrives on {topic}: {sender.state} {sender.reason}, {receiver.state} {receiver.reason}"
    )
