"""Broker addresses, good and bad."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.carriers import BadBrokerUrl
from protocol.carriers.accounts import join_account
from protocol.carriers.address import Address, parse_url
from protocol.carriers.mqtt import MqttCarrier


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://127.0.0.1", Address("127.0.0.1", 1883, False)),
        ("mqtt://127.0.0.1:1884/", Address("127.0.0.1", 1884, False)),
        ("mqtts://broker.county.example", Address("broker.county.example", 8883, True)),
        ("mqtt://user:p%40ss%3A@host:99", Address("host", 99, False, "user", "p@ss:")),
        ("mqtt://[::1]:1883", Address("::1", 1883, False)),
        (" mqtt://host \n", Address("host", 1883, False)),
    ],
)
def test_good_addresses(url: str, address: Address) -> None:
    assert parse_url(url) == address


@pytest.mark.parametrize(
    "url", ["", "host:1883", "http://host", "mqtt://", "mqtt://:1883", "mqtt://host:0", "mqtt://host:99999", "mqtt://host:x",
            "mqtt://host/path", "mqtt://host?x=1", "mqtt://host#x", "mqtt://[::1"],
)  # fmt: skip
def test_bad_addresses(url: str) -> None:
    with pytest.raises(BadBrokerUrl) as caught:
        parse_url(url)
    assert caught.value.code == "bad_broker_url"


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(parse_url("mqtt://user:secret@host"))


def test_an_authority_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pem", tmp_path):
        with pytest.raises(BadBrokerUrl):
            MqttCarrier("mqtts://host", client_id="x", delays=lambda: iter(()), ca_file=path)


def test_join_accounts_follow_from_the_secret() -> None:
    user, password = join_account(bytes(16))
    assert (user, password) == join_account(bytes(16))
    assert user.startswith("join-") and len(user) == 21 and len(password) == 32
    assert set(join_account(b"\x01" + bytes(15))).isdisjoint({user, password})
