"""A new device: keys, trust, store, and the hub's answer to its enrolment code.

For: the steps from an empty directory to a device, over the broker or with files; safe to repeat after any crash,
because every step is written before the next and a repeated one changes nothing.
May not: believe a hub card that the code does not vouch for; make new keys where there are keys.
Spec: docs/protocol/trust.md, "Enrolment".  Decision: docs/decisions/0073-joining-in-steps.md.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from conflict.ledger.meta import get_meta
from conflict.ledger.store import open_store
from edge import incarnation, memory
from edge.clock import Clock
from edge.config import CONFIG_NAME, JOINED, JOINING, RENEWING, STORE_NAME, Config, read_config, write_config
from edge.errors import AlreadyJoined, JoinRefused
from edge.identity import (
    KEYS_NAME,
    BrokerAccount,
    has_keys,
    read_card,
    read_keys,
    write_account,
    write_card,
    write_keys,
)
from edge.reference import Reference, take_document
from edge.schema import COMPONENT
from edge.staff import FIRST_ACCOUNT, add_row, any_account
from protocol import keys as device_keys
from protocol import topics
from protocol.enrol import EnrolCode, JoinAnswer, JoinRequest, open_answer, seal_request
from protocol.errors import RemoteProtocolError, StaleDocument, TransportError
from protocol.keys import DeviceKeys
from protocol.schedule import delays_s
from protocol.trust import HubCard, Trust, fingerprint, spoken

CONNECT_S = 15.0  # without a connection for so long a person is told
PART_TAKEN = "device_part_taken"  # the hub's word for keys whose case numbers could equal an earlier device's
KEYS_TAKEN = "keys_taken"  # and for keys that a device has already: this disk is a copy of that one's
DRAW_AGAIN = frozenset({PART_TAKEN, KEYS_TAKEN})
DRAW_TRIES = 4
ASK_AGAIN_S = 5.0  # between two sendings of the request: the broker may drop one
DOMAIN_MARK = b"liandong code mark v1"
_T = TypeVar("_T")

log = logging.getLogger("liandong.edge.join")


@dataclass(frozen=True, slots=True)
class Joined:
    """A device that is part of its county. fingerprint: digits that two people compare by telephone."""

    county: str
    office: str
    device: str
    fingerprint: str
    broker: str


def prepare(directory: Path, code_text: str, card: HubCard | None = None) -> tuple[Config, EnrolCode, DeviceKeys]:
    """Write down what does not need the hub: keys and configuration, and the card if it is at hand.

    Raises:  BadCode, WrongRecipient (the card is another county's), AlreadyJoined (another enrolment's directory).
    """
    code = EnrolCode.from_text(code_text)
    mark = hashlib.sha256(DOMAIN_MARK + code.secret).hexdigest()
    if card is not None:
        code.check_card(card)
    if (directory / CONFIG_NAME).exists():
        config = read_config(directory)
        again = (config.state == RENEWING and not config.code_mark) or (
            config.state == JOINED and config.code_mark != mark and _is_unknown(directory)
        )
        if again and config.office == code.office:
            config = replace(config, state=RENEWING, code_mark=mark, broker=code.broker)
            write_config(directory, config)
        if config.code_mark != mark:
            raise AlreadyJoined(
                f"{directory} already holds a device of office {config.office}; choose an empty directory.",
                f"目录 {directory} 中已有机构 {config.office} 的设备，请选择空目录。",
            )
        keys = read_keys(directory)
    else:
        if not has_keys(directory):
            write_keys(directory, device_keys.generate(code.county, code.office, "edge", os.urandom))
        keys = read_keys(directory)
        if (keys.county, keys.office) != (code.county, code.office):
            raise AlreadyJoined(
                f"{directory} holds keys of office {keys.office}; choose an empty directory.",
                f"目录 {directory} 中已有机构 {keys.office} 的密钥，请选择空目录。",
            )
        config = Config(code.county, code.office, keys.incarnation.hex(), code.broker, mark, JOINING)
        write_config(directory, config)
    if card is not None:
        write_card(directory, card)
    return config, code, keys


def _is_unknown(directory: Path) -> bool:
    """Whether the hub has asked this device who it is, and nothing it holds could say so."""
    with open_store(directory / STORE_NAME) as store, store.read() as tx:
        return get_meta(tx, memory.UNKNOWN) is not None


def request_bytes(code: EnrolCode, keys: DeviceKeys, card: HubCard, *, reply_box: str) -> bytes:
    """The sealed join request of this device, for the broker or (with an empty `reply_box`) for a file."""
    request = JoinRequest(
        county=code.county,
        office=code.office,
        sign_public=keys.sign_public,
        seal_public=keys.seal_public,
        suite=keys.suite,
        secret=code.secret,
        label=socket.gethostname()[:60],
        reply_box=reply_box,
    )
    return seal_request(request, keys=keys, hub=card.hub)


def finish(directory: Path, answer_blob: bytes, clock: Clock) -> Joined:
    """Take the hub's answer: broker account, store with the first staff account, documents that came along.

    Raises:  JoinRefused with the hub's reason; MalformedBytes, BadSeal, BadSignature, WrongRecipient.
    """
    config, keys, card = read_config(directory), read_keys(directory), read_card(directory)
    trust = Trust.of(card)
    answer = open_answer(answer_blob, keys=keys, trust=trust)
    if answer.refused:
        _note_refusal(directory, config, answer, trust, clock)
        raise JoinRefused(
            f"The hub refused this device: {answer.reason or answer.refused}.",
            f"县中心拒绝了本设备入网：{answer.reason or answer.refused}",
            reason=answer.refused,
        )
    write_account(directory, BrokerAccount(answer.broker_user, answer.broker_password))
    _make_store(directory, answer, trust, clock)
    write_config(directory, replace(config, state=JOINED))
    return joined(directory)


def _note_refusal(directory: Path, config: Config, answer: JoinAnswer, trust: Trust, clock: Clock) -> None:
    """Leave the directory so that the next try can be another one."""
    if config.state == RENEWING:
        with open_store(directory / STORE_NAME) as store:
            if answer.refused in DRAW_AGAIN:  # what was signed with these keys stays in the outbox as it is
                incarnation.draw_again(directory, store, Reference(trust), now_ms=clock.now_ms())
            with store.write() as tx:
                incarnation.refused(tx, answer.reason or answer.refused)
        write_config(directory, replace(read_config(directory), code_mark=""))
    elif answer.refused in DRAW_AGAIN and config.state == JOINING:
        (directory / CONFIG_NAME).unlink()
        (directory / KEYS_NAME).unlink()  # nothing was signed with them yet; the next try draws others


def joined(directory: Path) -> Joined:
    """What the device in `directory` is."""
    config, keys = read_config(directory), read_keys(directory)
    mark = spoken(fingerprint(keys.sign_public))
    return Joined(config.county, config.office, config.incarnation, mark, config.broker)


def join_by_broker(directory: Path, code_text: str, clock: Clock, *, card: HubCard | None, timeout_s: float) -> Joined:
    """The whole way over the broker that the code names. A directory that has joined with this code is left as it is.

    Raises:  as `prepare` and `finish`; TransportError (`offline`) if no hub answers in time: run it again later.
    """
    for _ in range(DRAW_TRIES):
        try:
            return _join_once(directory, code_text, clock, card=card, timeout_s=timeout_s)
        except JoinRefused as error:
            if error.facts.get("reason") not in DRAW_AGAIN:
                raise
            log.info("another device has these keys, or this part of case numbers; other keys were drawn")
    return _join_once(directory, code_text, clock, card=card, timeout_s=timeout_s)


def _join_once(directory: Path, code_text: str, clock: Clock, *, card: HubCard | None, timeout_s: float) -> Joined:
    config, code, keys = prepare(directory, code_text, card)
    if config.state == JOINED:
        return joined(directory)
    conversation = _Conversation(code, timeout_s)
    try:
        if card is None:
            card = conversation.card(code)
            write_card(directory, card)
        answer = conversation.answer(request_bytes(code, keys, card, reply_box=conversation.box), keys, Trust.of(card))
    finally:
        conversation.close()
    return finish(directory, answer, clock)


class _Conversation:
    """A machine without a name, its mailbox at the broker and the few messages of joining."""

    def __init__(self, code: EnrolCode, timeout_s: float) -> None:
        from protocol.carriers.accounts import join_account
        from protocol.carriers.mqtt import MqttCarrier

        self.box, password = join_account(code.secret)
        self._space = topics.space(code.root_fingerprint)
        self._card_topic = topics.card(self._space)
        self._down_topic = topics.down(self._space, self.box)
        self._end = time.monotonic() + timeout_s
        self._give_up = time.monotonic() + CONNECT_S
        self._carrier = MqttCarrier(
            code.broker,
            client_id=self.box,
            delays=lambda: delays_s(random.random, first_ms=500, cap_ms=5_000),
            username=self.box,
            password=password,
            subscriptions=[self._card_topic, self._down_topic],
        )
        self._held: dict[str, list[bytes]] = {self._card_topic: [], self._down_topic: []}
        self._carrier.start()

    def close(self) -> None:
        self._carrier.stop()

    def card(self, code: EnrolCode) -> HubCard:
        """The first card that the code vouches for; what others may have put there is passed over."""

        def read(payload: bytes) -> HubCard:
            card = HubCard.from_bytes(payload)
            code.check_card(card)
            return card

        return self._first(self._card_topic, read)

    def answer(self, request: bytes, keys: DeviceKeys, trust: Trust) -> bytes:
        """Send the request until the hub's answer for these keys is there."""

        def mine(payload: bytes) -> bytes:
            open_answer(payload, keys=keys, trust=trust)
            return payload

        topic = topics.up(self._space, self.box)
        return self._first(self._down_topic, mine, lambda: self._carrier.publish(topic, request))

    def _first(self, topic: str, read: Callable[[bytes], _T], ask: Callable[[], object] | None = None) -> _T:
        asked = float("-inf")
        while (now := time.monotonic()) < self._end:
            if self._carrier.state != "online" and now > self._give_up:
                break
            if ask is not None and self._carrier.state == "online" and now - asked > ASK_AGAIN_S:
                ask()
                asked = now
            while self._held[topic]:
                try:
                    return read(self._held[topic].pop(0))
                except RemoteProtocolError as error:
                    log.info("bytes in a public place that are not for us: %s", error.code)  # the right ones may follow
            arrived = self._carrier.receive(0.2)
            if arrived is not None and arrived[0] in self._held:
                self._held[arrived[0]].append(arrived[1])
        reason = self._carrier.reason if self._carrier.state != "online" else "the hub does not answer"
        raise TransportError(
            f"The county cannot be reached ({reason}). Run the same command again when the line is up.",
            f"暂时无法连接县中心（{reason}）。线路恢复后请用同一命令重试。",
        )


def read_state(directory: Path) -> str:
    """The state of a directory; "" while it has no configuration."""
    return read_config(directory).state if (directory / CONFIG_NAME).exists() else ""


def _make_store(directory: Path, answer: JoinAnswer, trust: Trust, clock: Clock) -> None:
    with open_store(directory / STORE_NAME, create=True) as store:
        store.ensure(COMPONENT)
        with store.write() as tx:
            if not any_account(tx):
                add_row(tx, FIRST_ACCOUNT, FIRST_ACCOUNT, now_ms=clock.now_ms())
            for blob in answer.documents:
                try:
                    take_document(tx, blob, trust, arrived_ms=clock.now_ms())
                except StaleDocument as error:
                    log.info("a document of an earlier answer was passed over: %s", error.text)
            memory.learn_hub_time(tx, answer.hub_ms, clock, fresh=False)
            incarnation.admitted(tx)
