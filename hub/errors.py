"""Errors that the county's machine raises on purpose, each with its stable code.

For: what an administrator or a joining device did that cannot be done, or what is wrong with this hub.
May not: decide what to do about an error; hold citizen data in `facts`.
Manual: docs/operating/errors.md has one entry per code.
"""

from __future__ import annotations

from protocol.errors import InputError, RefusedError, RemoteProtocolError


class NotACounty(InputError):
    """The directory holds no county (no `county.json`)."""

    code = "not_a_county"


class DirectoryNotEmpty(RefusedError):
    """`county init` makes a county only in a directory that does not exist or is empty."""

    code = "directory_not_empty"


class UnknownOffice(InputError):
    """The county has no office of this code, or it is retired."""

    code = "unknown_office"


class UnknownDevice(InputError):
    """The roster names no device of this incarnation."""

    code = "unknown_device"


class UnknownConflict(InputError):
    """The case has no open conflict of this id."""

    code = "unknown_conflict"


class UnknownEntry(InputError):
    """The list that is to be worked on has no entry of this number."""

    code = "unknown_entry"


class CodeUnknown(RemoteProtocolError):
    """A join request with a code that this county never gave out."""

    code = "code_unknown"


class CodeUsed(RemoteProtocolError):
    """A join request with a code that another device has already used."""

    code = "code_used"


class KeysTaken(RemoteProtocolError):
    """A joining machine whose keys belong to a device of the county: a copy of that one's disk; it draws new keys."""

    code = "keys_taken"


class CodeExpired(RemoteProtocolError):
    """A join request with a code whose time is over."""

    code = "code_expired"


class CodeVoid(RemoteProtocolError):
    """A join request with a code from before the hub was put back from a backup: it may have been used since."""

    code = "code_void"


class WrongOffice(RemoteProtocolError):
    """An op that names another office than its author's."""

    code = "wrong_office"


class WrongRole(RemoteProtocolError):
    """An op that claims a role which its author's device does not have."""

    code = "wrong_role"


class SuccessionRefused(RemoteProtocolError):
    """A machine asks to follow a device's name that may not be followed (frozen, revoked, followed, unknown)."""

    code = "succession_refused"


class DevicePartTaken(RemoteProtocolError):
    """A joining machine whose case numbers could equal those of an earlier device of its office; it draws new keys."""

    code = "device_part_taken"


class AnotherHub(RefusedError):
    """Devices have heard a hub that began later than this store: this is an old copy, and it stops."""

    code = "another_hub"
