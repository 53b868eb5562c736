"""A machine: a directory, a disk, clocks, a line, and a process that runs on it, dies and comes back.

For: what edges and the hub have in common: running a piece of the product on this machine, dying where the disk's trap
says so, rest after a refused write, starting again.
May not: know what the process does.
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ops.simulate.clock import MachineClock
from ops.simulate.disk import Crash, Disk, Disks, copy_store, put_store_back
from ops.simulate.network import Line
from ops.simulate.world import MINUTE, SECOND, Event, World
from protocol.errors import RefusedError, StoreError

REST_MS = 5 * SECOND  # what the daemons rest after the store refused
POLL_FIRST_MS, POLL_MAX_MS = 500, 15_000  # a loop with nothing to do is turned less and less often
_T = TypeVar("_T")


class Machine:
    """See the module. `up`: the process runs. `gone`: the machine is no more."""

    def __init__(self, world: World, disks: Disks, line: Line, directory: Path, store_name: str, name: str) -> None:
        self.world, self.disks, self.line, self.directory, self.name = world, disks, line, directory, name
        self.store_path = directory / store_name
        self.disk = Disk(self.store_path)
        self.clock = MachineClock(world)
        self.up = False
        self.gone = False
        self.burnt = False  # gone, and its disk with it
        self.born_ms, self.ended_ms = world.now_ms, 0
        self.crashes = 0
        self.store_refusals = 0
        self.errors: list[str] = []
        self._turn: Event | None = None
        self._poll_ms = POLL_FIRST_MS
        self._rest_until_ms = 0
        line.on_change = self.wake
        line.on_payload = self.wake
        line.before_publish = self._before_publish
        self.on_died: Callable[[], object] = lambda: None

    # --- to be given by each kind of machine ---

    def open(self) -> None:
        """Start the process on what the directory holds."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what the process held; nothing is written."""
        raise NotImplementedError

    def turn(self) -> bool:
        """One step of the product's loop; True if there was anything to do."""
        raise NotImplementedError

    def on_store_refused(self) -> None:
        """What the daemon does after the store refused: it begins its loop anew."""

    def will_not_run(self, error: RefusedError) -> None:
        """The daemon ended by itself with a word to a person."""
        self._remember(error)

    def poll_max_ms(self) -> int:
        """The longest time between two turns while the line is up and nothing happens."""
        return POLL_MAX_MS

    # --- life ---

    def start(self) -> None:
        """Start the process unless the machine is gone or it runs."""
        if self.gone or self.up:
            return
        self.disk.disarm()
        try:
            with self.disks.running(self.disk):
                self.open()
        except StoreError:
            self.store_refusals += 1
            self.world.at(MINUTE, self.start)
            return
        except RefusedError as error:
            self.will_not_run(error)
            return
        self.up = True
        self.world.note("start", self.name)
        self.line.refresh()
        self.wake()

    def stop(self) -> None:
        """End the process. Whatever was not committed is lost, as by SIGKILL."""
        if not self.up:
            return
        self.up = False
        self.line.process_died()
        self.disk.disarm()
        self.close()
        self.world.note("stop", self.name)

    def die(self, back_after_ms: int | None = None) -> None:
        """The process dies; somebody starts it again a little later."""
        self.crashes += 1
        self.stop()
        self.on_died()
        self.world.at(back_after_ms or self.world.between(2 * SECOND, 20 * MINUTE), self.start)

    def retire(self) -> None:
        """The machine is switched off for good."""
        self.stop()
        self.gone = True
        self.ended_ms = self.world.now_ms
        self.line.open = False
        self.line.refresh()

    def do(self, work: Callable[[], _T]) -> _T | None:
        """Run a piece of the product here. None if the process died in it or the machine is down.

        Raises:  LiandongError as the product raises it (refusals, a store that refuses).
        """
        if not self.up:
            return None
        try:
            with self.disks.running(self.disk):
                return work()
        except Crash:
            self.die()
            return None

    # --- the loop ---

    def wake(self, delay_ms: int = 100) -> None:
        """See to it that the loop turns soon."""
        self._poll_ms = POLL_FIRST_MS
        self._set_turn(delay_ms)

    def _set_turn(self, delay_ms: int) -> None:
        if not self.up:
            return
        at_ms = max(self.world.now_ms + delay_ms, self._rest_until_ms)
        if self._turn is not None and not self._turn.gone:
            if self._turn.at_ms <= at_ms:
                return
            self._turn.gone = True
        self._turn = self.world.at(at_ms - self.world.now_ms, self._step)

    def _step(self) -> None:
        self._turn = None
        if not self.up:
            return
        try:
            busy = self.do(self.turn)
        except StoreError:
            self.store_refusals += 1
            self._rest_until_ms = self.world.now_ms + REST_MS
            self.on_store_refused()
            busy = False
        except RefusedError as error:
            self.stop()
            self.will_not_run(error)
            return
        except Exception as error:  # noqa: BLE001 - the daemons survive it and rest; the report names it
            self._remember(error)
            self._rest_until_ms = self.world.now_ms + REST_MS
            self.on_store_refused()
            busy = False
        if not self.up:
            return
        if busy:
            self._poll_ms = POLL_FIRST_MS
        if self.line.state == "online":
            self._set_turn(self._poll_ms)
            self._poll_ms = min(self.poll_max_ms(), self._poll_ms * 4)

    def _remember(self, error: Exception) -> None:
        place = traceback.extract_tb(error.__traceback__)[-1]
        self.errors.append(f"{self.name}: {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})")

    def _before_publish(self) -> None:
        self.disk.publishing()

    def move_to(self, directory: Path) -> None:
        """The machine goes on in another directory: a restored one. The process must be down."""
        self.directory, self.store_path = directory, directory / self.store_path.name
        self.disk = Disk(self.store_path, full=self.disk.full, read_only=self.disk.read_only)

    # --- disks that lie ---

    def copy_store(self, label: str) -> Path:
        """Keep what the disk holds now; returns the copy."""
        kept = self.directory.parent / f"{self.directory.name}-{label}.db"
        copy_store(self.store_path, kept)
        return kept

    def put_store_back(self, kept: Path) -> None:
        """The store falls back to what was kept. The process must be down."""
        put_store_back(kept, self.store_path)
