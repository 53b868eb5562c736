"""Suite 1: Ed25519, X25519 HPKE with ChaCha20-Poly1305, SHA-256.

For: the default suite, over the `cryptography` library.
May not: hold keys, choose nonces (HPKE does), be imported by anything but `protocol.suites`.
Spec: docs/protocol/suites.md; RFC 8032 (Ed25519), RFC 9180 (HPKE, base mode), RFC 7748 (X25519).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM
from cryptography.hazmat.primitives.hpke import Suite as Hpke

from protocol.errors import BadSeal, BadSignature, WeakKey

_FIELD = 2**255 - 19
# y-coordinates (modulo p) of the points of order 1, 2, 4 and 8; RFC 8032 arithmetic, checked in tests/unit/protocol.
_LOW_ORDER_Y = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    }
)


class Suite1:
    """See protocol.suites.Suite. Public keys 32 bytes, signatures 64 bytes, a seal adds 48 bytes."""

    number = 1
    signature_bytes = 64
    seal_overhead_bytes = 48

    def __init__(self) -> None:
        self._hpke = Hpke(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)

    def signing_public(self, seed: bytes) -> bytes:
        return _signer(seed).public_key().public_bytes_raw()

    def sealing_public(self, seed: bytes) -> bytes:
        return _opener(seed).public_key().public_bytes_raw()

    def sign(self, seed: bytes, domain: bytes, message: bytes) -> bytes:
        return _signer(seed).sign(domain + b"\0" + message)

    def verify(self, public: bytes, domain: bytes, message: bytes, signature: bytes) -> None:
        """Raises BadSignature unless `signature` is over this domain and message."""
        try:
            _verifier(public).verify(signature, domain + b"\0" + message)
        except (InvalidSignature, ValueError) as error:
            raise BadSignature("the signature does not verify under the key that the roster names") from error

    def seal(self, public: bytes, info: bytes, plaintext: bytes) -> bytes:
        return self._hpke.encrypt(plaintext, _recipient(public), info)

    def open(self, seed: bytes, info: bytes, sealed: bytes) -> bytes:
        """Raises BadSeal if the key, the header bound in `info` or the bytes are not the ones that were sealed."""
        try:
            return self._hpke.decrypt(sealed, _opener(seed), info)
        except (InvalidTag, ValueError) as error:
            raise BadSeal("the sealed part does not open with our key and its own header") from error

    def hash(self, domain: bytes, message: bytes) -> bytes:
        """32 bytes. The domain keeps a hash made for one use from standing in for another."""
        return hashlib.sha256(domain + b"\0" + message).digest()

    def check_public(self, signing: bytes, sealing: bytes) -> None:
        """Raises WeakKey for keys of low order or wrong length. Used at enrolment, once per key."""
        if len(signing) != 32 or len(sealing) != 32:
            raise WeakKey("a public key of suite 1 has 32 bytes")
        y = int.from_bytes(signing, "little") & (2**255 - 1)
        if y % _FIELD in _LOW_ORDER_Y or y >= _FIELD:
            raise WeakKey("the signing key is a point of low order")
        try:
            X25519PrivateKey.from_private_bytes(b"\x40" * 32).exchange(X25519PublicKey.from_public_bytes(sealing))
            Ed25519PublicKey.from_public_bytes(signing)
        except ValueError as error:
            raise WeakKey("the sealing key is a point of low order") from error


@lru_cache(maxsize=16)
def _signer(seed: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed)


@lru_cache(maxsize=16)
def _opener(seed: bytes) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(seed)


@lru_cache(maxsize=2048)
def _verifier(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)


@lru_cache(maxsize=2048)
def _recipient(public: bytes) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(public)
