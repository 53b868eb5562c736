"""The upward gateway: one step of sending, asking and handing over, to be called again and again by the hub.

For: `step`. It reads what is due, calls the city outside of any transaction, keeps each outcome before the next call,
and gives the city's answers to the hub, each exactly once. Killed at any point it goes on at the next step.
May not: let one case stop another; sign (the hub's `Desk` does); hold state of its own between steps.
Spec: docs/operating/upward.md.  Decisions: docs/decisions/0060, 0061, 0062.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any, Protocol

from sqlalchemy import Connection

from conflict.ledger.store import Store
from hub.upward import answers, backoff, case_facts, city_state, queue, tries
from hub.upward.answers import Answer
from hub.upward.bundle import build_body
from hub.upward.errors import (
    BundleTooLarge,
    CityBusy,
    CityDenied,
    CityHasOther,
    CityRefused,
    CityUnclear,
    CityUnreachable,
)
from hub.upward.reasons import GONE
from protocol.errors import LiandongError, RefusedError, StoreError, TransportError

SENDS_MAX = 20  # bundles in one step
CHECKS_MAX = 200  # rows that wait for materials and are looked at in one step
ANSWERS_MAX = 200  # answers handed over in one step
PAGES_MAX = 10  # pages of the feed in one step
STEP_S_MAX = 60.0  # no new call is begun after this time in one step
FEED_OVERLAP = 50  # numbers behind the cursor that are read again: a feed out of order loses nothing

_log = logging.getLogger("liandong.upward")


class City(Protocol):
    """What the gateway needs of the city; `client.CityClient` is it."""

    def hand_in(self, key: str, body: bytes) -> str: ...

    def answers(self, after: int) -> list[Any]: ...

    def answers_of(self, receipt: str) -> list[Any] | None: ...

    def withdraw(self, key: str, receipt: str, reason: str) -> None: ...


class Desk(Protocol):
    """What the hub does for the gateway."""

    def hand_over(self, tx: Connection, answer: Answer) -> bytes:
        """Sign the op for `answer` with `for_office`, append it, refold, route, all in `tx`; the op's id.

        Raises:  RefusedError if the rules of the case do not allow it. The transaction then keeps nothing.
        """


@dataclass(slots=True)
class StepResult:
    """What one step did. touched: cases with a new op, whose holders the hub now tells."""

    sent: int = 0
    handed: int = 0
    touched: set[bytes] = field(default_factory=set)


def step(store: Store, city: City, desk: Desk, *, now_ms: int) -> StepResult:
    """Do what is due now: look at rows that wait, read the feed, tell of withdrawals, send, hand answers over.

    Args:    now_ms: wall clock. A wrong one changes only how long things wait.
    Returns: after everything it reports is committed.
    Raises:  StoreError; all that the city or one case can do wrong ends in a row of the queue instead.
    """
    result = StepResult()
    _check_waiting(store, now_ms)
    _learn_receipts(store, now_ms)
    try:
        _call_city(store, city, result, now_ms)
    except (CityUnreachable, CityDenied) as error:
        with store.write() as tx:
            city_state.pause(tx, error, now_ms)
    _learn_receipts(store, now_ms)
    _hand_over_all(store, desk, result, now_ms)
    return result


def resume(store: Store, *, now_ms: int) -> None:
    """To be called once when the hub's daemon starts: what an earlier run left in the middle of a try is due at once.

    Only while no other process runs `step` on this store (the daemon's own lock sees to that).
    """
    with store.write() as tx:
        tries.end_leases(tx, now_ms)


def _check_waiting(store: Store, now_ms: int) -> None:
    with store.read() as tx:
        waiting = tries.due(tx, ("waiting_materials",), now_ms, CHECKS_MAX)
    for forward_op in waiting:
        _on_its_own(store, forward_op, now_ms, partial(_recheck, store, forward_op, now_ms))


def _recheck(store: Store, forward_op: bytes, now_ms: int) -> None:
    with store.write() as tx:
        queue.recheck(tx, forward_op, now_ms)


def _on_its_own(store: Store, forward_op: bytes, now_ms: int, work: Callable[[], None]) -> None:
    """Do `work` for one row; a fault of ours in it costs that row a wait, and the others nothing."""
    try:
        work()
    except (StoreError, TransportError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with this case must not stop the others
        what = _where(error)
        _log.error("upward: forward %s cannot be worked on: %s", forward_op.hex()[:12], what)
        with store.write() as tx:
            tries.set_back(tx, forward_op, what, now_ms)


def _where(error: Exception) -> str:
    """Kind and place of an error, without its message, which may quote a citizen's data."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {place.name}, line {place.lineno}"


def _call_city(store: Store, city: City, result: StepResult, now_ms: int) -> None:
    """Everything that needs the line. Raises CityUnreachable or CityDenied at the first call that meets it."""
    end = time.monotonic() + STEP_S_MAX
    with store.read() as tx:
        state = city_state.read(tx)
        withdrawals = tries.due_withdrawals(tx, now_ms, SENDS_MAX)
        parcels = tries.due(tx, ("queued", "sending"), now_ms, SENDS_MAX)
        sent = tries.due(tx, ("sent",), now_ms, SENDS_MAX)
    if not state.may_call(now_ms):
        return
    if state.may_poll(now_ms):
        _poll(store, city, now_ms)
    jobs: list[tuple[bytes, Callable[[], None]]] = [
        *((row.forward_op, partial(_tell, store, city, row, now_ms)) for row in withdrawals),
        *((op, partial(_send, store, city, op, result, now_ms)) for op in parcels),
        *((op, partial(_ask, store, city, op, now_ms)) for op in sent),
    ]
    for forward_op, job in jobs:
        if time.monotonic() > end:
            return
        try:
            _on_its_own(store, forward_op, now_ms, job)
        except CityBusy:
            return  # the row that met it waits as long as the city asked; the others come first next time


def _poll(store: Store, city: City, now_ms: int) -> None:
    for _ in range(PAGES_MAX):
        with store.read() as tx:
            cursor = city_state.read(tx).cursor
        try:
            page = city.answers(max(0, cursor - FEED_OVERLAP))
        except (CityUnclear, CityBusy, CityRefused) as error:
            with store.write() as tx:
                failures = city_state.read(tx).failures + 1
                wait_ms = max(_asked_for(error), backoff.city_wait_ms(failures))
                city_state.poll_later(tx, error, wait_ms, now_ms)
            return
        with store.write() as tx:
            highest = answers.keep(tx, page, now_ms=now_ms)
            more = highest > cursor
            city_state.polled(tx, highest, now_ms, more=more)
            city_state.in_touch(tx, now_ms)
        if not more:
            return


def _send(store: Store, city: City, forward_op: bytes, result: StepResult, now_ms: int) -> None:
    with store.write() as tx:
        parcel = tries.claim(tx, forward_op, now_ms)
    if parcel is None:
        return
    try:
        with store.read() as tx:
            body = build_body(parcel.head, case_facts.Files(tx).read)
    except StoreError as error:  # a file of this case cannot be read; the others go on
        _log.warning("upward: case %s cannot be bundled: %s", parcel.case.hex()[:12], error.code)
        _postpone(store, parcel, error, backoff.row_wait_ms(parcel.attempts), now_ms, certain=True)
        return
    except BundleTooLarge as error:
        _fail(store, forward_op, error, now_ms)
        return
    try:
        receipt, digest = city.hand_in(parcel.key, body), sha256(body).hexdigest()
    except CityHasOther as error:
        receipt, digest = error.facts["receipt"], error.facts["body_sha256"]
    except CityRefused as error:
        _fail(store, forward_op, error, now_ms)
        return
    except (CityUnreachable, CityDenied) as error:
        _postpone(store, parcel, error, 0, now_ms, certain=True)
        raise
    except (CityBusy, CityUnclear) as error:
        _postpone(store, parcel, error, max(_asked_for(error), backoff.row_wait_ms(parcel.attempts)), now_ms)
        if isinstance(error, CityBusy):
            raise
        return
    with store.write() as tx:
        answers.keep_take(tx, forward_op, receipt, digest, now_ms=now_ms)
        city_state.in_touch(tx, now_ms)
    result.sent += 1


def _fail(store: Store, forward_op: bytes, error: LiandongError, now_ms: int) -> None:
    with store.write(reserve=True) as tx:
        tries.fail(tx, forward_op, error, now_ms)


def _postpone(
    store: Store, parcel: tries.Parcel, error: LiandongError, wait_ms: int, now_ms: int, *, certain: bool = False
) -> None:
    with store.write() as tx:
        tries.postpone(tx, parcel, error, wait_ms, now_ms, certain=certain)


def _tell(store: Store, city: City, row: Any, now_ms: int) -> None:
    refusal: LiandongError | None = None
    try:
        city.withdraw(row.key, row.receipt, GONE[row.reason_code][1])
    except CityRefused as error:
        refusal = error
    except (CityBusy, CityUnclear) as error:
        with store.write() as tx:
            wait_ms = max(_asked_for(error), backoff.row_wait_ms(row.tell_tries + 1))
            tries.tell_later(tx, row, error, wait_ms, now_ms)
        if isinstance(error, CityBusy):
            raise
        return
    with store.write() as tx:
        tries.told(tx, row.forward_op, refusal)


def _ask(store: Store, city: City, forward_op: bytes, now_ms: int) -> None:
    """Ask for one case by its number: answers that the feed never showed, or a city that has lost the case."""
    with store.read() as tx:
        row = queue.row_of(tx, forward_op)
    if row is None or row.state != "sent":
        return
    try:
        entries = city.answers_of(row.receipt)
        wait_ms = tries.STATE_CHECK_MS
    except (CityUnclear, CityBusy, CityRefused) as error:
        _log.info("upward: state of %s not known: %s", row.receipt, error.code)
        entries, wait_ms = [], backoff.RETRY_AFTER_MS_MAX
    with store.write() as tx:
        if entries is None:
            tries.lost_at_city(tx, forward_op, now_ms)
            return
        answers.keep(tx, entries, now_ms=now_ms)
        tries.ask_again(tx, forward_op, now_ms + wait_ms)


def _learn_receipts(store: Store, now_ms: int) -> None:
    """Answers may know a receipt number that its own call never told: such a forward is not handed in again."""
    with store.read() as tx:
        learnt = answers.unlearnt(tx, ANSWERS_MAX)
    for forward_op, receipt in learnt:
        with store.write() as tx:
            answers.keep_take(tx, forward_op, receipt, "", now_ms=now_ms)


def _hand_over_all(store: Store, desk: Desk, result: StepResult, now_ms: int) -> None:
    for _ in range(2):  # takes, then what follows them
        with store.read() as tx:
            batch = answers.next_answers(tx, now_ms, ANSWERS_MAX)
        for answer in batch:
            _hand_over(store, desk, answer, result, now_ms)


def _hand_over(store: Store, desk: Desk, answer: Answer, result: StepResult, now_ms: int) -> None:
    try:
        with store.write() as tx:
            if not answers.is_waiting(tx, answer.id):
                return
            op = _op_of(tx, answer)
            if op is None:
                op = desk.hand_over(tx, answer)
            answers.handed(tx, answer, op, now_ms=now_ms)
    except RefusedError as error:
        with store.write(reserve=True) as tx:
            answers.refused(tx, answer, error, now_ms=now_ms)
        return
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with this case must not stop the others
        what = _where(error)
        _log.error("upward: answer %s cannot be handed over: %s", answer.id, what)
        with store.write() as tx:
            answers.later(tx, answer, what, now_ms=now_ms)
        return
    result.handed += 1
    result.touched.add(answer.case)


def _op_of(tx: Connection, answer: Answer) -> bytes | None:
    """The op that carries the answer already: a hub restored from a backup got it back from its offices."""
    for op in case_facts.ops_of(tx, answer.case):
        if op.role == "hub" and op.body.get("answer") == answer.id:
            return op.id
    return None


def _asked_for(error: LiandongError) -> int:
    return min(int(error.facts.get("wait_ms", 0)), backoff.RETRY_AFTER_MS_MAX)
