"""The bundle: everything about a case that the city needs, complete or not at all.

For: saying what is missing, building the head (all but the bytes of the files), and the body that is sent.
May not: read the store, the clock or the network; drop a material in silence.
Spec: docs/protocol/city.md, "The bundle".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.upward.errors import BundleIncomplete, BundleTooLarge
from hub.upward.forwards import UpwardForward

if TYPE_CHECKING:
    from conflict.view import CaseView

VERSION = 1
FILES_BYTES_MAX = 64 * 2**20  # 64 MiB of materials; in base64 the body stays below the city's 96 MiB
APPLICANT_FIELDS = ("applicant_name", "applicant_id")

HasFile = Callable[[bytes], bool]  # sha256 -> all bytes are here and verified
ReadFile = Callable[[bytes], bytes]

_WORDS = {
    "opinion": ("the preliminary opinion", "初审意见"),
    "field": ("the field", "申请人信息"),
    "material": ("the material", "材料"),
    "file": ("the bytes of the file (still on their way)", "附件内容（传输中）"),
    "conflict": ("the decision of the open conflict about", "未决冲突的处理结果"),
}


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that a complete bundle lacks. kind: opinion, field, material, file or conflict. name: which one."""

    kind: str
    name: str

    def as_json(self) -> dict[str, str]:
        """For the queue's list: kind, name and a sentence part in two languages."""
        text, text_zh = _WORDS[self.kind]
        return {
            "kind": self.kind,
            "name": self.name,
            "text": f"{text} {self.name}".strip(),
            "text_zh": text_zh + self.name,
        }


def missing_of(view: CaseView, has_file: HasFile) -> list[Missing]:
    """What the case still lacks for a complete bundle, in a fixed order; empty when it can go."""
    missing: list[Missing] = []
    if not any(opinion.get("opinion") for opinion in view.opinions):
        missing.append(Missing("opinion", ""))
    missing += [Missing("field", name) for name in APPLICANT_FIELDS if not _value(view, name)]
    missing += [
        Missing("conflict", conflict["field"])
        for conflict in view.conflicts
        if conflict["open"] and conflict["kind"] == "field" and conflict["class"] == "identity"
    ]
    present = {material["material"] for material in view.materials}
    missing += [Missing("material", name) for name in _required(view) if name not in present]
    missing += [
        Missing("file", material["name"] or material["material"])
        for material in view.materials
        if not has_file(material["sha256"])
    ]
    return missing


def build_head(view: CaseView, forward: UpwardForward, has_file: HasFile) -> bytes:
    """The bundle without the files' bytes: JSON, the same bytes for the same facts.

    Raises:  BundleIncomplete with everything that is missing; BundleTooLarge above FILES_BYTES_MAX of files.
    """
    missing = missing_of(view, has_file)
    if missing:
        raise BundleIncomplete(
            "The case does not go up yet; missing: " + "; ".join(one.as_json()["text"] for one in missing) + ".",
            "暂不能上报，尚缺：" + "；".join(one.as_json()["text_zh"] for one in missing) + "。",
            missing=[one.as_json() for one in missing],
        )
    _check_size(sum(material["size"] for material in view.materials))
    return _json(_head(view, forward))


def build_body(head: bytes, read_file: ReadFile) -> bytes:
    """What is sent: the head with the bytes of every file put in, base64, and their true sizes.

    Raises:  BundleTooLarge; whatever `read_file` raises.
    """
    bundle = json.loads(head)
    total = 0
    for material in bundle["materials"]:
        content = read_file(bytes.fromhex(material["sha256"]))
        total += len(content)
        _check_size(total)
        material["size"] = len(content)
        material["content"] = base64.b64encode(content).decode()
    return _json(bundle)


def _check_size(size: int) -> None:
    if size > FILES_BYTES_MAX:
        raise BundleTooLarge(
            f"The files of the case have {size} bytes, a bundle carries at most {FILES_BYTES_MAX}.",
            f"本件附件共 {size} 字节，超过上报上限 {FILES_BYTES_MAX} 字节。",
            size=size,
        )


def _head(view: CaseView, forward: UpwardForward) -> dict[str, Any]:
    terms = view.terms
    item = {key: terms.get(key) for key in ("name", "department", "version", "approve_level", "statutory", "promised")}
    return {
        "liandong_bundle": VERSION,
        "case": view.case.hex(),
        "number": view.number,
        "forward": forward.op.hex(),
        "county": forward.office[:6],
        "from": forward.office,
        "target": forward.target,
        "kind": str(view.kind),
        "urgent": bool(view.urgent),
        "item": {"code": view.item} | item,
        "fields": {name: _value(view, name) for name in sorted(view.fields)},
        "opinions": [
            {key: opinion.get(key) for key in ("office", "outcome", "opinion", "department", "step")}
            for opinion in view.opinions
        ],
        "forward_opinion": forward.opinion,
        "required": _required(view),
        "materials": [
            {key: material[key] for key in ("material", "name", "media", "size", "grade")}
            | {"sha256": material["sha256"].hex(), "op": material["op"].hex()}
            for material in view.materials
        ],
    }


def _required(view: CaseView) -> list[str]:
    return list(view.terms.get("materials") or [])


def _value(view: CaseView, name: str) -> Any:
    entry = view.fields.get(name)
    return None if entry is None else entry["value"]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
