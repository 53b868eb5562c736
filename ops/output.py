"""What commands say: one JSON document on stdout with `--json`, text and tables otherwise, errors on stderr.

For: one manner of output for all commands; the exit codes.
May not: know what a case or a node is.
Manual: docs/operating/commands.md, "Output and exit codes".
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ops.headings import heading
from protocol.errors import LiandongError

OK = 0
FAILED = 1  # refused, failed, or not equal: the error says which
USAGE = 2  # the command line itself is wrong
INTERRUPTED = 130  # Ctrl-C
DEBUG_VARIABLE = "LIANDONG_DEBUG"  # any value: unexpected errors show where they arose


def prepare_streams() -> None:
    """UTF-8 wherever a script reads us, and never an exception because a terminal lacks a character."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")


def plain(value: Any) -> Any:
    """`value` with bytes as hex, tuples and sets as lists and other objects by their own `as_json` or as text."""
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, Mapping):
        return {key.hex() if isinstance(key, bytes) else str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return plain(value.as_json()) if hasattr(value, "as_json") else str(value)


def show(data: Mapping[str, Any], *, as_json: bool, text: Callable[[], str] | str) -> None:
    """Say the outcome of a command: `data` as one JSON document, or `text` for people."""
    if as_json:
        print(json.dumps(plain(data), ensure_ascii=False, indent=2 if sys.stdout.isatty() else None), flush=True)
    else:
        print(text if isinstance(text, str) else text(), flush=True)


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table as text: drawn for a terminal, else one line a row with tabs between, so that scripts can cut it."""
    named = [heading(text, chinese=chinese()) for text in headers]
    cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        return "\n".join("\t".join(line) for line in [named, *cells])
    return _drawn(named, cells)


def pairs(rows: Sequence[Sequence[Any]]) -> str:
    """Names and values, a line each; the names are headings."""
    cells = [[heading(str(name), chinese=chinese()), "-" if value is None else str(value)] for name, value in rows]
    if not sys.stdout.isatty():
        return "\n".join("\t".join(line) for line in cells)
    return _drawn(None, cells)


def _drawn(headers: Sequence[str] | None, cells: Sequence[Sequence[str]]) -> str:
    """For a terminal: columns under each other, wide characters counted as two."""
    import io

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD if headers else None, pad_edge=False, show_header=headers is not None)
    for header in headers or [""] * len(cells[0] if cells else []):
        drawn.add_column(header, overflow="fold")
    for line in cells:
        drawn.add_row(*(Text(cell) for cell in line))
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=os.get_terminal_size(sys.stdout.fileno()).columns).print(drawn)
    return out.getvalue().rstrip()


def say(english: str, chinese_text: str) -> str:
    """The sentence in the person's language."""
    return chinese_text if chinese() else english


def chinese(environ: Mapping[str, str] = os.environ) -> bool:
    """True where the person's locale asks for Chinese."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(name):
            return environ[name].lower().startswith("zh")
    return False


def say_error(error: LiandongError, *, as_json: bool) -> int:
    """One plain sentence on stderr, with `--json` also the error object on stdout. Returns the exit code."""
    message = error.text_zh if chinese() else error.text
    return say_failure(error.code, message, as_json=as_json, facts=error.facts)


def say_failure(
    code: str, message: str, *, as_json: bool, facts: Mapping[str, Any] | None = None, exit_code: int = FAILED
) -> int:
    """As `say_error` for a code and a sentence."""
    sentence = " ".join(message.split())
    sys.stderr.write(f"liandong: {sentence}\n")
    if as_json:
        error = {"code": code, "message": sentence, **({"facts": plain(facts)} if facts else {})}
        print(json.dumps({"error": error}, ensure_ascii=False), flush=True)
    return exit_code


def say_unexpected(error: Exception, *, as_json: bool) -> int:
    """An error that nobody foresaw, in one sentence; where it arose with LIANDONG_DEBUG. Never a row of the store."""
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    home = type(error).__module__.split(".")[0]
    if home in ("sqlalchemy", "sqlite3", "psycopg"):
        reason = getattr(error, "orig", None) or type(error).__name__  # the error itself may quote a row
        return say_failure("store", f"The store cannot be read or written: {reason}", as_json=as_json)
    if isinstance(error, OSError):
        return say_failure("file", f"A file or connection failed: {error}", as_json=as_json)
    return say_failure(
        "internal",
        f"An error of the program itself ({type(error).__name__}: {error}); set {DEBUG_VARIABLE}=1 to see where.",
        as_json=as_json,
    )
