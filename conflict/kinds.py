"""The words of a case: kinds of case, statuses, kinds of op, conclusion types, office levels, field classes.

For: one spelling of every word that ops and views use, with its Chinese and English label.
For the bodies too: BODY says what each kind of op carries, `check_body` holds an op to it.
May not: say what is allowed when (status.py, powers.py).
Spec: docs/conflict/words.md, docs/conflict/kinds.md.  A new op kind also needs: labels.py, status.py, powers.py, matrix.py, explain.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from conflict.errors import BadBody, UnknownKind
from conflict.labels import label

__all__ = [
    "BODY",
    "DEFAULT_CLASSES",
    "FINAL",
    "GRADES",
    "LEVELS",
    "OPENING",
    "TERMS",
    "CaseKind",
    "ConclusionType",
    "FieldClass",
    "Level",
    "OpKind",
    "Role",
    "Shape",
    "Status",
    "check_body",
    "label",
    "level_rank",
    "rank_of_level",
]


class CaseKind(StrEnum):
    """The five regimes of a case. 特急 is a flag of the case, not a sixth kind."""

    IMMEDIATE = "immediate"
    COMMITTED = "committed"
    REPLY = "reply"
    SUBMIT_UP = "submit_up"
    JOINT = "joint"


class Status(StrEnum):
    """Where a case stands. DRAFT: the op that opened it is not here yet."""

    DRAFT = "draft"
    RECEIVED = "received"
    SUPPLEMENTING = "supplementing"
    ACCEPTED = "accepted"
    PROCESSING = "processing"
    SUSPENDED = "suspended"
    FORWARDED_UP = "forwarded_up"
    DECIDED = "decided"
    CONCLUDED = "concluded"
    DELIVERED = "delivered"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    VOIDED = "voided"


class OpKind(StrEnum):
    """Every kind of op that this program folds. An op of another kind is kept, routed and shown as refused."""

    RECEIVE = "receive"
    ACCEPT = "accept"
    AMEND = "amend"
    ATTACH = "attach"
    CHECK_MATERIAL = "check_material"
    NOTE = "note"
    NOTICE = "notice"
    SUPPLEMENT = "supplement"
    REFUSE_ACCEPTANCE = "refuse_acceptance"
    FORWARD = "forward"
    RECALL = "recall"
    TAKE = "take"
    RETURN = "return"
    START = "start"
    EXAMINE = "examine"
    DECIDE = "decide"
    EXTEND = "extend"
    SUSPEND = "suspend"
    RESUME = "resume"
    CONCLUDE = "conclude"
    DELIVER = "deliver"
    WITHDRAW = "withdraw"
    VOID = "void"
    RESOLVE = "resolve"
    KEEP_DUPLICATE = "keep_duplicate"
    LINK_DUPLICATE = "link_duplicate"
    DECLARE_DISTINCT = "declare_distinct"
    ENTRUST = "entrust"
    REHOME = "rehome"
    VETO = "veto"
    TIME_BOUND = "time_bound"


class ConclusionType(StrEnum):
    """How a case ended. Deletion is no type: technical errors are voided."""

    CERTIFICATE_ISSUED = "certificate_issued"
    NORMAL = "normal"
    RETURNED = "returned"
    FORWARDED = "forwarded"
    SUPPLEMENT_EXPIRED = "supplement_expired"
    VOIDED = "voided"


class FieldClass(StrEnum):
    """What a field is about; decides which rule settles concurrent writes (fields.py)."""

    CONTACT = "contact"
    IDENTITY = "identity"
    MATERIAL = "material"
    NOTE = "note"
    OPINION = "opinion"
    DECISION = "decision"
    FEE = "fee"
    OTHER = "other"


class Role(StrEnum):
    """What the author of an op is at its office, as the office's own device attests it."""

    AGENT = "agent"
    EXAMINER = "examiner"
    VERIFIER = "verifier"
    CHIEF = "chief"
    ADMINISTRATOR = "administrator"
    HUB = "hub"


class Level(StrEnum):
    """Level of an office, from the length of its code."""

    VILLAGE = "village"
    TOWNSHIP = "township"
    COUNTY = "county"
    CITY = "city"
    PROVINCE = "province"


LEVELS = (Level.VILLAGE, Level.TOWNSHIP, Level.COUNTY, Level.CITY, Level.PROVINCE)  # ascending authority
_LEVEL_BY_LENGTH = {12: 1, 9: 2, 6: 3, 4: 4, 2: 5}
_RANK_BY_LEVEL = {level.value: rank for rank, level in enumerate(LEVELS, start=1)}

FINAL = frozenset({Status.DELIVERED, Status.REFUSED, Status.WITHDRAWN, Status.VOIDED})
OPENING = frozenset({OpKind.RECEIVE, OpKind.ACCEPT})
GRADES = ("A", "B", "C", "D")  # best first: original checked, certified copy, plain copy, statement only

