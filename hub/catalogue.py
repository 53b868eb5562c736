"""The catalogue of service items: from the county's CSV to the items that the hub signs and publishes.

For: reading items.csv, checking it, numbering item versions. What a case embeds of an item: conflict/terms.py.
May not: sign or store anything (hub.documents does); look at cases.
Manual: docs/operating/hub.md, "Files for county init".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hub.csv_file import Problem, bad_table, read_rows
from hub.item_notes import COUNT_MAX, NoteProblem, parse_note, parties

Item = dict[str, Any]

NEEDED = ("item_code", "name", "department", "kind", "accept_level", "approve_level")
COLUMNS = (*NEEDED, "statutory_days", "promised_days", "legal_basis", "materials", "fee", "note", "statutory_unit")
KINDS = {"即办": "immediate", "承诺": "committed", "答复": "reply", "上报": "submit_up", "联办": "joint"}
LEVELS = ("village", "township", "county", "city", "province")  # lowest first
ACCEPT_LEVELS = LEVELS[:3]
UNITS = ("workday", "calendar", "hour")
NAME_MAX = 60  # characters; the same limit that ops have for names
CODE_MAX = 60
ITEMS_MAX = 5_000  # a county publishes about 1,500


def load_items(path: Path) -> list[Item]:
    """The items of a CSV file, in its order, without versions (see `number_versions`).

    Returns: dicts {code, name, department, departments?, kind, accept_level, approve_level, statutory?, promised?,
             accept_limit?, supplement_limit?, restart_on_supplement?, extend?, wait?, window?, stages?, clock?, materials,
             classes?, legal_basis?, fee?, remarks?}; limits are [count, unit], stages [{who, limit?}].
    Raises:  BadTable naming every line that is wrong; InputError if the file cannot be read.
    """
    rows = read_rows(path, needed=NEEDED, known=COLUMNS)
    problems: list[Problem] = []
    items: list[Item] = []
    lines: dict[str, int] = {}
    for row in rows:
        try:
            item = _item(row.cells)
        except NoteProblem as problem:
            problems.append(Problem(row.line, problem.text, problem.text_zh))
            continue
        if item["code"] in lines:
            first = lines[item["code"]]
            problems.append(
                Problem(
                    row.line, f"item {item['code']} is also in line {first}", f"事项 {item['code']} 与第 {first} 行重复"
                )
            )
        lines.setdefault(item["code"], row.line)
        items.append(item)
    if not rows:
        problems.append(Problem(1, "the file holds no items", "文件中没有事项"))
    if len(items) > ITEMS_MAX:
        problems.append(Problem(rows[ITEMS_MAX].line, f"more than {ITEMS_MAX} items", f"超过 {ITEMS_MAX} 个事项"))
    if problems:
        raise bad_table(path, problems)
    _name_parties(items)
    return items


def number_versions(
    items: Iterable[Item], published: Mapping[str, Item], *, from_ms: int, at_least: int = 1
) -> list[Item]:
    """The items with `version` and `from_ms`: unchanged ones keep theirs, changed ones get the next number.

    Args:    published: newest published form of each code ever published, also of codes no longer offered, so that a
             code that comes back goes on counting.
             from_ms: when changed items take effect, ms since 1970 UTC.
             at_least: the lowest number for a changed item; higher in a county whose hub was put back from a backup.
    """
    numbered = []
    for item in items:
        before = published.get(item["code"])
        if before is not None and {**item, "version": before["version"], "from_ms": before["from_ms"]} == before:
            numbered.append(before)
        else:
            following = max(at_least, before["version"] + 1 if before else 1)
            numbered.append({**item, "version": following, "from_ms": from_ms})
    return numbered


def _item(cells: Mapping[str, str]) -> Item:
    code = _text(cells, "item_code", CODE_MAX)
    kind = _choice(cells, "kind", KINDS)
    accept = _choice(cells, "accept_level", {level: level for level in ACCEPT_LEVELS})
    approve = _choice(cells, "approve_level", {level: level for level in LEVELS})
    if LEVELS.index(approve) < LEVELS.index(accept):
        raise NoteProblem(
            f"approved at {approve}, below where it is accepted ({accept})", f"审批层级 {approve} 低于受理层级 {accept}"
        )
    if kind == "submit_up" and approve not in ("city", "province"):
        raise NoteProblem("an item of kind 上报 is decided by the city or the province", "上报件应由市级或省级审批")
    item: Item = {
        "code": code,
        "name": _text(cells, "name", NAME_MAX),
        "department": _text(cells, "department", NAME_MAX),
        "kind": kind,
        "accept_level": accept,
        "approve_level": approve,
        "materials": _materials(cells["materials"]),
        **_limits(cells),
        **parse_note(cells["note"]),
    }
    if cells["legal_basis"]:
        item["legal_basis"] = [basis.strip() for basis in cells["legal_basis"].split(";") if basis.strip()]
    if cells["fee"]:
        item["fee"] = cells["fee"]
    return item


def _limits(cells: Mapping[str, str]) -> Item:
    limits: Item = {}
    statutory, unit = cells["statutory_days"], cells["statutory_unit"]
    if bool(statutory) != bool(unit):
        raise NoteProblem(
            "statutory_days and statutory_unit are filled together or not at all",
            "statutory_days 与 statutory_unit 须同时填写或同时留空",
        )
    if statutory:
        limits["statutory"] = [
            _count(statutory, "statutory_days"),
            _choice(cells, "statutory_unit", {one: one for one in UNITS}),
        ]
    if cells["promised_days"]:
        limits["promised"] = [_count(cells["promised_days"], "promised_days"), "workday"]
    both = limits.get("statutory"), limits.get("promised")
    if both[0] and both[1] and both[0][1] == both[1][1] and both[1][0] > both[0][0]:
        raise NoteProblem("the promise is longer than the statutory limit", "承诺时限长于法定时限")
    return limits


def _name_parties(items: list[Item]) -> None:
    full = sorted({name for item in items for name in _departments(item)})
    for item in items:
        if item["kind"] != "joint":
            continue
        named = _departments(item)
        item["department"] = named[0]
        item["departments"] = list(dict.fromkeys([*named, *parties(item.get("remarks", ""), full)]))


def _departments(item: Item) -> list[str]:
    """The departments that the column names: one, or for a joint item several divided by ; 、 or +."""
    if item["kind"] != "joint":
        return [item["department"]]
    text = item["department"].replace("、", ";").replace("+", ";").replace("；", ";")
    return [name.strip() for name in text.split(";") if name.strip()] or [item["department"]]


def _materials(cell: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in cell.split(";") if name.strip()))
    for name in names:
        if len(name) > NAME_MAX:
            raise NoteProblem(
                f"the material {name[:20]}… has more than {NAME_MAX} characters",
                f"材料名称“{name[:20]}…”超过 {NAME_MAX} 字",
            )
    return names


def _text(cells: Mapping[str, str], column: str, characters_max: int) -> str:
    text = cells[column]
    if not text or len(text) > characters_max or not text.isprintable():
        raise NoteProblem(
            f"{column} has 1 to {characters_max} printable characters",
            f"{column} 应为 1 至 {characters_max} 个可见字符",
        )
    return text


def _choice(cells: Mapping[str, str], column: str, choices: Mapping[str, str]) -> str:
    if cells[column] not in choices:
        known = ", ".join(choices)
        raise NoteProblem(
            f"{column} is '{cells[column]}', not one of {known}", f"{column} 为“{cells[column]}”，应为 {known} 之一"
        )
    return choices[cells[column]]


def _count(text: str, column: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > COUNT_MAX:
        raise NoteProblem(
            f"{column} is a whole number from 0 to {COUNT_MAX}, not '{text}'",
            f"{column} 应为 0 至 {COUNT_MAX} 的整数，不能是“{text}”",
        )
    return int(text)


def by_code(items: Iterable[Item]) -> dict[str, Item]:
    """The items by their code."""
    return {item["code"]: item for item in items}
