"""Trying again what was set aside, when somebody asks: after an update of the program, or after the county helped.

For: ops, documents and receipts through the same intake as ever; what the hub could not handle of ours is offered again.
May not: take an entry out before it was handled.
Manual: docs/operating/drills.md, "Poison".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge import aside, outbox
from edge.sync.intake import Intake
from edge.sync.receipts import take_receipt
from edge.sync_loop import hub_device
from protocol.envelope import open_envelope
from protocol.errors import LiandongError, RemoteProtocolError

if TYPE_CHECKING:
    from edge.main import Node


def retry(node: Node) -> dict[str, int]:
    """Try every entry once.

    Returns: tried, handled, left: numbers of entries. What is left keeps its reason, which `node status` shows.
    """
    intake = Intake(node.store, node.keys, node.reference, node.clock)
    with node.store.read() as tx:
        entries = aside.listed(tx, limit=aside.KEPT_MAX)
    intake.ops([one.blob for one in entries if one.what == "op"], via="aside")
    for one in entries:
        if one.what == "document":
            if intake.document(one.blob):
                _handled(node, one)
        elif one.what == "receipt":
            _receipt(node, one)
        elif one.what == "problem":
            _offer_again(node, one)
        elif one.what == "envelope":
            _envelope(node, one)
    with node.store.read() as tx:
        left = len(aside.listed(tx, limit=aside.KEPT_MAX))
    return {"tried": len(entries), "handled": len(entries) - left, "left": left}


def _receipt(node: Node, one: aside.Aside) -> None:
    try:
        with node.store.write() as tx:
            take_receipt(tx, one.blob, node.reference.trust, node.keys.incarnation, node.clock)
            aside.handled(tx, [one.blob])
    except LiandongError as error:
        with node.store.write() as tx:
            aside.put(tx, one.what, one.blob, error, author=one.author, now_ms=node.clock.now_ms())


def _envelope(node: Node, one: aside.Aside) -> None:
    """One that opens now is handled: what was in it was not acknowledged, so its sender has sent it again."""
    hub = hub_device(node.reference.trust)
    try:
        open_envelope(one.blob, keys=node.keys, speaker=lambda _name: hub)
        _handled(node, one)
    except RemoteProtocolError as error:
        with node.store.write() as tx:
            aside.put(tx, one.what, one.blob, error, now_ms=node.clock.now_ms())


def _offer_again(node: Node, one: aside.Aside) -> None:
    """The entry is the hub's word about something of ours. Offered again, it is accepted now or the word comes again."""
    with node.store.write() as tx:
        outbox.reopen_ops(tx, [one.blob], now_ms=node.clock.now_ms())
        aside.handled(tx, [one.blob])


def _handled(node: Node, one: aside.Aside) -> None:
    with node.store.write() as tx:
        aside.handled(tx, [one.blob])
