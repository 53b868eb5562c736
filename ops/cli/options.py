"""Options that several commands share, and the small parsers behind them.

For: one spelling and one help text per option.
May not: open a store or do an act.
Manual: docs/operating/commands.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protocol.errors import InputError

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout. 以 JSON 输出")]
EdgeDir = Annotated[Path, typer.Option("--dir", help="Directory of this office's device. 本机数据目录")]
HubDir = Annotated[Path, typer.Option("--dir", help="Directory of the county's hub. 县级中心数据目录")]
NodeDir = Annotated[Path, typer.Option("--dir", help="Directory of a device or of the hub. 设备或中心数据目录")]
StaffName = Annotated[
    str | None,
    typer.Option("--staff", help="Account of who acts; password from LIANDONG_PASSWORD or asked for. 经办账号"),
]
Case = Annotated[str, typer.Argument(help="Case number, id, or the beginning of an id. 办件编号")]
Fields = Annotated[
    list[str] | None, typer.Option("--field", help="A form field, NAME=TEXT; repeat. 表单字段", metavar="K=V")
]
Files = Annotated[
    list[Path] | None,
    typer.Option("--attach", "--file", help="A file to attach; repeat. 附件"),
]
Original = Annotated[
    bool, typer.Option("--original", help="Keep photos as they are: not smaller, with what the camera wrote. 保留原图")
]
Paper = Annotated[
    list[str] | None, typer.Option("--material", help="Name of a material handed in on paper; repeat. 纸质材料")
]
Reason = Annotated[str, typer.Option("--reason", help="Why. 理由")]


def parse_fields(words: list[str] | None) -> dict[str, str]:
    """`["K=V", …]` as a dict. Raises InputError for a word without `=` or a name given twice."""
    found: dict[str, str] = {}
    for word in words or []:
        name, sign, value = word.partition("=")
        name = name.strip()
        if not sign or not name:
            raise InputError(f"{word!r} is no field; write NAME=TEXT.", f"“{word}”不是字段,请写成 名称=内容。")
        if name in found:
            raise InputError(f"The field {name} is given twice.", f"字段“{name}”重复。")
        found[name] = value
    return found


def parse_limit(text: str | None) -> tuple[int, str] | None:
    """`5`, `5w`, `30c`, `24h` as (count, unit); working days where no unit is given. Raises InputError."""
    if text is None:
        return None
    units = {"w": "workday", "c": "calendar", "h": "hour"}
    count, unit = (text[:-1], units.get(text[-1:])) if not text.isdigit() else (text, "workday")
    if not (count.isascii() and count.isdigit()) or unit is None or not 0 < int(count) <= 3650:
        raise InputError(
            f"{text!r} is no limit; write 5w (working days), 30c (calendar days) or 24h.",
            f"“{text}”不是期限,请写成 5w(工作日)、30c(自然日)或 24h(小时)。",
        )
    return int(count), unit


def parse_choice(text: str) -> int | str:
    """A resolve's choice: the index of a value as shown, or a value of one's own."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else text


def only(wanted: str, given: str, known: str) -> None:
    """Raises InputError unless `given` is the one action that is left of the `known` ones."""
    if given != wanted:
        raise InputError(f"There is no action {given!r}; choose {known}.", f"没有操作“{given}”,可选:{known}。")
