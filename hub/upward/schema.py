"""Tables of the way up: one row per forward op that leaves the county, one per answer, one about the city itself.

For: the queue that survives kills and restarts; the hub's store makes these tables (component "upward").
May not: hold facts about cases (those are ops); hold anything that a restored hub could not rebuild or ask again.
Change together: docs/operating/upward.md, "The queue"; a migration for a released table.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from conflict.ledger.versions import Component

metadata = MetaData()

_Int = BigInteger().with_variant(Integer(), "sqlite")

STATES = ("waiting_materials", "queued", "sending", "sent", "answered", "failed", "withdrawn")
ANSWER_STATES = ("waiting", "handed", "noted", "refused", "unreadable")


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} in ({', '.join(repr(value) for value in values)})"


upward = Table(
    "upward",
    metadata,
    Column("forward_op", LargeBinary, primary_key=True),
    Column("case_id", LargeBinary, nullable=False),
    Column("key", Text, nullable=False),  # Idempotency-Key, derived from forward_op
    Column("number", Text, nullable=False),
    Column("target", Text, nullable=False),  # office code above the county
    Column("urgent", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("missing", Text, nullable=False),  # JSON list of what a complete bundle lacks
    Column("head", LargeBinary),  # the bundle without file contents, frozen at the first attempt; None before
    Column("bundle_sha256", Text, nullable=False),  # of the body as sent; "" before
    Column("receipt", Text, nullable=False),  # the city's number; "" until known
    Column("city_state", Text, nullable=False),  # what the city last said about it; "" before
    Column("attempts", Integer, nullable=False),  # calls that handed in a bundle or may have
    Column("tell_city", Integer, nullable=False),  # 1 while the city must still hear of a withdrawal
    Column("tell_tries", Integer, nullable=False),
    Column("next_try_ms", _Int, nullable=False),
    Column("since_ms", _Int, nullable=False),  # in this state since
    Column("reason_code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reason_zh", Text, nullable=False),
    CheckConstraint(_one_of("state", STATES), name="upward_state"),
    Index("upward_key", "key", unique=True),
    Index("upward_case", "case_id"),
    Index("upward_due", "state", "next_try_ms"),
    sqlite_strict=True,
)

answer = Table(
    "upward_answer",
    metadata,
    Column("id", Text, primary_key=True),  # the city's id of the answer, or "receipt:" + receipt number
    Column("number", _Int, nullable=False),  # position in the city's feed; 0 for a receipt
    Column("key", Text, nullable=False),
    Column("receipt", Text, nullable=False),
    Column("kind", Text, nullable=False),  # take, return, decide, or the city's own word
    Column("body", Text, nullable=False),  # JSON
    Column("state", Text, nullable=False),
    Column("reason_code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reason_zh", Text, nullable=False),
    Column("op", LargeBinary),  # the hub's op that carries it, once handed over
    Column("tries", Integer, nullable=False),
    Column("next_try_ms", _Int, nullable=False),
    Column("since_ms", _Int, nullable=False),
    CheckConstraint(_one_of("state", ANSWER_STATES), name="upward_answer_state"),
    Index("upward_answer_state_of", "state", "next_try_ms"),
    Index("upward_answer_key", "key"),
    sqlite_strict=True,
)

# One row: our conversation with the city as a whole.
city = Table(
    "upward_city",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("cursor", _Int, nullable=False),  # highest feed number that is safely in upward_answer
    Column("failures", Integer, nullable=False),  # calls in a row that found no city
    Column("pause_until_ms", _Int, nullable=False),
    Column("next_poll_ms", _Int, nullable=False),
    Column("contact_ms", _Int, nullable=False),  # last call that the city answered; 0 for never
    Column("problem_code", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("problem_zh", Text, nullable=False),
    Column("problem_since_ms", _Int, nullable=False),
    CheckConstraint("id = 1", name="upward_city_one"),
    sqlite_strict=True,
)

COMPONENT = Component(
    name="upward",
    metadata=metadata,
    version=1,
    oldest_code=1,
    migrations=Path(__file__).parent / "migrations",
)
