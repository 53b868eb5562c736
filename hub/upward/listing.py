"""The way up as people see it: every case that leaves the county, and the state of the line to the city.

For: `liandong hub upward` and its JSON. Plain dictionaries, ids in hex.
May not: change anything; show applicant data.
Manual: docs/operating/upward.md, "What the list says".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, func, select

from hub.upward import city_state
from hub.upward.schema import answer as answers
from hub.upward.schema import upward

ENTRIES_MAX = 10_000  # entries of one listing


def list_queue(tx: Connection, *, states: Iterable[str] = (), case: bytes | None = None) -> list[dict[str, Any]]:
    """Rows of the queue, what needs a person first, then by how long they stand where they are.

    Args:    states: only these (schema.STATES); empty for all. case: only this one.
    Returns: per row: case, forward_op, number, target, urgent, state, since_ms, missing, receipt, city_state, attempts,
             next_try_ms, code, reason, reason_zh, tell_city, answers [{id, receipt, kind, state, since_ms, code, reason,
             reason_zh, op}].
    """
    found = select(upward)
    wanted = list(states)
    if wanted:
        found = found.where(upward.c.state.in_(wanted))
    if case is not None:
        found = found.where(upward.c.case_id == case)
    rows = list(tx.execute(found.order_by(upward.c.since_ms).limit(ENTRIES_MAX)))
    by_key: dict[str, list[dict[str, Any]]] = {}
    for row in tx.execute(
        select(answers).where(answers.c.key.in_([row.key for row in rows])).order_by(answers.c.number)
    ):
        by_key.setdefault(row.key, []).append(_answer(row))
    rows.sort(key=lambda row: (row.state != "failed", row.state != "waiting_materials"))
    return [_entry(row, by_key.get(row.key, [])) for row in rows]


def overview(tx: Connection, *, now_ms: int) -> dict[str, Any]:
    """The line as a whole.

    Returns: counts by state; city {contact_ms, paused, problem_code, problem, problem_zh,
             problem_since_ms, cursor};
             strays: answers for forwards that this hub does not know (yet); set_aside: answers that a person must see.
    """
    counts = {
        row.state: row.n for row in tx.execute(select(upward.c.state, func.count().label("n")).group_by(upward.c.state))
    }
    state = city_state.read(tx)
    known = select(upward.c.key)
    strays = tx.execute(
        select(answers).where(answers.c.state == "waiting", answers.c.key.not_in(known)).limit(ENTRIES_MAX)
    )
    aside = tx.execute(select(answers).where(answers.c.state.in_(("refused", "unreadable"))).limit(ENTRIES_MAX))
    return {
        "counts": counts,
        "city": {
            "contact_ms": state.contact_ms,
            "paused": not state.may_call(now_ms),
            "problem_code": state.problem_code,
            "problem": state.problem,
            "problem_zh": state.problem_zh,
            "problem_since_ms": state.problem_since_ms,
            "cursor": state.cursor,
        },
        "strays": [_answer(row) for row in strays],
        "set_aside": [_answer(row) for row in aside],
    }


def _entry(row: Row[Any], said: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "case": row.case_id.hex(),
        "forward_op": row.forward_op.hex(),
        "number": row.number,
        "target": row.target,
        "urgent": bool(row.urgent),
        "state": row.state,
        "since_ms": row.since_ms,
        "missing": json.loads(row.missing),
        "receipt": row.receipt,
        "city_state": row.city_state,
        "attempts": row.attempts,
        "next_try_ms": row.next_try_ms,
        "code": row.reason_code,
        "reason": row.reason,
        "reason_zh": row.reason_zh,
        "tell_city": bool(row.tell_city),
        "answers": said,
    }


def _answer(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "receipt": row.receipt,
        "kind": row.kind,
        "state": row.state,
        "since_ms": row.since_ms,
        "code": row.reason_code,
        "reason": row.reason,
        "reason_zh": row.reason_zh,
        "op": None if row.op is None else row.op.hex(),
    }
