"""The two plugins that the embedded broker loads into amqtt: who is in, and what each may do.

For: amqtt, which finds them by name.
May not: check passwords: ops/broker/door.py did, before amqtt saw the first byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amqtt.plugins.base import BaseAuthPlugin, BasePlugin, BaseTopicPlugin

from ops.broker.rules import PUBLISH, RECEIVE, may

QUEUE_MAX = 1_000  # messages kept for one machine that is away, as Mosquitto does by default
INFLIGHT_MAX = 1_000  # messages on their way to one machine that is there


class Admitted(BaseAuthPlugin):  # type: ignore[misc]
    """Everybody whom the door let through."""

    async def authenticate(self, *, session: Any) -> bool:
        return True

    @dataclass
    class Config:
        """No settings."""


class Rules(BaseTopicPlugin):  # type: ignore[misc]
    """ops/broker/rules.py, and a bound on what is kept for one machine: beyond it messages are dropped (law 2)."""

    async def topic_filtering(self, *, session: Any = None, topic: str | None = None, action: Any = None) -> bool:
        return allows(session, topic, action)

    @dataclass
    class Config:
        """No settings."""


class OnlyTheCardIsRetained(BasePlugin[Any]):  # type: ignore[misc]
    """Forgets retained messages that only the hub's card may be: amqtt would show them to everybody who connects."""

    async def on_broker_retained_message(self, *, client_id: str | None, retained_message: Any) -> None:
        if client_id is None and not may("hub", PUBLISH, retained_message.topic):
            self.context.retained_messages.pop(retained_message.topic, None)

    @dataclass
    class Config:
        """No settings."""


def allows(session: Any, topic: str | None, action: Any) -> bool:
    """The verdict, without giving up the event loop: amqtt walks its table of subscriptions while it asks."""
    act = str(action.value)
    if act == RECEIVE and (session.retained_messages_count >= QUEUE_MAX or session.inflight_out_count >= INFLIGHT_MAX):
        return False
    return topic is not None and may(session.client_id, act, topic)
