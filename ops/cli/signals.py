"""Being a daemon: it logs, and SIGTERM and Ctrl-C set an event that its loop looks at.

For: `hub run` and `edge run`.
May not: end the process by itself.
"""

from __future__ import annotations

import signal
import threading

from ops import logs


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; from now on this process logs as a daemon. Call from the main thread."""
    logs.daemon()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
