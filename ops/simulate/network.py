"""Lines and the broker between machines: envelopes that come late, twice, in another order, or not at all.

For: carriers in the shape that the product's loops ask for; bad weather on a line; a broker that queues, forgets, dies.
May not: look into envelopes; repeat anything by itself: what is lost here, the links must offer again.
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ops.simulate.world import MINUTE, SECOND, World
from protocol import topics
from protocol.carriers.inbox import Counters

QUEUE_MAX = 1_000  # messages that the broker keeps for somebody who is away; more are dropped in silence, as brokers do
INBOX_MAX = 500  # as the real carrier
KEEPALIVE_MS = 90 * SECOND  # after so long a carrier notices by itself that its connection is dead
KEPT_FOR_FAULTS = 200  # past messages that a hostile broker could send again
HUB_BOX = topics.HUB_USER


@dataclass(eq=False)
class Weather:
    """One thing that is wrong with a line. Several may be wrong at once.

    cut: no connection. half_open: the connection looks alive, nothing passes. mute_up, mute_down: one direction passes
    nothing. loss, double: share of messages. jitter_ms: extra delay drawn up to this, so that order changes.
    held_share, held_ms: share of messages that come after so long (low, high).
    """

    cut: bool = False
    half_open: bool = False
    mute_up: bool = False
    mute_down: bool = False
    loss: float = 0.0
    double: float = 0.0
    jitter_ms: int = 0
    held_share: float = 0.0
    held_ms: tuple[int, int] = (0, 0)


class Line:
    """One machine's way to the broker, and the carrier that its process sees."""

    def __init__(self, world: World, broker: Broker, box: str, name: str) -> None:
        self.world, self.broker, self.box, self.name = world, broker, box, name
        self.open = False  # whether anybody wants a connection now: office hours, a plugged cable
        self.closes_ms = 0  # until when, if nobody wants it longer
        self.weather: list[Weather] = []
        self.hears: set[str] = set()  # topics, for retained messages; the mailbox is found by its name
        self.generation = 0
        self.reason = "the simulated line is down"
        self.counters = Counters()
        self.sent = 0
        self._inbox: deque[tuple[str, bytes]] = deque()
        self._online = False
        self.on_change: Callable[[], object] = lambda: None
        self.on_payload: Callable[[], object] = lambda: None
        self.before_publish: Callable[[], object] = lambda: None

    # --- what the product's loops ask of a carrier ---

    @property
    def state(self) -> str:
        return "online" if self._online else "offline"

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def wait(self, timeout: float) -> bool:
        return False

    def reconnect(self) -> None:
        """The loop found the line dead: drop the connection and dial again."""
        self._drop()
        self.refresh()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        self.before_publish()
        if not self._online:
            self.counters.refused += 1
            return False
        self.counters.published += 1
        self.sent += 1
        if any(weather.half_open for weather in self.weather):
            return True
        self.counters.acknowledged += 1  # the broker says that it has it, which proves nothing
        if not any(weather.mute_up for weather in self.weather):
            self._through(lambda: self.broker.take(topic, payload, retain=retain))
        return True

    def receive(self, timeout: float = 0.0) -> tuple[str, bytes] | None:
        return self._inbox.popleft() if self._inbox and self._online else None

    # --- what the simulation does ---

    def refresh(self) -> None:
        """See whether there can be a connection now, and dial or drop."""
        if self._possible() and not self._online:
            self.world.at(self.world.between(50, 2 * SECOND), self._connect)
        elif self._online and not self._possible():
            self._drop()

    def put(self, weather: Weather) -> None:
        self.weather.append(weather)
        if weather.half_open and self._online:
            self.world.at(KEEPALIVE_MS, self._keepalive, self.generation)
        self.refresh()

    def lift(self, weather: Weather) -> None:
        if weather in self.weather:
            self.weather.remove(weather)
        self.refresh()

    def process_died(self) -> None:
        """What was in memory is gone, and so is the connection."""
        self._inbox.clear()
        self._drop()

    def deliver(self, topic: str, payload: bytes) -> None:
        """From the broker towards this machine, over whatever weather there is."""
        if any(weather.mute_down or weather.half_open for weather in self.weather):
            return
        generation = self.generation
        self._through(lambda: self._arrive(topic, payload, generation))

    def _through(self, pass_on) -> None:  # type: ignore[no-untyped-def]
        """Pass a message on after a delay: once, twice or never."""
        world = self.world
        if any(world.chance(weather.loss) for weather in self.weather if weather.loss):
            return
        copies = 1 + sum(world.chance(weather.double) for weather in self.weather if weather.double)
        for _ in range(copies):
            delay = world.between(20, 400)
            for weather in self.weather:
                delay += world.between(0, weather.jitter_ms) if weather.jitter_ms else 0
                if weather.held_share and world.chance(weather.held_share):
                    delay += world.between(*weather.held_ms)
            self.broker.pass_later(delay, pass_on)

    def _arrive(self, topic: str, payload: bytes, generation: int) -> None:
        if not self._online or generation != self.generation:
            if self.world.chance(0.5):  # some brokers forget what was on its way when a connection breaks
                self.broker.keep(self.box, topic, payload)
            return
        if len(self._inbox) >= INBOX_MAX:
            self.counters.dropped += 1
            return
        self.counters.received += 1
        self._inbox.append((topic, payload))
        self.on_payload()

    def _possible(self) -> bool:
        return self.open and self.broker.up and not any(weather.cut for weather in self.weather)

    def _connect(self) -> None:
        if self._online or not self._possible():
            return
        self._online = True
        self.generation += 1
        self.counters.connects += 1
        self.broker.connected(self)
        if any(weather.half_open for weather in self.weather):
            self.world.at(KEEPALIVE_MS, self._keepalive, self.generation)
        self.on_change()

    def _drop(self) -> None:
        if self._online:
            self._online = False
            self.counters.losses += 1
            self.broker.disconnected(self)
            self.on_change()

    def _keepalive(self, generation: int) -> None:
        if generation == self.generation and any(weather.half_open for weather in self.weather):
            self.reconnect()

    def kicked(self) -> None:
        """Another machine has connected under the same name."""
        self._drop()
        self.world.at(self.world.between(5 * SECOND, 2 * MINUTE), self.refresh)


