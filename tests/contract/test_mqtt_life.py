"""What the MQTT carrier owes while brokers die, lines freeze and flap, queues fill and callbacks have bugs.

Method: real brokers in processes of their own, real paho, a proxy that misbehaves. Nothing here expects that no payload
is lost; it expects that the carrier is back by itself and says what it knows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol import topics
from protocol.carriers.mqtt import MqttCarrier
from tests.support.brokers import Broker, make_broker
from tests.support.carriers import CARD, SPACE, carrier, offer, online, quick, receive, until
from tests.support.chaos import ChaosProxy

UP = topics.up(SPACE, "device-a")
DOWN = topics.down(SPACE, "device-a")


@pytest.fixture
def hub(any_broker: Broker) -> Iterator[MqttCarrier]:
    one = carrier(any_broker, topics.HUB_USER)
    yield one
    one.stop(0)


@pytest.fixture
def device(any_broker: Broker) -> Iterator[MqttCarrier]:
    one = carrier(any_broker, "device-a")
    yield one
    one.stop(0)


def test_no_broker_is_a_state_and_not_an_error(tmp_path: Path) -> None:
    broker = make_broker("embedded", tmp_path)
    one = carrier(broker, "device-a")
    assert (one.state, one.publish(UP, b"x"), one.receive()) == ("offline", False, None)
    one.start()
    try:
        until(lambda: "cannot be reached" in one.reason, "it says why")
        assert (one.state, one.publish(UP, b"x"), one.counters.refused) == ("offline", False, 2)
        broker.start()
        online(one)
        assert (one.generation, one.reason) == (1, "")
    finally:
        one.stop(0)
        broker.kill()
    assert (one.state, one.reason, one.counters.faults) == ("offline", "stopped", 0)


def test_a_killed_broker_is_noticed_and_found_again(any_broker: Broker, hub: MqttCarrier, device: MqttCarrier) -> None:
    online(hub, device)
    any_broker.kill()
    until(lambda: hub.state == device.state == "offline", "both notice")
    assert not device.publish(UP, b"into the void")
    any_broker.start()
    online(hub, device)
    assert (hub.generation, device.generation, device.counters.losses) == (2, 2, 1)
    offer(device, UP, hub)
    offer(hub, DOWN, device)


def test_wait_ends_when_something_happens(any_broker: Broker, hub: MqttCarrier, device: MqttCarrier) -> None:
    online(hub, device)
    hub.wait(0)
    assert not hub.wait(0.05)
    device.publish(UP, b"ring")
    assert hub.wait(60) and hub.receive(60)
    threading.Timer(0.1, hub.wake).start()
    assert hub.wait(60)
    any_broker.kill()
    assert device.wait(60)


def test_queue_for_a_machine_that_is_away(strict_broker: Broker) -> None:
    """Named sessions persist: what was sent meanwhile comes first (while the broker lives)."""
    hub, device = carrier(strict_broker, topics.HUB_USER), carrier(strict_broker, "device-a")
    try:
        online(hub, device)
        device.stop()
        for number in range(40):
            assert hub.publish(DOWN, b"%d" % number)
        until(lambda: hub.counters.acknowledged == 40, "the broker has them")
        device.start()
        assert receive(device, 40) == [b"%d" % number for number in range(40)]
    finally:
        hub.stop(0)
        device.stop(0)


def test_stop_lets_the_last_payloads_leave(hub: MqttCarrier, device: MqttCarrier) -> None:
    online(hub, device)
    for number in range(100):
        assert device.publish(UP, b"%d" % number)
    device.stop(30)
    assert receive(hub, 100)[-1] == b"99"


def test_full_inbox_drops_and_counts(any_broker: Broker, hub: MqttCarrier) -> None:
    device = carrier(any_broker, "device-a", inbox_limit=5)
    try:
        online(hub, device)
        for _ in range(20):
            assert hub.publish(DOWN, b"x")
        until(lambda: device.counters.received + device.counters.dropped == 20, "all came by")
        assert (device.counters.received, device.counters.dropped) == (5, 15)
        assert len(receive(device, 5)) == 5
        offer(hub, DOWN, device)
    finally:
        device.stop(0)


def test_full_outbox_refuses_and_never_blocks(any_broker: Broker) -> None:
    with ChaosProxy(any_broker.port) as line:
        device = carrier(any_broker, "device-a", port=line.port, outbox_limit=30)
        try:
            online(device)
            line.freeze()
            began = time.monotonic()
            taken = sum(device.publish(UP, bytes(60_000)) for _ in range(200))
            assert taken == 30 and device.counters.refused == 170
            assert time.monotonic() - began < 30
        finally:
            device.stop(0)


def test_a_line_found_dead_is_dialled_anew(any_broker: Broker, hub: MqttCarrier) -> None:
    """Half-open: TCP stands and carries nothing. The link's heartbeat tells; the carrier only has to obey."""
    with ChaosProxy(any_broker.port) as line:
        device = carrier(any_broker, "device-a", port=line.port)
        try:
            online(hub, device)
            line.freeze()
            assert device.publish(UP, b"lost or late")
            device.reconnect()
            until(lambda: device.state == "offline", "it dropped the line")
            until(lambda: line.accepted > 1, "it dials again")
            line.thaw()
            online(device)
            offer(device, UP, hub)
            offer(hub, DOWN, device)
        finally:
            device.stop(0)