DEFAULT_CLASSES = {
    "applicant_name": FieldClass.IDENTITY,
    "applicant_id": FieldClass.IDENTITY,
    "applicant_phone": FieldClass.CONTACT,
    "applicant_address": FieldClass.CONTACT,
    "opinion": FieldClass.OPINION,
    "decision": FieldClass.DECISION,
    "fee": FieldClass.FEE,
}


def level_rank(office: str) -> int:
    """1 for a village room up to 5 for a province; 0 if `office` is no area code."""
    return _LEVEL_BY_LENGTH.get(len(office), 0) if office.isascii() and office.isdigit() else 0


def rank_of_level(level: str) -> int:
    """1 for "village" up to 5 for "province"; 0 for any other word."""
    return _RANK_BY_LEVEL.get(level, 0)


# --- bodies -------------------------------------------------------------------------------------------------------

TEXT_MAX = 4_000  # characters of one text; a page of Chinese prose
NAME_MAX = 60  # characters of a name of a field, material, method
LIST_MAX = 200  # entries of one list or map in a body
ID_BYTES = 32

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return type(value) is str and len(value) <= TEXT_MAX


def _said(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= TEXT_MAX


def _name(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= NAME_MAX


def _op_id(value: Any) -> bool:
    return type(value) is bytes and len(value) == ID_BYTES


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _flag(value: Any) -> bool:
    return type(value) is bool


def _office(value: Any) -> bool:
    return type(value) is str and level_rank(value) > 0


def _limit(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _count(value[0]) and value[1] in LIMIT_UNITS


def _one_of(*words: str) -> Check:
    return lambda value: type(value) is str and value in words


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and len(value) <= LIST_MAX and all(check(item) for item in value)


def _some_of(check: Check) -> Check:
    return lambda value: _list_of(check)(value) and len(value) > 0


def _fields(value: Any) -> bool:
    """As `_name` and `_text` for each pair, written out: every opening op passes here with dozens of fields."""
    if not isinstance(value, dict) or len(value) > LIST_MAX:
        return False
    for name, text in value.items():
        if type(name) is not str or not 0 < len(name) <= NAME_MAX or type(text) is not str or len(text) > TEXT_MAX:
            return False
    return True


def _some_fields(value: Any) -> bool:
    return _fields(value) and len(value) > 0


def _classes(value: Any) -> bool:
    return isinstance(value, dict) and len(value) <= LIST_MAX and all(_name(k) and _name(v) for k, v in value.items())


def _terms(value: Any) -> bool:
    return isinstance(value, dict) and _shape_fault(TERMS, value) is None


def _choice(value: Any) -> bool:
    return _count(value) or _text(value)


def _carried(value: Any) -> bool:
    return isinstance(value, dict) and _shape_fault(CARRIED, value) is None


LIMIT_UNITS = ("workday", "calendar", "hour")

# In every shape: key -> (check, required). Keys that a shape does not name are kept and ignored.
Shape = Mapping[str, tuple[Check, bool]]

TERMS: Shape = {
    "kind": (_one_of(*(kind.value for kind in CaseKind)), True),
    "version": (_count, False),
    "name": (_text, False),
    "department": (_text, False),
    "accept_level": (_text, False),
    "approve_level": (_text, False),
    "statutory": (_limit, False),
    "promised": (_limit, False),
    "accept_limit": (_limit, False),
    "supplement_limit": (_limit, False),
    "restart_on_supplement": (_flag, False),
    "extend": (_limit, False),
    "materials": (_list_of(_text), False),
    "classes": (_classes, False),
}

# A material that a kept case takes over from its duplicate, as the hub read it there.
CARRIED: Shape = {
    "op": (_op_id, True),
    "material": (_name, True),
    "sha256": (_op_id, True),
    "size": (_count, True),
    "media": (_text, True),
    "name": (_text, True),
    "grade": (_one_of(*GRADES), True),
    "office": (_office, False),
}

_OPEN: Shape = {
    "number": (_name, True),
    "item": (_name, True),
    "terms": (_terms, True),
    "fields": (_fields, True),
    "urgent": (_flag, False),
    "mode": (_text, False),
    "materials": (_list_of(_name), False),
    "conditional": (_list_of(_name), False),
}

BODY: Mapping[str, Shape] = {
    OpKind.RECEIVE: _OPEN,
    OpKind.ACCEPT: {"conditional": (_list_of(_name), False), "deemed": (_flag, False)},
    OpKind.AMEND: {"fields": (_some_fields, True), "reason": (_text, False)},
    OpKind.ATTACH: {
        "material": (_name, True),
        "sha256": (_op_id, True),
        "size": (_count, True),
        "media": (_text, True),
        "name": (_text, True),
        "grade": (_one_of(*GRADES), True),
    },
    OpKind.CHECK_MATERIAL: {"of": (_op_id, True), "grade": (_one_of(*GRADES), True), "note": (_text, False)},
    OpKind.NOTE: {"text": (_said, True)},
    OpKind.NOTICE: {"missing": (_some_of(_said), True), "reason": (_text, False), "limit": (_limit, False)},
    OpKind.SUPPLEMENT: {
        "of": (_op_id, True),
        "fields": (_fields, False),
        "materials": (_list_of(_name), False),
        "text": (_text, False),
    },
    OpKind.REFUSE_ACCEPTANCE: {"reason": (_said, True), "remedies": (_text, False)},
    OpKind.FORWARD: {"to": (_office, True), "opinion": (_text, False)},
    OpKind.RECALL: {"of": (_op_id, True), "reason": (_text, False)},
    OpKind.TAKE: {"of": (_op_id, True), "reference": (_text, False), "for_office": (_office, False)},
    OpKind.RETURN: {"of": (_op_id, True), "reason": (_said, True), "for_office": (_office, False)},
    OpKind.START: {},
    OpKind.EXAMINE: {
        "outcome": (_one_of("agree", "disagree"), True),
        "opinion": (_text, True),
        "department": (_text, False),
        "step": (_one_of("handle", "verify", "approve"), False),
    },
    OpKind.DECIDE: {
        "decision": (_one_of("granted", "denied", "answered"), True),
        "opinion": (_text, True),
        "reasons": (_text, False),
        "remedies": (_text, False),
        "document": (_text, False),
        "for_office": (_office, False),
    },
    OpKind.EXTEND: {
        "days": (_count, True),
        "unit": (_one_of(*LIMIT_UNITS), True),
        "reason": (_said, True),
        "approver": (_name, True),
        "notified": (_flag, True),
    },
    OpKind.SUSPEND: {
        "cause": (_said, True),
        "days": (_count, False),
        "reason": (_text, True),
        "written_notice": (_flag, True),
    },
    OpKind.RESUME: {"of": (_op_id, True)},
    OpKind.CONCLUDE: {"type": (_one_of(*(kind.value for kind in ConclusionType)), True), "text": (_text, False)},
    OpKind.DELIVER: {"method": (_name, True), "receiver": (_text, False)},
    OpKind.WITHDRAW: {"reason": (_text, True)},
    OpKind.VOID: {"reason": (_said, True)},
    OpKind.RESOLVE: {"conflict": (_said, True), "choice": (_choice, True), "reason": (_text, True)},
    OpKind.KEEP_DUPLICATE: {
        "other": (_op_id, True),
        "reason": (_text, True),
        "received_ms": (_count, False),
        "materials": (_list_of(_carried), False),
    },
    OpKind.LINK_DUPLICATE: {"other": (_op_id, True), "reason": (_text, True)},
    OpKind.DECLARE_DISTINCT: {"other": (_op_id, True), "reason": (_text, True)},
    OpKind.ENTRUST: {
        "to": (_office, True),
        "reason": (_said, True),
        "document": (_text, False),
        "ends": (_flag, False),
    },
    OpKind.REHOME: {"office": (_office, True), "parent": (_office, True), "reason": (_said, True)},
    OpKind.VETO: {"of": (_op_id, True), "code": (_name, True), "reason": (_said, True)},
    OpKind.TIME_BOUND: {"of": (_op_id, True), "latest_ms": (_count, True), "earliest_ms": (_count, False)},
}


def check_body(kind: str, body: Mapping[str, Any], *, opens: bool = False) -> None:
    """Hold `body` to the shape that BODY gives for `kind` (for an opening op, to the opener's shape).

    Raises:  UnknownKind for a kind that is not in BODY; BadBody naming the first key that is missing or wrong.
    """
    shape = _OPEN if opens and kind in OPENING else BODY.get(kind)
    if shape is None:
        raise UnknownKind(
            f"ops of the kind {kind[:NAME_MAX]!r} are not known here; update this program",
            f"本程序不认识“{kind[:NAME_MAX]}”类操作，请升级程序",
        )
    fault = _shape_fault(shape, body)
    if fault is not None:
        raise BadBody(
            f"{label(kind, 'en')}: “{fault}” is missing or has a wrong form; correct it and try again",
            f"{label(kind)}：“{fault}”缺失或格式不对，请改正后重试",
            key=fault,
        )


def _shape_fault(shape: Shape, body: Mapping[str, Any]) -> str | None:
    """The first key of `body` that does not fit, or None."""
    for key, (check, required) in shape.items():
        value = body.get(key)
        if value is None:
            if required:
                return key
        elif not check(value):
            return key
    return None
