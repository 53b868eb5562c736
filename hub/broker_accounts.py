"""Broker accounts: who may log in to the county's broker, in Mosquitto's own password file format.

For: writing, removing and checking the accounts in `D/broker/passwords`. One file serves both brokers: the embedded
one reads it through `AccountFile`, Mosquitto reads it by itself.
May not: talk to a broker; know what an account may do (that follows from its name: ops/broker/rules.py).
Manual: docs/operating/broker.md.  Decisions: 0050 (format), 0051 (one account per enrolment code).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from protocol.carriers.durable import write_durably
from protocol.errors import LocalProtocolError

DIRECTORY_NAME = "broker"
PASSWORDS_NAME = "passwords"
LOCK_NAME = "passwords.lock"
FILE_MODE = 0o640  # the broker's own user reads it through its group
PASSWORD_CHARS_MIN = 20  # 100 bits in base32: the hash is not slow, so the secret must be long (decision 0050)
ITERATIONS = 101  # what mosquitto_passwd writes; 500 machines that reconnect at once cost 0.1 s and not minutes
ITERATIONS_MAX = 100_000  # a file that asks for more would stall the embedded broker
SALT_BYTES = 12
HASH_BYTES = 64
DOMAIN_DEVICE = b"liandong broker account v1"
LOCK_S = 10.0
_USER = re.compile(r"[a-z0-9-]{1,64}")
_LINE = re.compile(r"([a-z0-9-]{1,64}):(\$7\$[0-9]{1,6}\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+)")


def new_password() -> str:
    """160 random bits, base32 in lower case: 32 characters that need no quoting anywhere."""
    return base64.b32encode(secrets.token_bytes(20)).decode("ascii").lower()


def device_password(secret: bytes, incarnation: bytes) -> str:
    """The broker password of a device, always the same for the same hub and device: an account that was lost with a
    restore can be made again, and the device need not be told (decision 0109).

    Args:    secret: 32 bytes that only the hub has.
    """
    mark = hmac.digest(secret, DOMAIN_DEVICE + incarnation, "sha256")
    return base64.b32encode(mark[:20]).decode("ascii").lower()


def settle(directory: Path, wanted: Mapping[str, str], unwanted: Iterable[str]) -> None:
    """Add the accounts of `wanted` (user to password) that are missing and take `unwanted` away; all others stay."""
    with _changing(directory) as accounts:
        for user, password in wanted.items():
            if user not in accounts:
                accounts[user] = hash_password(password)
        for user in unwanted:
            accounts.pop(user, None)


def write_password(directory: Path, user: str, password: str) -> None:
    """Add the account, or give it a new password. Durable when it returns; safe beside other processes.

    Args:    directory: the hub's directory D.  user: a mailbox name, `hub`, or a joining machine's name.
             password: made by a machine (`new_password`), at least PASSWORD_CHARS_MIN characters.
    Raises:  LocalProtocolError for a name or password that no part of ours would make.
    """
    if not _USER.fullmatch(user) or len(password) < PASSWORD_CHARS_MIN:
        raise LocalProtocolError("a broker account has a plain name and a password of at least 20 characters")
    with _changing(directory) as accounts:
        accounts[user] = hash_password(password)


def remove_account(directory: Path, user: str) -> bool:
    """Take the account away; False if there was none. Both brokers then drop its running connection."""
    with _changing(directory) as accounts:
        return accounts.pop(user, None) is not None


def hash_password(password: str) -> str:
    """`$7$iterations$salt$hash`: PBKDF2 with SHA-512, as mosquitto_passwd writes it."""
    salt = secrets.token_bytes(SALT_BYTES)
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS, HASH_BYTES)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}"


def check_password(stored: str, password: str) -> bool:
    """True if `password` belongs to the stored hash; False also for a stored value that is damaged."""
    try:
        _, kind, iterations, salt, derived = stored.split("$")
        rounds, expected = int(iterations), base64.b64decode(derived, validate=True)
        salt_bytes = base64.b64decode(salt, validate=True)
    except (ValueError, binascii.Error):
        return False
    if kind != "7" or not 1 <= rounds <= ITERATIONS_MAX or len(expected) != HASH_BYTES:
        return False
    return hmac.compare_digest(
        hashlib.pbkdf2_hmac("sha512", password.encode(), salt_bytes, rounds, HASH_BYTES), expected
    )


class AccountFile:
    """The accounts as a broker sees them: read again whenever the file was replaced."""

    def __init__(self, directory: Path) -> None:
        self._path = passwords_path(directory)
        self._seen: tuple[int, int, int] | None = None
        self._accounts: dict[str, str] = {}

    def refresh(self) -> bool:
        """Read the file if it changed. True if it did; a missing file means that nobody has an account."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen == self._seen:
                return False
            self._accounts, self._seen = _parse(self._path.read_text("utf-8")), seen
        except FileNotFoundError:
            changed = self._seen is not None
            self._accounts, self._seen = {}, None
            return changed
        return True

    def stored(self, user: str) -> str | None:
        """The stored hash of `user`, or None. Changes whenever the password does."""
        return self._accounts.get(user)

    def admits(self, user: str, password: str) -> bool:
        """True if the account exists and the password is its own. Sees accounts written a moment ago."""
        self.refresh()
        stored = self._accounts.get(user)
        return stored is not None and check_password(stored, password)


def passwords_path(directory: Path) -> Path:
    """Where the password file of the hub directory D lies."""
    return directory / DIRECTORY_NAME / PASSWORDS_NAME


@contextmanager
def _changing(directory: Path) -> Iterator[dict[str, str]]:
    """Read, let the caller change, write back when it differs; one process at a time."""
    path = passwords_path(directory)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(LOCK_NAME), timeout=LOCK_S):
        before = _parse(path.read_text("utf-8")) if path.exists() else {}
        after = dict(before)
        yield after
        if after != before or not path.exists():
            text = "".join(f"{user}:{stored}\n" for user, stored in sorted(after.items()))
            write_durably(path, text.encode(), mode=FILE_MODE)
            if os.name != "nt":
                path.chmod(FILE_MODE)  # the umask may have taken the group's right away


def _parse(text: str) -> dict[str, str]:
    """Lines that are not accounts of ours are dropped: a damaged line locks out one machine, not the county."""
    return {found[1]: found[2] for line in text.splitlines() if (found := _LINE.fullmatch(line.strip()))}