def test_one_way_line_never_counts_as_online(any_broker: Broker) -> None:
    with ChaosProxy(any_broker.port) as line:
        line.freeze(up=False)
        device = carrier(any_broker, "device-a", port=line.port)
        try:
            device.start()
            until(lambda: line.bytes["up"] > 0, "its CONNECT went up")
            assert not device.connected.wait(0.3)
            line.thaw()
            online(device)
        finally:
            device.stop(0)


def test_flapping_line_heals(any_broker: Broker, hub: MqttCarrier) -> None:
    with ChaosProxy(any_broker.port) as line:
        device = carrier(any_broker, "device-a", port=line.port)
        try:
            online(hub, device)
            for _ in range(5):
                before = device.generation
                line.refuse = True
                line.cut()
                until(lambda: device.state == "offline", "down")
                line.refuse = False
                until(lambda before=before: device.generation > before, "up")
            offer(device, UP, hub)
            offer(hub, DOWN, device)
            assert device.counters.losses >= 5 and device.counters.faults == 0
        finally:
            device.stop(0)


def test_slow_line_with_long_round_trips(any_broker: Broker, hub: MqttCarrier) -> None:
    with ChaosProxy(any_broker.port) as line:
        line.delay_s, line.rate = 0.2, 50_000
        device = carrier(any_broker, "device-a", port=line.port)
        try:
            online(hub, device)
            for number in range(10):
                assert device.publish(UP, bytes([number]) * 2_000)
            assert receive(hub, 10) == [bytes([number]) * 2_000 for number in range(10)]
        finally:
            device.stop(0)


def test_a_bug_in_a_callback_is_counted_and_the_connection_goes_on(
    hub: MqttCarrier, device: MqttCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    online(hub, device)
    good = hub._inbox.put

    def bad(topic: str, payload: bytes) -> None:
        if payload == b"boom":
            raise ValueError("a bug")
        good(topic, payload)

    monkeypatch.setattr(hub._inbox, "put", bad)
    device.publish(UP, b"boom")
    device.publish(UP, b"after")
    assert receive(hub, 1) == [b"after"]
    assert (hub.counters.faults, hub.generation, hub.state) == (1, 1, "online")


def test_a_bug_in_the_thread_costs_one_connection(
    hub: MqttCarrier, device: MqttCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    online(hub, device)
    client = hub._client
    assert client is not None

    def explode(timeout: float) -> int:
        raise RuntimeError("a bug in the loop")

    monkeypatch.setattr(client, "loop", explode)
    until(lambda: hub.generation == 2, "the thread lived and dialled again")
    offer(device, UP, hub)


def test_last_will_speaks_for_a_machine_that_was_cut_off(any_broker: Broker, hub: MqttCarrier) -> None:
    with ChaosProxy(any_broker.port) as line:
        device = carrier(any_broker, "device-a", port=line.port, will=(UP, b"gone"))
        try:
            online(hub, device)
            line.refuse = True
            line.cut()
            assert receive(hub, 1) == [b"gone"]
        finally:
            device.stop(0)


def test_a_machine_that_stops_leaves_no_will(any_broker: Broker, hub: MqttCarrier) -> None:
    device = carrier(any_broker, "device-a", will=(UP, b"gone"))
    online(hub, device)
    device.publish(UP, b"bye")
    device.stop(30)
    other = carrier(any_broker, "device-b")
    online(other)
    other.publish(topics.up(SPACE, "device-b"), b"after")
    assert receive(hub, 2) == [b"bye", b"after"]
    other.stop(0)


def test_the_card_waits_for_whoever_comes_later(any_broker: Broker, hub: MqttCarrier) -> None:
    online(hub)
    assert hub.publish(CARD, b"the hub's card", retain=True)
    until(lambda: hub.counters.acknowledged == 1, "the broker has it")
    late = carrier(any_broker, "device-b", subscriptions=(CARD,))
    try:
        online(late)
        item = late.receive(60)
        assert item == (CARD, b"the hub's card")
    finally:
        late.stop(0)


def test_the_same_mailbox_twice_the_later_one_is_served(any_broker: Broker, hub: MqttCarrier) -> None:
    """A machine that comes back before the broker noticed that it went."""
    password = any_broker.account("device-a")
    with ChaosProxy(any_broker.port) as line:
        ghost = carrier(any_broker, "device-a", port=line.port, password=password)
        device = carrier(any_broker, "device-a", password=password)
        try:
            online(hub, ghost)
            line.freeze()
            online(device)
            for _ in range(3):
                offer(hub, DOWN, device)
                offer(device, UP, hub)
        finally:
            device.stop(0)
            ghost.stop(0)


def test_passwords_and_names_in_the_url(strict_broker: Broker) -> None:
    password = strict_broker.account("device-a")
    url = f"mqtt://device-a:{password}@127.0.0.1:{strict_broker.port}"
    one = MqttCarrier(url, client_id="device-a", delays=quick, subscriptions=[DOWN])
    try:
        online(one)
    finally:
        one.stop(0)
