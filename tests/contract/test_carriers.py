"""What every carrier owes: payloads arrive as the bytes they were, in order, whatever they are; others are refused.

Method: the same tests over MQTT on each broker and over a bundle file.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from protocol import topics
from protocol.carriers import PAYLOAD_BYTES_MAX
from protocol.carriers.bundle import read_bundle, write_bundle
from protocol.errors import LocalProtocolError
from tests.support.brokers import KINDS, make_broker
from tests.support.carriers import SPACE, carrier, online, receive

Carry = Callable[[list[bytes]], list[bytes]]


@pytest.fixture(params=[*KINDS, "bundle"])
def carry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Carry]:
    """Takes payloads at one end, gives what came out at the other."""
    if request.param == "bundle":

        def by_stick(payloads: list[bytes]) -> list[bytes]:
            path = tmp_path / f"{len(list(tmp_path.iterdir()))}.ldb"
            write_bundle(path, payloads, county="420222", sender=b"sender-1", created_ms=0)
            return list(read_bundle(path, county="420222"))

        yield by_stick
        return
    with contextlib.ExitStack() as stack:
        broker = make_broker(request.param, tmp_path / "d")
        stack.callback(broker.kill)
        broker.start()
        hub, device = carrier(broker, topics.HUB_USER), carrier(broker, "device-a")
        stack.callback(hub.stop, 0)
        stack.callback(device.stop, 0)
        online(hub, device)

        def by_line(payloads: list[bytes]) -> list[bytes]:
            for payload in payloads:
                assert device.publish(topics.up(SPACE, "device-a"), payload)
            return receive(hub, len(payloads))

        yield by_line


def test_bytes_arrive_as_they_were(carry: Carry) -> None:
    payloads = [b"\x00", b"\xff\xfe\x00", bytes(range(256)), "案件".encode(), b"../../etc/passwd", b"\x89LDB\r\n\x1a\n"]
    assert carry(payloads) == payloads


def test_order_is_kept(carry: Carry) -> None:
    payloads = [hashlib.sha256(bytes([number])).digest() for number in range(150)]
    assert carry(payloads) == payloads


def test_the_largest_payload_arrives(carry: Carry) -> None:
    largest = hashlib.sha256(b"seed").digest() * (PAYLOAD_BYTES_MAX // 32)
    assert len(largest) == PAYLOAD_BYTES_MAX
    assert carry([largest, b"behind it"]) == [largest, b"behind it"]


@pytest.mark.parametrize("wrong", [b"", bytes(PAYLOAD_BYTES_MAX + 1)], ids=["empty", "one byte too long"])
def test_other_sizes_are_our_own_mistake_and_change_nothing(carry: Carry, wrong: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        carry([wrong])
    assert carry([b"the next one"]) == [b"the next one"]


def test_repeats_are_carried_as_often_as_they_were_given(carry: Carry) -> None:
    assert carry([b"same", b"same"]) == [b"same", b"same"]
