"""A small county in a directory for measuring: hub and one village room, joined by exchanged files, no broker.

For: the real store, service and intake under the stopwatch.
May not: be faster than a real one: same settings, same durability.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.clock import machine_clock
from edge.main import Node, open_node
from hub.init import County, init_county, open_county
from ops.bench.material import COUNTY, NOW_MS, Author
from protocol.roster import Roster

DATA = Path(__file__).parents[1] / "demo" / "data"
VILLAGE = "420222107205"


@contextmanager
def county_in(directory: Path) -> Iterator[County]:
    """A new county of the demonstration's data in `directory`, open."""
    init_county(
        directory, areas=DATA / "areas.csv", items=DATA / "items.csv", county=COUNTY, now_ms=machine_clock().now_ms()
    )
    county = open_county(directory)
    try:
        yield county
    finally:
        county.store.close()


def join_by_files(county: County, directory: Path, office: str = VILLAGE) -> None:
    """Make `directory` a device of `office`, with code, request and answer as files would carry them."""
    from edge import join as steps
    from hub.enrolment import admit, make_code
    from protocol.enrol import open_request, seal_answer

    clock = machine_clock()
    with county.store.write() as tx:
        county.shelf.refresh(tx)
        made = make_code(
            tx,
            county.config,
            county.shelf.roster,
            office,
            staff="bench",
            now_ms=clock.now_ms(),
            random_bytes=os.urandom,
        )
    _config, code, keys = steps.prepare(directory, made.code.to_text(), county.card)
    request = open_request(steps.request_bytes(code, keys, county.card, reply_box=""), keys=county.keys)
    with county.store.write() as tx:
        done = admit(tx, county.shelf, county.keys, request, now_ms=clock.now_ms(), with_documents=True)
    answer = seal_answer(done.answer, keys=county.keys, seal_public=keys.seal_public, device_suite=keys.suite)
    steps.finish(directory, answer, clock)


def open_village(directory: Path) -> Node:
    """The device that `join_by_files` made."""
    return open_node(directory, machine_clock())


def enrolled_authors(county: County, count: int) -> list[Author]:
    """Made-up devices of different villages that stand in the roster and sign by themselves."""
    rng = random.Random(count)
    villages = [code for code, office in sorted(county.shelf.roster.offices.items()) if office.level == "village"]
    authors = [Author(rng, villages[at % len(villages)]) for at in range(count)]

    def put(roster: Roster) -> None:
        for author in authors:
            roster.put_device(author.device)

    with county.store.write() as tx:
        county.shelf.change_roster(tx, county.keys, put, now_ms=NOW_MS)
    return authors
