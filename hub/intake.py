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
from conflict.ledger.chains import chains_of
from conflict.ledger.store import Store
from hub import held, purges, refusals
from hub.arrival import Arrival, Checker, Forged, Gate, Pair, Rejected, parse_all, screen
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
        pairs, malformed = parse_all(arrivals)
        return self._take_safely(pairs, malformed, arrivals[0].via)

    def refuse(self, entries: Iterable[refusals.Refusal]) -> None:
        """Record what was not taken; may use the disk reserve, so that a refusal is visible even on a full disk."""
        now_ms = self._now_ms()
        with self._store.write(reserve=True) as tx:
            for one in entries:
                refusals.record(tx, one, now_ms=now_ms)

    def _take_safely(self, pairs: Sequence[Pair], rejected: Sequence[Rejected], via: str) -> Taken:
        """Take a batch. Forged ops are left out and refused; if something unforeseen goes wrong, the batch is halved
        until the op that does it stands alone."""
        try:
            return self._take_once(pairs, rejected, via)
        except StoreError:
            raise
        except Forged as found:
            forged = {one.id for one in found.rejected}
            genuine = [pair for pair in pairs if pair[0].id not in forged]
            return self._take_safely(genuine, [*rejected, *found.rejected], via)
        except Exception as error:
            _log.exception("a batch of %d ops could not be taken", len(pairs))
            if not pairs:
                raise
            if len(pairs) == 1 and not rejected:
                return self._set_aside(pairs[0][0], f"{type(error).__name__}: {error}")
        taken = self._take_safely((), rejected, via) if rejected else Taken()
        middle = (len(pairs) + 1) // 2
        for part in (pairs[:middle], pairs[middle:]):
            if part:
                taken.add(self._take_safely(part, (), via))
        return taken

    def _take_once(self, pairs: Sequence[Pair], rejected: Sequence[Rejected], via: str) -> Taken:
        """One transaction. Signatures are checked beside the work on the batch and hold up the commit."""
        gate: Gate | None = None
        try:
            with self._store.write() as tx:
                work = self._work(tx)
                stored = _stored(tx, pairs)
                aside = held.known(tx, [op.id for op, _arrival in pairs if op.id not in stored])
                unseen = [pair for pair in pairs if pair[0].id not in stored and pair[0].id not in aside]
                fitting, misfits = screen(unseen, self._shelf.roster)
                gate = self._checker.begin(fitting, self._shelf.roster)
                work.reject([*rejected, *misfits])
                work.take([op for op, _arrival in fitting], via=via)
                carried = _carried(pairs, {op.id for op, _arrival in fitting} | set(stored) | set(aside))
                for sender, ops in carried.items():
                    work.carried(sender, ops)
                foreign = {op.id for ops in carried.values() for op in ops}
                again = [op for op, arrival in pairs if arrival.answer_repeats]
                work.answer_again([op for op in again if op.id in stored or (op.id in aside and op.id in foreign)])
                purges.handed_in(tx, _cases_by_sender(pairs))
                work.finish()
                gate.hold()
        except BaseException as error:
            self._shelf.reset()
            if gate is not None and not isinstance(error, StoreError):
                gate.hold()  # whatever went wrong, forged ops are not to be blamed on our program
            raise
        return Taken(
            stored=work.stored,
            repeats=len(stored) + len(aside),
            refused=len(rejected) + len(misfits),
            held=work.held,
            receipts=work.receipts,
            offices=work.offices,
            rejected=[*rejected, *misfits],
            roster_changed=work.roster_changed,
        )

    def _set_aside(self, op: Op, detail: str) -> Taken:
        """Hold one op that the program itself stumbles over; a person looks, and retries after an update."""
        with self._store.write() as tx:
            work = self._work(tx)
            held.hold(tx, op, code=held.INTERNAL, detail=detail, now_ms=work.now_ms)
            work.verdicts.append(Verdict(op.id, op.device, op.seq, op.prev, "waiting", held.INTERNAL))
            work.finish()
        return Taken(held=1, receipts=work.receipts, offices=work.offices)

    def _work(self, tx: Connection) -> Work:
        return Work(tx, self._keys, self._shelf, now_ms=self._now_ms())


def _carried(pairs: Sequence[Pair], authentic: set[bytes]) -> dict[bytes, list[Op]]:
    """The authentic ops that somebody else than their author handed in, by who did."""
    found: dict[bytes, list[Op]] = {}
    for op, arrival in pairs:
        if op.device != arrival.sender and op.id in authentic:
            found.setdefault(arrival.sender, []).append(op)
    return found


def _cases_by_sender(pairs: Sequence[Pair]) -> dict[bytes, set[bytes]]:
    found: dict[bytes, set[bytes]] = {}
    for op, arrival in pairs:
        found.setdefault(arrival.sender, set()).add(op.case)
    return found


def _stored(tx: Connection, pairs: Sequence[Pair]) -> dict[bytes, bool]:
    """Which of these ops are here already. A number above the highest of its device is new without asking for each."""
    tops = {name: one.top for name, one in chains_of(tx, {op.device for op, _arrival in pairs}).items()}
    asked = [op.id for op, _arrival in pairs if op.seq <= tops[op.device]]
    return known(tx, asked) if asked else {}
