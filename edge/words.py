"""What a device says to the hub about whole cases: which it has purged, which it wants back.

For: saying it over an open link, each once, and again while an answer is due.
May not: decide what is purged (edge/purge.py does).
Spec: docs/protocol/reconcile.md, "Purged cases".
"""

from __future__ import annotations

from conflict.ledger.store import Store
from edge import purge
from edge.clock import Clock
from protocol.link import EdgeLink
from protocol.messages import CASES_MAX, Fetch, Purged

AGAIN_MS = 20_000  # a case that was asked for and has not come for so long is asked for again


class CaseWords:
    """Lives as long as the sync loop."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._version = -1  # of the store, when it was looked at last
        self._asked: dict[bytes, int] = {}

    def say(self, link: EdgeLink) -> None:
        """Queue what is due. Cheap while nobody has committed since."""
        now = self._clock.mono_ms()
        version = self._store.data_version()
        overdue = any(now - asked > AGAIN_MS for asked in self._asked.values())
        if not link.open or (version == self._version and not overdue):
            return
        self._version = version
        with self._store.read() as tx:
            if not purge.counts(tx):
                self._asked = {}
                return
        with self._store.write() as tx:
            purge.settle(tx)
            gone, wanted = purge.to_tell(tx, limit=CASES_MAX)
            purge.told(tx, gone)
        if gone:
            link.say(Purged(gone))
        due = [case for case in wanted if now - self._asked.get(case, -AGAIN_MS) >= AGAIN_MS]
        self._asked = {case: now if case in due else self._asked[case] for case in wanted}
        if due:
            link.say(Fetch(due))
