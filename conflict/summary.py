"""The summary: what the fold found, laid out as the record of a case view.

For: verdicts per op, and the parts that people look at (fields, materials, decision, conflicts, timeline …).
May not: decide anything (powers, replay, fields and materials have); read a calendar.
Spec: docs/conflict/view.md.  Change with it: view.py, explain.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from conflict.conflicts import conflicts_of
from conflict.facts import clock_facts
from conflict.fields import Fields
from conflict.history import History
from conflict.kinds import CaseKind, OpKind, Status
from conflict.materials import materials_of
from conflict.powers import Frame
from conflict.replay import Outcome
from conflict.state import State, acting_office, to_plain
from conflict.times import effective_times
from protocol.errors import RefusedError
from protocol.op import Op


class Findings(NamedTuple):
    """What one run of the fold found. vetoes: index of a vetoed op -> index of the veto; void: the same as a mask."""

    history: History
    frame: Frame
    rules: int
    outcome: Outcome
    refused: Mapping[int, RefusedError]
    vetoes: Mapping[int, int]
    void: int
    fields: Fields


class Verdict(NamedTuple):
    """applied, overtaken, refused or waiting; the code says why, `by` (op id) on whose account."""

    verdict: str
    code: str = ""
    by: bytes | None = None
    reason: str = ""
    reason_zh: str = ""


APPLIED = Verdict("applied")
_WAITING = {
    "missing_parent": ("an earlier act of this case has not arrived", "等待本办件尚未到达的前序操作"),
    "cycle": ("it names itself among its own causes and is kept as evidence", "前序关系成环，留存备查"),
    "case_too_long": ("the case has more acts than are folded", "本办件操作数超过上限，暂不处理"),
    "unknown_rules": ("this program has to be updated first", "等待本程序升级"),
}


def summarise(found: Findings) -> tuple[dict[str, Any], Callable[[], dict[str, Any]]]:
    """The record of the view in two parts: where the case stands, and on demand what it says in detail.

    Shapes: docs/conflict/view.md. The second part is most of the work and the hub, which routes and judges, seldom
    needs it.
    """
    history, state = found.history, found.outcome.state
    verdicts = [_verdict(found, index) for index in range(len(history.ops))]
    counted = [index for index, verdict in enumerate(verdicts) if verdict.verdict == "applied"]
    kept = [
        index
        for index, verdict in enumerate(verdicts)
        if verdict.verdict in ("applied", "overtaken") and not found.void >> index & 1
    ]
    times = effective_times(history, set(kept))
    writer = _Writer(history, times)
    opener = history.ops[0]
    standing = _opening(opener, found) | _standing(found, writer, state, counted)
    standing |= {
        "conflicts": conflicts_of(history, found.outcome, writer, _field_conflicts(found, writer), kept),
        "offices": _offices(history, kept, counted),
        "heads": list(history.heads),
        "timeline": _timeline(history, verdicts, times),
        "waiting": len(history.waiting),
        "state": to_plain(state),
    }

    def details() -> dict[str, Any]:
        return {
            "fields": _fields(found, writer),
            "materials": _materials(history, writer, kept),
            "papers": _papers(history, kept),
            "opinions": [
                writer.said(index, "outcome", "opinion", "department", "step")
                for index in writer.of(counted, OpKind.EXAMINE)
            ],
            "notes": [writer.said(index, "text") for index in writer.of(counted, OpKind.NOTE)],
            "clock": clock_facts(history, counted, times, state, opener),
        }

    return standing, details


class _Writer:
    """Provenance in one shape: op, office, staff, at_ms."""

    def __init__(self, history: History, times: list[int]) -> None:
        self.history = history
        self.times = times

    def source(self, index: int) -> dict[str, Any]:
        op = self.history.ops[index]
        return {"op": op.id, "office": acting_office(op), "staff": op.staff, "at_ms": self.times[index]}

    def said(self, index: int, *keys: str) -> dict[str, Any]:
        body = self.history.ops[index].body
        return self.source(index) | {key: body[key] for key in keys if body.get(key) is not None}

    def of(self, indexes: list[int], kind: OpKind) -> list[int]:
        return [index for index in indexes if self.history.ops[index].kind == kind]


def summarise_unread(history: History, rules: int, *, known: bool) -> dict[str, Any]:
    """The record of a case that cannot be folded yet: its opener is missing, or its rules are not known here."""
    code = "missing_parent" if known else "unknown_rules"
    waiting = {op.id: (code, ()) for op in history.ops} | dict(history.waiting)
    ops = sorted((*history.ops, *history.waiting_ops), key=lambda op: op.id)
    empty = State()
    return {
        "case": history.case,
        "rules": rules,
        "number": "",
        "kind": CaseKind.COMMITTED.value,
        "item": "",
        "terms": {},
        "urgent": False,
        "mode": "",
        "opener_office": "",
        "conditional": [],
        **_no_standing(),
        "fields": {},
        "materials": [],
        "papers": [],
        "opinions": [],
        "notes": [],
        "conflicts": [],
        "offices": sorted({op.office for op in ops}),
        "heads": list(history.heads),
        "timeline": [_entry(op, _waiting_verdict(waiting[op.id]), op.claimed_ms) for op in ops],
        "waiting": len(waiting),
        "clock": {},
        "state": to_plain(empty),
    }


def _no_standing() -> dict[str, Any]:
    return {
        "status": Status.DRAFT.value,
        "accepted_mode": "",
        "holder": "",
        "handover": None,
        "notices": [],
        "decision": None,
        "conclusion": None,
        "delivery": None,
        "suspensions": [],
        "extensions": [],
        "ended": None,
        "linked": None,
        "duplicates": [],
    }


def _opening(opener: Op, found: Findings) -> dict[str, Any]:
    body = opener.body if 0 not in found.refused else {}
    return {
        "case": found.history.case,
        "rules": found.rules,
        "number": body.get("number", ""),
        "kind": found.frame.kind.value,
        "item": body.get("item", ""),
        "terms": body.get("terms", {}),
        "urgent": body.get("urgent") is True,
        "mode": body.get("mode") or "",
        "opener_office": opener.office,
    }


def _standing(found: Findings, writer: _Writer, state: State, counted: list[int]) -> dict[str, Any]:
    """Where the case stands: from the state, with the provenance of the acts that brought it there."""
    history = found.history
    accepts = writer.of(counted, OpKind.ACCEPT)
    conditional = [name for index in accepts for name in history.ops[index].body.get("conditional", [])]
    deemed = any(history.ops[index].body.get("deemed") is True for index in accepts)
    record = _no_standing() | {
        "status": state.status.value,
        "accepted_mode": "" if not accepts else "deemed" if deemed else "conditional" if conditional else "normal",
        "conditional": conditional,
        "holder": state.holder,
        "notices": _notices(writer, state, counted),
        "decision": _decision(history, writer, state),
        "suspensions": _suspensions(writer, state, counted),
        "extensions": [
            writer.said(index, "days", "unit", "reason", "approver", "notified")
            for index in writer.of(counted, OpKind.EXTEND)
        ],
        "duplicates": [
            writer.said(index, "other", "reason", "received_ms") | {"judged": history.ops[index].kind}
            for kind in (OpKind.KEEP_DUPLICATE, OpKind.LINK_DUPLICATE, OpKind.DECLARE_DISTINCT)
            for index in writer.of(counted, kind)
        ],
    }
    if state.handover is not None:
        since = writer.times[history.index[state.handover.op]]
        op, sender, target = state.handover
        record["handover"] = {"op": op, "from": sender, "to": target, "since_ms": since}
    for index in writer.of(counted, OpKind.CONCLUDE):
        record["conclusion"] = writer.said(index, "type", "text")
    for index in writer.of(counted, OpKind.DELIVER):
        record["delivery"] = writer.said(index, "method", "receiver")
    for kind in (OpKind.REFUSE_ACCEPTANCE, OpKind.WITHDRAW, OpKind.VOID, OpKind.LINK_DUPLICATE):
        for index in writer.of(counted, kind):
            record["ended"] = writer.said(index, "reason", "remedies") | {"act": kind.value}
    if state.linked is not None:
        record["linked"] = state.linked
    return record


def _notices(writer: _Writer, state: State, counted: list[int]) -> list[dict[str, Any]]:
    answers = {writer.history.ops[index].body["of"]: index for index in reversed(writer.of(counted, OpKind.SUPPLEMENT))}
    found = []
    for index in writer.of(counted, OpKind.NOTICE):
        op = writer.history.ops[index]
        entry = writer.said(index, "missing", "reason", "limit") | {"open": op.id in state.notices, "answered_by": None}
        if op.id in answers:
            entry |= {"answered_by": writer.source(answers[op.id])}
        found.append(entry)
    return found


def _suspensions(writer: _Writer, state: State, counted: list[int]) -> list[dict[str, Any]]:
    ends = {writer.history.ops[index].body["of"]: index for index in writer.of(counted, OpKind.RESUME)}
    found = []
    for index in writer.of(counted, OpKind.SUSPEND):
        op = writer.history.ops[index]
        entry = writer.said(index, "cause", "days", "reason", "written_notice")
        found.append(entry | {"open": op.id in state.suspensions, "end_ms": None})
        if op.id in ends:
            found[-1]["end_ms"] = writer.times[ends[op.id]]
    return found


def _decision(history: History, writer: _Writer, state: State) -> dict[str, Any] | None:
    """The decision in force. While it is contested the first by op id is shown, marked so, the others beside it."""
    if not state.decisions:
        return None
    keys = ("decision", "opinion", "reasons", "remedies", "document")
    ranked = sorted(state.decisions, key=lambda item: item.op)
    entries = [writer.said(history.index[item.op], *keys) for item in ranked]
    return entries[0] | {"contested": len(entries) > 1, "others": entries[1:]}


def _fields(found: Findings, writer: _Writer) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    sources: dict[int, dict[str, Any]] = {}
    for name in found.fields.names():
        kind = found.frame.class_of(name)
        pair = found.fields.view(name, kind, found.void, found.outcome.state.holder)
        if pair is None:
            continue
        view = pair[0]
        at = view.shown.at
        shown[name] = {
            "value": view.value,
            "class": kind.value,
            "contested": view.contested,
            "losing": [{"value": write.value, "rule": rule} | writer.source(write.at) for write, rule in view.losing],
            **(sources.get(at) or sources.setdefault(at, writer.source(at))),
        }
    return shown


def _field_conflicts(found: Findings, writer: _Writer) -> list[dict[str, Any]]:
    conflicts: list[dict[str, Any]] = []
    for name in found.fields.rewritten():
        kind = found.frame.class_of(name)
        pair = found.fields.view(name, kind, found.void, found.outcome.state.holder)
        for clash in pair[1] if pair is not None else ():
            conflicts.append(
                {
                    "id": clash.id,
                    "kind": "field",
                    "open": clash.open,
                    "rule": clash.rule,
                    "field": name,
                    "class": kind.value,
                    "values": [{"value": write.value} | writer.source(write.at) for write in clash.writes],
                    "proposal": clash.proposal,
                    "settled_by": None if clash.by < 0 else writer.source(clash.by),
                }
            )
    return conflicts


def _materials(history: History, writer: _Writer, kept: list[int]) -> list[dict[str, Any]]:
    found = []
    for upload in materials_of(history, kept):
        entry = writer.source(upload.at) | upload.facts
        entry |= {"claimed_grade": upload.facts["grade"], "grade": upload.grade, "current": upload.current}
        entry |= {"rule": upload.rule, "check": None if upload.check < 0 else writer.source(upload.check)}
        found.append(entry)
    return found


def _papers(history: History, kept: list[int]) -> list[str]:
    """Names of materials that somebody says were handed in, with or without a file."""
    return sorted({name for index in kept for name in _handed_in(history.ops[index])})


def _handed_in(op: Op) -> list[str]:
    if op.opens or op.kind == OpKind.SUPPLEMENT:
        return list(op.body.get("materials", []))
    return [op.body["material"]] if op.kind == OpKind.ATTACH else []


def _offices(history: History, kept: list[int], counted: list[int]) -> list[str]:
    """Whose case it is: the offices of all authors but refused ones, and those that the case was forwarded to.

    The author of a refused op learns of the refusal by its receipt; it gains no scope over the case by trying.
    """
    targets = {history.ops[index].body["to"] for index in counted if history.ops[index].kind == OpKind.FORWARD}
    return sorted({history.ops[index].office for index in kept} | targets)


# --- timeline -----------------------------------------------------------------------------------------------------

_TELLING = ("opinion", "reason", "text", "cause", "material", "note", "decision", "method", "type")


def _timeline(history: History, verdicts: list[Verdict], times: list[int]) -> list[dict[str, Any]]:
    """All ops: placed ones by effective time (which never contradicts causality), then those that wait."""
    order = sorted(range(len(history.ops)), key=lambda index: (times[index], index))
    placed = [_entry(history.ops[index], verdicts[index], times[index]) for index in order]
    waiting = [_entry(op, _waiting_verdict(history.waiting[op.id]), op.claimed_ms) for op in history.waiting_ops]
    return placed + waiting


def _entry(op: Op, verdict: Verdict, at_ms: int) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "op": op.id,
        "kind": op.kind,
        "office": op.office,
        "staff": op.staff,
        "role": op.role,
        "at_ms": at_ms,
        "claimed_ms": op.claimed_ms,
        "verdict": verdict.verdict,
        "code": verdict.code,
        "by": verdict.by,
        "reason": verdict.reason,
        "reason_zh": verdict.reason_zh,
        "note": next((op.body[key] for key in _TELLING if type(op.body.get(key)) is str), ""),
    }
    if acting_office(op) != op.office:
        entry["for_office"] = acting_office(op)
    return entry


def _waiting_verdict(waiting: tuple[str, tuple[bytes, ...]]) -> Verdict:
    code, missing = waiting
    reason, reason_zh = _WAITING[code]
    return Verdict("waiting", code, missing[0] if missing else None, reason, reason_zh)


def _verdict(found: Findings, index: int) -> Verdict:
    history = found.history
    if index in found.vetoes:
        veto = history.ops[found.vetoes[index]]
        reason = veto.body["reason"]
        return Verdict("refused", veto.body["code"], veto.id, reason, reason)
    error = found.refused.get(index)
    if error is not None:
        return Verdict("refused", error.code, None, error.text, error.text_zh)
    loss = found.outcome.losses.get(index)
    if loss is not None:
        return Verdict("overtaken", loss.rule, history.ops[loss.by].id if loss.by >= 0 else None)
    return APPLIED
