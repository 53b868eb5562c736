"""Makes the protocol vectors: one scenario a file, from fixed test keys.

Run: python -m tests.vectors.generate_protocol   (adds files that are missing; a released vector is never rewritten,
because sealing draws fresh randomness and because a second edge may already be tested against it)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import zstandard

from protocol import canonical, enrol, envelope
from protocol.documents import Document, sign_document
from protocol.messages import Ack, Announce, Chunk, Hello, Introduce, Ops, Show, Stream, Want, to_wire
from protocol.op import DOMAIN_SIGNATURE, Draft, Op, Reference, sign_op
from protocol.receipt import AcceptedRun, Receipt, Refused, Waiting, sign_receipt
from protocol.suites import suite
from protocol.trust import HubCard
from tests.vectors.protocol_county import (
    COUNTY,
    FOREIGN,
    HUB,
    NOW_MS,
    REVOKED,
    STRANGER,
    TOWNSHIP,
    VILLAGE,
    card,
    certificate,
    device,
    keys,
    trust,
)

HERE = Path(__file__).parent
Vector = tuple[str, str, str, dict[str, Any]]  # file, about, spec, rest


def opener() -> Op:
    body = {"item": "GG-001", "number": "n", "fields": {"applicant_name": "测试人"}, "terms": {"kind": "immediate"}}
    draft = Draft("accept", None, [], "chief", "chief", NOW_MS, body, (NOW_MS - 5000, 5000), Reference(1, 1, 1))
    return sign_op(draft, office=VILLAGE.office, device=VILLAGE.incarnation, seed=VILLAGE.sign_seed, seq=1, prev=None)


def second() -> Op:
    first = opener()
    draft = Draft("note", first.id, [first.id], "chief", "chief", NOW_MS + 1, {"text": "已核对原件"})
    return sign_op(
        draft, office=VILLAGE.office, device=VILLAGE.incarnation, seed=VILLAGE.sign_seed, seq=2, prev=first.id
    )


def changed(op: Op, **changes: Any) -> str:
    signed, _signature = canonical.decode(op.blob)
    content = canonical.decode(signed)
    for key, value in changes.items():
        content[int(key[1:])] = value
    signed = canonical.encode(content)
    return canonical.encode([signed, suite(1).sign(VILLAGE.sign_seed, DOMAIN_SIGNATURE, signed)]).hex()


def canonical_vectors() -> Iterator[Vector]:
    spec = "canonical.md"
    values = {
        "null": None,
        "integers": [0, 127, 128, -1, -33, 65_535, 2**53, -(2**53)],
        "text": ["", "办件", "𠮷", "x" * 40],
        "bytes": [b"", b"\x00" * 300],
        "map_text_keys": {"b": 1, "a": [True, False], "aa": {}},
        "map_integer_keys": {300: "c", 2: "b", 10: "a"},
    }
    for name, value in values.items():
        yield (
            f"canonical/{name}",
            f"round trip of {name}",
            spec,
            {"bytes": canonical.encode(value).hex(), "expect": "ok"},
        )
    wrong = {
        "float": msgpack.packb(0.5),
        "long_integer_form": b"\xcd\x00\x01",
        "long_text_form": b"\xd9\x01a",
        "keys_unsorted": b"\x82\xa1b\x01\xa1a\x02",
        "key_twice": b"\x82\xa1a\x01\xa1a\x02",
        "keys_mixed": b"\x82\x01\x01\xa1a\x02",
        "key_negative": b"\x81\xff\x01",
        "beyond_2_53": msgpack.packb(2**53 + 1),
        "extension": msgpack.packb(msgpack.ExtType(3, b"x")),
        "trailing": b"\x01\x01",
        "truncated": b"\x92\x01",
        "surrogate": b"\xa3\xed\xa0\x80",
        "depth": b"\x91" * 14 + b"\x01",
        "empty": b"",
    }
    for name, blob in wrong.items():
        yield f"canonical/{name}", f"not canonical: {name}", spec, {"bytes": blob.hex(), "expect": "malformed"}


def op_vectors() -> Iterator[Vector]:
    spec = "op.md"
    for name, op in (("opener", opener()), ("follower", second())):
        rest = {"bytes": op.blob.hex(), "signer": "village", "expect": "ok", "id": op.id.hex(), "case": op.case.hex()}
        yield f"op/{name}", f"a well-formed {name}", spec, {**rest, "seq": op.seq, "kind": op.kind}
    later = changed(opener(), k40="later")
    yield (
        "op/later_field",
        "an unknown field inside the signed bytes is kept",
        spec,
        {"bytes": later, "signer": "village", "expect": "ok"},
    )
    cases = {
        "wrong_signer": (opener().blob.hex(), "stranger", "bad_signature"),
        "version": (changed(opener(), k1=2), "village", "unknown_version"),
        "suite": (changed(opener(), k2=99), "village", "unknown_version"),
        "parents_unsorted": (changed(second(), k9=[b"\x02" * 32, b"\x01" * 32]), "village", "malformed"),
        "case_without_parents": (changed(opener(), k4=b"\x01" * 32), "village", "malformed"),
        "sequence_zero": (changed(opener(), k7=0), "village", "malformed"),
        "claimed_time_boolean": (changed(opener(), k12=True), "village", "malformed"),
        "not_a_pair": (canonical.encode([b"x"]).hex(), "village", "malformed"),
        "over_the_limit": ((b"\xc5\xff\xff" + bytes(65_535)).hex(), "village", "too_large"),
    }
    for name, (blob, signer, expect) in cases.items():
        yield f"op/{name}", name.replace("_", " "), spec, {"bytes": blob, "signer": signer, "expect": expect}


def envelope_vectors() -> Iterator[Vector]:
    spec = "envelope.md"

    def sealed(own: Any, to: Any, *messages: Any) -> str:
        return envelope.seal_envelope(messages or [Ack(b"epoch--1", 7)], keys=own, recipient=device(to)).hex()

    hello = Hello(b"session1", "0.1.0", {"roster": 1}, b"epoch--1", 0, 2, {"pending": 2}, False)
    yield "envelope/hello_and_ops", "a device greets and offers", spec, {
        "bytes": sealed(VILLAGE, HUB, hello, Ops([opener().blob, second().blob])), "reader": "hub", "expect": "ok",
        "messages": ["Hello", "Ops"],
    }  # fmt: skip
    yield "envelope/stream", "the hub sends two positions", spec, {
        "bytes": sealed(HUB, VILLAGE, Stream(b"epoch--1", 1, 2, [[1, opener().blob], [1, second().blob]])),
        "reader": "village", "expect": "ok", "messages": ["Stream"],
    }  # fmt: skip
    yield "envelope/show", "a restored hub asks for its documents", spec, {
        "bytes": sealed(HUB, VILLAGE, Show([["roster", 7, 217_000_000_000], ["calendar", 1, 0]])),
        "reader": "village", "expect": "ok", "messages": ["Show"],
    }  # fmt: skip
    yield "envelope/announce_upward", "a device names the documents that it holds", spec, {
        "bytes": sealed(VILLAGE, HUB, Announce([["roster", 8, 7, b"h" * 32, 900]])),
        "reader": "hub", "expect": "ok", "messages": ["Announce"],
    }  # fmt: skip
    own = Introduce(STRANGER.sign_public, STRANGER.seal_public, STRANGER.suite)
    other = Introduce(VILLAGE.sign_public, VILLAGE.seal_public, VILLAGE.suite)
    for name, about, said, expect in (
        ("introduced", "a device that the roster does not name proves its own name", [hello, own], "ok"),
        ("introduced_as_another", "keys that do not make up the sender's name", [hello, other], "unknown_sender"),
        ("introduced_without_keys", "a stranger that brings no keys", [hello], "unknown_sender"),
    ):
        yield f"envelope/{name}", about, spec, {
            "bytes": sealed(STRANGER, HUB, *said), "reader": "hub", "introduced": True, "expect": expect,
        }  # fmt: skip
    parts = canonical.decode(bytes.fromhex(sealed(VILLAGE, HUB)))
    other = canonical.decode(bytes.fromhex(sealed(TOWNSHIP, HUB)))

    def by_hand(header: dict[int, Any], plain: bytes, info: bytes | None = None) -> str:
        fields = {1: 1, 2: 1, 3: COUNTY, 4: VILLAGE.incarnation, 5: HUB.incarnation, 6: 1} | header
        head = canonical.encode(fields)
        part = suite(1).seal(HUB.seal_public, envelope.DOMAIN_SEAL + b"\0" + (info or head), plain)
        signature = suite(1).sign(VILLAGE.sign_seed, envelope.DOMAIN_SIGNATURE, head + part)
        return canonical.encode([head, part, signature]).hex()

    later = envelope._compressor(1).compress(canonical.encode([[200, "later"], to_wire(Ack(b"epoch--1", 7))]))
    yield "envelope/later_message", "a message of a later version is passed over", spec, {
        "bytes": by_hand({}, later), "reader": "hub", "expect": "ok", "messages": ["Ack"],
    }  # fmt: skip
    bomb = zstandard.ZstdCompressor(level=3).compress(bytes(50_000_000))
    cases = {
        "sender_mismatch": (canonical.encode([other[0], parts[1], parts[2]]).hex(), "hub", "bad_signature"),
        "other_reader": (sealed(VILLAGE, HUB), "township", "wrong_recipient"),
        "other_county": (sealed(FOREIGN, HUB), "hub", "wrong_recipient"),
        "reflected": (sealed(VILLAGE, HUB), "village", "wrong_recipient"),
        "stranger": (sealed(STRANGER, HUB), "hub", "unknown_sender"),
        "revoked": (sealed(REVOKED, HUB), "hub", "revoked_sender"),
        "seal_of_another_header": (by_hand({}, b"x", b"another header"), "hub", "bad_seal"),
        "version": (by_hand({1: 2}, b"x"), "hub", "unknown_version"),
        "dictionary": (by_hand({6: 99}, later), "hub", "unknown_version"),
        "not_compressed": (by_hand({}, b"plain"), "hub", "malformed"),
        "bomb": (by_hand({}, bomb), "hub", "too_large"),
        "no_messages": (by_hand({}, envelope._compressor(1).compress(canonical.encode([]))), "hub", "malformed"),
        "truncated": (sealed(VILLAGE, HUB)[:-40], "hub", "malformed"),
        "over_the_limit": ((b"\xc6\x00\x01\x00\x00" + bytes(65_536)).hex(), "hub", "too_large"),
        "chunk": (sealed(VILLAGE, HUB, Chunk(b"h" * 32, 5, 0, b"12345")), "hub", "ok"),
        "slice": (sealed(VILLAGE, HUB, Chunk(b"h" * 32, 33_029, 1, b"12345", 256)), "hub", "ok"),
        "slice_wanted": (sealed(VILLAGE, HUB, Want(b"h" * 32, [[1, 1]], 256, 1_024)), "hub", "ok"),
        "slice_outside": (sealed(VILLAGE, HUB, Want(b"h" * 32, [[1, 1]], 32_768, 32_769)), "hub", "malformed"),
    }
    for name, (blob, reader, expect) in cases.items():
        yield f"envelope/{name}", name.replace("_", " "), spec, {"bytes": blob, "reader": reader, "expect": expect}


def statement_vectors() -> Iterator[Vector]:
    receipt = Receipt(
        COUNTY,
        VILLAGE.incarnation,
        NOW_MS,
        (AcceptedRun(1, 2, second().id),),
        (Refused(b"b" * 32, 3, "held_by_another", "此件由白沙镇办理。"),),
        (Waiting(b"c" * 32, 4, "parents_missing"),),
    )
    good = sign_receipt(receipt, HUB).hex()
    foreign = sign_receipt(Receipt("331123", VILLAGE.incarnation, NOW_MS), HUB).hex()
    document = sign_document(Document("calendar", COUNTY, 2, 1, NOW_MS, {"years": {}}), HUB).hex()
    yield "receipt/three_outcomes", "accepted, refused and waiting", "receipt.md", {"bytes": good, "expect": "ok"}
    yield (
        "receipt/not_the_hub",
        "signed by a device",
        "receipt.md",
        {"bytes": sign_receipt(receipt, VILLAGE).hex(), "expect": "bad_signature"},
    )
    yield "receipt/other_county", "another county's", "receipt.md", {"bytes": foreign, "expect": "wrong_recipient"}
    yield (
        "receipt/a_document",
        "a document in a receipt's place",
        "receipt.md",
        {"bytes": document, "expect": "bad_signature"},
    )
    yield "document/calendar", "changes since version 1", "documents.md", {"bytes": document, "expect": "ok"}
    backwards = sign_document(Document("calendar", COUNTY, 2, 2, NOW_MS, {}), HUB).hex()
    yield (
        "document/base_not_older",
        "a base that is not older",
        "documents.md",
        {"bytes": backwards, "expect": "malformed"},
    )


def trust_vectors() -> Iterator[Vector]:
    spec = "trust.md"
    yield "trust/card", "a hub card", spec, {"card": card().to_bytes().hex(), "expect": "ok"}
    forged = HubCard(COUNTY, "阳新县", "mqtt://127.0.0.1:1883", VILLAGE.sign_public, certificate())
    yield (
        "trust/card_of_another_root",
        "a card whose root did not sign it",
        spec,
        {"card": forged.to_bytes().hex(), "expect": "bad_signature"},
    )
    newer = certificate(2, keys("second hub", COUNTY, "hub")).hex()
    yield "trust/renewed", "a newer hub", spec, {"certificates": [newer], "expect": "ok"}
    yield (
        "trust/certificate_gone_back",
        "an older hub after a newer one",
        spec,
        {"certificates": [newer, certificate(1).hex()], "expect": "stale_document"},
    )
    weak = enrol.JoinRequest(COUNTY, STRANGER.office, STRANGER.sign_public, bytes(32), 1, b"s" * 16, "", "")
    good = enrol.JoinRequest(COUNTY, STRANGER.office, STRANGER.sign_public, STRANGER.seal_public, 1, b"s" * 16, "", "")
    unknown = enrol.JoinRequest(COUNTY, STRANGER.office, STRANGER.sign_public, STRANGER.seal_public, 7, b"", "", "")
    for name, asked, expect in (
        ("join", good, "ok"),
        ("join_weak_key", weak, "weak_key"),
        ("join_suite", unknown, "unknown_version"),
    ):
        blob = enrol.seal_request(asked, keys=STRANGER, hub=trust().hub).hex()
        yield f"trust/{name}", name.replace("_", " "), spec, {"request": blob, "expect": expect}
    yield (
        "trust/suite_not_allowed",
        "a county that allows suite 2 only",
        spec,
        {"suites": [2], "speaker": VILLAGE.incarnation.hex(), "expect": "suite_not_allowed"},
    )


def main() -> None:
    for vectors in (canonical_vectors(), op_vectors(), envelope_vectors(), statement_vectors(), trust_vectors()):
        for name, about, spec, rest in vectors:
            path = HERE / f"{name}.json"
            path.parent.mkdir(exist_ok=True)
            if not path.exists():
                text = json.dumps({"about": about, "spec": spec, **rest}, ensure_ascii=False, indent=1)
                path.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
