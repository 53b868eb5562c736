"""Statuses: which act is possible where, and where it leads.

For: the tables that powers.py and replay.py run from; a test ties them to the glossary's table of transitions.
May not: know offices, roles or holders (powers.py), or what becomes of concurrent acts (matrix.py).
Spec: docs/conflict/words.md, "Statuses".
"""

from __future__ import annotations

from collections.abc import Mapping

from conflict.kinds import OpKind, Status

_S = Status

UNFINISHED = frozenset({_S.RECEIVED, _S.SUPPLEMENTING, _S.ACCEPTED, _S.PROCESSING, _S.SUSPENDED, _S.FORWARDED_UP})
OPEN_OR_DONE = UNFINISHED | {_S.DECIDED, _S.CONCLUDED, _S.DELIVERED}
EVERY = frozenset(Status) - {_S.DRAFT}

# The glossary's table, word for word: status -> statuses that may follow it.
GLOSSARY: Mapping[Status, frozenset[Status]] = {
    _S.DRAFT: frozenset({_S.RECEIVED, _S.VOIDED}),
    _S.RECEIVED: frozenset({_S.ACCEPTED, _S.SUPPLEMENTING, _S.REFUSED, _S.WITHDRAWN, _S.VOIDED}),
    _S.SUPPLEMENTING: frozenset({_S.RECEIVED, _S.ACCEPTED, _S.WITHDRAWN, _S.REFUSED}),
    _S.ACCEPTED: frozenset({_S.PROCESSING, _S.WITHDRAWN, _S.VOIDED}),
    _S.PROCESSING: frozenset({_S.PROCESSING, _S.SUSPENDED, _S.FORWARDED_UP, _S.DECIDED, _S.WITHDRAWN, _S.VOIDED}),
    _S.SUSPENDED: frozenset({_S.PROCESSING, _S.WITHDRAWN}),
    _S.FORWARDED_UP: frozenset({_S.PROCESSING, _S.DECIDED, _S.WITHDRAWN}),
    _S.DECIDED: frozenset({_S.CONCLUDED}),
    _S.CONCLUDED: frozenset({_S.DELIVERED}),
    _S.DELIVERED: frozenset(),
    _S.REFUSED: frozenset(),
    _S.WITHDRAWN: frozenset(),
    _S.VOIDED: frozenset(),
}

# Steps that the glossary does not have and we need; each with its reason (docs/decisions/0023).
BEYOND_GLOSSARY: Mapping[tuple[Status, Status], str] = {
    (_S.SUPPLEMENTING, _S.VOIDED): "a duplicate is found while the applicant still supplements",
    (_S.SUSPENDED, _S.VOIDED): "a duplicate is found during a special procedure",
    (_S.FORWARDED_UP, _S.VOIDED): "a duplicate is found while the case is on its way up",
}


def _stay(statuses: frozenset[Status]) -> dict[Status, Status]:
    return {status: status for status in sorted(statuses)}


