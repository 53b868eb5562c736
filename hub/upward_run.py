"""The upward gateway at work: its own thread beside the loop, and the desk that turns the city's answers into ops.

For: stepping the gateway without ever holding up intake; signing with `for_office` what the superior said.
May not: decide what is sent or when (hub.upward does); share the loop's copy of the reference data.
Spec: docs/operating/upward.md.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sqlalchemy import Connection

from conflict.kinds import Role
from conflict.ledger.views import view
from conflict.powers import allowed
from hub import upward
from hub.documents import Shelf
from hub.init import County
from hub.transaction import Work
from protocol.errors import StoreError

_log = logging.getLogger("liandong.hub.upward")

STEP_S = 2.0  # between steps while nothing wakes the gateway
TROUBLE_S = 10.0  # pause after the store failed


class HubDesk:
    """What the hub does for the gateway: one answer of the superior, one op of the hub."""

    def __init__(self, county: County, shelf: Shelf, now_ms: Callable[[], int]) -> None:
        self._county, self._shelf, self._now_ms = county, shelf, now_ms

    def hand_over(self, tx: Connection, answer: upward.Answer) -> bytes:
        """Sign, append, fold and route in the caller's transaction; the op's id.

        Raises:  RefusedError if the rules of the case do not allow it; UnknownCase.
        """
        county = self._county
        work = Work(tx, county.keys, self._shelf, now_ms=self._now_ms())
        case = view(tx, answer.case)
        body = {**answer.body, "for_office": answer.for_office}
        allowed(case, answer.kind, county.keys.office, Role.HUB, body, for_office=answer.for_office)
        op = work.author.sign(answer.kind, case=answer.case, parents=case.heads, body=body)
        work.take([op], via="upward")
        work.finish()
        return op.id


def run_gateway(
    county: County, shelf: Shelf, stop: threading.Event, wake: Callable[[], None], *, now_ms: Callable[[], int]
) -> None:
    """Step the gateway until `stop` is set. The city's address is read again each time: it may be set while running.

    Args:    shelf: a copy of the reference data for this thread alone. wake: called when offices have something new.
    """
    desk = HubDesk(county, shelf, now_ms)
    line = _Line(county)
    resumed = False
    try:
        while not stop.is_set():
            try:
                if not resumed:
                    upward.resume(county.store, now_ms=now_ms())
                    resumed = True
                client = line.client()
                if client is not None and upward.step(county.store, client, desk, now_ms=now_ms()).touched:
                    wake()
            except Exception as error:  # noqa: BLE001 - whatever goes wrong on the way up, the next step tries again
                shelf.reset()
                _log.error("a step of the upward gateway failed: %s", error, exc_info=not isinstance(error, StoreError))
                stop.wait(TROUBLE_S)
            stop.wait(STEP_S)
    finally:
        line.close()


class _Line:
    """The client for the city's address as it is kept now."""

    def __init__(self, county: County) -> None:
        self._directory = county.directory
        self._address: upward.CityAddress | None = None
        self._client: upward.CityClient | None = None

    def client(self) -> upward.CityClient | None:
        address = upward.load_address(self._directory)
        if address != self._address:
            self.close()
            self._address = address
            self._client = upward.CityClient(address) if address is not None else None
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
