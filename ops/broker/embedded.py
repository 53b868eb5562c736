"""The embedded broker: MQTT 3.1.1 in one Python process, for first steps, the demo and the tests.

For: `liandong broker run`; nothing needs root or an installation.
May not: be trusted with a message: it keeps nothing on disk, and law 2 of the design makes that harmless.
Manual: docs/operating/broker.md, "The embedded broker".
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ops.broker.door import LISTENER, Door
from protocol.errors import InputError

SHUTDOWN_S = 5.0
PLUGINS = ("ops.broker.plugins.Admitted", "ops.broker.plugins.Rules", "ops.broker.plugins.OnlyTheCardIsRetained")


class AddressInUse(InputError):
    """Another program listens where the broker should."""

    code = "address_in_use"


def run_broker(directory: Path, host: str, port: int, ready: Callable[[int], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:    directory: the hub's directory D; accounts come from `D/broker/passwords`, which may change at any time.
             port: 0 takes any free one.  ready: called once with the port when connections are accepted.
    Raises:  AddressInUse.
    """
    _quiet()
    asyncio.run(_serve(directory, host, port, ready))


async def _serve(directory: Path, host: str, port: int, ready: Callable[[int], None] | None) -> None:
    from amqtt.broker import Broker

    from ops.broker.plugins import allows

    broker = Broker({"listeners": {LISTENER: {"type": "external"}}, "plugins": {name: {} for name in PLUGINS}})

    async def judge(*, session: object, topic: str, action: object) -> dict[str, bool]:
        return {"rules": allows(session, topic, action)}

    asyncio.get_running_loop().set_exception_handler(_report)
    broker.plugins_manager.map_plugin_topic = judge  # the same verdict as the plugin's, at a tenth of the cost
    await broker.start()
    door = Door(broker, directory)
    ended = _ending()
    try:
        try:
            bound = await door.open(host, port)
        except OSError as error:
            raise AddressInUse(
                f"The broker cannot listen on {host}:{port} ({error.strerror}); stop the other program or choose another port.",
                f"消息服务无法监听 {host}:{port}（{error.strerror}），请停止占用该端口的程序或另选端口。",
            ) from error
        if ready is not None:
            ready(bound)
        await ended.wait()
    finally:
        await door.close()
        await asyncio.wait_for(broker.shutdown(), SHUTDOWN_S)


def _ending() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))
    return ended


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say what went wrong in a task of amqtt's, unless it only lost its connection."""
    from amqtt.errors import AMQTTError, MQTTError, ProtocolHandlerError

    expected = (AMQTTError, MQTTError, ProtocolHandlerError, OSError)
    if not isinstance(context.get("exception"), expected):
        loop.default_exception_handler(context)


class _NormalLife(logging.Filter):
    """Drops what amqtt reports as an error and is none: a machine that went away before it acknowledged."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("Task failed and will be skipped")


def _quiet() -> None:
    """amqtt says much; only errors reach standard error."""
    for name in ("amqtt", "transitions", "asyncio"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("amqtt.broker").addFilter(_NormalLife())
