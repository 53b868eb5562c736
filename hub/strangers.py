"""Devices that this hub does not know (any more): they prove their name and may show documents of ours, nothing else.

For: the few links to devices that were enrolled after the backup from which this hub was put back; telling them, and a
person here, that they are not known.
May not: welcome a stranger, take its ops or its word.
Spec: docs/protocol/documents.md, "After a restore".  Decision: docs/decisions/0109-strangers-with-our-signature.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from hub.recall import Recall
from protocol import topics
from protocol.envelope import Opened, open_envelope, open_introduced, peek_sender
from protocol.errors import UnknownSender
from protocol.events import ChunkArrived, DocumentsOffered
from protocol.keys import DeviceKeys
from protocol.lanes import Lane
from protocol.link import HubLink
from protocol.messages import Announce, Chunk, Hello, Show, Stream, Welcome
from protocol.roster import Roster

STRANGERS_MAX = 8  # at once; others greet again and have their turn later
GREETINGS_TOLD = 5  # unknown after so many greetings, although it was asked: a person is told
FORGET_MS = 300_000  # after so long without a word another one may have the place


class _NothingElse:
    """What a stranger may have: nothing. It is only asked."""

    def __init__(self, wants: Callable[[], list[tuple[bytes, list[list[int]]]]]) -> None:
        self.wants = wants

    def welcome(self, hello: Hello) -> Welcome:
        raise AssertionError("a stranger's greeting does not reach its link")

    def stream(self, after: int, *, bytes_max: int, count_max: int) -> Stream | None:
        return None

    def ahead(self, after: int, *, bytes_max: int) -> tuple[int, list[bytes]]:
        return after, []

    def lane_of(self, sha256: bytes) -> Lane:
        return Lane.URGENT

    def chunk(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        return None


@dataclass
class _Stranger:
    """greeting: the last payload in which it greeted, to be taken when it is known. times: how often it greeted."""

    link: HubLink
    source: _NothingElse
    heard_ms: int
    greeting: bytes
    times: int = 0


class Strangers:
    """One per process; used from one thread."""

    def __init__(self, keys: DeviceKeys, recall: Recall, *, fraction: Callable[[], float]) -> None:
        self._keys, self._recall, self._fraction = keys, recall, fraction
        self._here: dict[bytes, _Stranger] = {}

    def receive(self, box: str, payload: bytes, roster: Roster, mono_ms: int) -> None:
        """An envelope whose sender the roster does not name: asked what it can show, or heard about what it was asked.

        Raises:  UnknownSender unless the envelope only served to show documents of ours; RemoteProtocolError for
                 whatever is wrong with it.
        """
        name = peek_sender(payload)
        stranger = self._here.get(name)
        if stranger is None:
            opened = open_introduced(payload, keys=self._keys)
            stranger = self._admit(box, opened, roster, mono_ms)
        else:
            peer = stranger.link.peer
            opened = open_envelope(payload, keys=self._keys, speaker=lambda _name: peer)
        stranger.heard_ms = mono_ms
        for message in opened.messages:
            if isinstance(message, Hello):
                self._greeted(stranger, message, payload)
        heard = tuple(message for message in opened.messages if isinstance(message, Announce | Chunk))
        for event in stranger.link.receive(replace(opened, messages=heard), mono_ms):
            if isinstance(event, DocumentsOffered):
                more = self._recall.named(name, event.documents, mono_ms)
                if more is not None:
                    stranger.link.say(more)
            elif isinstance(event, ChunkArrived):
                self._recall.piece(stranger.link.peer, event.chunk, mono_ms)
        if len(heard) < len(opened.messages):
            raise UnknownSender("the roster that we hold does not name this device")

    def envelopes(self, mono_ms: int) -> list[tuple[str, bytes]]:
        """What goes to strangers now: mailbox and envelope each."""
        out = []
        for name, stranger in self._here.items():
            box = topics.mailbox(name)
            out += [(box, envelope) for envelope in stranger.link.poll(mono_ms, stranger.source)]
        return out

    def known_now(self, roster: Roster) -> list[tuple[str, bytes]]:
        """Mailbox and last greeting of those whom the roster names by now: they are strangers no more."""
        known = [name for name in self._here if roster.device(name) is not None]
        return [(topics.mailbox(name), self._here.pop(name).greeting) for name in known]

    def _admit(self, box: str, opened: Opened, roster: Roster, mono_ms: int) -> _Stranger:
        """A place for who greets and has something to be asked about. Raises UnknownSender."""
        device = opened.sender
        self._here = {name: one for name, one in self._here.items() if mono_ms - one.heard_ms < FORGET_MS}
        fits = box == topics.mailbox(device.incarnation) and device.suite in roster.suites
        hello = next((message for message in opened.messages if isinstance(message, Hello)), None)
        if not fits or len(self._here) >= STRANGERS_MAX or hello is None:
            raise UnknownSender("the roster that we hold does not name this device")
        link = HubLink(keys=self._keys, peer=device, fraction=self._fraction)
        source = _NothingElse(partial(self._recall.wants, device.incarnation))
        stranger = self._here[device.incarnation] = _Stranger(link, source, mono_ms, b"")
        return stranger

    def _greeted(self, stranger: _Stranger, hello: Hello, payload: bytes) -> None:
        stranger.greeting = payload
        stranger.times += 1
        if stranger.times == GREETINGS_TOLD:
            self._recall.nobody_names(stranger.link.peer.incarnation)
        question = self._recall.question(stranger.link.peer.incarnation, hello.documents)
        stranger.link.say(question or Show([]))  # in any case it learns that it is not known here
