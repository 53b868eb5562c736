"""Reading a table of reference data (items, areas) that a person exported from a spreadsheet.

For: one strict reading of CSV with line numbers, so that catalogue and areas complain in the same words.
May not: know what the columns mean; change anything.
Source: docs/operating/hub.md, "Files for county init".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import InputError

FILE_BYTES_MAX = 32 * 2**20  # a province's areas are 2 MiB; more is not a table of ours
PROBLEMS_SHOWN = 5


class BadTable(InputError):
    """A CSV file that cannot be used; `facts["problems"]` lists every (line, English, Chinese)."""

    code = "bad_table"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one line (1 = the header)."""

    line: int
    text: str
    text_zh: str


@dataclass(frozen=True, slots=True)
class Row:
    """One record: `line` is where it starts, `cells` has every known column, stripped, '' where empty or absent."""

    line: int
    cells: dict[str, str]


def read_rows(path: Path, *, needed: Sequence[str], known: Sequence[str]) -> list[Row]:
    """The records of `path`.

    Args:    needed: columns that must be there; known: all columns that we read (a superset). Other columns are
             ignored, unless a known one is missing: then an unknown one is taken for a slip of the pen.
    Raises:  BadTable: unreadable, not UTF-8, no header, columns missing or doubled, a record longer than the header.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    rows: list[Row] = []
    problems: list[Problem] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(path, header, needed, known)
        start = reader.line_num + 1
        for record in reader:
            line, start = start, reader.line_num + 1
            if not any(cell.strip() for cell in record):
                continue
            if len(record) != len(header):
                problems.append(
                    Problem(
                        line,
                        f"{len(record)} cells where the header has {len(header)}",
                        f"有 {len(record)} 个单元格，表头有 {len(header)} 个",
                    )
                )
                continue
            cells = dict(zip(header, (cell.strip() for cell in record), strict=True))
            rows.append(Row(line, {name: cells.get(name, "") for name in known}))
    except csv.Error as error:
        problem = Problem(reader.line_num, f"not CSV: {error}", f"不是有效的 CSV：{error}")
        raise bad_table(path, [*problems, problem]) from error
    if problems:
        raise bad_table(path, problems)
    return rows


def bad_table(path: Path, problems: Sequence[Problem]) -> BadTable:
    """One error that names the file and the first lines that are wrong."""
    shown = problems[:PROBLEMS_SHOWN]
    more = len(problems) - len(shown)
    text = "; ".join(f"line {one.line}: {one.text}" for one in shown) + (f"; and {more} more" if more else "")
    text_zh = "；".join(f"第 {one.line} 行：{one.text_zh}" for one in shown) + (f"；另有 {more} 处" if more else "")
    return BadTable(
        f"{path.name} cannot be used: {text}. Correct the file and try again; nothing was changed.",
        f"文件 {path.name} 不能使用：{text_zh}。请改正后重试，未作任何更改。",
        problems=[(one.line, one.text, one.text_zh) for one in problems],
    )


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise bad_table(path, [Problem(1, "larger than 32 MiB", "超过 32 MiB")])
        blob = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"The file {path} cannot be read ({error.strerror}).", f"无法读取文件 {path}（{error.strerror}）。"
        ) from error
    try:
        return blob.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = blob.count(b"\n", 0, error.start) + 1
        problem = Problem(line, "not UTF-8; save it as 'CSV UTF-8'", "不是 UTF-8 编码，请另存为“CSV UTF-8”")
        raise bad_table(path, [problem]) from error


def _check_header(path: Path, header: list[str], needed: Sequence[str], known: Sequence[str]) -> None:
    missing = [name for name in needed if name not in header]
    absent = [name for name in known if name not in header]
    strange = [name for name in header if name not in known]
    doubled = sorted({name for name in header if header.count(name) > 1})
    problems = []
    if missing:
        names = ", ".join(missing)
        problems.append(Problem(1, f"the header lacks {names}", f"表头缺少 {names}"))
    elif absent and strange:
        problems.append(
            Problem(
                1,
                f"unknown column {', '.join(strange)}, while {', '.join(absent)} is missing",
                f"未知的列 {', '.join(strange)}，同时缺少 {', '.join(absent)}",
            )
        )
    if doubled:
        problems.append(Problem(1, f"column {', '.join(doubled)} occurs twice", f"列 {', '.join(doubled)} 重复"))
    if problems:
        raise bad_table(path, problems)
