"""The note column of an item: `key=value` tokens first, then remarks, separated by semicolons.

For: turning the note's tokens into limits, stages and flags of an item, and the parties named in a joint item's remark.
May not: read files; know the other columns.
Source: docs/operating/hub.md, "The note column".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from conflict.kinds import FieldClass

UNITS = {"w": "workday", "c": "calendar", "h": "hour"}
COUNT_MAX = 3_650  # ten years of days; a larger figure is a slip
STAGES_MAX = 20

_TOKEN = re.compile(r"^([a-z][a-z_]*)=(.*)$", re.DOTALL)
_COUNT = re.compile(r"^(\d{1,5})([wch]?)$")
_SOURCE_TAIL = re.compile(r"(?:[(（][^()（）]*[)）]|\[[^\]]*\])+$")
_PARTY = re.compile(r"[(（]([^()（）]+)[)）]")


class NoteProblem(ValueError):
    """A token that cannot be read: English and Chinese text."""

    def __init__(self, text: str, text_zh: str) -> None:
        super().__init__(text)
        self.text = text
        self.text_zh = text_zh


def parse_note(note: str) -> dict[str, Any]:
    """The item keys that a note yields: extend, accept_limit, supplement_limit, restart_on_supplement, wait, window,
    stages, classes, clock, keep_original, remarks (each only if present).

    Raises:  NoteProblem for an unknown key, a key given twice, or a value out of shape.
    """
    found: dict[str, Any] = {}
    remarks: list[str] = []
    for part in (piece.strip() for piece in note.split(";")):
        match = _TOKEN.match(part)
        if match is None:
            if part:
                remarks.append(part)
            continue
        key, value = match[1], match[2].strip()
        if key not in _READERS:
            known = ", ".join(sorted(_READERS))
            raise NoteProblem(
                f"the note has the unknown key {key} (known: {known})", f"备注中有未知的键 {key}（可用：{known}）"
            )
        name, reader = _READERS[key]
        if name in found:
            raise NoteProblem(f"the note names {key} twice", f"备注中 {key} 重复")
        tail = _SOURCE_TAIL.search(value)
        if tail is not None:
            remarks.append(f"{key} {tail[0]}")
            value = value[: tail.start()].strip()
        found[name] = reader(key, value)
    if remarks:
        found["remarks"] = ";".join(remarks)
    return found


def parties(remarks: str, departments: Sequence[str]) -> list[str]:
    """The departments that a joint item's remark names in brackets, as in 营业执照(市监)+印章备案(公安).

    Args:    departments: full names in use in this catalogue; a short name that abbreviates exactly one becomes it.
    Returns: names in the order of the remark, each once; short names that fit none or several stay as written.
    """
    names: dict[str, None] = {}
    for remark in remarks.split(";"):
        if "+" not in remark:
            continue
        for short in _PARTY.findall(remark):
            names[_full_name(short, departments)] = None
    return list(names)


def _full_name(short: str, departments: Sequence[str]) -> str:
    stem = short.removeprefix("县").removeprefix("市") if len(short) > 2 else short
    fits = sorted({name for name in departments if _abbreviates(stem, name)})
    return fits[0] if len(fits) == 1 else short


def _abbreviates(short: str, name: str) -> bool:
    rest = iter(name)
    return bool(short) and all(letter in rest for letter in short)


def _limit(default: str) -> Callable[[str, str], list[Any]]:
    def read(key: str, value: str) -> list[Any]:
        match = _COUNT.match(value)
        if match is None or int(match[1]) > COUNT_MAX:
            raise NoteProblem(
                f"{key}={value} is not a limit such as 5w (working days) or 30c (calendar days)",
                f"{key}={value} 不是期限，应如 5w（工作日）或 30c（自然日）",
            )
        return [int(match[1]), UNITS[match[2] or default]]

    return read


def _yes_no(key: str, value: str) -> bool:
    if value not in ("yes", "no"):
        raise NoteProblem(f"{key} is yes or no, not {value}", f"{key} 只能是 yes 或 no，不能是 {value}")
    return value == "yes"


def _clock(key: str, value: str) -> str:
    if value not in ("civil", "elapsed"):
        raise NoteProblem(f"{key} is civil or elapsed, not {value}", f"{key} 只能是 civil 或 elapsed，不能是 {value}")
    return value


def _stages(key: str, value: str) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = []
    for part in value.split(","):
        who, colon, count = (piece.strip() for piece in part.partition(":"))
        if not who or not colon or not count or len(stages) >= STAGES_MAX:
            raise NoteProblem(f"{key} is a list such as township:15w,county:5w", f"{key} 应如 township:15w,county:5w")
        stages.append({"who": who} if count == "?" else {"who": who, "limit": _limit("w")(key, count)})
    return stages


def _classes(key: str, value: str) -> dict[str, str]:
    classes: dict[str, str] = {}
    for part in value.split(","):
        name, colon, kind = (piece.strip() for piece in part.partition(":"))
        if not name or not colon or kind not in list(FieldClass) or name in classes:
            raise NoteProblem(
                f"{key} is a list such as area:fee,spouse:identity ({', '.join(FieldClass)})",
                f"{key} 应如 area:fee,spouse:identity（可用：{', '.join(FieldClass)}）",
            )
        classes[name] = kind
    return classes


_READERS: Mapping[str, tuple[str, Callable[[str, str], Any]]] = {
    "stages": ("stages", _stages),
    "extend": ("extend", _limit("w")),
    "accept": ("accept_limit", _limit("w")),
    "supplement": ("supplement_limit", _limit("w")),
    "restart_on_supplement": ("restart_on_supplement", _yes_no),
    "wait": ("wait", _limit("c")),
    "window": ("window", _limit("c")),
    "classes": ("classes", _classes),
    "clock": ("clock", _clock),
    "original": ("keep_original", _yes_no),
}
