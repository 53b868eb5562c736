"""What will go wrong and when: a plan drawn from the seed alone, before anything starts.

For: kills of processes and faults of lines, each kind early at least once however short the run is.
May not: read a clock, start or touch anything.
Manual: docs/operating/chaos.md.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

KILL = "kill"
SEVER = "sever"  # one session of the database server is ended; the server goes on
LINE_FAULTS = ("delay", "cut", "freeze", "half", "refuse", "slow")
GAP_S = (0.3, 1.8)  # between the beginnings of two events
LASTS_S = (1.0, 6.0)  # a fault of a line; several lines may be bad at once
DOWN_S = (0.0, 2.0)  # how long a killed process stays down
AGAIN_SHARE = 0.25  # kills that are followed by another while the process starts
AGAIN_S = (0.2, 1.5)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that goes wrong.

    at_s: seconds after the beginning. what: "kill", "sever", or one of LINE_FAULTS. target: a process, or the office whose
    line it is. lasts_s: how long the line is bad, or the process stays down. again_s: kill it once more so long after its restart.
    """

    at_s: float
    what: str
    target: str
    lasts_s: float
    again_s: float | None = None


def make_plan(
    seed: int, seconds: float, processes: Sequence[str], lines: Sequence[str], *, servers: Sequence[str] = ()
) -> tuple[Event, ...]:
    """The events of a run, in order; the same arguments give the same plan.

    Args:    servers: processes that have sessions which can be ended one by one.

    Events come from a shuffled deck with a card for each process to kill and each fault of a line, so that none waits long.
    """
    rng = random.Random(f"plan {seed}")
    deck: list[tuple[str, str]] = []
    events: list[Event] = []
    at_s = rng.uniform(*GAP_S)
    while at_s < seconds:
        if not deck:
            deck = [(KILL, name) for name in processes] + [(fault, rng.choice(lines)) for fault in LINE_FAULTS]
            deck += [(SEVER, name) for name in servers]
            rng.shuffle(deck)
        what, target = deck.pop()
        if what == KILL:
            again_s = rng.uniform(*AGAIN_S) if rng.random() < AGAIN_SHARE else None
            events.append(Event(round(at_s, 2), what, target, round(rng.uniform(*DOWN_S), 2), again_s))
        elif what == SEVER:
            events.append(Event(round(at_s, 2), what, target, 0.0))
        else:
            lasts_s = min(rng.uniform(*LASTS_S), seconds)
            events.append(Event(round(at_s, 2), what, target, round(lasts_s, 2)))
        at_s += rng.uniform(*GAP_S)
    return tuple(events)
