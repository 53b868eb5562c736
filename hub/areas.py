"""The area tree of a county: from CSV to the offices of the roster.

For: reading areas.csv and checking it; choosing the county's own offices and those above it.
May not: sign or store anything; know devices.
Source: docs/operating/hub.md, "Files for county init"; codes by GB/T 2260 and GB/T 10114.
"""

from __future__ import annotations

from pathlib import Path

from hub.csv_file import Problem, Row, bad_table, read_rows
from protocol.errors import InputError
from protocol.roster import LEVELS, Office

COLUMNS = ("code", "name", "parent_code", "level")
NAME_MAX = 60  # characters


def load_areas(path: Path, county: str) -> list[Office]:
    """The offices of `county` (6 digits) and those above it, superiors first, then by code.

    One file may hold a whole province: rows of other counties are passed over.

    Raises:  BadTable naming every line that is wrong (code and level do not fit, parent is not the prefix or is not
             in the file, code twice); InputError if `county` is no county code or not in the file.
    """
    if not (len(county) == 6 and county.isascii() and county.isdigit()):
        raise InputError(f"'{county}' is not a county code of six digits.", f"“{county}”不是六位县级区划代码。")
    rows = read_rows(path, needed=COLUMNS, known=COLUMNS)
    problems: list[Problem] = []
    lines: dict[str, int] = {}
    for row in rows:
        problem = _problem(row, county)
        code = row.cells["code"]
        if problem is None and code in lines:
            problem = Problem(
                row.line, f"code {code} is also in line {lines[code]}", f"代码 {code} 与第 {lines[code]} 行重复"
            )
        if problem is not None:
            problems.append(problem)
        else:
            lines[code] = row.line
    for row in rows:
        parent = row.cells["parent_code"]
        if _concerns(row.cells["code"], county) and parent and parent not in lines:
            problems.append(Problem(row.line, f"the parent {parent} is not in the file", f"文件中没有上级 {parent}"))
    if problems:
        raise bad_table(path, sorted(problems, key=lambda one: one.line))
    if county not in lines:
        raise InputError(f"{path.name} has no county {county}.", f"文件 {path.name} 中没有县 {county}。")
    kept = [row.cells for row in rows if _concerns(row.cells["code"], county)]
    offices = [Office(one["code"], one["name"], one["level"], one["parent_code"]) for one in kept]
    return sorted(offices, key=lambda office: (len(office.code), office.code))


def _concerns(code: str, county: str) -> bool:
    return code.startswith(county) or county.startswith(code)


def _problem(row: Row, county: str) -> Problem | None:
    code, name, parent, level = (row.cells[column] for column in COLUMNS)
    if not (code.isascii() and code.isdigit()) or len(code) not in LEVELS:
        return Problem(
            row.line,
            f"'{code}' is not an area code of 2, 4, 6, 9 or 12 digits",
            f"“{code}”不是 2、4、6、9 或 12 位区划代码",
        )
    if not _concerns(code, county):
        return None
    if level != LEVELS[len(code)]:
        return Problem(
            row.line,
            f"level of {code} is '{level}', by its length it is {LEVELS[len(code)]}",
            f"{code} 的级别为“{level}”，按位数应为 {LEVELS[len(code)]}",
        )
    if not name or len(name) > NAME_MAX or not name.isprintable():
        return Problem(
            row.line, f"the name has 1 to {NAME_MAX} printable characters", f"名称应为 1 至 {NAME_MAX} 个可见字符"
        )
    above = max((length for length in LEVELS if length < len(code)), default=0)
    if parent != code[:above]:
        wanted = code[:above] or "empty"
        return Problem(
            row.line,
            f"the parent of {code} is '{parent}', it must be {wanted}",
            f"{code} 的上级为“{parent}”，应为 {code[:above] or '空'}",
        )
    return None
