"""The conversation with the city as a whole: how far its feed is read, when to call again, what is wrong.

For: one row in the store, so that a restart forgets nothing and people see why nothing moves.
May not: commit, call the city.
Manual: docs/operating/upward.md, "When the city does not answer".
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from conflict.ledger.statements import insert_new
from hub.upward import backoff
from hub.upward.reasons import REASON_MAX
from hub.upward.schema import city
from protocol.errors import LiandongError

POLL_MS = 5_000  # how often the feed is read while all is well


@dataclass(frozen=True, slots=True)
class CityState:
    """cursor: highest feed number kept here. pause_until_ms: no call before. problem_code: "" while all is well."""

    cursor: int = 0
    failures: int = 0
    pause_until_ms: int = 0
    next_poll_ms: int = 0
    contact_ms: int = 0
    problem_code: str = ""
    problem: str = ""
    problem_zh: str = ""
    problem_since_ms: int = 0

    def may_call(self, now_ms: int) -> bool:
        """Whether the pause is over. A pause that ends too far ahead was written under a wrong clock."""
        return not now_ms < self.pause_until_ms <= now_ms + backoff.WAIT_MS_MAX

    def may_poll(self, now_ms: int) -> bool:
        """Whether it is time to read the feed."""
        return not now_ms < self.next_poll_ms <= now_ms + backoff.WAIT_MS_MAX


def read(tx: Connection) -> CityState:
    """The state; the initial one before the first call."""
    row = tx.execute(select(*(column for column in city.c if column.name != "id"))).one_or_none()
    return CityState() if row is None else CityState(**row._mapping)


def in_touch(tx: Connection, now_ms: int) -> None:
    """The city answered a call as it should."""
    _set(
        tx,
        failures=0,
        pause_until_ms=0,
        contact_ms=now_ms,
        problem_code="",
        problem="",
        problem_zh="",
        problem_since_ms=0,
    )


def polled(tx: Connection, cursor: int, now_ms: int, *, more: bool) -> None:
    """A page of the feed is kept up to `cursor`, in this transaction. more: the next page is wanted at once."""
    state = read(tx)
    _set(tx, cursor=max(cursor, state.cursor), next_poll_ms=now_ms if more else now_ms + POLL_MS)


def poll_later(tx: Connection, error: LiandongError, wait_ms: int, now_ms: int) -> None:
    """The feed could not be read this time; sending goes on."""
    _set(tx, next_poll_ms=now_ms + max(wait_ms, POLL_MS), failures=read(tx).failures + 1)
    _problem(tx, error, now_ms)


def pause(tx: Connection, error: LiandongError, now_ms: int) -> None:
    """Nobody is there, or we are not let in: leave the city alone for a while, longer each time."""
    failures = read(tx).failures + 1
    _set(tx, failures=failures, pause_until_ms=now_ms + backoff.city_wait_ms(failures))
    _problem(tx, error, now_ms)


def call_now(tx: Connection) -> None:
    """A person has changed address or token, or does not want to wait."""
    _set(tx, failures=0, pause_until_ms=0, next_poll_ms=0)


def _problem(tx: Connection, error: LiandongError, now_ms: int) -> None:
    state = read(tx)
    since = state.problem_since_ms if state.problem_code == error.code else now_ms
    said = {"problem": error.text[:REASON_MAX], "problem_zh": error.text_zh[:REASON_MAX]}
    _set(tx, problem_code=error.code, problem_since_ms=since, **said)


def _set(tx: Connection, **values: object) -> None:
    first = CityState()
    row = {column.name: getattr(first, column.name) for column in city.c if column.name != "id"}
    insert_new(tx, city, [{"id": 1} | row])
    tx.execute(update(city).values(**values))
