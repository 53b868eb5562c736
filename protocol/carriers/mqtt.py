"""The MQTT carrier: one mailbox at one broker, kept connected by one thread, with bounded queues on both sides.

For: handing whole payloads over and taking them in, over paho-mqtt 2 and MQTT 3.1.1.
May not: think. It repeats nothing and acknowledges nothing that matters (law 2): what a lost connection or a full queue
takes with it, the link above offers again. A broker out of reach is a state, not an error.
Spec: docs/protocol/topics.md.  Decision: 0054.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from protocol.carriers import CLIENT_ID_PREFIX, PAYLOAD_BYTES_MAX, BadBrokerUrl
from protocol.carriers.address import parse_url
from protocol.carriers.inbox import Counters, Inbox
from protocol.carriers.keeper import Keeper
from protocol.errors import LocalProtocolError

KEEPALIVE_S = 60
DIAL_S = 10.0  # for TCP and for TLS
WELCOME_S = 30.0  # from TCP to a granted subscription, on a line with round trips of 3 s
LOOP_S = 0.5  # one turn of the thread when nothing happens
INBOX_MAX = 500  # 32 MiB at most
OUTBOX_MAX = 200  # 12 MiB at most
INFLIGHT_MAX = 20  # unacknowledged at once; more gains nothing
LINGER_S = 2.0  # what `stop` gives the last payloads
log = logging.getLogger("liandong.carrier")


class MqttCarrier:
    """One mailbox at one broker.

    connected: set while online, that is once the broker granted the subscriptions. generation: grows by one each time.
    counters: see inbox.py.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        delays: Callable[[], Iterator[float]],
        username: str | None = None,
        password: str | None = None,
        subscriptions: Sequence[str] = (),
        will: tuple[str, bytes] | None = None,
        ca_file: Path | None = None,
        inbox_limit: int = INBOX_MAX,
        outbox_limit: int = OUTBOX_MAX,
    ) -> None:
        """Set up; `start` connects.

        Args:    client_id: the mailbox; the broker sees it with CLIENT_ID_PREFIX before it.
                 delays: makes the waits in seconds between attempts, anew after each good connection.
                 username, password: default to those in the URL. Without a user name the session is not persistent.
                 ca_file: PEM, for mqtts; None means the system's authorities.
        Raises:  BadBrokerUrl.
        """
        self._address = parse_url(url)
        self._tls = _tls_context(ca_file) if self._address.tls else None
        self._username, self._password = username or self._address.username, password or self._address.password
        self._id, self._will, self._outbox_limit = CLIENT_ID_PREFIX + client_id, will, outbox_limit
        self._subscriptions = [(topic, 1) for topic in subscriptions]
        self._client: paho.Client | None = None
        self._lock = threading.Lock()  # publishing threads only: paho calls back with locks of its own held
        self._sent = self._acknowledged = 0  # in this connection
        self._keeper = Keeper(f"mqtt-{client_id}", self._converse, delays)
        self.counters = Counters()
        self._inbox = Inbox(inbox_limit, self.counters)
        self.connected = threading.Event()
        self.generation = 0

    @property
    def state(self) -> str:
        """`online` or `offline`."""
        return "online" if self.connected.is_set() else "offline"

    @property
    def reason(self) -> str:
        """While offline: why, in one sentence without secrets. Empty while online."""
        return "" if self.connected.is_set() else self._keeper.reason

    def start(self) -> None:
        """Begin to connect, and go on trying until `stop`. Returns at once."""
        self._keeper.start()

    def stop(self, linger_s: float = LINGER_S) -> None:
        """Give the broker `linger_s` at most to take what was published, then disconnect."""
        end = time.monotonic() + linger_s
        while self.connected.is_set() and self._sent > self._acknowledged and time.monotonic() < end:
            time.sleep(0.01)
        self._keeper.stop(DIAL_S, wake=self._wake)

    def reconnect(self) -> None:
        """Drop the connection, which the link found dead, and dial again at once."""
        self._keeper.again()
        self._wake()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Queue one payload for the broker; never waits for the line.

        Returns: False if offline or if the queue is full. True promises nothing: only a receipt means delivered.
        Raises:  LocalProtocolError for a payload that is empty or larger than PAYLOAD_BYTES_MAX.
        """
        if not 0 < len(payload) <= PAYLOAD_BYTES_MAX:
            raise LocalProtocolError(f"a payload of {len(payload)} bytes; 1 to {PAYLOAD_BYTES_MAX} are allowed")
        with self._lock:
            client = self._client if self.connected.is_set() else None
            if client is None or client.publish(topic, payload, qos=1, retain=retain).rc != paho.MQTT_ERR_SUCCESS:
                self.counters.refused += 1
                return False
            self.counters.published += 1
            self._sent += 1
            return True

    def receive(self, timeout: float = 0.0) -> tuple[str, bytes] | None:
        """The oldest payload and its topic, or None after `timeout` seconds."""
        return self._inbox.get(timeout)

    def wait(self, timeout: float) -> bool:
        """Sleep until a payload is there or the connection came or went; False if `timeout` seconds passed first."""
        return self._inbox.wait(timeout)

    def wake(self) -> None:
        """Let `wait` return, for example because there is something new to send."""
        self._inbox.ring()

    def _converse(self) -> tuple[bool, str]:
        """One connection, from dialling to its end: whether it worked, and why it ended."""
        refusals: list[str] = []
        client = self._new_client(refusals)
        self._sent = self._acknowledged = 0
        before = self.generation
        try:
            client.connect(self._address.host, self._address.port, KEEPALIVE_S)
            self._client, dialled = client, time.monotonic()
            while True:
                ended = client.loop(LOOP_S)
                if not refusals and not self.connected.is_set() and time.monotonic() - dialled > WELCOME_S:
                    refusals.append("the broker does not answer")
                if self._keeper.leaving:
                    client.disconnect()
                    client.loop(0.0)  # what the line takes without waiting; on a dead one nothing
                if ended != paho.MQTT_ERR_SUCCESS or refusals or self._keeper.leaving:
                    reason = refusals[0] if refusals else f"the connection ended: {paho.error_string(ended)}"
                    return self.generation != before, reason
        finally:
            self._client = None
            if self.connected.is_set():
                self.counters.losses += 1
                self.connected.clear()
            self._inbox.ring()
            if (line := client.socket()) is not None:
                line.close()

    def _new_client(self, refusals: list[str]) -> paho.Client:
        """A client with nothing left over from the connection before. Refusals of the broker go into the list."""
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._id,
            protocol=paho.MQTTv311,
            clean_session=self._username is None,
            reconnect_on_failure=False,
        )
        client.connect_timeout = DIAL_S
        client.max_inflight_messages_set(INFLIGHT_MAX)
        client.max_queued_messages_set(self._outbox_limit)
        if self._username is not None:
            client.username_pw_set(self._username, self._password)
        if self._will is not None:
            client.will_set(*self._will, qos=1)
        if self._tls is not None:
            client.tls_set_context(self._tls)

        def on_connect(_c: paho.Client, _u: Any, _flags: Any, code: Any, _properties: Any) -> None:
            if code.is_failure:
                refusals.append(f"the broker refused the login: {code}")
            elif self._subscriptions:
                client.subscribe(self._subscriptions)
            else:
                self._became_online()

        def on_subscribe(_c: paho.Client, _u: Any, _mid: int, codes: Any, _properties: Any) -> None:
            if any(code.is_failure for code in codes):
                refusals.append("the broker refused the subscription")
            else:
                self._became_online()

        def on_message(_c: paho.Client, _u: Any, message: paho.MQTTMessage) -> None:
            self._inbox.put(message.topic, bytes(message.payload))

        def on_publish(*_: Any) -> None:
            self._acknowledged += 1
            self.counters.acknowledged += 1

        client.on_connect, client.on_subscribe = self._guarded(on_connect), self._guarded(on_subscribe)
        client.on_message, client.on_publish = self._guarded(on_message), self._guarded(on_publish)
        client.on_socket_register_write = lambda *_: None  # paho then writes in the carrier's thread only
        return client

    def _wake(self) -> None:
        """End the thread's wait for the line; `disconnect` is what paho offers for that."""
        if (client := self._client) is not None:
            client.disconnect()

    def _became_online(self) -> None:
        self.generation += 1
        self.counters.connects += 1
        self.connected.set()
        self._inbox.ring()

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """`callback`, but an exception in it is counted and logged, and the connection goes on."""

        def guarded(*args: Any) -> None:
            try:
                callback(*args)
            except Exception:
                self.counters.faults += 1
                log.exception("an error in a callback of the carrier")

        return guarded


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise BadBrokerUrl(
            f"The CA file {ca_file} cannot be read: {error.strerror or error}", f"证书文件 {ca_file} 无法读取。"
        ) from error
