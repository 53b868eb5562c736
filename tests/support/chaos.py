"""A line that misbehaves on command: a TCP proxy on the loopback address, in a thread of its own.

For: delay, rate, cut, freeze, one direction only, refusal; without root and without kernel modules.
May not: lose bytes of a connection that goes on, as TCP does not: a frozen line holds them until it thaws or is cut.

    with ChaosProxy(broker.port) as line:        # line.port is what the client dials
        line.delay_s, line.rate = 1.5, 5_000     # each way; bytes per second each way
        line.freeze()                            # half-open: nothing moves, TCP stays
        line.freeze(down=False)                  # one way: only what goes up is held
        line.thaw()
        line.cut()                               # reset every connection now
        line.refuse = True                       # new connections are closed at once
        line.cut_after = 500                     # reset each connection after so many bytes upward
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

_T = TypeVar("_T")
READ_BYTES = 4_096
QUEUE_PIECES = 64  # pieces of a delayed connection in the air at once, each way


class ChaosProxy:
    """One proxy to one port. Its settings may be changed from any thread at any time."""

    def __init__(self, target_port: int, target_host: str = "127.0.0.1") -> None:
        self._target = (target_host, target_port)
        self.delay_s = 0.0
        self.rate = 0
        self.refuse = False
        self.cut_after = 0
        self.accepted = 0
        self.bytes = {"up": 0, "down": 0}
        self.port = 0
        self._frozen = {"up": False, "down": False}
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio itself would let a waiting one be collected
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos-proxy", daemon=True)

    def __enter__(self) -> ChaosProxy:
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._client, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def freeze(self, *, up: bool = True, down: bool = True) -> None:
        """Hold what travels in these directions. Connections stay open and new ones are accepted."""
        self._frozen = {"up": up, "down": down}

    def thaw(self) -> None:
        """Let everything that was held go on."""
        self._frozen = {"up": False, "down": False}

    def cut(self) -> None:
        """Reset every open connection, both ends."""
        self._call(self._cut())

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _cut(self) -> None:
        for writer in list(self._writers):
            end = writer.get_extra_info("socket")
            if end is not None:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.accepted += 1
        self._writers.add(writer)
        beyond: asyncio.StreamWriter | None = None
        try:
            if self.refuse:
                return
            back, beyond = await asyncio.open_connection(*self._target)
            self._writers.add(beyond)
            await asyncio.gather(self._carry(reader, beyond, "up"), self._carry(back, writer, "down"))
        except (OSError, asyncio.CancelledError):
            pass  # an end went away, or the test is over: the finally tells the other end
        finally:
            for end in (writer, beyond):
                if end is not None:
                    self._writers.discard(end)
                    end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        """Read, and write each piece when it is due; delay does not lower the rate."""
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUE_PIECES)
        sender = asyncio.create_task(self._send(line, writer, way))
        try:
            while data := await reader.read(READ_BYTES):
                await line.put((self._loop.time() + self.delay_s, data))
            await line.put((0.0, b""))
            await sender
        finally:
            sender.cancel()

    async def _send(self, line: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, way: str) -> None:
        sent = 0
        while True:
            due, data = await line.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            while self._frozen[way]:
                await asyncio.sleep(0.01)
            if not data:
                writer.close()
                return
            if self.rate:
                await asyncio.sleep(len(data) / self.rate)
            self.bytes[way] += len(data)
            if writer.is_closing():
                return
            writer.write(data)
            with contextlib.suppress(OSError):
                await writer.drain()
            sent += len(data)
            if way == "up" and self.cut_after and sent >= self.cut_after:
                await self._cut()
