"""Who may do what at a broker: allowed flows arrive, denied ones do not, whatever the broker acknowledges.

Method: an ACL denial looks like success in MQTT 3.1.1, so each denial is shown by delivery: first what must not arrive
is tried, then something that must arrive, and when that is there, the other is not.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest

from hub.broker_accounts import new_password, remove_account, write_password
from ops.broker.rules import PUBLISH, RECEIVE, SUBSCRIBE, may
from protocol import topics
from protocol.carriers import CLIENT_ID_PREFIX
from protocol.carriers.accounts import join_account
from protocol.carriers.mqtt import MqttCarrier
from tests.support.brokers import Broker
from tests.support.carriers import CARD, SPACE, carrier, offer, online, receive, until

A_UP, A_DOWN = topics.up(SPACE, "device-a"), topics.down(SPACE, "device-a")
B_UP, B_DOWN = topics.up(SPACE, "device-b"), topics.down(SPACE, "device-b")
ALL = (topics.all_up(SPACE), topics.down(SPACE, "+"), CARD, "ld/#", "#")


@pytest.fixture
def hub(strict_broker: Broker) -> Iterator[MqttCarrier]:
    one = carrier(strict_broker, topics.HUB_USER)
    online(one)
    yield one
    one.stop(0)


@pytest.fixture
def device(strict_broker: Broker) -> Iterator[MqttCarrier]:
    one = carrier(strict_broker, "device-a")
    online(one)
    yield one
    one.stop(0)


def test_a_mailbox_pair_and_the_card(hub: MqttCarrier, device: MqttCarrier) -> None:
    device.publish(A_UP, b"up")
    assert hub.receive(60) == (A_UP, b"up")
    hub.publish(A_DOWN, b"down")
    assert device.receive(60) == (A_DOWN, b"down")


@pytest.mark.parametrize("topic", [B_UP, A_DOWN, B_DOWN, CARD, "elsewhere/x", "ld/testland/device-a", "ld/device-a/up"])
def test_a_device_may_publish_nowhere_else(
    strict_broker: Broker, hub: MqttCarrier, device: MqttCarrier, topic: str
) -> None:
    other = carrier(strict_broker, "device-b")
    reader = carrier(strict_broker, "device-c", subscriptions=(CARD, topics.down(SPACE, "device-c")))
    try:
        online(other, reader)
        device.publish(topic, b"forged", retain=topic == CARD)
        arrived = offer(device, A_UP, hub) + offer(hub, B_DOWN, other) + offer(hub, A_DOWN, device)
        arrived += offer(hub, topics.down(SPACE, "device-c"), reader)
        assert arrived == []
    finally:
        other.stop(0)
        reader.stop(0)


@pytest.mark.parametrize("wish", [B_DOWN, B_UP, A_UP, *ALL])
def test_a_device_hears_nothing_else(strict_broker: Broker, hub: MqttCarrier, wish: str) -> None:
    """Either the subscription is refused, or it is granted and nothing comes."""
    victim = carrier(strict_broker, "device-b")
    curious = carrier(strict_broker, "device-a", subscriptions=(A_DOWN, wish))
    try:
        curious.start()
        until(lambda: curious.state == "online" or "refused the subscription" in curious.reason, "an answer")
        online(victim)
        hub.publish(B_DOWN, b"secret")
        victim.publish(B_UP, b"secret")
        assert receive(victim, 1) + receive(hub, 1) == [b"secret", b"secret"]
        if curious.state == "online":
            hub.publish(A_DOWN, b"mine")
            assert receive(curious, 1) == [b"mine"]
        assert curious.receive() is None
    finally:
        victim.stop(0)
        curious.stop(0)


def test_wrong_password_is_a_state_and_ends_when_the_account_is_there(strict_broker: Broker) -> None:
    password = new_password()
    one = carrier(strict_broker, "device-a", password=password)
    one.start()
    try:
        until(lambda: "refused the login" in one.reason, "it is refused")
        assert one.state == "offline" and not one.publish(A_UP, b"x")
        write_password(strict_broker.directory, "device-a", password)
        online(one)
    finally:
        one.stop(0)


def test_a_password_fits_one_account_only(strict_broker: Broker) -> None:
    strict_broker.account("device-b")
    one = carrier(strict_broker, "device-b", password=strict_broker.account("device-a"))
    one.start()
    try:
        until(lambda: "refused the login" in one.reason, "it is refused")
    finally:
        one.stop(0)


def test_accounts_of_others_keep_working_while_one_is_added(
    strict_broker: Broker, hub: MqttCarrier, device: MqttCarrier
) -> None:
    for number in range(5):
        strict_broker.account(f"device-{number}")
    device.publish(A_UP, b"still here")
    assert receive(hub, 1) == [b"still here"]
    assert (hub.generation, device.generation) == (1, 1)


def test_an_account_that_is_taken_away_loses_its_running_connection(
    strict_broker: Broker, hub: MqttCarrier, device: MqttCarrier
) -> None:
    assert remove_account(strict_broker.directory, "device-a")
    until(lambda: "refused the login" in device.reason, "thrown out, and not let in again")
    assert hub.state == "online" and hub.generation == 1


def test_a_new_password_ends_what_runs_on_the_old_one(
    strict_broker: Broker, hub: MqttCarrier, device: MqttCarrier
) -> None:
    write_password(strict_broker.directory, "device-a", new_password())
    until(lambda: "refused the login" in device.reason, "thrown out, and not let in again")


def test_a_joining_machine_has_a_mailbox_like_any_other(strict_broker: Broker, hub: MqttCarrier) -> None:
    user, password = join_account(bytes(16))
    write_password(strict_broker.directory, user, password)
    one = carrier(strict_broker, user, password=password, subscriptions=(topics.down(SPACE, user), CARD))
    try:
        hub.publish(CARD, b"card", retain=True)
        online(one)
        assert one.receive(60) == (CARD, b"card")
        one.publish(topics.up(SPACE, user), b"let me in")
        assert hub.receive(60) == (topics.up(SPACE, user), b"let me in")
        assert set(offer(hub, topics.down(SPACE, user), one)) <= {b"card"}  # a repeat of the card is allowed
    finally:
        one.stop(0)


def test_anothers_client_id_changes_nothing(strict_broker: Broker, hub: MqttCarrier, device: MqttCarrier) -> None:
    """Strangers, and machines with an account of their own, connect with the client id of a mailbox or of the hub.

    Neither a connection nor a queue of the owner may suffer, however it is tried and whoever comes back first.
    """
    password = strict_broker.account("device-b")

    def attack() -> None:
        for victim in ("device-a", "hub"):
            for client_id in (victim, CLIENT_ID_PREFIX + victim):
                for user, secret in [(None, ""), (victim, "wrong"), ("device-b", "wrong"), ("device-b", password)]:
                    for clean in (True, False):
                        code = connect_code(strict_broker.port, client_id, user, secret, clean)
                        assert code != 0 or secret == password

    attack()
    assert (hub.generation, device.generation) == (1, 1)
    assert offer(hub, A_DOWN, device) == [] == offer(device, A_UP, hub)
    device.stop()
    hub.publish(A_DOWN, b"while away")
    attack()
    device.start()
    assert receive(device, 1) == [b"while away"]
    hub.reconnect()
    until(lambda: hub.generation == 2, "the hub is back")
    assert offer(hub, A_DOWN, device) == [] == offer(device, A_UP, hub)


def test_a_will_is_bound_by_the_same_rules(strict_broker: Broker, hub: MqttCarrier) -> None:
    villain = carrier(strict_broker, "device-b", will=(A_UP, b"forged"))
    honest = carrier(strict_broker, "device-a")
    try:
        villain.start()
        until(lambda: villain.state == "online" or "refused the login" in villain.reason, "an answer")
        if (client := villain._client) is not None and (line := client.socket()) is not None:
            line.shutdown(socket.SHUT_RDWR)
        until(lambda: villain.state == "offline" or villain.generation > 1, "it is cut off")
        online(honest)
        honest.publish(A_UP, b"honest")
        assert receive(hub, 1) == [b"honest"]
    finally:
        villain.stop(0)
        honest.stop(0)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00",
        b"\x10\xff\xff\xff\xff\xff",
        b"\x10\xff\xff\xff\x7f",
        b"\x10\x02\x00\x04",
        b"\x10\x0c\x00\x04MQTT\x04\xff\x00\x00\x00\x00",
        b"\x30\x05\x00\x01x12",
    ],
)
def test_garbage_at_the_door_disturbs_nobody(
    strict_broker: Broker, hub: MqttCarrier, device: MqttCarrier, raw: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", strict_broker.port), 10) as line:
        line.sendall(raw)
        line.settimeout(0.2)
        with contextlib.suppress(OSError):
            assert line.recv(100)[:1] in (b"", b"\x20")
    device.publish(A_UP, b"fine")
    assert receive(hub, 1) == [b"fine"]


def test_table_of_rules() -> None:
    """The rules by themselves, a row for each kind of mailbox, action and topic."""
    allowed = {
        ("device-a", PUBLISH, A_UP), ("device-a", SUBSCRIBE, A_DOWN), ("device-a", RECEIVE, A_DOWN),
        ("device-a", SUBSCRIBE, CARD), ("device-a", RECEIVE, CARD), ("hub", SUBSCRIBE, CARD), ("hub", RECEIVE, CARD),
        ("hub", PUBLISH, A_DOWN), ("hub", PUBLISH, B_DOWN), ("hub", PUBLISH, CARD),
        ("hub", SUBSCRIBE, A_UP), ("hub", RECEIVE, A_UP), ("hub", SUBSCRIBE, B_UP), ("hub", RECEIVE, B_UP),
        ("hub", SUBSCRIBE, topics.all_up(SPACE)), ("hub", RECEIVE, topics.all_up(SPACE)),
        ("hub", PUBLISH, topics.down(SPACE, "+")),  # no broker takes a publish to a wildcard
    }  # fmt: skip
    tried = [
        A_UP,
        A_DOWN,
        B_UP,
        B_DOWN,
        *ALL,
        "",
        "/",
        "ld",
        "ld/",
        "ld//",
        "ld/+",
        "$SYS/broker",
        f"{A_UP}/x",
        f"x/{A_UP}",
    ]
    for box in ("device-a", "hub"):
        for action in (PUBLISH, SUBSCRIBE, RECEIVE):
            for topic in tried:
                assert may(box, action, topic) == ((box, action, topic) in allowed), (box, action, topic)


def connect_code(port: int, client_id: str, user: str | None, password: str, clean: bool) -> int:
    """What the broker answers to one raw CONNECT; -1 if it just hangs up."""
    flags = (0x02 if clean else 0) | (0xC0 if user is not None else 0)

    def text(value: str) -> bytes:
        return struct.pack("!H", len(value)) + value.encode()

    body = text("MQTT") + bytes([4, flags]) + struct.pack("!H", 60) + text(client_id)
    if user is not None:
        body += text(user) + text(password)
    with socket.create_connection(("127.0.0.1", port), 30) as line:
        line.settimeout(30)
        line.sendall(b"\x10" + bytes([len(body)]) + body)
        answer = line.recv(4)
    return answer[3] if len(answer) == 4 else -1