# kind -> {status at which the act is possible: status after it}. What is absent is `transition_not_allowed`.
# An act that implies another (examine starts the handling) goes through the steps in between at once.
MOVES: Mapping[OpKind, Mapping[Status, Status]] = {
    OpKind.RECEIVE: {_S.DRAFT: _S.RECEIVED},
    OpKind.ACCEPT: {_S.DRAFT: _S.ACCEPTED, _S.RECEIVED: _S.ACCEPTED, _S.SUPPLEMENTING: _S.ACCEPTED},
    OpKind.AMEND: _stay(UNFINISHED | {_S.DECIDED, _S.CONCLUDED}),  # from the decision on: contact data only
    OpKind.ATTACH: _stay(OPEN_OR_DONE),
    OpKind.CHECK_MATERIAL: _stay(OPEN_OR_DONE),
    OpKind.NOTE: _stay(EVERY),
    OpKind.NOTICE: {_S.RECEIVED: _S.SUPPLEMENTING}
    | _stay(frozenset({_S.SUPPLEMENTING, _S.ACCEPTED, _S.PROCESSING, _S.SUSPENDED})),
    OpKind.SUPPLEMENT: {_S.SUPPLEMENTING: _S.RECEIVED} | _stay(UNFINISHED - {_S.SUPPLEMENTING}),
    OpKind.REFUSE_ACCEPTANCE: {_S.RECEIVED: _S.REFUSED, _S.SUPPLEMENTING: _S.REFUSED},
    OpKind.FORWARD: {_S.RECEIVED: _S.RECEIVED, _S.ACCEPTED: _S.FORWARDED_UP, _S.PROCESSING: _S.FORWARDED_UP},
    OpKind.RECALL: {_S.RECEIVED: _S.RECEIVED, _S.SUPPLEMENTING: _S.SUPPLEMENTING, _S.FORWARDED_UP: _S.PROCESSING},
    OpKind.TAKE: {_S.RECEIVED: _S.RECEIVED, _S.SUPPLEMENTING: _S.SUPPLEMENTING, _S.FORWARDED_UP: _S.PROCESSING},
    OpKind.RETURN: {
        _S.SUPPLEMENTING: _S.SUPPLEMENTING,
        _S.RECEIVED: _S.RECEIVED,
        _S.ACCEPTED: _S.PROCESSING,
        _S.PROCESSING: _S.PROCESSING,
        _S.FORWARDED_UP: _S.PROCESSING,
    },
    OpKind.START: {_S.ACCEPTED: _S.PROCESSING},
    OpKind.EXAMINE: {_S.ACCEPTED: _S.PROCESSING, _S.PROCESSING: _S.PROCESSING},
    OpKind.DECIDE: {_S.ACCEPTED: _S.DECIDED, _S.PROCESSING: _S.DECIDED, _S.FORWARDED_UP: _S.DECIDED},
    OpKind.EXTEND: _stay(frozenset({_S.ACCEPTED, _S.PROCESSING, _S.SUSPENDED, _S.FORWARDED_UP})),
    OpKind.SUSPEND: {_S.ACCEPTED: _S.SUSPENDED, _S.PROCESSING: _S.SUSPENDED},
    OpKind.RESUME: {_S.SUSPENDED: _S.PROCESSING},
    OpKind.CONCLUDE: {_S.DECIDED: _S.CONCLUDED},
    OpKind.DELIVER: {_S.CONCLUDED: _S.DELIVERED},
    OpKind.WITHDRAW: dict.fromkeys(sorted(UNFINISHED), _S.WITHDRAWN),
    OpKind.VOID: {_S.RECEIVED: _S.VOIDED, _S.ACCEPTED: _S.VOIDED, _S.PROCESSING: _S.VOIDED},
    OpKind.RESOLVE: _stay(EVERY),
    OpKind.KEEP_DUPLICATE: _stay(EVERY),
    OpKind.LINK_DUPLICATE: dict.fromkeys(sorted(UNFINISHED), _S.VOIDED),
    OpKind.DECLARE_DISTINCT: _stay(EVERY),
    OpKind.ENTRUST: _stay(UNFINISHED),
    OpKind.REHOME: _stay(EVERY),
    OpKind.VETO: _stay(EVERY),
    OpKind.TIME_BOUND: _stay(EVERY),
}

# Statuses at which an op that was possible where its author stood still counts, without moving the status, when a
# concurrent act has moved the case there meanwhile. Everywhere else such an op is overtaken.
STILL_COUNTS: Mapping[OpKind, frozenset[Status]] = {
    OpKind.NOTICE: frozenset({_S.FORWARDED_UP}),
    OpKind.FORWARD: frozenset({_S.SUPPLEMENTING}),
    OpKind.START: frozenset({_S.PROCESSING}),
    OpKind.SUSPEND: frozenset({_S.SUSPENDED}),
    OpKind.EXTEND: frozenset({_S.DECIDED, _S.CONCLUDED, _S.DELIVERED}),
    OpKind.ENTRUST: EVERY,
}

# Acts that the sender may not do while its case is on the way to another office (take, return or recall comes first).
STOPPED_BY_HANDOVER = frozenset(
    {
        OpKind.ACCEPT,
        OpKind.NOTICE,
        OpKind.REFUSE_ACCEPTANCE,
        OpKind.FORWARD,
        OpKind.START,
        OpKind.EXAMINE,
        OpKind.DECIDE,
        OpKind.SUSPEND,
        OpKind.VOID,
    }
)