@dataclass
class Broker:
    """Keeps messages for whoever is away, in memory that a crash may take."""

    world: World
    up: bool = True
    lines: list[Line] = field(default_factory=list)
    _waiting: dict[str, deque[tuple[str, bytes]]] = field(default_factory=dict)
    _here: dict[str, Line] = field(default_factory=dict)
    retained: dict[str, bytes] = field(default_factory=dict)
    past: deque[tuple[str, bytes]] = field(default_factory=lambda: deque(maxlen=KEPT_FOR_FAULTS))
    lost: int = 0

    def line(self, box: str, name: str) -> Line:
        made = Line(self.world, self, box, name)
        self.lines.append(made)
        return made

    def take(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """A message has reached the broker."""
        if not self.up:
            self.lost += 1
            return
        if retain:
            self.retained[topic] = payload
            for line in list(self._here.values()):
                if topic in line.hears:
                    line.deliver(topic, payload)
            return
        self.past.append((topic, payload))
        self.inject(topic, payload)

    def inject(self, topic: str, payload: bytes) -> None:
        """Hand a message on, whoever it came from: a broker is not believed either."""
        box = HUB_BOX if topic.endswith("/up") else topic.split("/")[2]
        line = self._here.get(box)
        if line is None:
            self.keep(box, topic, payload)
        else:
            line.deliver(topic, payload)

    def keep(self, box: str, topic: str, payload: bytes) -> None:
        queue = self._waiting.setdefault(box, deque())
        if len(queue) < QUEUE_MAX:
            queue.append((topic, payload))
        else:
            self.lost += 1

    def connected(self, line: Line) -> None:
        other = self._here.get(line.box)
        self._here[line.box] = line
        if other is not None and other is not line:
            other.kicked()
        waiting = self._waiting.pop(line.box, ())
        for topic, payload in waiting:
            line.deliver(topic, payload)
        for topic, payload in self.retained.items():
            if topic in line.hears:
                line.deliver(topic, payload)

    def disconnected(self, line: Line) -> None:
        if self._here.get(line.box) is line:
            del self._here[line.box]

    def stop(self) -> None:
        """The broker dies: connections break, everybody dials in vain."""
        self.up = False
        for line in self.lines:
            line.refresh()

    def start(self) -> None:
        self.up = True
        for line in self.lines:
            line.refresh()

    def forget(self) -> None:
        """Its store is gone: sessions and all that it had acknowledged."""
        self.lost += sum(len(queue) for queue in self._waiting.values())
        self._waiting.clear()
        self.retained.clear()

    def pass_later(self, delay_ms: int, pass_on) -> None:  # type: ignore[no-untyped-def]
        self.world.at(delay_ms, pass_on)
