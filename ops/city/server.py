"""Running the city platform: in the foreground for a process, in a thread for a test.

For: binding the port first (0 asks the system for a free one), then serving until told to stop.
May not: know what the calls mean.
Spec: docs/protocol/city.md, "Running".
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ops.city.app import create_app
from ops.city.faults import Fault, FaultBoard
from ops.city.settings import CitySettings

if TYPE_CHECKING:
    import uvicorn

BACKLOG = 64  # connections that wait to be taken
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 3  # calls that are still open then are cut


def wall_ms() -> int:
    """Milliseconds since 1970 UTC by this machine's clock."""
    return time.time_ns() // 1_000_000


def run_city(
    settings: CitySettings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    now_ms: Callable[[], int] = wall_ms,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:    ready: called once with the base URL as soon as calls would be answered.
    Raises:  OSError if the port is taken.
    """
    listener = _bind(host, port)
    if ready is not None:
        ready(_url(listener))
    _server(settings, FaultBoard(), now_ms).run(sockets=[listener])


class CityThread:
    """The platform inside this process, on a port of its own; a context manager.

    `url` is the base address, `faults` the list of switched-on faults (change it at any time).
    """

    def __init__(self, settings: CitySettings, *, port: int = 0, now_ms: Callable[[], int] = wall_ms) -> None:
        self._listener = _bind("127.0.0.1", port)
        self.url = _url(self._listener)
        self._board = FaultBoard()
        self._server = _server(settings, self._board, now_ms)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True)

    @property
    def faults(self) -> list[Fault]:
        """The faults that are on; append to it, or clear it."""
        return self._board.faults

    def __enter__(self) -> CityThread:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        self._server.should_exit = True
        self._thread.join(START_SECONDS_MAX)
        self._listener.close()


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(BACKLOG)  # from here on calls wait instead of being refused
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


def _server(settings: CitySettings, board: FaultBoard, now_ms: Callable[[], int]) -> uvicorn.Server:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Cuttable(H11Protocol):
        """HTTP/1.1 that lets the application cut its own line: scope["state"]["abort"]()."""

        def connection_made(self, transport: Any) -> None:
            self.app_state = {**self.app_state, "abort": transport.abort}
            super().connection_made(transport)

    config = uvicorn.Config(
        create_app(settings, board, now_ms),
        http=Cuttable,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
    )
    return uvicorn.Server(config)
