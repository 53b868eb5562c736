"""Reading what a township and its villages keep about each other, and a receipt's signature, without the product.

For: the checks of branches.py.
May not: import conflict, edge, hub, or of protocol anything but the cipher; write.
Spec: docs/protocol/receipt.md, docs/operating/storage.md (tables).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack

from ops.simulate.raw import opened
from protocol.errors import BadSignature
from protocol.suites import suite

DOMAIN_STATEMENT = b"liandong statement v1"
STREAM_OP = 1


def relayed(store: Path) -> dict[bytes, str]:
    """Of each op that a device carries for others: pending or settled."""
    with opened(store) as db:
        return dict(db.execute("select op_id, state from branch_relay order by pos"))


def sent_down(store: Path) -> list[tuple[str, bytes]]:
    """(office, op) of everything that a township has put into its streams."""
    query = "select office, ref from branch_stream where what = ? order by office, pos"
    with opened(store) as db:
        return list(db.execute(query, (STREAM_OP,)))


def stream_ends(store: Path) -> dict[str, int]:
    """Where a township's streams end, by office."""
    with opened(store) as db:
        return dict(db.execute("select office, pos from branch_head"))


def receipts(store: Path) -> list[bytes]:
    """The signed receipts that a device keeps."""
    with opened(store) as db:
        return [row[0] for row in db.execute("select blob from receipts order by id")]


def outcomes_in(blob: bytes, hub_public: bytes) -> Iterator[tuple[str, Any]]:
    """What a receipt says, if the hub's key signed it: ("run", (author, first, last)), ("op", id); nothing otherwise."""
    signed, signature = msgpack.unpackb(blob, raw=False, strict_map_key=False)
    try:
        suite(1).verify(hub_public, DOMAIN_STATEMENT, signed, signature)
    except BadSignature:
        return
    content = msgpack.unpackb(signed, raw=False, strict_map_key=False)
    if content["kind"] != "receipt":
        return
    for first, last, _op in content["accepted"]:
        yield "run", (content["author"], first, last)
    for row in (*content["refused"], *content["waiting"]):
        yield "op", row[0]
