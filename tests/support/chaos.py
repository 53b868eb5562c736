"""The chaos run's line (ops/chaos/line.py) as tests use it: for the length of a block, one way only, cut after some bytes.

For: faults of one connection at a time, set by a test.
May not: carry bytes itself.

    with ChaosProxy(broker.port) as line:        # line.port is what the client dials
        line.delay_s, line.rate = 1.5, 5_000     # each way; bytes per second each way
        line.freeze()                            # half-open: nothing moves, TCP stays
        line.freeze(down=False)                  # one way: only what goes up is held
        line.thaw()
        line.cut()                               # reset every connection now
        line.refuse = True                       # new connections are closed at once
        line.cut_after = 500                     # reset the connections after so many more bytes upward
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from ops.chaos.line import Line


class ChaosProxy(Line):
    """One proxy to one port. Its settings may be changed from any thread at any time."""

    cut_after = 0
    _since_cut = 0

    def __enter__(self) -> ChaosProxy:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def freeze(self, *, up: bool = True, down: bool = True) -> None:
        """Hold what travels in these directions. Connections stay open and new ones are accepted."""
        self.frozen = frozenset(way for way, held in (("up", up), ("down", down)) if held)

    def thaw(self) -> None:
        """Let everything that was held go on."""
        self.frozen = frozenset()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._since_cut = 0
        await super()._client(reader, writer)

    def passed(self, way: str, size: int) -> None:
        super().passed(way, size)
        self._since_cut += size if way == "up" else 0
        if self.cut_after and self._since_cut >= self.cut_after:
            self._cut()
