"""Planted bugs of the conversation: gaps, repeats, what the other side has lost.

For: mutants of protocol/link.py and of what the device does with a greeting.
May not: be imported by the product.
"""

from __future__ import annotations

from typing import Any

from edge import outbox
from edge.branch import relay
from ops.simulate.mutants import runs
from ops.simulate.mutants.mutant import DIVERGED, LOST, Mutant, Swap
from protocol import link


def _gap_is_skipped() -> list[Swap]:
    real = link.EdgeLink._stream

    def stream(self: Any, message: Any) -> list[Any]:
        if message.epoch == self._epoch and self.open and message.first > self._pos + 1:
            self._pos = message.first - 1
        return real(self, message)

    return [(link.EdgeLink, "_stream", stream)]


def _lost_is_not_offered_again() -> list[Swap]:
    return [
        (outbox, "reopen", lambda tx, above, **named: 0),
        (outbox, "reopen_ops", lambda tx, op_ids, **named: None),
        (relay, "take_up", lambda tx, op_ids, **named: None),
        (relay, "reopen_all", lambda tx, **named: None),
    ]


LINK = (
    Mutant(
        "gap_is_skipped",
        "protocol/link.py",
        "a device goes on behind a gap in its stream instead of asking for what is missing",
        LOST,
        "has its stream up to",
        _gap_is_skipped,
        runs.GAPS,
    ),
    Mutant(
        "lost_is_not_offered_again",
        "edge/outbox.py, edge/branch/relay.py",
        "what a hub put back from a backup has lost is not offered to it again",
        DIVERGED,
        "is not at the hub",
        _lost_is_not_offered_again,
        runs.HUB_BACK,
    ),
)
