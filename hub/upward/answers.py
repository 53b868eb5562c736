"""What the city said: kept before anything is done with it, matched to its forward, handed over once.

For: reading the city's entries into rows, which answer is next for which forward, keeping what became of it.
May not: commit, sign, call the city. Every function takes the caller's transaction.
Spec: docs/operating/upward.md, "Answers"; docs/protocol/city.md, "The feed".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from conflict.ledger.statements import insert_new
from hub.upward import backoff, reasons
from hub.upward.errors import NothingToRetry
from hub.upward.schema import answer as answers
from hub.upward.schema import upward
from hub.upward.tries import keep_receipt
from protocol.errors import LiandongError

NUMBER_MAX = 2**53
ID_MAX = 200  # characters of an answer's id, a key, a receipt number
TEXT_MAX = 4_000  # characters of a text in an op's body
RECEIPT_ID = "receipt:"  # our id of the answer that a receipt number is
PROGRESS = ("received", "accepted", "withdrawn")  # words of the city that change nothing in the county
HOLDS_IT = ("received", "accepted", "return", "decide")  # kinds that only a city which has the case can say
UNSENT = ("waiting_materials", "queued", "sending", "failed")
DECISIONS = ("granted", "denied", "answered")


@dataclass(frozen=True, slots=True)
class Answer:
    """One word of the superior that becomes one op of the hub with `for_office`.

    id: the city's id of it, also in `body["answer"]`. kind: take, return or decide. body: what the op says, complete.
    """

    id: str
    case: bytes
    forward_op: bytes
    kind: str
    body: dict[str, Any]
    for_office: str


def keep(tx: Connection, entries: Iterable[Any], *, now_ms: int) -> int:
    """Store entries of the feed, each once; the highest feed number among them, 0 if none has one."""
    rows = [row for row in (_row_of(entry, now_ms) for entry in entries) if row is not None]
    insert_new(tx, answers, rows)
    for row in rows:
        _keep_city_state(tx, row)
    return max((row["number"] for row in rows), default=0)


def _keep_city_state(tx: Connection, row: dict[str, Any]) -> None:
    """What the list for people shows. Never backwards: an entry that comes again says nothing new."""
    word = {"return": "returned", "decide": "decided"}.get(row["kind"], row["kind"])
    order = ["", "received", "accepted", "returned", "decided", "withdrawn"]
    if word not in order:
        return
    earlier = upward.c.city_state.in_(order[: order.index(word)])
    tx.execute(update(upward).where(upward.c.key == row["key"], earlier).values(city_state=word))


def _row_of(entry: Any, now_ms: int) -> dict[str, Any] | None:
    """The row for one entry; None for one without id and number, which nothing can be kept under."""
    if not isinstance(entry, dict):
        return None
    number, name = entry.get("n"), entry.get("id")
    if type(number) is not int or not 0 < number <= NUMBER_MAX or not _short(name):
        return None
    key, receipt, word = entry.get("key"), entry.get("receipt"), entry.get("kind")
    body, fault = _body_of(word, entry.get("body"))
    if not (_short(key) and _short(receipt) and _short(word)):
        fault = ("Key, receipt or kind is missing.", "缺少编号、回执号或类别。")
    state = "unreadable" if fault else "noted" if word in PROGRESS else "waiting"
    return {
        "id": name,
        "number": number,
        "key": key if _short(key) else "",
        "receipt": receipt if _short(receipt) else "",
        "kind": {"returned": "return", "decided": "decide"}.get(str(word), str(word)[:ID_MAX]),
        "body": json.dumps(body, ensure_ascii=False),
        "state": state,
        **(reasons.reason("unreadable", *fault) if fault else reasons.NONE),
        "op": None,
        "tries": 0,
        "next_try_ms": now_ms,
        "since_ms": now_ms,
    }


def _body_of(word: Any, body: Any) -> tuple[dict[str, str], tuple[str, str] | None]:
    """The part of an answer that goes into the op, and what is wrong with it in two languages (None if nothing)."""
    if not isinstance(body, dict):
        return {}, ("The body is not an object.", "答复内容格式不对。")
    texts = {key: value for key, value in body.items() if isinstance(value, str) and value}
    if word in PROGRESS:
        return {}, None
    wanted = {"returned": ("reason",), "decided": ("decision", "opinion")}.get(str(word))
    if wanted is None:
        return texts, ("A kind of answer that this program does not know.", "本程序不认识此类答复。")
    allowed = wanted if word == "returned" else (*wanted, "reasons", "remedies", "document")
    kept = {key: texts[key] for key in allowed if key in texts}
    absent = [key for key in wanted if key not in kept]
    if absent:
        return kept, (f"Missing: {', '.join(absent)}.", f"缺少：{'、'.join(absent)}。")
    if any(len(value) > TEXT_MAX for value in kept.values()):
        return kept, (f"A text is longer than {TEXT_MAX} characters.", f"文字超过 {TEXT_MAX} 字。")
    if word == "decided" and kept["decision"] not in DECISIONS:
        return kept, (f"The decision is none of {', '.join(DECISIONS)}.", "决定类型不在规定范围内。")
    return kept, None


def _short(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= ID_MAX


def keep_take(tx: Connection, forward_op: bytes, receipt: str, bundle_sha256: str, *, now_ms: int) -> None:
    """The city's receipt number is here: keep it, and the take that the county will learn of."""
    keep_receipt(tx, forward_op, receipt, bundle_sha256, now_ms)
    key = select(upward.c.key).where(upward.c.forward_op == forward_op).scalar_subquery()
    row = {
        "id": RECEIPT_ID + receipt,
        "number": 0,
        "key": tx.execute(select(key)).scalar_one(),
        "receipt": receipt,
        "kind": "take",
        "body": json.dumps({"reference": receipt}, ensure_ascii=False),
        "state": "waiting",
        **reasons.NONE,
        "op": None,
        "tries": 0,
        "next_try_ms": now_ms,
        "since_ms": now_ms,
    }
    insert_new(tx, answers, [row])


