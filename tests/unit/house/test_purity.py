"""What import contracts cannot see: calls that read a clock, a file or chance inside the pure rooms, and who commits."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WALLED = ("protocol/carriers/", "conflict/ledger/")
BANNED_NAMES = {"open", "input", "print", "eval", "exec", "compile", "__import__", "breakpoint"}
BANNED_METHODS = {"now", "utcnow", "today", "fromtimestamp", "read_text", "read_bytes", "write_text", "write_bytes"}
ALLOWED = {"fromtimestamp": "tz"}  # with a zone it is arithmetic, without one it reads the machine's zone
LEDGER_MAY_COMMIT = {"conflict/ledger/sqlite_store.py", "conflict/ledger/postgres_store.py"}


def pure_files() -> list[Path]:
    found = [path for package in ("protocol", "conflict") for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if not str(path.relative_to(ROOT).as_posix()).startswith(WALLED)]


def impure_calls(tree: ast.AST) -> Iterator[str]:
    """The calls in `tree` that a pure room may not make, as `line: name`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in BANNED_NAMES:
            yield f"{node.lineno}: {node.func.id}()"
        if isinstance(node.func, ast.Attribute) and node.func.attr in BANNED_METHODS:
            zoned = node.func.attr in ALLOWED and (len(node.args) > 1 or any(k.arg == "tz" for k in node.keywords))
            packaged = node.func.attr == "read_bytes" and "resources.files(" in ast.unparse(node.func)
            if not zoned and not packaged:  # data of the package itself is the same bytes for ever (decision 0091)
                yield f"{node.lineno}: .{node.func.attr}()"


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pure_rooms_read_nothing(path: Path) -> None:
    assert list(impure_calls(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "text",
    ["datetime.now()", "datetime.datetime.utcnow()", "date.today()", "open('x')", "Path('x').read_bytes()", "print(1)"],
)
def test_the_check_sees(text: str) -> None:
    assert list(impure_calls(ast.parse(text)))


def test_the_ledger_never_commits() -> None:
    """The caller's transaction is the caller's: op, view and outbox row commit together (laws 3 and 10)."""
    found = []
    for path in sorted((ROOT / "conflict/ledger").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            if called in ("commit", "rollback", "begin") and name not in LEDGER_MAY_COMMIT:
                found.append(f"{name}:{node.lineno} {called}")
    assert found == []
