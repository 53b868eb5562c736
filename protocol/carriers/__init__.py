"""Carriers move envelopes and look into none: MQTT through a broker, a bundle file on a stick.

For: the one impure room of protocol/; edge and hub pick a carrier here, `link.py` does the thinking.
May not: decide when to send, repeat or acknowledge; be imported by a pure room.
"""

from protocol.errors import InputError

PAYLOAD_BYTES_MAX = 65_536  # one MQTT message carries one envelope (docs/protocol/envelope.md)
CLIENT_ID_PREFIX = "ld-"  # no user name begins so; without it a stranger could deafen a mailbox (decision 0053)


class BadBrokerUrl(InputError):
    """A broker address that is not `mqtt://…` or `mqtts://…`, or a CA file that cannot be read."""

    code = "bad_broker_url"