def unlearnt(tx: Connection, limit: int) -> list[tuple[bytes, str]]:
    """(forward op, receipt number) of forwards whose number came with an answer before their own call told it."""
    found = (
        select(upward.c.forward_op, answers.c.receipt)
        .join(answers, upward.c.key == answers.c.key)
        .where(upward.c.state.in_(UNSENT), upward.c.receipt == "")
        .where(answers.c.state.in_(("waiting", "noted")), answers.c.kind.in_(HOLDS_IT))
        .order_by(answers.c.number)
    )
    return [(row.forward_op, row.receipt) for row in tx.execute(found.limit(limit))]


def next_answers(tx: Connection, now_ms: int, limit: int) -> list[Answer]:
    """Answers whose forward is known, not handed over yet and due, in the feed's order.

    Others of a forward follow its take only once that has been handed over, whatever the feed's order.
    """
    take = answers.alias()
    take_waits = (
        select(take.c.id).where(take.c.key == answers.c.key, take.c.kind == "take", take.c.state == "waiting").exists()
    )
    is_due = or_(answers.c.next_try_ms <= now_ms, answers.c.next_try_ms > now_ms + backoff.WAIT_MS_MAX)
    found = (
        select(answers, upward.c.forward_op, upward.c.case_id, upward.c.target)
        .join(upward, upward.c.key == answers.c.key)
        .where(answers.c.state == "waiting")
        .where(is_due, or_(answers.c.kind == "take", ~take_waits))
        .order_by(answers.c.number, answers.c.id)
        .limit(limit)
    )
    return [_answer_of(row) for row in tx.execute(found)]


def _answer_of(row: Row) -> Answer:
    body = json.loads(row.body) | {"of": row.forward_op, "answer": row.id, "for_office": row.target}
    return Answer(row.id, row.case_id, row.forward_op, row.kind, body, row.target)


def is_waiting(tx: Connection, answer_id: str) -> bool:
    """Whether the answer is still to be handed over, read inside the transaction that hands it over."""
    return tx.execute(select(answers.c.state).where(answers.c.id == answer_id)).scalar_one_or_none() == "waiting"


def handed(tx: Connection, answer: Answer, op: bytes, *, now_ms: int) -> None:
    """The hub's op carries the answer; a final one ends the way up of its forward."""
    _set(tx, answer.id, state="handed", op=op, since_ms=now_ms, **reasons.NONE)
    if answer.kind != "take":
        still = upward.c.state.not_in(("answered", "withdrawn"))
        row = update(upward).where(upward.c.forward_op == answer.forward_op, still)
        tx.execute(row.values(state="answered", since_ms=now_ms, **reasons.NONE))


def refused(tx: Connection, answer: Answer, error: LiandongError, *, now_ms: int) -> None:
    """The rules of the case do not allow the answer (any more): kept and shown, for a person to settle with the city."""
    _set(tx, answer.id, state="refused", since_ms=now_ms, **reasons.reason_of(error))


def retry_answer(tx: Connection, answer_id: str, *, now_ms: int) -> None:
    """A person orders that a refused answer is handed over again, after the case was put right.

    Raises:  NothingToRetry if no refused answer has this id.
    """
    found = update(answers).where(answers.c.id == answer_id, answers.c.state == "refused")
    if not tx.execute(found.values(state="waiting", next_try_ms=now_ms, since_ms=now_ms, **reasons.NONE)).rowcount:
        raise NothingToRetry("No answer of the city with this id was refused.", "没有该编号的被拒答复。")


def later(tx: Connection, answer: Answer, what: str, *, now_ms: int) -> None:
    """Handing over failed for a reason of our own: again later, others go on."""
    tries = int(tx.execute(select(answers.c.tries).where(answers.c.id == answer.id)).scalar_one()) + 1
    wait_ms = backoff.row_wait_ms(tries)
    why = reasons.reason("internal", f"A fault of the program: {what}.", f"程序故障：{what}。")
    _set(tx, answer.id, tries=tries, next_try_ms=now_ms + wait_ms, **why)


def _set(tx: Connection, answer_id: str, **values: Any) -> None:
    tx.execute(update(answers).where(answers.c.id == answer_id).values(**values))
