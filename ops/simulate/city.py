"""The city's platform as the hub's gateway sees it: the platform's own store, with days on which it misbehaves.

For: the port that `hub.upward.step` calls, over the rules and the memory of `ops/city`; an operator who decides.
May not: open a socket; repeat or lose what it has acknowledged.
Spec: docs/protocol/city.md.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from hub.upward.errors import CityHasOther, CityRefused, CityTakenBack, CityUnclear, CityUnreachable
from ops.city.app import DENIED, GRANTED, RETURNED
from ops.city.bundle_check import check_bundle
from ops.city.store import OPEN_STATES, CityRefusal, CityStore
from ops.simulate.tree import CITY
from ops.simulate.world import DAY, World

PAGE = 100


class SimulatedCity:
    """down: nobody answers. cut_share: share of calls whose answer is lost after the work was done."""

    def __init__(self, world: World, directory: Path) -> None:
        self._world = world
        self.store = CityStore(directory, CITY)
        self.down = False
        self.nobody_works = False
        self.cut_share = 0.0
        self.calls = 0

    def close(self) -> None:
        self.store.close()

    # --- the gateway's port ---

    def hand_in(self, key: str, body: bytes) -> str:
        self._reach()
        bundle = json.loads(body)
        missing, files = check_bundle(bundle)
        if missing:
            raise CityRefused("incomplete", facts_missing=missing)
        try:
            taken = self.store.take(key, hashlib.sha256(body).hexdigest(), bundle, files, self._world.now_ms)
        except CityRefusal as refusal:
            raise _as_client_says(refusal) from refusal
        if not taken.repeated:
            self._world.note("city took", taken.receipt)
            self._world.at(self._world.about(DAY), self._at_work, taken.receipt)
        self._perhaps_cut()
        return taken.receipt

    def answers(self, after: int) -> list[Any]:
        self._reach()
        self._perhaps_cut()
        return self.store.answers(after, PAGE)

    def answers_of(self, receipt: str) -> list[Any] | None:
        self._reach()
        self._perhaps_cut()
        return self.store.answers_of(receipt) or None

    def withdraw(self, key: str, receipt: str, reason: str) -> None:
        self._reach()
        try:
            if receipt:
                self.store.move(receipt, "withdrawn", {"reason": reason}, self._world.now_ms)
            else:
                self.store.withdraw_key(key, reason, self._world.now_ms)
        except CityRefusal as refusal:
            raise _as_client_says(refusal) from refusal
        self._perhaps_cut()

    def _reach(self) -> None:
        self.calls += 1
        if self.down:
            raise CityUnreachable("the simulated city is down", "模拟的市级平台不可用")

    def _perhaps_cut(self) -> None:
        if self.cut_share and self._world.chance(self.cut_share):
            raise CityUnclear("the answer was cut off", "答复中断")

    # --- the people at the city ---

    def _at_work(self, receipt: str) -> None:
        if not self.nobody_works:
            self._operator(receipt)

    def _operator(self, receipt: str) -> None:
        """Somebody at the city decides or returns the case, unless it has ended meanwhile."""
        rng = self._world.rng
        body = dict(rng.choice((GRANTED, GRANTED, DENIED, RETURNED)))
        if self.store.case(receipt)["state"] not in OPEN_STATES:
            return
        state = "returned" if "decision" not in body else "decided"
        self.store.move(receipt, state, body, self._world.now_ms)
        self._world.note("city said", receipt, state)

    def decide_all(self) -> None:
        """Before a run ends: whatever is open is answered."""
        for case in self.store.cases():
            if case["state"] in OPEN_STATES:
                self._operator(case["receipt"])


def _as_client_says(refusal: CityRefusal) -> Exception:
    """The error that the real client makes of the platform's refusal (hub/upward/client.py)."""
    if refusal.status == 409 and "receipt" in refusal.facts:
        return CityHasOther("the city has another bundle under this key", **refusal.facts)
    if refusal.status == 410:
        return CityTakenBack("the key was withdrawn")
    return CityRefused(str(refusal), city_code=refusal.code, status=refusal.status)
