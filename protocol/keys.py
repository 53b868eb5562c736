"""Keys of one device: what only this machine knows, and what others know it by.

For: making, packing and unpacking a device's keys; its incarnation, which is derived from them.
May not: write files (edge and hub do, 0600); draw randomness (callers pass it).
Spec: docs/protocol/trust.md, "Devices".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from protocol import canonical
from protocol.errors import MalformedBytes
from protocol.op import INCARNATION_BYTES
from protocol.suites import SEED_BYTES, suite

DOMAIN_INCARNATION = b"liandong incarnation v1"


def incarnation_of(sign_public: bytes, seal_public: bytes, suite_number: int = 1) -> bytes:
    """8 bytes that name a device for ever: new keys are a new incarnation, the same keys never are."""
    return suite(suite_number).hash(DOMAIN_INCARNATION, sign_public + seal_public)[:INCARNATION_BYTES]


@dataclass(frozen=True)
class DeviceKeys:
    """Private keys of a device as two 32-byte seeds, with the county and office it belongs to."""

    county: str
    office: str
    role: str  # "edge" or "hub"
    sign_seed: bytes
    seal_seed: bytes
    suite: int = 1

    @cached_property
    def sign_public(self) -> bytes:
        return suite(self.suite).signing_public(self.sign_seed)

    @cached_property
    def seal_public(self) -> bytes:
        return suite(self.suite).sealing_public(self.seal_seed)

    @cached_property
    def incarnation(self) -> bytes:
        return incarnation_of(self.sign_public, self.seal_public, self.suite)

    def to_bytes(self) -> bytes:
        """For a file that only its owner may read."""
        return canonical.encode(
            {
                "v": 1,
                "county": self.county,
                "office": self.office,
                "role": self.role,
                "sign": self.sign_seed,
                "seal": self.seal_seed,
                "suite": self.suite,
            }
        )

    @staticmethod
    def from_bytes(blob: bytes) -> DeviceKeys:
        """Raises MalformedBytes if this is not a key file of ours."""
        content = canonical.decode(blob)
        try:
            if content["v"] != 1:
                raise MalformedBytes("a key file of another format version")
            return DeviceKeys(
                content["county"],
                content["office"],
                content["role"],
                content["sign"],
                content["seal"],
                content["suite"],
            )
        except (KeyError, TypeError) as error:
            raise MalformedBytes("not a key file") from error


def generate(
    county: str, office: str, role: str, random_bytes: Callable[[int], bytes], suite_number: int = 1
) -> DeviceKeys:
    """New keys from `random_bytes` (os.urandom in production)."""
    return DeviceKeys(county, office, role, random_bytes(SEED_BYTES), random_bytes(SEED_BYTES), suite_number)
