"""Asking devices for documents that this hub signed and lost: which they hold, then the bytes, each content once.

For: what to ask a device that greets, what it named, putting pieces together, handing what is whole and believed to
hub/recovery.py, and what must happen after that commit (broker accounts, ops that nobody knew the author of).
May not: believe a device about anything (only our own signature counts); send; hold up ops.
Spec: docs/protocol/documents.md, "After a restore".  Manual: docs/operating/drills.md, drill 4.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hub import enrolment, notices, recovery, refusals
from hub.arrival import Arrival
from hub.init import County
from hub.intake import Intake, Taken
from protocol import chunks
from protocol.canonical import BYTES_MAX
from protocol.documents import KINDS, Document
from protocol.errors import MalformedBytes, RemoteProtocolError
from protocol.messages import PAPERS_MAX, Chunk, Show
from protocol.roster import Device
from protocol.trust import Trust

PATIENCE_MS = 60_000  # a content that one device does not deliver is asked from the next that named it
SETTLE_MS = 500  # what came in within so long is merged and published together
REST_MS = 10_000  # what a device has delivered is merged without the rest, if nothing comes for so long
NAMED_MAX = 400  # documents that one device is asked for
TRIED_MAX = 500  # refused ops tried again at once
HASH_BYTES = 32

_log = logging.getLogger("liandong.hub.recall")
Row = tuple[str, int, int, bytes, int]  # kind, version, base, hash, size


@dataclass(slots=True)
class _Quest:
    """What one device is asked for. named: hash -> size of what is still to come; pieces: of the first that we ask for.

    ranges: kind -> above, below of what it was asked to show. answered: it has named all that it holds there.
    heard_ms: when it said something about it last. failed: it named something that it does not give.
    """

    ranges: dict[str, tuple[int, int]]
    heard_ms: int = 0
    answered: bool = False
    failed: bool = False
    named: dict[bytes, int] = field(default_factory=dict)
    current: bytes = b""
    pieces: dict[int, bytes] = field(default_factory=dict)
    documents: list[Document] = field(default_factory=list)


class Recall:
    """One per process; used from one thread."""

    def __init__(
        self,
        county: County,
        *,
        now_ms: Callable[[], int],
        mono_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._county, self._store, self._shelf, self._keys = county, county.store, county.shelf, county.keys
        self._trust = Trust.of(county.card)
        self._now_ms, self._mono_ms, self._random_bytes = now_ms, mono_ms, random_bytes
        self._quests: dict[bytes, _Quest] = {}
        self._taken: set[bytes] = set()  # hashes of documents that were merged, or refused
        self._claims: dict[bytes, tuple[bytes, int]] = {}  # hash -> the device that is asked for it, since when
        self._settle_ms = 0
        with self._store.read() as tx:
            self._shelf.refresh(tx)
            self._asked = recovery.memory(tx).asked
        self._era = self._shelf.era
        self._untried = bool(self._era.gaps)  # the last process may have died between a merge and what follows it

    def question(self, device: bytes, held: Mapping[str, int]) -> Show | None:
        """What to ask a device that greets and says that it holds these versions; None if there is nothing to ask."""
        self._follow_era()
        ranges: dict[str, tuple[int, int]] = {}
        for kind, above, below in self._era.gaps if device not in self._asked else ():
            known = ranges.get(kind, (above, below))
            ranges[kind] = (min(above, known[0]), max(below, known[1]))
        for kind in KINDS:
            own = self._shelf.version(kind)
            if held.get(kind, 0) > own and not self._era.lost(kind, held[kind]):
                ranges[kind] = (min(own, ranges.get(kind, (own, 0))[0]), 0)  # only our signature would prove it
        if not ranges:
            return None
        self._claims = {sha256: claim for sha256, claim in self._claims.items() if claim[0] != device}
        before = self._quests.get(device)
        self._quests[device] = _Quest(ranges, documents=before.documents if before else [])
        return _show(ranges)

    def named(self, device: bytes, rows: Sequence[Row], mono_ms: int) -> Show | None:
        """What a device names; what to ask it next, if its answer was cut."""
        quest = self._quests.get(device)
        if quest is None:
            return None
        quest.heard_ms = mono_ms
        rest = dict(quest.ranges)
        for kind, version, base, sha256, size in rows[:PAPERS_MAX]:
            above, below = rest.get(kind, (version, 0))
            if version <= above or not 0 <= base < version:
                continue
            rest[kind] = (version, below)
            wanted = version > self._shelf.version(kind) or self._era.lost(kind, version)
            if wanted and len(sha256) == HASH_BYTES and 0 < size <= BYTES_MAX and sha256 not in self._taken:
                quest.named[sha256] = size
        quest.answered = len(rows) < PAPERS_MAX or rest == quest.ranges or len(quest.named) > NAMED_MAX
        quest.ranges = rest
        return None if quest.answered else _show(rest)

    def wants(self, device: bytes) -> list[tuple[bytes, list[list[int]]]]:
        """Hash and missing ranges of the one document that this device is asked for now."""
        quest, mono_ms = self._quests.get(device), self._mono_ms()
        if quest is None:
            return []
        for sha256 in [one for one in quest.named if one in self._taken]:
            del quest.named[sha256]
        for sha256, size in list(quest.named.items()):
            holder, since = self._claims.get(sha256, (device, mono_ms))
            if holder != device and mono_ms - since < PATIENCE_MS:
                continue
            if holder == device and mono_ms - since > PATIENCE_MS:  # attachments are not to wait for it any longer
                del quest.named[sha256], self._claims[sha256]
                quest.failed = True
                continue
            if holder != device or sha256 not in self._claims:
                self._claims[sha256] = (device, mono_ms)
            if quest.current != sha256:
                quest.current, quest.pieces = sha256, {}
            absent = [index for index in range(chunks.count_of(size)) if index not in quest.pieces]
            return [(sha256, chunks.ranges(absent))]
        return []

    def piece(self, device: Device, chunk: Chunk, mono_ms: int) -> bool:
        """Take a piece of a document that this device is asked for. False if it is of something else."""
        quest = self._quests.get(device.incarnation)
        if quest is None or chunk.sha256 not in quest.named:
            return False
        size = quest.named[chunk.sha256]
        if chunk.sha256 != quest.current or not chunks.fits(size, chunk.index, chunk.data):
            return True
        quest.pieces[chunk.index], quest.heard_ms = chunk.data, mono_ms
        self._claims[chunk.sha256] = (device.incarnation, mono_ms)
        if len(quest.pieces) == chunks.count_of(size):
            self._whole(device, quest, b"".join(quest.pieces[index] for index in range(len(quest.pieces))))
        return True

    def nobody_names(self, device: bytes) -> None:
        """A device has proven its name and shown what it holds, and is unknown still: a person must know."""
        with self._store.write() as tx:
            notices.tell(
                tx,
                code="unknown_device",
                about=device.hex(),
                office=self._keys.county,
                text="A device that this hub has lost the enrolment of asks to be heard, and no document names it. Its "
                "office sees the banner unknown_at_county; give that office a code.",
                text_zh="一台设备的登记随备份丢失，且没有任何数据能证明其身份。"
                "该机构会看到提示 unknown_at_county，请为其发放入网码。",
                now_ms=self._now_ms(),
            )

    def settle(self, intake: Intake, mono_ms: int) -> Taken | None:
        """Merge what is whole and take what waited for it; None if nothing changed.

        Raises:  StoreError: it is tried again.
        """
        if mono_ms < self._settle_ms:
            return None
        self._settle_ms = mono_ms + SETTLE_MS
        done = {name for name, quest in self._quests.items() if quest.answered and not self._owes(quest)}
        ready = [
            quest
            for name, quest in self._quests.items()
            if name in done or (quest.documents and mono_ms - quest.heard_ms > REST_MS)
        ]
        taken = self._merge(ready, done) if ready else Taken()
        if self._untried:
            enrolment.follow_accounts(self._county.directory, self._shelf.roster, self._keys)
            taken.add(self._try_again(intake))
        return taken if taken.roster_changed or taken.offices else None

    def _merge(self, ready: Sequence[_Quest], done: set[bytes]) -> Taken:
        """One transaction."""
        documents = [one for quest in ready for one in quest.documents]
        taken, before, work = Taken(), self._versions(), None
        asked = {name for name in done if not self._quests[name].failed}  # the others are asked when they greet again
        now_ms = self._now_ms()
        try:
            with self._store.write() as tx:
                if documents:
                    work = recovery.recover(
                        tx, self._shelf, self._keys, documents, random_bytes=self._random_bytes, now_ms=now_ms
                    )
                recovery.note_asked(tx, asked)
        except BaseException:
            self._shelf.reset()
            raise
        for quest in ready:
            quest.documents = []
        self._quests = {name: quest for name, quest in self._quests.items() if name not in done}
        self._follow_era()
        self._asked |= asked
        if self._versions() != before:
            self._untried = taken.roster_changed = True
            _log.warning("%d documents that this hub had lost are merged", len(documents))
        if work is not None:
            taken.stored, taken.receipts, taken.offices = work.stored, work.receipts, work.offices
        return taken

    def _try_again(self, intake: Intake) -> Taken:
        """What was refused because nobody knew its author, and can be taken now. Its refusals are withdrawn after."""
        with self._store.read() as tx:
            found = refusals.of_known_now(tx, self._shelf.roster, limit=TRIED_MAX)
        ops: dict[bytes, list[bytes]] = {}
        for one in found:
            if one.what == "op":
                ops.setdefault(one.device, []).append(one.evidence)
        taken = Taken()
        if ops:
            taken.add(intake.take_ops([Arrival(sender, tuple(blobs)) for sender, blobs in ops.items()]))
        envelopes = [one.evidence for one in found if one.what == "envelope"]
        if envelopes:
            taken.add(intake.take(envelopes))
        if found:
            with self._store.write() as tx:
                refusals.forget(tx, found)
        self._untried = len(found) == TRIED_MAX
        return taken

    def _whole(self, device: Device, quest: _Quest, blob: bytes) -> None:
        """All pieces are here: believe the document or refuse it with a reason. Either way it is not asked for again."""
        sha256, quest.current, quest.pieces = quest.current, b"", {}
        del quest.named[sha256]
        self._claims.pop(sha256, None)
        try:
            if hashlib.sha256(blob).digest() != sha256:
                raise MalformedBytes("a document that is not what was named", "收到的数据与其摘要不符。")
            quest.documents.append(recovery.believe(blob, self._shelf, self._trust))
        except RemoteProtocolError as error:
            _log.warning("a document was refused: %s", error.code)
            one = refusals.Refusal(
                "document", sha256, error.code, error.text_zh, device.incarnation, device.office, evidence=blob
            )
            with self._store.write(reserve=True) as tx:
                refusals.record(tx, one, now_ms=self._now_ms())
            return
        self._taken.add(sha256)

    def _owes(self, quest: _Quest) -> bool:
        """Whether bytes are still to come: from this device, or from another that was asked for the same."""
        return any(sha256 not in self._taken for sha256 in quest.named)

    def _versions(self) -> list[int]:
        return [self._shelf.version(kind) for kind in KINDS]

    def _follow_era(self) -> None:
        """A new era (another process, a proof): everybody is to be asked again."""
        if self._shelf.era != self._era:
            self._era = self._shelf.era
            self._asked = set()


def _show(ranges: Mapping[str, tuple[int, int]]) -> Show:
    return Show([[kind, above, below] for kind, (above, below) in ranges.items()])
