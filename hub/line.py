"""What the hub's loop needs of others: a carrier, a comparer; and what it remembers of each device's line.

For: the ports of hub/sync_loop.py, and one record per device.
May not: do anything.
Spec: docs/protocol/link.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from hub.devices import Contact
from hub.source import DeviceSource
from protocol.carriers.inbox import Counters
from protocol.link import HubLink
from protocol.roster import Device


class Carrier(Protocol):
    """What the loop needs of a carrier; protocol.carriers.mqtt.MqttCarrier is one."""

    generation: int
    counters: Counters

    @property
    def state(self) -> str: ...

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool: ...

    def receive(self, timeout: float = 0.0) -> tuple[str, bytes] | None: ...

    def wait(self, timeout: float) -> bool: ...


class Comparer(Protocol):
    """Reconciliation over the same links: what a device's comparison message is answered with, and who is to begin."""

    def arrived(self, device: Device, session: bytes, body: bytes) -> list[bytes]: ...

    def begin(self, present: set[bytes]) -> list[tuple[bytes, bytes, bytes]]:
        """(device, session, body) of comparisons that begin now, among the devices that are present."""


@dataclass
class Line:
    """One device's link and what the loop remembers of it."""

    device: Device
    link: HubLink
    source: DeviceSource
    topic: str
    contact: Contact
    due_ms: int = 0
    greeted: bool = False
    announced: dict[str, int] = field(default_factory=dict)
