"""The door of the embedded broker: accepts connections, checks the account, and only then lets amqtt see them.

For: what amqtt 0.12 does not do by itself (decision 0052): it changes sessions before it checks passwords, loses the
state of a session that is taken over, never notices a machine that went away, and reads packets of any length.
May not: look into anything but the CONNECT packet; decide about topics (ops/broker/rules.py).
Manual: docs/operating/broker.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amqtt.adapters import BufferReader, StreamReaderAdapter, StreamWriterAdapter
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt.connack import NOT_AUTHORIZED, UNACCEPTABLE_PROTOCOL_VERSION, ConnackPacket
from amqtt.mqtt.connect import ConnectPacket

from hub.broker_accounts import AccountFile
from ops.broker.rules import PUBLISH, may

CONNECT_BYTES_MAX = 70_000  # names, password, and a last will of one envelope
PACKET_BYTES_MAX = 131_072  # any later packet; twice an envelope
CONNECT_S = 20.0  # from the first byte of TCP to a whole CONNECT packet, on a line with round trips of 3 s
TAKEOVER_S = 2.0  # what a connection gets to end when the same mailbox comes again
CLOSE_S = 2.0  # what a connection gets to take its last bytes
SWEEP_S = 1.0
SILENCE_FACTOR = 1.5  # MQTT 3.1.1, 3.1.2.10: a machine silent for one and a half keepalives is gone
MQTT_LEVEL = 4
DISCONNECT = b"\xe0"
LISTENER = "default"
log = logging.getLogger("liandong.broker")


class Refused(Exception):
    """A CONNECT that gets `code` as its answer, or none if it is None."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class _Reader(StreamReaderAdapter):  # type: ignore[misc]
    """What amqtt reads: the checked CONNECT packet first, then the line, with the time of the last byte kept.

    The end comes only when what was acknowledged before it has been passed on; `pending` says how much has not.
    """

    def __init__(
        self, reader: asyncio.StreamReader, first: bytes, line: asyncio.WriteTransport, pending: Callable[[], int]
    ) -> None:
        super().__init__(reader)
        self._first = BufferReader(first)
        self._first_left = len(first)
        self._line = line
        self._pending = pending
        self.heard = asyncio.get_running_loop().time()

    async def read(self, n: int = -1) -> bytes:
        if self._first_left:
            data: bytes = await self._first.read(n)
            self._first_left -= len(data)
            return data
        if n > PACKET_BYTES_MAX:
            self._line.abort()  # what follows would be read as the next packet
        try:
            data = await super().read(n)
        except (OSError, EOFError):
            await self._pass_on()
            raise
        self.heard = asyncio.get_running_loop().time()
        if data == DISCONNECT:
            await self._pass_on()
        return data

    async def _pass_on(self) -> None:
        end = asyncio.get_running_loop().time() + CLOSE_S
        await asyncio.sleep(0)  # amqtt has just made tasks of the packets before
        while self._pending() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.001)


class _Writer(StreamWriterAdapter):  # type: ignore[misc]
    """What amqtt writes to; closing takes CLOSE_S at most, also on a line that takes no bytes any more."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        super().__init__(writer)
        self._line = writer.transport

    async def close(self) -> None:
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(super().close(), CLOSE_S)
        self._line.abort()


@dataclass(slots=True)
class _Visit:
    """One connection that was let in. stored: the account's hash at that moment."""

    box: str
    stored: str | None
    silence_s: float
    line: asyncio.WriteTransport
    task: asyncio.Task[Any]
    reader: _Reader | None = field(default=None)


