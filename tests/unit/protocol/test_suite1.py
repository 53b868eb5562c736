"""Suite 1 against published vectors and against itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from protocol.errors import BadSeal, BadSignature, UnknownVersion, WeakKey
from protocol.suites import suite

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "vectors"
SEED, OTHER = bytes(range(32)), bytes(range(1, 33))


def published(name: str) -> Any:
    path = PUBLISHED / name
    if not path.exists():
        pytest.skip(f"the published vectors {name} are not beside this checkout: primitives unchecked against them")
    return json.loads(path.read_text("utf-8"))


def test_ed25519_gives_the_verdict_of_every_published_vector() -> None:
    checked = 0
    for group in published("wycheproof_ed25519_test.json")["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(
                    bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])
                )
                verdict = "valid"
            except InvalidSignature:
                verdict = "invalid"
            assert verdict == case["result"], case["tcId"]
            checked += 1
    assert checked > 100


def test_low_order_keys_of_the_published_edge_cases_are_refused_at_enrolment() -> None:
    rows = published("cctv_ed25519.json")
    sealing = suite(1).sealing_public(SEED)
    low = [row for row in rows if "low_order_A" in (row.get("flags") or [])]
    assert low
    for row in low:
        with pytest.raises(WeakKey):
            suite(1).check_public(bytes.fromhex(row["key"]), sealing)


def test_x25519_and_chacha20_give_the_published_results() -> None:
    for group in published("wycheproof_x25519_test.json")["testGroups"]:
        for case in group["tests"]:
            private = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["private"]))
            try:
                shared = private.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(case["public"])))
            except ValueError:
                shared = bytes(32)  # the library refuses an all-zero result
            assert shared == bytes.fromhex(case["shared"]), case["tcId"]
    for group in published("wycheproof_chacha20_poly1305_test.json")["testGroups"]:
        for case in group["tests"]:
            if len(case["iv"]) != 24:
                continue
            aead = ChaCha20Poly1305(bytes.fromhex(case["key"]))
            sealed = bytes.fromhex(case["ct"] + case["tag"])
            try:
                plain = aead.decrypt(bytes.fromhex(case["iv"]), sealed, bytes.fromhex(case["aad"]))
                verdict = plain == bytes.fromhex(case["msg"])
            except InvalidTag:
                verdict = False
            assert verdict == (case["result"] == "valid"), case["tcId"]


def test_a_signature_holds_for_its_domain_message_and_key_only() -> None:
    one = suite(1)
    public = one.signing_public(SEED)
    signature = one.sign(SEED, b"op", b"message")
    one.verify(public, b"op", b"message", signature)
    for other in (
        (public, b"receipt", b"message", signature),
        (public, b"op", b"massage", signature),
        (one.signing_public(OTHER), b"op", b"message", signature),
        (public, b"op", b"message", signature[:-1]),
        (public, b"op", b"message", b""),
    ):
        with pytest.raises(BadSignature):
            one.verify(*other)


def test_a_seal_opens_with_its_key_and_header_only() -> None:
    one = suite(1)
    sealed = one.seal(one.sealing_public(SEED), b"header", b"plain")
    assert len(sealed) == len(b"plain") + one.seal_overhead_bytes
    assert one.open(SEED, b"header", sealed) == b"plain"
    for seed, info, blob in ((OTHER, b"header", sealed), (SEED, b"other", sealed), (SEED, b"header", sealed[:-1])):
        with pytest.raises(BadSeal):
            one.open(seed, info, blob)


def test_weak_and_misshapen_keys_are_refused() -> None:
    good_sign, good_seal = suite(1).signing_public(SEED), suite(1).sealing_public(SEED)
    suite(1).check_public(good_sign, good_seal)
    for sign, seal in (
        (bytes(32), good_seal),
        (b"\x01" + bytes(31), good_seal),
        (good_sign[:31], good_seal),
        (good_sign, bytes(32)),
        (good_sign, b"\x01" + bytes(31)),
    ):
        with pytest.raises(WeakKey):
            suite(1).check_public(sign, seal)


def test_a_suite_we_do_not_speak_is_named() -> None:
    with pytest.raises(UnknownVersion, match="suite 9"):
        suite(9)
