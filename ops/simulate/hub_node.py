"""The county's machine: the real county, intake, sync loop and upward gateway on a simulated machine.

For: the hub's daemon in steps, with the gateway beside it and the nightly comparison.
May not: do anything for the product that it should do by itself.
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from conflict.ledger.views import brief_views, complete_views
from hub import lineage, recovery, state, upward
from hub.clock import CountyClock, county_clock
from hub.config import STORE_NAME
from hub.documents import Shelf
from hub.errors import AnotherHub
from hub.init import County, open_county, settle_restored
from hub.intake import Intake
from hub.sync_loop import SyncLoop
from hub.upward_run import HubDesk
from ops.reconcile.comparer import HubComparer
from ops.simulate.city import SimulatedCity
from ops.simulate.disk import Disks
from ops.simulate.machine import Machine
from ops.simulate.network import Line
from ops.simulate.world import MINUTE, SECOND, Event, World
from protocol.errors import RefusedError, StoreError
from protocol.trust import Trust

GATEWAY_MS = 60 * MINUTE  # the gateway is stepped so often even if nothing happened
NOBODY_MS = 3 * MINUTE  # silence after which no device is present and nothing can leave
NIGHT_POLL_MS = 30 * MINUTE  # how often the loop is turned then
HOLIDAY_POLL_MS = 8 * 60 * MINUTE  # how often the loop and the gateway are turned in weeks in which little happens


class AtOnce:
    """An executor that does the work when it is asked: the comparer's thread would make runs differ."""

    def submit(self, work: Any, *args: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*args))
        return done


class HubMachine(Machine):
    """The hub. Its line is always wanted."""

    def __init__(self, world: World, disks: Disks, line: Line, directory: Path, city: SimulatedCity, name: str) -> None:
        super().__init__(world, disks, line, directory, STORE_NAME, name)
        self.city = city
        self.county: County | None = None
        self.intake: Intake | None = None
        self.loop: SyncLoop | None = None
        self._desk: HubDesk | None = None
        self._gateway_event: Event | None = None
        self._received, self._heard_ms = 0, 0
        self.quiet_until_ms = 0  # until then little happens in the county
        self.on_another_hub: Callable[[], object] = lambda: None
        line.open = True

    def open(self) -> None:
        county = open_county(self.directory)
        try:
            with county.store.read() as tx:
                lineage.need_newest(tx)
                self._time = CountyClock(self.clock.now_ms, self.clock.mono_ms, signed_ms=state.signed_ms(tx))
        except AnotherHub:
            county.store.close()
            raise
        settle_restored(county, now_ms=self.county_ms(county), random_bytes=self.world.rng.randbytes)
        self.county = county
        self.intake = Intake(county.store, county.keys, county.shelf, now_ms=self._time)
        self.line.hears = set()
        self.loop = self._new_loop(county)
        self._desk = HubDesk(county, Shelf(Trust.of(county.card), county.keys), self._time)
        upward.resume(county.store, now_ms=self.clock.now_ms())
        self._gateway_within(GATEWAY_MS)

    def county_ms(self, county: County | None = None) -> int:
        """The time by which a command beside the daemon goes (ops/clock.py)."""
        opened = county or self.county
        assert opened is not None
        return county_clock(opened.store, self.clock.now_ms, self.clock.mono_ms)()

    def close(self) -> None:
        if self.intake is not None:
            self.intake.close()
        if self.county is not None:
            self.county.store.close()
        self.county = self.intake = self.loop = self._desk = None

    def turn(self) -> bool:
        assert self.loop is not None
        busy = self.loop.step()
        if self.line.counters.received != self._received:
            self._received, self._heard_ms = self.line.counters.received, self.world.now_ms
            self._gateway_within(self.world.between(2 * SECOND, 10 * MINUTE))
        return busy

    def will_not_run(self, error: RefusedError) -> None:
        if isinstance(error, AnotherHub):
            self.world.note("another hub", self.name)
            self.on_another_hub()
        else:
            super().will_not_run(error)

    def take_over(self) -> None:
        """`liandong hub takeover`: a person says that this is the hub that shall go on."""
        county = open_county(self.directory)
        with county.store.write() as tx:
            recovery.put_back(tx, self.world.rng.randbytes(8), now_ms=self.county_ms(county))
        county.store.close()

    def poll_max_ms(self) -> int:
        if self.world.now_ms - self._heard_ms < NOBODY_MS:
            return super().poll_max_ms()
        return HOLIDAY_POLL_MS if self.world.now_ms < self.quiet_until_ms else NIGHT_POLL_MS

    def on_store_refused(self) -> None:
        """The hub's daemon goes on with its loop as it is."""

    def complete_views(self) -> None:
        """Have the views reckoned that the hub leaves for quiet hours."""
        assert self.county is not None
        with self.county.store.write() as tx:
            while cases := brief_views(tx, limit=500):
                complete_views(tx, cases)

    def gateway(self) -> None:
        """One step of the way up."""
        self._gateway_event = None
        if not self.up:
            return
        try:
            self.do(self._gateway_step)
        except StoreError:
            self.store_refusals += 1
        except Exception as error:  # noqa: BLE001 - the gateway's thread survives it; the report names it
            self._remember(error)
        self._gateway_within(HOLIDAY_POLL_MS if self.world.now_ms < self.quiet_until_ms else GATEWAY_MS)

    def _gateway_step(self) -> None:
        assert self.county is not None and self._desk is not None
        done = upward.step(self.county.store, self.city, self._desk, now_ms=self._time())
        if done.touched:
            self.wake()

    def _gateway_within(self, delay_ms: int) -> None:
        """See to it that the gateway is stepped after so long at the latest."""
        event = self._gateway_event
        if event is not None:
            if event.at_ms <= self.world.now_ms + delay_ms:
                return
            event.gone = True
        self._gateway_event = self.world.at(delay_ms, self.gateway)

    def _new_loop(self, county: County) -> SyncLoop:
        rng = self.world.rng
        comparer = HubComparer(county, now_ms=self.clock.now_ms, mono_ms=self.clock.mono_ms)
        comparer._builder = AtOnce()  # type: ignore[assignment]
        assert self.intake is not None
        return SyncLoop(
            county,
            self.line,
            self.intake,
            now_ms=self._time,
            mono_ms=self.clock.mono_ms,
            fraction=rng.random,
            random_bytes=rng.randbytes,
            comparer=comparer,
            hourly=self._time.tell,
        )