class Door:
    """Listens, lets in, throws out. `broker` is an amqtt Broker with one external listener."""

    def __init__(self, broker: Any, directory: Path) -> None:
        self._broker = broker
        self._accounts = AccountFile(directory)
        self._inside: dict[str, _Visit] = {}
        self._tasks: set[asyncio.Task[Any]] = set()  # asyncio itself would let a waiting one be collected
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen. The port (which differs from `port` only when that is 0). Raises OSError if it is taken."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self._sweeper = asyncio.create_task(self._sweep())
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for visit in list(self._inside.values()):
            visit.line.abort()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=TAKEOVER_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            packet = await asyncio.wait_for(_read_connect(reader), CONNECT_S)
            visit = self._admit(packet, writer.transport, task)
        except Refused as refusal:
            if refusal.code is not None:
                writer.write(ConnackPacket.build(0, refusal.code).to_bytes())
            await _Writer(writer).close()
            return
        except (OSError, EOFError, TimeoutError):
            writer.transport.abort()  # it went away, or never said who it is
            return
        await self._host(visit, packet, reader, writer)

    def _admit(self, packet: Any, line: asyncio.WriteTransport, task: asyncio.Task[Any]) -> _Visit:
        """Who it is and whether it may come in; makes the packet say so. Raises Refused."""
        if packet.proto_level != MQTT_LEVEL:
            raise Refused(UNACCEPTABLE_PROTOCOL_VERSION)
        box = packet.username if packet.username_flag else None
        if box is None or not self._accounts.admits(box, packet.password or ""):
            raise Refused(NOT_AUTHORIZED)
        if packet.will_flag and (packet.will_retain_flag or not may(box, PUBLISH, packet.will_topic or "")):
            raise Refused(NOT_AUTHORIZED)
        silence_s = SILENCE_FACTOR * packet.keep_alive if packet.keep_alive else float("inf")
        packet.client_id, packet.keep_alive = box, 0  # silence is ours to notice
        return _Visit(box, self._accounts.stored(box), silence_s, line, task)

    async def _host(
        self, visit: _Visit, packet: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Wait until an earlier connection of this mailbox is over, then hand this one to amqtt until it ends."""
        earlier = self._inside.get(visit.box)
        self._inside[visit.box] = visit
        visit.reader = _Reader(reader, packet.to_bytes(), visit.line, lambda: self._pending(visit.box))
        try:
            if earlier is not None:
                earlier.line.abort()
                ended, _ = await asyncio.wait({earlier.task}, timeout=TAKEOVER_S)
                if not ended:  # amqtt waits 5 s for an acknowledgement that cannot come
                    earlier.task.cancel()
                    await asyncio.wait({earlier.task}, timeout=TAKEOVER_S)
            await self._broker.external_connected(visit.reader, _Writer(writer), LISTENER)
        except asyncio.CancelledError:
            pass  # by the next connection of this mailbox, or at the end: this task ends here either way
        except Exception:
            log.exception("a connection ended with an error; the others go on")
        finally:
            visit.line.abort()
            if self._inside.get(visit.box) is visit:
                del self._inside[visit.box]

    def _pending(self, box: str) -> int:
        """How many messages of this mailbox amqtt acknowledged and has not passed on."""
        session, _ = self._broker.sessions.get(box, (None, None))
        return session.delivered_message_queue.qsize() if session is not None else 0

    async def _sweep(self) -> None:
        """Throw out who fell silent, and who has no account any more or a new password."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                self._accounts.refresh()
            except OSError as error:
                log.warning("the password file cannot be read: %s", error.strerror)
                continue
            now = asyncio.get_running_loop().time()
            for visit in list(self._inside.values()):
                silent = visit.reader is not None and now - visit.reader.heard > visit.silence_s
                if silent or visit.stored != self._accounts.stored(visit.box):
                    visit.line.abort()


async def _read_connect(reader: asyncio.StreamReader) -> Any:
    """The first packet, which must be CONNECT. Raises Refused, EOFError, OSError."""
    raw = await reader.readexactly(2)
    length, shift = raw[1] & 0x7F, 7
    while raw[-1] & 0x80:
        if len(raw) == 5:
            raise Refused(None)
        raw += await reader.readexactly(1)
        length |= (raw[-1] & 0x7F) << shift
        shift += 7
    if raw[0] != 0x10 or length > CONNECT_BYTES_MAX:
        raise Refused(None)
    raw += await reader.readexactly(length)
    try:
        packet = await ConnectPacket.from_stream(BufferReader(raw))
        if packet.proto_name != "MQTT" or packet.reserved_flag or packet.bytes_length != len(raw):
            raise Refused(None)
    except (AMQTTError, MQTTError, NoDataError, ValueError, IndexError, TypeError) as error:
        raise Refused(None) from error
    return packet
