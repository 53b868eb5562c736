"""Intake: from what a device offers to facts on disk, and the receipts that say so.

For: authenticating, authorising, appending, folding, routing and answering a batch of ops in one transaction.
May not: let anything leave before the commit (law 10): receipts are rows of streams, read by links after it; lose an
op: what cannot be taken is refused or held, with its bytes, visible; let one op stop another.
Spec: docs/protocol/link.md, "Receiving"; docs/operating/hub.md, "Intake".  Decisions: 0080, 0083.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from conflict.ledger.append import known
from conflict.ledger.store import Store
from hub import held, refusals
from hub.arrival import Arrival, Checker, Rejected, parse_all
from hub.documents import Shelf
from hub.transaction import Work
from hub.verdicts import Verdict
from protocol.envelope import open_envelope
from protocol.errors import RemoteProtocolError, StoreError
from protocol.keys import DeviceKeys
from protocol.messages import Ops
from protocol.op import Op

_log = logging.getLogger("liandong.hub.intake")


@dataclass
class Taken:
    """What one call did. receipts: signed, all committed. offices: whose streams grew. roster_changed: tell devices."""

    stored: int = 0
    repeats: int = 0
    refused: int = 0
    held: int = 0
    receipts: list[bytes] = field(default_factory=list)
    offices: set[str] = field(default_factory=set)
    rejected: list[Rejected] = field(default_factory=list)
    roster_changed: bool = False

    def add(self, other: Taken) -> None:
        self.stored += other.stored
        self.repeats += other.repeats
        self.refused += other.refused
        self.held += other.held
        self.receipts += other.receipts
        self.offices |= other.offices
        self.rejected += other.rejected
        self.roster_changed |= other.roster_changed


class Intake:
    """The hub's intake. One per process; calls do not overlap."""

    def __init__(self, store: Store, keys: DeviceKeys, shelf: Shelf, *, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._keys = keys
        self._shelf = shelf
        self._now_ms = now_ms
        self._checker = Checker()

    def close(self) -> None:
        self._checker.close()

    def take(self, envelopes: Sequence[bytes], *, via: str = "mqtt") -> Taken:
        """From sealed bytes to commit and receipts: what the links do, for a stick and for measuring.

        An envelope that does not open is recorded as a refusal and the others go on.
        """
        arrivals: list[Arrival] = []
        bad: list[refusals.Refusal] = []
        for envelope in envelopes:
            try:
                opened = open_envelope(envelope, keys=self._keys, speaker=self._shelf.roster.speaker)
            except RemoteProtocolError as error:
                bad.append(refusals.of_envelope(envelope, error))
                continue
            blobs = tuple(blob for message in opened.messages if isinstance(message, Ops) for blob in message.blobs)
            if blobs:
                arrivals.append(Arrival(opened.sender.incarnation, blobs, via))
        if bad:
            self.refuse(bad)
        taken = self.take_ops(arrivals) if arrivals else Taken()
        taken.refused += len(bad)
        return taken

    def take_ops(self, arrivals: Sequence[Arrival]) -> Taken:
        """Take what several senders offer, in one transaction if nothing is wrong with it.

        Raises:  StoreError: nothing was taken, nothing was answered; the senders will offer again.
        """
        parsed, rejected = parse_all(arrivals)
        with self._store.read() as tx:
            self._shelf.refresh(tx)
            stored = known(tx, parsed)
            aside = held.known(tx, (op_id for op_id in parsed if op_id not in stored))
        fresh = [pair for op_id, pair in parsed.items() if op_id not in stored and op_id not in aside]
        authentic, forged = self._checker.split(fresh, self._shelf.roster)
        rejected += forged
        taken = Taken(repeats=len(stored) + len(aside), refused=len(rejected), rejected=rejected)
        repeats = [parsed[op_id][0] for op_id in stored if parsed[op_id][1].answer_repeats]
        if rejected:
            taken.add(self._reject(rejected))
        if authentic or repeats:
            taken.add(self._take_safely(authentic, repeats, arrivals[0].via))
        return taken

    def refuse(self, entries: Iterable[refusals.Refusal]) -> None:
        """Record what was not taken; may use the disk reserve, so that a refusal is visible even on a full disk."""
        now_ms = self._now_ms()
        with self._store.write(reserve=True) as tx:
            for one in entries:
                refusals.record(tx, one, now_ms=now_ms)

    def _take_safely(self, ops: Sequence[Op], repeats: Sequence[Op], via: str) -> Taken:
        """Take a batch; if something unforeseen goes wrong, halve it until the op that does it stands alone."""
        try:
            return self._take_once(ops, repeats, via)
        except StoreError:
            raise
        except Exception as error:
            _log.exception("a batch of %d ops could not be taken", len(ops))
            if not ops:
                raise
            if len(ops) == 1 and not repeats:
                return self._set_aside(ops[0], f"{type(error).__name__}: {error}")
        taken = Taken()
        if repeats:
            taken.add(self._take_safely(ops, (), via))
            taken.add(self._take_safely((), repeats, via))
            return taken
        middle = (len(ops) + 1) // 2
        for part in (ops[:middle], ops[middle:]):
            taken.add(self._take_safely(part, (), via))
        return taken

    def _take_once(self, ops: Sequence[Op], repeats: Sequence[Op], via: str) -> Taken:
        try:
            with self._store.write() as tx:
                work = self._work(tx)
                work.take(ops, via=via)
                work.answer_again(repeats)
                work.finish()
        except BaseException:
            self._shelf.reset()
            raise
        return Taken(
            stored=work.stored,
            held=work.held,
            receipts=work.receipts,
            offices=work.offices,
            roster_changed=work.roster_changed,
        )

    def _reject(self, rejected: Sequence[Rejected]) -> Taken:
        with self._store.write(reserve=True) as tx:
            work = self._work(tx)
            work.reject(rejected)
            work.finish()
        return Taken(receipts=work.receipts, offices=work.offices)

    def _set_aside(self, op: Op, detail: str) -> Taken:
        """Hold one op that the program itself stumbles over; a person looks, and retries after an update."""
        with self._store.write() as tx:
            work = self._work(tx)
            held.hold(tx, op, code="internal", detail=detail, now_ms=work.now_ms)
            work.verdicts.append(Verdict(op.id, op.device, op.seq, op.prev, "waiting", "internal"))
            work.finish()
        return Taken(held=1, receipts=work.receipts, offices=work.offices)

    def _work(self, tx: Connection) -> Work:
        return Work(tx, self._keys, self._shelf, now_ms=self._now_ms())
