"""Topics and mailboxes: the only place where an MQTT topic is spelled.

For: opaque names that tell a broker nothing about offices or people.
May not: know what travels in a mailbox.
Spec: docs/protocol/topics.md.
"""

from __future__ import annotations

import base64

from protocol.errors import MalformedBytes
from protocol.suites import suite

DOMAIN_MAILBOX = b"liandong mailbox v1"
PREFIX = "ld"
HUB_USER = "hub"
JOIN_USER = "join"


def _short(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def space(root_fingerprint: bytes) -> str:
    """8 characters that set one county's topics apart on a shared broker."""
    return _short(root_fingerprint[:5])


def mailbox(incarnation: bytes) -> str:
    """16 characters: the device's mailbox, MQTT client id and user name."""
    return _short(suite(1).hash(DOMAIN_MAILBOX, incarnation)[:10])


def join_mailbox(nonce: bytes) -> str:
    """The mailbox of a machine that has no name yet; `nonce` is 10 random bytes."""
    return f"{JOIN_USER}-{_short(nonce[:10])}"


def up(county_space: str, box: str) -> str:
    """Where the owner of `box` publishes and the hub listens."""
    return f"{PREFIX}/{county_space}/{box}/up"


def down(county_space: str, box: str) -> str:
    """Where the hub publishes and the owner of `box` listens."""
    return f"{PREFIX}/{county_space}/{box}/down"


def all_up(county_space: str) -> str:
    """What the hub subscribes to."""
    return f"{PREFIX}/{county_space}/+/up"


def card(county_space: str) -> str:
    """Retained: the hub's card for machines that want to join."""
    return f"{PREFIX}/{county_space}/card"


def mailbox_of(topic: str) -> str:
    """The mailbox that a message on an `up` topic came from. Raises MalformedBytes for any other topic."""
    parts = topic.split("/")
    if len(parts) != 4 or parts[0] != PREFIX or parts[3] != "up":
        raise MalformedBytes("not a mailbox topic")
    return parts[2]
