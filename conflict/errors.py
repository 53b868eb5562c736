"""Refusals that the fold and the powers give, each with a stable code and a sentence for a person.

For: one class per thing that the author of an act would do differently.
May not: decide anything; carry citizen data in `facts`.
Manual: docs/operating/errors.md has an entry per code.
"""

from __future__ import annotations

from protocol.errors import RefusedError


class BadBody(RefusedError):
    """The body of the op lacks something, or has it in a wrong form."""

    code = "bad_body"


class UnknownKind(RefusedError):
    """A kind of op that this program does not fold."""

    code = "unknown_kind"


class TransitionNotAllowed(RefusedError):
    """The case's status does not allow the act."""

    code = "transition_not_allowed"


class HeldByAnother(RefusedError):
    """Another office holds the case, and only the holder may do this."""

    code = "held_by_another"


class HandoverPending(RefusedError):
    """The case is on its way to another office; take, return or recall comes first."""

    code = "handover_pending"


class RoleNotAllowed(RefusedError):
    """The person's role at the office does not include the act."""

    code = "role_not_allowed"


class NoPower(RefusedError):
    """The office stands in no relation to the case that would allow the act."""

    code = "no_power"


class NotDecisionLevel(RefusedError):
    """The item is decided at another level, and no entrustment says otherwise."""

    code = "not_decision_level"


class WrongLevel(RefusedError):
    """The item is not accepted at this office's level."""

    code = "wrong_level"


class BadTarget(RefusedError):
    """The case cannot be forwarded to that office."""

    code = "bad_target"


class OpinionMissing(RefusedError):
    """A case goes up only with the preliminary opinion of the office that sends it."""

    code = "opinion_missing"


class NoticeAlreadyGiven(RefusedError):
    """The one-time notice was given once already at this stage."""

    code = "notice_already_given"


class AlreadyExtended(RefusedError):
    """The limit of a case is extended once."""

    code = "already_extended"


class NothingToAnswer(RefusedError):
    """The op that this one answers is not there, not open any more, or of another kind."""

    code = "nothing_to_answer"


class OpenConflict(RefusedError):
    """A conflict that only a person can settle stands in the way."""

    code = "open_conflict"


class WrongDecision(RefusedError):
    """A decision that this kind of case does not have."""

    code = "wrong_decision"
