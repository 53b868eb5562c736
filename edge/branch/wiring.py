"""The lines beside the county's: built from the files in the device's directory, run in threads of their own.

For: `edge run` and `edge sync`.
May not: hold a rule; outlive the loop with the hub, beside which it runs.
Manual: docs/operating/township.md.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edge.branch import setup
from edge.branch.room import Branch
from edge.branch.township import TownshipLine
from edge.identity import read_card
from edge.sync_loop import listens_to
from protocol import topics
from protocol.carriers.mqtt import MqttCarrier
from protocol.errors import LiandongError
from protocol.schedule import delays_s
from protocol.trust import fingerprint

if TYPE_CHECKING:
    from edge.main import Node

ENDING_S = 30.0  # what a thread gets to end its turn and to close its connection

log = logging.getLogger("liandong.edge.branch")


def township_line(node: Node, county_open: Callable[[], bool]) -> TownshipLine | None:
    """The line to the township, or None if there is no link, or if it was made for an earlier name of this device."""
    link = setup.read_link(node.directory)
    if link is None:
        return None
    if link.device != node.keys.incarnation.hex():
        log.warning("the township's card is for an earlier name of this device; ask the township for a new one")
        return None
    carrier = _carrier(
        link.broker,
        link.user,
        link.password,
        listens_to(node.keys, node.reference.trust),
        node.directory / setup.CA_NAME,
    )
    line = TownshipLine(
        node.store,
        node.keys,
        node.reference,
        node.clock,
        carrier,
        bytes.fromhex(link.township),
        county_open=county_open,
    )
    line.lanes.follow(node.directory)
    return line


def branch(node: Node, county_open: Callable[[], bool]) -> Branch | None:
    """The room that serves the branch, or None if this device serves none."""
    served = setup.read_branch(node.directory)
    if served is None:
        return None
    space = topics.space(fingerprint(node.reference.trust.root_public))
    carrier = _carrier(
        served.broker, served.user, served.password, [topics.all_up(space)], node.directory / setup.CA_NAME
    )
    card = read_card(node.directory)
    return Branch(node.store, node.keys, node.reference, node.clock, carrier, card, county_open=county_open)


@contextmanager
def beside(node: Node, county_open: Callable[[], bool]) -> Iterator[None]:
    """Run the other lines of this device in threads until the block ends. A damaged file stops its own line only."""
    lines: list[TownshipLine | Branch] = []
    for build in (township_line, branch):
        try:
            line = build(node, county_open)
        except LiandongError as error:
            log.error("a line beside the county's cannot be used: %s", error.text)
            continue
        if line is not None:
            lines.append(line)
    stop = threading.Event()
    threads = [threading.Thread(target=line.run_forever, args=(stop,), name=type(line).__name__) for line in lines]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(ENDING_S)


def _carrier(broker: str, user: str, password: str, subscriptions: Sequence[str], authority: Path) -> MqttCarrier:
    return MqttCarrier(
        broker,
        client_id=user,
        delays=lambda: delays_s(random.random),
        username=user,
        password=password,
        subscriptions=list(subscriptions),
        ca_file=authority if authority.exists() else None,
    )
