"""A device's line to the broker: a TCP proxy on the loopback address that can be made bad and good again.

For: delay, rate, cut, freeze in one or both directions, refusal; no root, no kernel module.
May not: lose bytes of a connection that goes on, as TCP does not: a frozen line holds them until it thaws or is cut.
Manual: docs/operating/chaos.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading

READ_BYTES = 4_096
PIECES_MAX = 64  # pieces of a delayed connection in the air at once, each way
LOOK_S = 0.02
SLOW_RATE = 5_000  # bytes per second each way
SLOW_DELAY_S = 1.5  # each way: a round trip of three seconds
DELAY_S = 0.7
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: the other end sees a reset
CALL_SECONDS_MAX = 30


class Line:
    """One proxy to one port of the loopback address. `port` is what the device dials. Calls come from any thread."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.accepted = 0
        self.bytes = {"up": 0, "down": 0}
        self.good()
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio alone would let a waiting one be collected
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos-line", daemon=True)

    def open(self) -> None:
        """Begin to listen; `port` is known afterwards."""
        self._thread.start()
        serving = asyncio.start_server(self._client, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(CALL_SECONDS_MAX)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Cut everything and stop listening."""
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(CALL_SECONDS_MAX)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS_MAX)
        self._loop.close()

    def good(self) -> None:
        """No fault from now on; what was held goes on."""
        self.delay_s, self.rate, self.refuse = 0.0, 0, False
        self.frozen: frozenset[str] = frozenset()

    def bad(self, fault: str) -> None:
        """Begin one fault of plan.LINE_FAULTS; it takes the place of the one before."""
        self.good()
        if fault == "delay":
            self.delay_s = DELAY_S
        elif fault == "slow":
            self.delay_s, self.rate = SLOW_DELAY_S, SLOW_RATE
        elif fault == "freeze":
            self.frozen = frozenset({"up", "down"})
        elif fault == "half":
            self.frozen = frozenset({"down"})  # what goes up arrives, no answer comes
        else:
            self.refuse = fault == "refuse"
            self.cut()

    def cut(self) -> None:
        """Reset every open connection, both ends. It is done when this returns."""

        async def now() -> None:
            self._cut()

        asyncio.run_coroutine_threadsafe(now(), self._loop).result(CALL_SECONDS_MAX)

    def _cut(self) -> None:
        for end in list(self._ends):
            plug = end.get_extra_info("socket")
            if plug is not None:
                with contextlib.suppress(OSError):
                    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.transport.abort()

    def passed(self, way: str, size: int) -> None:
        """So many bytes went on; in the loop's thread."""
        self.bytes[way] += size

    async def _shut(self) -> None:
        self._server.close()
        self._cut()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.accepted += 1
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ends = [writer]
        self._ends.add(writer)
        try:
            if self.refuse:
                return
            back, beyond = await asyncio.open_connection("127.0.0.1", self.target_port)
            ends.append(beyond)
            self._ends.add(beyond)
            await asyncio.gather(self._carry(reader, beyond, "up"), self._carry(back, writer, "down"))
        except (OSError, asyncio.CancelledError):
            return  # an end went away or the run is over: the finally tells the other end
        finally:
            for end in ends:
                self._ends.discard(end)
                end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        """Read, and write each piece when it is due: a delay does not lower the rate."""
        air: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES_MAX)
        sender = asyncio.create_task(self._send(air, writer, way))
        try:
            while data := await reader.read(READ_BYTES):
                await air.put((self._loop.time() + self.delay_s, data))
            await air.put((0.0, b""))
            await sender
        finally:
            sender.cancel()

    async def _send(self, air: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, way: str) -> None:
        while True:
            due, data = await air.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            while way in self.frozen:
                await asyncio.sleep(LOOK_S)
            if self.rate:
                await asyncio.sleep(len(data) / self.rate)
            if not data or writer.is_closing():
                writer.close()
                return
            writer.write(data)
            await writer.drain()
            self.passed(way, len(data))
