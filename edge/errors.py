"""Errors that an office's device raises on purpose, each with its stable code.

For: what a worker or a script did that cannot be done, or what is wrong with this device.
May not: decide what to do about an error; hold citizen data in `facts`.
Manual: docs/operating/errors.md has one entry per code.
"""

from __future__ import annotations

from protocol.errors import InputError, RefusedError, RemoteProtocolError


class UnknownItem(InputError):
    """The published catalogue does not have this item."""

    code = "unknown_item"


class NoReference(RefusedError):
    """The device has not yet received the roster, catalogue or calendar that the act needs."""

    code = "no_reference"


class AttachmentUnreadable(InputError):
    """A file that is to be attached does not exist, is empty, or cannot be read."""

    code = "attachment_unreadable"


class AttachmentTooLarge(InputError):
    """A file, or all files of a case together, above the named limit."""

    code = "attachment_too_large"


class TooMuchUnsent(RefusedError):
    """The attachments of this office that wait to be sent are above the device's limit."""

    code = "attachments_waiting"


class FieldTooLong(InputError):
    """A text above its named limit; an op must fit one envelope."""

    code = "field_too_long"


class UnknownStaff(InputError):
    """No account of this name on this device, or it is disabled."""

    code = "unknown_staff"


class BadPassword(InputError):
    """The account has a password and the one given is missing or wrong."""

    code = "bad_password"


class LockedOut(RefusedError):
    """Too many wrong passwords; the account opens again after a delay."""

    code = "locked_out"


class NotANode(InputError):
    """The directory is not an edge device (no configuration, or half-made)."""

    code = "not_a_node"


class AlreadyJoined(RefusedError):
    """The directory already holds a device of another enrolment."""

    code = "already_joined"


class JoinRefused(RefusedError):
    """The hub refused the join request (code used, expired, unknown)."""

    code = "join_refused"


class RefusedByRules(RefusedError):
    """The fold would not apply the act as the case stands. `facts["rule"]` names its code."""

    code = "refused_by_rules"


class UnknownOffice(InputError):
    """An office that the roster does not name, or that is retired."""

    code = "unknown_office"


class UnknownEntry(InputError):
    """The list that is to be worked on has no entry, or several, that begin so."""

    code = "unknown_entry"


class HubProblem(RemoteProtocolError):
    """The hub says that it could not handle something of ours; its words are in the text."""

    code = "hub_problem"


class BranchProblem(RemoteProtocolError):
    """A device of the branch says that it could not handle something of ours; its words are in the text."""

    code = "branch_problem"


class BadLink(InputError):
    """A card of the township's broker that is not for this device, county or township, or cannot be read."""

    code = "bad_link"


class Renewed(RefusedError):
    """The device took new keys while this act was under way; nothing was saved, the next try works."""

    code = "renewed"


class NeedsCode(RefusedError):
    """The device goes on under new keys that the county takes only with a new enrolment code."""

    code = "needs_code"


class NothingPurged(RefusedError):
    """Nothing may be purged yet: no reconciliation has found this device equal with the hub."""

    code = "not_reconciled"


class CasePurged(InputError):
    """The case was concluded and purged here; the hub has it."""

    code = "case_purged"
