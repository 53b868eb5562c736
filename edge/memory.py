"""What the device remembers between runs: office sequence, hub time, place in the stream, last contact.

For: typed reading and writing of small values of the ledger's `meta` inside the caller's transaction.
May not: commit; hold facts about cases. All but the office sequence can be learned again from the hub.
Manual: docs/operating/edge.md, "Store".
"""

from __future__ import annotations

from sqlalchemy import Connection

from conflict.ledger.chains import chain
from conflict.ledger.meta import delete_meta, get_meta, put_meta
from conflict.ledger.receipts import let_any_word_replace, ops_in_run
from edge.clock import Clock, HubTime, elapsed_ms

SEQUENCE = "edge.sequence"
HUB_TIME = "edge.hub_time"
STREAM = "edge.stream"
STREAM_END = "edge.stream_end"
CONTACT = "edge.contact_ms"
CERTIFICATES = "edge.certificates"
HUB_STATE = "edge.hub_state"
HUB_EPOCH = "edge.hub_epoch"
UNKNOWN = "edge.unknown_ms"  # since when the hub does not know this device, by the wall clock
EQUAL = "edge.equal"  # [last stored position that a comparison found equal on both sides, when in ms]
OTHER_HISTORY = "edge.other_history"  # set once the hub is known to hold other ops under this device's name
DELAY_MS_MAX = 60_000  # a statement may run so far ahead of our estimate before it counts as better knowledge


def next_number(tx: Connection) -> int:
    """The next office sequence number, 1, 2, 3 …: a counter of this store, never taken from the clock."""
    number = int(get_meta(tx, SEQUENCE, 0)) + 1
    put_meta(tx, SEQUENCE, number)
    return number


def hub_time(tx: Connection) -> HubTime:
    """The last time that the hub signed, as far as this device knows."""
    found = get_meta(tx, HUB_TIME)
    return HubTime(*found) if found else HubTime()


def learn_hub_time(tx: Connection, hub_ms: int, clock: Clock, *, fresh: bool) -> None:
    """Note a signed hub time; one older than what we know changes nothing.

    fresh: known to have been signed moments ago, because it answers something that we sent moments ago; only then may
    elapsed time be counted from here. A receipt on a stick is days old and proves a lower bound only: it replaces what
    we know only if it lies beyond the best estimate.
    """
    known = hub_time(tx)
    passed = elapsed_ms(clock, known)
    if passed < 0:
        news = hub_ms >= known.hub_ms if fresh else hub_ms > known.hub_ms
    else:
        news = hub_ms > (known.hub_ms if fresh else known.hub_ms + passed + DELAY_MS_MAX)
    if news:
        put_meta(tx, HUB_TIME, [hub_ms, clock.mono_ms(), clock.boot_id if fresh else ""])


def stream_place(tx: Connection) -> tuple[bytes, int]:
    """(epoch, position) up to which the hub's stream is stored here; (b"", 0) before the first."""
    epoch, position = get_meta(tx, STREAM, [b"", 0])
    return epoch, position


def set_stream_place(tx: Connection, epoch: bytes, position: int) -> None:
    """Note how far the stream is stored. Within an epoch the place never goes back: line and stick may overlap."""
    held, reached = stream_place(tx)
    put_meta(tx, STREAM, [epoch, max(position, reached) if held == epoch else position])


def hub_began_anew(tx: Connection, epoch: bytes) -> bool:
    """Note the epoch of the hub's streams; True if it was another one before: the hub was restored.

    Its new stream says everything again, and what it says counts whatever time stands on it: a later word may be one that
    went with the restore. What was equal with the hub that was may be lost with it: that comparison counts no more.
    """
    known = get_meta(tx, HUB_EPOCH, b"")
    if known == epoch:
        return False
    put_meta(tx, HUB_EPOCH, epoch)
    if known == b"":
        return False
    let_any_word_replace(tx)
    delete_meta(tx, EQUAL)
    return True


def note_stream_end(tx: Connection, epoch: bytes, end: int) -> None:
    """Where the hub's stream ended at its last greeting."""
    put_meta(tx, STREAM_END, [epoch, end])


def loading(tx: Connection) -> tuple[int, int]:
    """(positions of the stream that are here, positions that there were at the hub's last greeting)."""
    epoch, end = get_meta(tx, STREAM_END, [b"", 0])
    held, position = stream_place(tx)
    return (position if held == epoch else 0), end


def last_contact_ms(tx: Connection) -> int | None:
    """Our wall clock at the hub's last word to us; None before the first."""
    found: int | None = get_meta(tx, CONTACT)
    return found


def note_contact(tx: Connection, now_ms: int) -> None:
    put_meta(tx, CONTACT, now_ms)


def certificates(tx: Connection) -> list[bytes]:
    """Newer hub certificates than the card's, oldest first."""
    return list(get_meta(tx, CERTIFICATES, []))


def add_certificate(tx: Connection, certificate: bytes) -> None:
    put_meta(tx, CERTIFICATES, [*certificates(tx), certificate])


def holds_op(tx: Connection, device: bytes, seq: int, op_id: bytes) -> bool:
    """Whether our op of this number is the one with this id; number 0 stands for none at all.

    Of a number inside our chain whose op was purged since we cannot say more than that we had it.
    """
    here = ops_in_run(tx, device, seq, seq) if seq else []
    return seq == 0 or (seq, op_id) in here or (not here and seq <= chain(tx, device)[0])
