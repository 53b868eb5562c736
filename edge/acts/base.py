"""What the modules of acts share: the desk they write through, and checks of what a worker typed.

For: texts with limits, amounts, choices from a closed list.
May not: write (the desk does).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conflict.kinds import LIMIT_UNITS, TEXT_MAX
from edge.desk import Desk
from edge.errors import FieldTooLong
from protocol.errors import InputError

LIST_MAX = 50  # entries of one notice or one list of materials
LIMIT_COUNT_MAX = 1_000


class Acts:
    """Base of the groups of acts."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk


def text(value: str, name: str, *, most: int = TEXT_MAX) -> str:
    """`value` without outer blanks. Raises InputError if nothing is left, FieldTooLong above `most` characters."""
    clean = value.strip()
    if not clean:
        raise InputError(f"{name} must not be empty.", f"{name} 不能为空。", field=name)
    if len(clean) > most:
        raise FieldTooLong(
            f"{name} has {len(clean)} characters, at most {most} are allowed.",
            f"{name} 有 {len(clean)} 个字符，最多 {most} 个。",
            field=name,
        )
    return clean


def texts(values: Sequence[str], name: str, *, most: int = TEXT_MAX) -> list[str]:
    """Each of `values` as `text`. Raises InputError for none or more than LIST_MAX."""
    if not 0 < len(values) <= LIST_MAX:
        raise InputError(f"{name} needs 1 to {LIST_MAX} entries.", f"{name} 应有 1 至 {LIST_MAX} 项。", field=name)
    return [text(value, name, most=most) for value in values]


def choice(value: str, name: str, choices: Sequence[str]) -> str:
    """`value` if it is one of `choices`. Raises InputError."""
    if value not in choices:
        raise InputError(
            f"{name} is one of {', '.join(choices)}.", f"{name} 只能是：{'、'.join(choices)}。", field=name
        )
    return value


def limit(count: int, unit: str, name: str) -> list[Any]:
    """A limit as it stands in a body: [count, unit]. Raises InputError."""
    if not 0 < count <= LIMIT_COUNT_MAX:
        raise InputError(
            f"{name} is a count from 1 to {LIMIT_COUNT_MAX}.", f"{name} 应为 1 至 {LIMIT_COUNT_MAX}。", field=name
        )
    return [count, choice(unit, f"{name} unit", LIMIT_UNITS)]


def body(**values: Any) -> Mapping[str, Any]:
    """A body without what was not said (None, empty text, empty list)."""
    return {key: value for key, value in values.items() if value is not None and value != "" and value != []}
