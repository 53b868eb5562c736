"""Broker addresses: `mqtt://user:password@host:port`, or `mqtts://` for TLS.

For: whoever is given `--broker`; checks it before anything is written down.
May not: connect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from protocol.carriers import BadBrokerUrl

PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is. `username` and `password` are None where the URL names none."""

    host: str
    port: int
    tls: bool
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_url(url: str) -> Address:
    """The parts of a broker URL; the port defaults to 1883, with TLS to 8883. Raises BadBrokerUrl."""
    wrong = BadBrokerUrl(
        "A broker address looks like mqtt://host:1883 or mqtts://host:8883.",
        "消息服务地址的格式应为 mqtt://主机:1883 或 mqtts://主机:8883。",
    )
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise wrong from error
    if parts.scheme not in PORTS or not host or parts.path.strip("/") or parts.query or parts.fragment or port == 0:
        raise wrong
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return Address(host, port or PORTS[parts.scheme], parts.scheme == "mqtts", username, password)
