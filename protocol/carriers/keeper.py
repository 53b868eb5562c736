"""One thread that keeps a connection up: dials, waits, dials again, whatever happens.

For: carriers with a connection.
May not: know what a connection is; end because of an error in one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

log = logging.getLogger("liandong.carrier")


class Keeper:
    """Calls `converse` again and again until told to stop.

    reason: why the last conversation ended, one sentence. faults: conversations that ended with a bug.
    """

    def __init__(
        self, name: str, converse: Callable[[], tuple[bool, str]], delays: Callable[[], Iterator[float]]
    ) -> None:
        """Set up; `start` begins.

        Args:    converse: one connection from dialling to its end; returns whether it ever worked, and why it ended;
                 raises OSError if the peer cannot be reached. It watches `leaving`.
                 delays: makes the waits in seconds between conversations, anew after each one that worked.
        """
        self._name, self._converse, self._delays = name, converse, delays
        self._stopping, self._leave = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.reason = "not started"
        self.faults = 0

    @property
    def leaving(self) -> bool:
        """True when the conversation that runs should end."""
        return self._leave.is_set()

    def start(self) -> None:
        """Begin, if it does not run already. Returns at once."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._stopping.clear()
        self.reason = "connecting"
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def again(self) -> None:
        """End the conversation that runs, or the wait for the next one, and dial at once."""
        self._leave.set()

    def stop(self, timeout: float, wake: Callable[[], None]) -> None:
        """End for good; `wake` ends what the conversation waits for; waits for the thread for `timeout` seconds."""
        self._stopping.set()
        self._leave.set()
        wake()
        if self._thread is not None:
            self._thread.join(timeout)
        self.reason = "stopped"

    def _run(self) -> None:
        delays = self._delays()
        while True:
            self._leave.clear()
            if self._stopping.is_set():
                return
            worked = False
            try:
                worked, self.reason = self._converse()
            except OSError as error:
                self.reason = f"the broker cannot be reached: {error.strerror or error}"
            except Exception:
                self.faults += 1
                self.reason = "an error in the carrier; the log has its trace"
                log.exception("a connection ended with an error; dialling again")
            if worked:
                delays = self._delays()
            self._leave.wait(next(delays))
