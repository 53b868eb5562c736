"""Views: what the ops of a case fold to, kept beside them, found by number or id, listed by what people ask for.

For: `refold` after every append; lookups, lists and digests over the kept views.
May not: decide anything about a case (conflict.fold does); commit. A kept view is the fold of the ready ops, or it is
a fault: `check.py` compares them.
Spec: docs/operating/storage.md, "Views".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgpack
from sqlalchemy import BindParameter, ColumnElement, Connection, Row, and_, bindparam, delete, or_, select, update
from sqlalchemy import Select as SelectType

from conflict import numbers
from conflict.fold import fold
from conflict.ledger import waiting
from conflict.ledger.errors import AmbiguousCase, FoldFailed, UnknownCase
from conflict.ledger.schema import case_offices, views
from conflict.ledger.schema import ops as ops_table
from conflict.ledger.statements import insert_new, put, steps
from conflict.view import CaseView
from protocol.op import ID_BYTES, Op, parse_op

PREFIX_CHARS_MIN = 6  # shortest abbreviation of a hex id that `find` takes
LIST_MAX = 1000  # rows of one list; the next page begins after the last row
_OPS_REMEMBERED = 4096  # parsed ops kept in memory, about 4 KB each


@dataclass(frozen=True, slots=True)
class ViewRow:
    """One line of a list: what is asked for without decoding the view. due_ms: None until somebody reckoned it.

    digest: empty while the view is kept in brief only (see `digests`).
    """

    case: bytes
    number: str
    status: str
    kind: str
    item: str
    holder: str
    opened_by: str
    opened_ms: int
    updated_ms: int
    urgent: bool
    due_ms: int | None
    open_conflicts: int
    waiting: int
    digest: bytes


def refold(
    tx: Connection, case_ids: Iterable[bytes], *, fresh: Iterable[Op] = (), brief: bool = False
) -> list[CaseView]:
    """Fold the ready ops of these cases anew and keep the views; cases without a ready op are left out.

    Args:    fresh: ops that were just appended, so that they need not be parsed again.
             brief: keep only the columns that lists need; the record and its digest are reckoned when somebody asks,
             or by `complete_views`. For a hub that takes in a county's backlog.
    Returns: the views in the order of `case_ids`.
    Raises:  FoldFailed, which names the case. Roll back, set the ops of that case aside, go on with the others.
    """
    cases = list(dict.fromkeys(case_ids))
    histories = _histories(tx, cases, {op.id: op for op in fresh})
    waits = waiting.waiting_of(tx, histories)
    folded: list[CaseView] = []
    rows: list[dict[str, Any]] = []
    for case in cases:
        if case not in histories:
            continue
        try:
            folded.append(fold(histories[case]))
            rows.append(_row(folded[-1], histories[case], waits.get(case, 0), brief=brief))
        except Exception as error:
            raise FoldFailed(f"the fold of case {case.hex()} raised {error!r}", case=case.hex()) from error
    put(tx, views, rows, keep=("due_ms",))
    _keep_offices(tx, {view.case: set(view.offices) for view in folded})
    return folded


def view(tx: Connection, case: bytes) -> CaseView:
    """The kept view of a case.

    Raises:  UnknownCase if no ready op of it is here.
    """
    kept = tx.execute(select(views.c.record).where(views.c.case_id == case)).scalar()
    if kept is None:
        raise _unknown(case.hex())
    return CaseView(msgpack.unpackb(kept, raw=False, strict_map_key=False)) if kept else fold(ops_of(tx, case))


def brief_views(tx: Connection, *, limit: int) -> list[bytes]:
    """Cases whose record and digest are still to be reckoned."""
    return list(tx.execute(select(views.c.case_id).where(views.c.digest == b"").limit(limit)).scalars())


def complete_views(tx: Connection, cases: Iterable[bytes]) -> None:
    """Reckon and keep what `refold(brief=True)` left out."""
    refold(tx, cases)


def ops_of(tx: Connection, case: bytes, *, ready: bool = True) -> list[Op]:
    """The ops of a case in order of arrival; with ready=False also those that wait."""
    query = select(ops_table.c.blob).where(ops_table.c.case_id == case).order_by(ops_table.c.pos)
    if ready:
        query = query.where(ops_table.c.waiting == 0)
    return [_parsed(blob) for blob in tx.execute(query).scalars()]


def op(tx: Connection, op_id: bytes) -> Op | None:
    """The op with this id, waiting or not."""
    blob = tx.execute(select(ops_table.c.blob).where(ops_table.c.id == op_id)).scalar()
    return None if blob is None else _parsed(blob)


def ops_by_id(tx: Connection, ids: Iterable[bytes]) -> dict[bytes, Op]:
    """The stored ops among `ids`."""
    found: dict[bytes, Op] = {}
    for part in steps(ids):
        for op_id, blob in tx.execute(select(ops_table.c.id, ops_table.c.blob).where(ops_table.c.id.in_(part))):
            found[op_id] = _parsed(blob)
    return found


def heads(tx: Connection, case: bytes) -> tuple[bytes, ...]:
    """Ids that a new op of the case names as parents, as of the last refold; empty for an unknown case."""
    kept = tx.execute(select(views.c.heads).where(views.c.case_id == case)).scalar() or b""
    return tuple(kept[start : start + ID_BYTES] for start in range(0, len(kept), ID_BYTES))


def find(tx: Connection, text: str) -> bytes:
    """The case that a person means: its number in any spelling, its id in hex, or at least 6 first characters of it.

    Raises:  UnknownCase, AmbiguousCase; BadCaseNumber if its check character shows that a number was mistyped.
    """
    key = number_key(text)
    cases = list(tx.execute(select(views.c.case_id).where(views.c.number_key == key).limit(3)).scalars()) if key else []
    if not cases:
        cases = _by_prefix(tx, text.strip().lower())
    if not cases:
        _tell_mistyped(text)
        raise _unknown(text)
    if len(cases) > 1:
        raise AmbiguousCase(
            f"More than one case fits {text!r}; give the whole id, one of {', '.join(case.hex()[:16] for case in cases)}.",
            f"有多个办件符合“{text}”，请输入完整编号：{'、'.join(case.hex()[:16] for case in cases)}。",
        )
    return cases[0]


def list_views(
    tx: Connection,
    *,
    status: str | Iterable[str] | None = None,
    holder: str | None = None,
    office: str | None = None,
    item: str | None = None,
    kind: str | None = None,
    urgent: bool | None = None,
    conflicted: bool | None = None,
    waiting: bool | None = None,
    after: ViewRow | None = None,
    limit: int = 100,
) -> list[ViewRow]:
    """Views that fit all that is given, most recently changed first.

    Args:    office: an office that takes part (not only holds). conflicted: has an open conflict, or has none.
             after: the last row of the page before. limit: at most LIST_MAX.
    """
    query = _rows()
    if office is not None:
        taking_part = select(case_offices.c.case_id).where(case_offices.c.office == office)
        query = query.where(views.c.case_id.in_(taking_part))
    if status is not None:
        query = query.where(views.c.status.in_([status] if isinstance(status, str) else list(status)))
    for column, value in ((views.c.holder, holder), (views.c.item, item), (views.c.kind, kind)):
        if value is not None:
            query = query.where(column == value)
    for column, wanted in ((views.c.urgent, urgent), (views.c.open_conflicts, conflicted), (views.c.waiting, waiting)):
        if wanted is not None:
            query = query.where(column > 0 if wanted else column == 0)
    if after is not None:
        query = query.where(_later(after))
    query = query.order_by(views.c.updated_ms.desc(), views.c.case_id).limit(min(limit, LIST_MAX))
    return [_view_row(row) for row in tx.execute(query)]


def view_rows(tx: Connection, cases: Iterable[bytes]) -> dict[bytes, ViewRow]:
    """The list rows of these cases; unknown ones are left out."""
    found: dict[bytes, ViewRow] = {}
    for part in steps(cases):
        for row in tx.execute(_rows().where(views.c.case_id.in_(part))):
            found[row.case_id] = _view_row(row)
    return found


def digests(tx: Connection, cases: Iterable[bytes] | None = None, *, office: str | None = None) -> dict[bytes, bytes]:
    """Case id to digest of its view: of these cases, of those an office takes part in, or of all."""
    query = select(views.c.case_id, views.c.digest)
    if office is not None:
        query = query.where(views.c.case_id.in_(select(case_offices.c.case_id).where(case_offices.c.office == office)))
    found: dict[bytes, bytes] = {}
    if cases is None:
        found = dict(tx.execute(query.order_by(views.c.case_id)).all())
    else:
        for part in steps(cases):
            found.update(tx.execute(query.where(views.c.case_id.in_(part))).all())
    found.update((case, fold(ops_of(tx, case)).digest()) for case in [case for case in found if not found[case]])
    return found


def cases_of_office(tx: Connection, office: str) -> set[bytes]:
    """The cases that an office takes part in."""
    return set(tx.execute(select(case_offices.c.case_id).where(case_offices.c.office == office)).scalars())


def offices_of(tx: Connection, cases: Iterable[bytes]) -> dict[bytes, set[str]]:
    """The offices that take part in each case."""
    found: dict[bytes, set[str]] = {}
    for part in steps(cases):
        for case, office in tx.execute(_OFFICES_OF, {"cases": part}):
            found.setdefault(case, set()).add(office)
    return found


def op_ids(tx: Connection, *, office: str | None = None) -> Iterator[tuple[bytes, bytes]]:
    """(op id, case id) of everything stored, or of the cases that an office takes part in: what reconciliation compares."""
    query = select(ops_table.c.id, ops_table.c.case_id).order_by(ops_table.c.pos)
    if office is not None:
        taking_part = select(case_offices.c.case_id).where(case_offices.c.office == office)
        query = query.where(ops_table.c.case_id.in_(taking_part))
    yield from tx.execute(query)


def set_due(tx: Connection, due: Mapping[bytes, int | None]) -> None:
    """Keep the due instants (ms UTC) that somebody with a calendar reckoned."""
    for case, due_ms in due.items():
        tx.execute(update(views).where(views.c.case_id == case).values(due_ms=due_ms))


def number_key(text: str) -> str:
    """A case number in the form it is looked up by: width, case, dashes and spaces do not matter, nor O I S Z for 0 1 5 2."""
    plain = unicodedata.normalize("NFKC", text).upper().encode("ascii", "ignore")
    return plain.translate(_LOOKALIKES, _NOT_ALNUM).decode("ascii")


_LOOKALIKES = bytes.maketrans(b"OISZ", b"0152")  # letters that no number contains (conflict/numbers.py)
_NOT_ALNUM = bytes(code for code in range(128) if not chr(code).isalnum())
_CASES: BindParameter[bytes] = bindparam("cases", expanding=True)
_HISTORIES = (
    select(ops_table.c.id, ops_table.c.case_id, ops_table.c.blob)
    .where(ops_table.c.case_id.in_(_CASES), ops_table.c.waiting == 0)
    .order_by(ops_table.c.pos)
)
_OFFICES_OF = select(case_offices.c.case_id, case_offices.c.office).where(case_offices.c.case_id.in_(_CASES))


def _histories(tx: Connection, cases: list[bytes], known: Mapping[bytes, Op]) -> dict[bytes, list[Op]]:
    histories: dict[bytes, list[Op]] = {}
    for part in steps(cases):
        for op_id, case, blob in tx.execute(_HISTORIES, {"cases": part}):
            histories.setdefault(case, []).append(known.get(op_id) or _parsed(blob))
    return histories


@lru_cache(maxsize=_OPS_REMEMBERED)
def _parsed(blob: bytes) -> Op:
    """Ops never change, so that a parsed one may be kept: a case is folded again with every op that it gets."""
    return parse_op(blob)


def _row(folded: CaseView, history: list[Op], waits: int, *, brief: bool) -> dict[str, Any]:
    opener = next(op for op in history if op.opens)
    times = [entry["at_ms"] for entry in folded.timeline]
    return {
        "case_id": folded.case,
        "number": folded.number,
        "number_key": number_key(folded.number),
        "status": str(folded.status),
        "kind": str(folded.kind),
        "item": folded.item,
        "holder": folded.holder,
        "opened_by": opener.office,
        "opened_ms": times[0] if times else opener.claimed_ms,
        "updated_ms": max(times, default=opener.claimed_ms),
        "urgent": int(folded.urgent),
        "due_ms": None,
        "open_conflicts": sum(1 for conflict in folded.conflicts if conflict["open"]),
        "waiting": waits,
        "rules": folded.rules,
        "heads": b"".join(folded.heads),
        "digest": b"" if brief else folded.digest(),
        "record": b"" if brief else msgpack.packb(folded.record(), use_bin_type=True),
    }


def _keep_offices(tx: Connection, wanted: Mapping[bytes, set[str]]) -> None:
    """Make the rows of `case_offices` say what the views say."""
    held = offices_of(tx, wanted)
    missing = [
        {"office": office, "case_id": case}
        for case, offices in wanted.items()
        for office in sorted(offices - held.get(case, set()))
    ]
    insert_new(tx, case_offices, missing)
    for case, offices in held.items():
        if gone := offices - wanted[case]:
            tx.execute(
                delete(case_offices).where(case_offices.c.case_id == case, case_offices.c.office.in_(sorted(gone)))
            )


def _by_prefix(tx: Connection, text: str) -> list[bytes]:
    if len(text) < PREFIX_CHARS_MIN or len(text) > 2 * ID_BYTES or any(char not in "0123456789abcdef" for char in text):
        return []
    low = bytes.fromhex(text.ljust(2 * ID_BYTES, "0"))
    high = bytes.fromhex(text.ljust(2 * ID_BYTES, "f"))
    query = select(views.c.case_id).where(views.c.case_id.between(low, high)).order_by(views.c.case_id).limit(3)
    return list(tx.execute(query).scalars())


def _rows() -> SelectType[Any]:
    return select(*(column for column in views.c if column.name not in ("record", "heads", "rules", "number_key")))


def _later(row: ViewRow) -> ColumnElement[bool]:
    return or_(
        views.c.updated_ms < row.updated_ms, and_(views.c.updated_ms == row.updated_ms, views.c.case_id > row.case)
    )


def _view_row(row: Row) -> ViewRow:
    return ViewRow(
        row.case_id,
        row.number,
        row.status,
        row.kind,
        row.item,
        row.holder,
        row.opened_by,
        row.opened_ms,
        row.updated_ms,
        bool(row.urgent),
        row.due_ms,
        row.open_conflicts,
        row.waiting,
        row.digest,
    )


def _tell_mistyped(text: str) -> None:
    try:
        numbers.parse(text)
    except numbers.BadCaseNumber as error:
        if error.facts["problem"] == "check":
            raise


def _unknown(text: str) -> UnknownCase:
    return UnknownCase(f"There is no case {text!r} here.", f"本机没有编号为“{text}”的办件。")
