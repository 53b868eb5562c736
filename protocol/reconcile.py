"""Set comparison: two devices prove to each other that they hold the same facts, or find out which differ.

For: comparing two sets of 16-byte items by ranges and keyed fingerprints, in as many small messages as it takes.
May not: know what an item stands for; read a store; send anything: bodies go in and out.
Spec: docs/protocol/reconcile.md.  Idea: range-based set reconciliation (A. Meyer, 2023), fingerprints additive and
keyed by a fresh nonce, so that nobody can craft sets that look equal.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from protocol import canonical
from protocol.errors import MalformedBytes

ITEM_BYTES = 16
NONCE_BYTES = 16
LIST_MAX = 48  # a range with at most so many items is sent as a list
SPLIT = 16  # a larger one that differs is split into so many parts
BODY_BYTES_MAX = 40_000  # one body fits one envelope with room for others
ROUNDS_MAX = 64  # 16^64 items; a peer that goes on longer is not comparing
_LOW, _HIGH = b"", b"\xff" * (ITEM_BYTES + 1)
_MODULUS = 2**256


def item_of(tag: bytes, content: bytes) -> bytes:
    """The 16-byte item that stands for `content` under `tag` ("op", "view", "file"): a hash over the stored bytes."""
    return hashlib.sha256(b"liandong item v1\0" + tag + b"\0" + content).digest()[:ITEM_BYTES]


@dataclass
class Comparison:
    """One side of a comparison. Feed it the peer's bodies; send what it answers; stop when it answers None.

    items: this side's items in any order. nonce: 16 random bytes, chosen by the side that begins, in every body.
    only_mine, only_theirs: complete for this side once `done`.
    """

    items: Iterable[bytes]
    nonce: bytes
    only_mine: set[bytes] = field(default_factory=set)
    only_theirs: set[bytes] = field(default_factory=set)
    done: bool = False
    rounds: int = 0
    bytes_seen: int = 0

    def __post_init__(self) -> None:
        self._sorted = sorted(set(self.items))
        self.items = ()
        sums, total = [0], 0
        for item in self._sorted:
            total = (total + self._weight(item)) % _MODULUS
            sums.append(total)
        self._sums = sums
        self._queue: deque[list[Any]] = deque()

    def begin(self) -> bytes:
        """The first body: one fingerprint over everything. Equal sets end after one answer."""
        return self._body([self._fingerprint(_LOW, _HIGH)])

    def receive(self, body: bytes) -> bytes | None:
        """The answer to a peer's body, or None when both have said everything (`done` is then true on both sides).

        A body says whether more is to come; an empty last body ends the comparison.

        Raises:  MalformedBytes for a body that breaks the specification or a comparison that does not end.
        """
        self.rounds += 1
        self.bytes_seen += len(body)
        if self.rounds > ROUNDS_MAX * 16:
            raise MalformedBytes("a comparison that does not end")
        nonce, parts, more = _read(body)
        if nonce != self.nonce:
            raise MalformedBytes("a body of another comparison")
        for part in parts:
            self._queue.extend(self._answer(part))
        self.done = not self._queue and not more
        if self.done and not parts:
            return None
        return self._body(self._next())

    def _next(self) -> list[list[Any]]:
        out: list[list[Any]] = []
        size = 0
        while self._queue and size < BODY_BYTES_MAX - LIST_MAX * (ITEM_BYTES + 2) * 2:
            out.append(self._queue.popleft())
            size += 64 + (ITEM_BYTES + 2) * len(out[-1][3] if isinstance(out[-1][3], list) else ())
        return out

    def _answer(self, part: list[Any]) -> list[list[Any]]:
        low, high, count, proof = part
        mine = self._range(low, high)
        if isinstance(proof, list):  # the peer's whole list for this range: settle it here
            theirs, ours = set(proof), set(mine)
            self.only_mine |= ours - theirs
            self.only_theirs |= theirs - ours
            return self._lists(low, high, mine) if count >= 0 else []
        if [len(mine), proof] == [count, self._fingerprint(low, high)[3]]:
            return []
        if len(mine) <= LIST_MAX:
            return [[low, high, len(mine), mine]]
        return self._split(low, high, mine)

    def _lists(self, low: bytes, high: bytes, mine: list[bytes]) -> list[list[Any]]:
        """This side's whole list for a range in parts that each fit a body; -1 says that no answer is due."""
        bounds = [low, *(mine[at] for at in range(LIST_MAX, len(mine), LIST_MAX)), high]
        return [[a, b, -1, self._range(a, b)] for a, b in pairwise(bounds)]

    def _split(self, low: bytes, high: bytes, mine: list[bytes]) -> list[list[Any]]:
        step = max(1, len(mine) // SPLIT)
        bounds = [low, *(mine[at] for at in range(step, len(mine), step)), high]
        return [self._fingerprint(a, b) for a, b in pairwise(bounds) if a < b]

    def _range(self, low: bytes, high: bytes) -> list[bytes]:
        return self._sorted[bisect_left(self._sorted, low) : bisect_left(self._sorted, high)]

    def _fingerprint(self, low: bytes, high: bytes) -> list[Any]:
        a, b = bisect_left(self._sorted, low), bisect_left(self._sorted, high)
        total = (self._sums[b] - self._sums[a]) % _MODULUS
        return [low, high, b - a, total.to_bytes(32, "big")[:16]]

    def _weight(self, item: bytes) -> int:
        return int.from_bytes(hashlib.sha256(self.nonce + item).digest(), "big")

    def _body(self, parts: list[list[Any]]) -> bytes:
        return canonical.encode([self.nonce, parts, bool(self._queue)])


def _read(body: bytes) -> tuple[bytes, list[list[Any]], bool]:
    value = canonical.decode(body, bytes_max=BODY_BYTES_MAX * 2)
    if not (isinstance(value, list) and [type(part) for part in value] == [bytes, list, bool]):
        raise MalformedBytes("not a comparison body")
    for part in value[1]:
        if not (isinstance(part, list) and len(part) == 4 and type(part[0]) is bytes and type(part[1]) is bytes):
            raise MalformedBytes("not a comparison range")
        proof = part[3]
        if type(part[2]) is not int or not (
            type(proof) is bytes or (isinstance(proof, list) and all(type(item) is bytes for item in proof))
        ):
            raise MalformedBytes("not a comparison proof")
    return value[0], value[1], value[2]
