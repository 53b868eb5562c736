"""The vectors bind code and specification: each file gives its one outcome, and every remote error has a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from protocol import canonical, enrol, errors
from protocol.documents import open_document
from protocol.envelope import open_envelope, open_introduced
from protocol.op import check_signature, parse_op
from protocol.receipt import open_receipt
from protocol.trust import HubCard
from tests.vectors.protocol_county import HUB, KEYS, roster, trust

VECTORS = Path(__file__).parents[2] / "vectors"
AREAS = ("canonical", "op", "envelope", "receipt", "document", "trust")
FILES = sorted(path for area in AREAS for path in (VECTORS / area).glob("*.json"))
KNOWN = {"about", "spec", "expect", "bytes", "signer", "id", "case", "seq", "kind", "reader", "messages", "card",
         "certificates", "request", "suites", "speaker", "introduced"}  # fmt: skip


def run(area: str, vector: dict[str, Any]) -> None:
    blob = bytes.fromhex(vector.get("bytes", ""))
    if area == "canonical":
        value = canonical.decode(blob)
        assert canonical.encode(value) == blob
    elif area == "op":
        op = parse_op(blob)
        check_signature(op, KEYS[vector["signer"]].sign_public)
        assert op.blob == blob
        for name in ("id", "case"):
            assert name not in vector or getattr(op, name).hex() == vector[name]
        assert (vector.get("seq", op.seq), vector.get("kind", op.kind)) == (op.seq, op.kind)
    elif area == "envelope":
        reader = KEYS[vector["reader"]]
        introduced = vector.get("introduced", False)
        opened = (
            open_introduced(blob, keys=reader)
            if introduced
            else open_envelope(blob, keys=reader, speaker=roster().speaker)
        )
        names = [type(message).__name__ for message in opened.messages]
        assert vector.get("messages", names) == names
    elif area == "receipt":
        open_receipt(blob, trust())
    elif area == "document":
        open_document(blob, trust())
    else:
        run_trust(vector)


def run_trust(vector: dict[str, Any]) -> None:
    if "card" in vector:
        HubCard.from_bytes(bytes.fromhex(vector["card"]))
    believed = trust()
    for certificate in vector.get("certificates", []):
        believed = believed.renewed(bytes.fromhex(certificate))
    if "request" in vector:
        enrol.open_request(bytes.fromhex(vector["request"]), keys=HUB)
    if "suites" in vector:
        county = roster()
        county.suites = tuple(vector["suites"])
        county.speaker(bytes.fromhex(vector["speaker"]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_vector_gives_its_outcome(path: Path) -> None:
    vector = json.loads(path.read_text("utf-8"))
    assert set(vector) <= KNOWN, "a key that no reader knows"
    try:
        run(path.parent.name, vector)
        outcome = "ok"
    except errors.LiandongError as error:
        outcome = error.code
    assert outcome == vector["expect"]


def test_every_remote_error_has_a_vector() -> None:
    seen = {json.loads(path.read_text("utf-8"))["expect"] for path in FILES}
    remote = {
        cls.code
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, errors.RemoteProtocolError)
    }
    assert remote - {"remote_protocol"} <= seen
