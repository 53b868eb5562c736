"""For every pair of op kinds: a short history in which two devices do both without hearing of each other.

For: holding the matrix to be true, and one vector per cell that is not "commutes". The histories are in pairs.json,
found by `python -m tests.vectors.conflict.search`; each is a context (acts that everybody has seen) and two branches
of acts that have not seen each other, whose last acts are the pair.
May not: know what the outcome should be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.unit.conflict.support import CITY, COUNTY, TOWN

Act = tuple[str, str, dict[str, Any]]  # who, kind, body in the notation of the vectors
_COMMITTED = {"kind": "committed"}
_UPWARD = {"kind": "submit_up", "approve_level": "city"}
_LOCAL = {"kind": "immediate", "approve_level": "village"}


class Standing(NamedTuple):
    """Where both branches start. forked: the last two acts of the context have not seen each other."""

    terms: dict[str, str]
    acts: tuple[Act, ...] = ()
    forked: bool = False


class Pair(NamedTuple):
    """One history of pairs.json."""

    context: str
    left: list[Act]
    right: list[Act]

    @property
    def kinds(self) -> tuple[str, str]:
        return self.left[-1][1], self.right[-1][1]


def act(who: str, kind: str, **body: Any) -> Act:
    return who, kind, body


_ACCEPT = act("village", "accept")
_PHOTO = act("village", "attach", material="照片", sha256="#1", size=1, media="image/jpeg", name="1.jpg", grade="C")
_UP = act("village", "forward", to=TOWN)
_DECIDE = act("village", "decide", decision="granted", opinion="准予")
_SUSPEND = act("village", "suspend", cause="听证", reason="r", written_notice=True)
_NOTICE = act("village", "notice", missing=["照片"])
_FORK = (act("village", "amend", fields={"area": "甲"}), act("village/2", "amend", fields={"area": "乙"}))

CONTEXTS: dict[str, Standing] = {
    "received": Standing(_COMMITTED),
    "received, local": Standing(_LOCAL),
    "received, on its way": Standing(_COMMITTED, (_UP,)),
    "received, taken": Standing(_COMMITTED, (_UP, act("town", "take", of="@before1"))),
    "supplementing": Standing(_COMMITTED, (_NOTICE,)),
    "accepted": Standing(_LOCAL, (_ACCEPT,)),
    "accepted, county decides": Standing(_COMMITTED, (_ACCEPT,)),
    "accepted, taken": Standing(_COMMITTED, (_UP, act("town", "take", of="@before1"), act("town", "accept"))),
    "on its way": Standing(_COMMITTED, (_ACCEPT, _UP)),
    "processing": Standing(_COMMITTED, (_ACCEPT, _UP, act("town", "take", of="@before2"))),
    "processing, local": Standing(_LOCAL, (_ACCEPT, _PHOTO, act("village", "start"))),
    "processing, contested field": Standing(_LOCAL, (_ACCEPT, act("village", "start"), *_FORK), forked=True),
    "noticed after acceptance": Standing(_LOCAL, (_ACCEPT, _NOTICE)),
    "suspended": Standing(_LOCAL, (_ACCEPT, _PHOTO, _SUSPEND)),
    "decided": Standing(_LOCAL, (_ACCEPT, _DECIDE)),
    "concluded": Standing(_LOCAL, (_ACCEPT, _DECIDE, act("village", "conclude", type="normal"))),
    "on its way to the city": Standing(
        _UPWARD,
        (
            _ACCEPT,
            act("village", "forward", to=COUNTY),
            act("county", "take", of="@before2"),
            act("county", "examine", outcome="agree", opinion="同意上报"),
            act("county", "forward", to=CITY),
        ),
    ),
    "with a contested field": Standing(_COMMITTED, _FORK, forked=True),
    "with a contested field, supplementing": Standing(_COMMITTED, (_NOTICE, *_FORK), forked=True),
    "with a material": Standing(_COMMITTED, (_PHOTO,)),
}


def pairs() -> Iterator[Pair]:
    """All histories of pairs.json."""
    for context, left, right in json.loads(Path(__file__).with_name("pairs.json").read_text(encoding="utf-8")):
        yield Pair(context, [tuple(item) for item in left], [tuple(item) for item in right])


def as_ops(context: str, left: list[Act], right: list[Act]) -> list[dict[str, Any]]:
    """The history as the `ops` of a vector; labels: open, before1…, left1…, right1…"""
    standing = CONTEXTS[context]
    ops: list[dict[str, Any]] = [{"label": "open", "by": "village", "kind": "receive", "seen": [], "body": {}}]

    def add(label: str, item: Act, seen: list[str]) -> None:
        who, kind, body = item
        ops.append({"label": label, "by": who, "kind": kind, "seen": seen, "body": body})

    straight = len(standing.acts) - (2 if standing.forked else 0)
    heads = ["open"]
    for number, item in enumerate(standing.acts[:straight], start=1):
        add(f"before{number}", item, heads)
        heads = [f"before{number}"]
    if standing.forked:
        base, heads = heads, []
        for number, item in enumerate(standing.acts[straight:], start=straight + 1):
            add(f"before{number}", item, base)
            heads.append(f"before{number}")
    for side, acts in (("left", left), ("right", right)):
        seen = heads
        for number, item in enumerate(acts, start=1):
            add(f"{side}{number}", item, seen)
            seen = [f"{side}{number}"]
    return ops
