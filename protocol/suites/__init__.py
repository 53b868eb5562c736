"""Cryptographic suites by number: the only rooms that import a cipher library.

For: one interface (sign, verify, seal, open, hash) behind which a county's suite can be exchanged.
May not: choose a suite for anybody (the roster does); draw randomness for keys (callers pass seeds).
Spec: docs/protocol/suites.md.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from protocol.errors import UnknownVersion

SEED_BYTES = 32  # private keys of every suite are kept as 32-byte seeds


class Suite(Protocol):
    """What every suite offers. Keys and signatures are raw bytes; sizes are the suite's own."""

    number: int
    signature_bytes: int
    seal_overhead_bytes: int

    def signing_public(self, seed: bytes) -> bytes: ...
    def sealing_public(self, seed: bytes) -> bytes: ...
    def sign(self, seed: bytes, domain: bytes, message: bytes) -> bytes: ...
    def verify(self, public: bytes, domain: bytes, message: bytes, signature: bytes) -> None: ...
    def seal(self, public: bytes, info: bytes, plaintext: bytes) -> bytes: ...
    def open(self, seed: bytes, info: bytes, sealed: bytes) -> bytes: ...
    def hash(self, domain: bytes, message: bytes) -> bytes: ...
    def check_public(self, signing: bytes, sealing: bytes) -> None: ...


@lru_cache(maxsize=8)
def suite(number: int) -> Suite:
    """The suite with this number. Raises UnknownVersion if this program does not speak it."""
    if number == 1:
        from protocol.suites.suite1 import Suite1

        return Suite1()
    raise UnknownVersion(f"cryptographic suite {number} is not known to this program")
