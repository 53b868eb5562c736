"""Mosquitto's configuration for a county: the text of `mosquitto.conf` and of the ACL file.

For: production brokers; the manual and the tests use what is built here.
May not: start or signal a broker.
Manual: docs/operating/broker.md.  Why each line: decision 0053.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hub.broker_accounts import passwords_path
from protocol import topics
from protocol.carriers import CLIENT_ID_PREFIX

ACL_NAME = "acl"
MESSAGE_BYTES_MAX = 131_072  # twice an envelope: the limit that counts is ours, Mosquitto's is behind it
QUEUE_BYTES_MAX = 67_108_864  # 64 MiB kept for one machine that is away; law 2 covers what does not fit
INFLIGHT_MAX = 20
SESSION_DAYS = 60  # a machine that was away longer starts with an empty queue and asks for what it lacks


@dataclass(frozen=True, slots=True)
class Tls:
    """Where Mosquitto finds its certificate; devices verify it against `--broker-ca`."""

    port: int
    certificate: Path
    key: Path


def mosquitto_config(directory: Path, *, port: int = 1883, tls: Tls | None = None) -> str:
    """The text of mosquitto.conf for the hub directory D.

    Args:    port: listener without TLS on the loopback address, for the hub beside it.
             tls: the listener that devices use, on all addresses; without it only the machine itself is served.
    """
    home = directory / passwords_path(directory).parent.name
    account = [
        "allow_anonymous false",
        f"password_file {passwords_path(directory)}",
        f"acl_file {home / ACL_NAME}",
        "use_username_as_clientid true",
        "allow_zero_length_clientid false",
    ]
    lines = [
        "per_listener_settings true",
        f"clientid_prefixes {CLIENT_ID_PREFIX}",
        "persistence true",
        f"persistence_location {home}/",
        "autosave_interval 60",
        f"persistent_client_expiration {SESSION_DAYS}d",
        f"max_inflight_messages {INFLIGHT_MAX}",
        "max_queued_messages 0",
        f"max_queued_bytes {QUEUE_BYTES_MAX}",
        f"message_size_limit {MESSAGE_BYTES_MAX}",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages true",
        "",
        f"listener {port} 127.0.0.1",
        *account,
    ]
    if tls is not None:
        lines += [
            "",
            f"listener {tls.port}",
            f"certfile {tls.certificate}",
            f"keyfile {tls.key}",
            "tls_version tlsv1.2",
            *account,
        ]
    return "\n".join(lines) + "\n"


def acl_text() -> str:
    """The text of the ACL file: what is not named is denied. One mailbox pair for each account, by its name."""
    own, every, card = "%u", "+", topics.card("+")
    return "\n".join(
        [
            f"user {topics.HUB_USER}",
            f"topic read {topics.all_up(every)}",
            f"topic write {topics.down(every, every)}",
            f"topic write {card}",
            "",
            f"pattern write {topics.up(every, own)}",
            f"pattern read {topics.down(every, own)}",
            f"pattern read {card}",
            "",
        ]
    )
