"""What the hub does when nobody wants anything: views that intake kept in brief get their record and digest.

For: small portions of that work in quiet rounds, so that the night's comparison finds it done.
May not: keep anybody waiting: one portion a round, and only rounds in which nothing arrived and nothing left.
Spec: docs/operating/hub.md, "Intake".
"""

from __future__ import annotations

import logging

from conflict.ledger.store import Store
from conflict.ledger.views import brief_views, complete_views
from protocol.errors import LiandongError

_log = logging.getLogger("liandong.hub.idle")

PORTION = 50  # views a round: about 30 ms


class Idle:
    """Remembers whether there may be anything to do."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._may_be = True

    def wake(self) -> None:
        """Intake kept views in brief."""
        self._may_be = True

    def turn(self) -> bool:
        """One portion. True if there may be more."""
        if not self._may_be:
            return False
        with self._store.read() as tx:
            cases = brief_views(tx, limit=PORTION)
        self._may_be = len(cases) == PORTION
        if cases:
            try:
                with self._store.write() as tx:
                    complete_views(tx, cases)
            except LiandongError as error:  # a full disk, a case whose fold fails: it costs a wait at night, no more
                _log.warning("views stay brief for now: %s (%s)", error.text, error.code)
                self._may_be = False
        return self._may_be
