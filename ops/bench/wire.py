"""Bytes on the line for one case: the envelope up, the receipt down, and what MQTT and TCP/IP put around them.

For: counting what a thin line carries for a typical accept op, alone and in a batch.
May not: measure time.
Source: docs/performance.md, "Bytes on the line".
"""

from __future__ import annotations

import random

from ops.bench.material import COUNTY, NOW_MS, Author, Words, field_bytes
from protocol import topics
from protocol.envelope import seal_envelope
from protocol.keys import generate
from protocol.messages import STREAM_RECEIPT, Ack, Ops, Stream
from protocol.op import Op
from protocol.receipt import AcceptedRun, Receipt, sign_receipt
from protocol.roster import Device

TCP_IP_BYTES = 40  # IPv4 and TCP headers of one segment
SEGMENT_BYTES = 1_460  # payload of one segment on an ordinary line
TOPIC_BYTES = len(topics.down(topics.space(bytes(16)), topics.mailbox(bytes(8))))
PUBACK_BYTES = 4


def on_the_line(payload: int) -> int:
    """Bytes of one QoS 1 publish with its acknowledgement, TCP/IP included, both directions."""
    remaining = 2 + TOPIC_BYTES + 2 + payload
    length_bytes = 1 + (remaining > 127) + (remaining > 16_383)
    publish = 1 + length_bytes + remaining
    segments = -(-publish // SEGMENT_BYTES)
    return publish + segments * TCP_IP_BYTES + PUBACK_BYTES + TCP_IP_BYTES


def exchange_bytes(count: int, *, words: Words) -> dict[str, float]:
    """Bytes an op when `count` accept ops travel in one envelope and their receipt comes back, with its ack."""
    rng = random.Random(count)
    author = Author(rng, "420222107205", words)
    hub_keys = generate("420222", "420222", "hub", rng.randbytes)
    hub = Device(hub_keys.incarnation, "420222", "hub", hub_keys.sign_public, hub_keys.seal_public, 1, NOW_MS)
    ops: list[Op] = [author.accept() for _ in range(count)]
    up = seal_envelope([Ops([op.blob for op in ops])], keys=author.keys, recipient=hub)
    receipt = Receipt(COUNTY, author.keys.incarnation, NOW_MS, (AcceptedRun(1, count, ops[-1].id),))
    signed = sign_receipt(receipt, hub_keys)
    down = seal_envelope([Stream(b"\0" * 8, 1, 1, [[STREAM_RECEIPT, signed]])], keys=hub_keys, recipient=author.device)
    ack = seal_envelope([Ack(b"\0" * 8, 1)], keys=author.keys, recipient=hub)
    total = on_the_line(len(up)) + on_the_line(len(down)) + on_the_line(len(ack))
    return {
        "ops": count,
        "fields_bytes": sum(field_bytes(op.body["fields"]) for op in ops) / count,
        "envelope_bytes": len(up) / count,
        "line_bytes": (on_the_line(len(up)) + on_the_line(len(down))) / count,
        "line_bytes_with_ack": total / count,
    }
