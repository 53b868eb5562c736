"""Is a bundle complete? The city's own reading of what a county sends.

For: checking a decoded bundle against the published form and against its own files.
May not: trust the sender's words about sizes and hashes; touch the store; import anything of ours.
Spec: docs/protocol/city.md, "The bundle".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any

TEXT_KEYS = ("case", "number", "forward", "county", "from", "target")
APPLICANT_KEYS = ("applicant_name", "applicant_id")


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """One file of a bundle after its size and hash were checked against its bytes."""

    material: str
    name: str
    media: str
    sha256: str
    content: bytes


def check_bundle(bundle: Any) -> tuple[list[str], list[ReceivedFile]]:
    """What the bundle lacks (empty when complete) and its files.

    Returns: sentences for a person, and the files whose bytes fit their size and SHA-256.
    """
    if not isinstance(bundle, dict):
        return ["the bundle is not a JSON object"], []
    missing = [f"{key} is missing" for key in TEXT_KEYS if not _text(bundle.get(key))]
    item = bundle.get("item")
    if not (isinstance(item, dict) and _text(item.get("code"))):
        missing.append("item.code is missing")
    fields = bundle.get("fields")
    fields = fields if isinstance(fields, dict) else {}
    missing += [f"fields.{key} is missing" for key in APPLICANT_KEYS if not _text(fields.get(key))]
    opinions = bundle.get("opinions")
    if not (
        isinstance(opinions, list) and any(isinstance(one, dict) and _text(one.get("opinion")) for one in opinions)
    ):
        missing.append("the preliminary opinion (初审意见) is missing")
    files, faults = _files(bundle.get("materials"))
    missing += faults
    present = {file.material for file in files}
    required = bundle.get("required")
    if not isinstance(required, list):
        missing.append("required (the list of material names) is missing")
        required = []
    missing += [f"material {name} is missing" for name in required if name not in present]
    return missing, files


def _files(materials: Any) -> tuple[list[ReceivedFile], list[str]]:
    if not isinstance(materials, list):
        return [], ["materials (a list) is missing"]
    files: list[ReceivedFile] = []
    faults: list[str] = []
    for position, entry in enumerate(materials, start=1):
        file = _file(entry)
        if file is None:
            faults.append(f"material {position} has no readable content, or its size or SHA-256 does not fit")
        else:
            files.append(file)
    return files, faults


def _file(entry: Any) -> ReceivedFile | None:
    if not (isinstance(entry, dict) and _text(entry.get("material")) and isinstance(entry.get("content"), str)):
        return None
    try:
        content = base64.b64decode(entry["content"], validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(content) != entry.get("size") or hashlib.sha256(content).hexdigest() != entry.get("sha256"):
        return None
    return ReceivedFile(
        material=entry["material"],
        name=str(entry.get("name", "")),
        media=str(entry.get("media", "")),
        sha256=entry["sha256"],
        content=content,
    )


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
