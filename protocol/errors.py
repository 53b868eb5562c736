"""Errors that Liandong raises on purpose, grouped by whose fault they are.

For: one root class, stable codes, and a plain sentence for a person in English and Chinese.
May not: decide what to do about an error; log; import anything of ours.
Manual: docs/operating/errors.md has one entry per code, a test holds it complete.
"""

from __future__ import annotations

from typing import Any, ClassVar


class LiandongError(Exception):
    """Root of what we raise on purpose.

    `code` is stable: logs, vectors, manuals and `--json` use it. `text` tells a person in one sentence what is
    wrong and what to do; `text_zh` says the same in Chinese (equal to `text` where nobody but an engineer meets it).
    `facts` are machine-readable details; they never hold citizen data.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, text: str, text_zh: str = "", **facts: Any) -> None:
        super().__init__(text)
        self.text = text
        self.text_zh = text_zh or text
        self.facts = facts


class InputError(LiandongError):
    """A person or a script gave something that cannot be used. Nothing was changed."""

    code = "bad_input"


class RefusedError(LiandongError):
    """The act is not allowed here and now (status, holder, powers). Nothing was changed."""

    code = "not_allowed"


class LocalProtocolError(LiandongError):
    """We broke our own specification: stop the task, keep the evidence, do not retry."""

    code = "local_protocol"


class RemoteProtocolError(LiandongError):
    """A peer broke the specification: set the bytes aside, count per device, keep the link up."""

    code = "remote_protocol"


class MalformedBytes(RemoteProtocolError):
    """Bytes that are not the canonical form of anything we know."""

    code = "malformed"


class TooLarge(RemoteProtocolError):
    """A size, count or depth above its named limit."""

    code = "too_large"


class UnknownVersion(RemoteProtocolError):
    """A format version or suite that this program does not speak."""

    code = "unknown_version"


class BadSignature(RemoteProtocolError):
    """A signature that does not verify under the key the roster names."""

    code = "bad_signature"


class BadSeal(RemoteProtocolError):
    """A sealed envelope that does not open with our key and its own header."""

    code = "bad_seal"


class WrongRecipient(RemoteProtocolError):
    """An envelope or document that names another recipient or another county."""

    code = "wrong_recipient"


class UnknownSender(RemoteProtocolError):
    """The roster that we hold does not name this device."""

    code = "unknown_sender"


class RevokedSender(RemoteProtocolError):
    """The roster says that this device may no longer speak."""

    code = "revoked_sender"


class SuiteNotAllowed(RemoteProtocolError):
    """A suite that the roster does not allow for this sender."""

    code = "suite_not_allowed"


class StaleDocument(RemoteProtocolError):
    """A signed document older than the one we hold; versions only grow."""

    code = "stale_document"


class TransportError(LiandongError):
    """The broker or a peer is out of reach: normal life, back off, not an error in the log."""

    code = "offline"


class StoreError(LiandongError):
    """The local store cannot be read or written as it should."""

    code = "store"


class WeakKey(RemoteProtocolError):
    """A public key of low order or otherwise unfit; refused at enrolment."""

    code = "weak_key"


class BadConfig(StoreError):
    """The configuration or a key file of this node is damaged or of an unknown version."""

    code = "bad_config"
