"""Every file says what it is for, stays readable in size, and carries no words that do not belong into the project."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("protocol", "conflict", "edge", "hub", "ops")
TOP = {
    "README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "run.py", "pyproject.toml",
    "constraints.txt", ".gitignore", ".gitattributes", ".ci", "tests", "docs", *PACKAGES,
}  # fmt: skip
FUNCTION_LINES_MAX = 80
FILE_LINES_MAX = 600  # most files have 50 to 350; few more than 500, with a reason
TEXT_SUFFIXES = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".html",
    ".js",
    ".css",
    ".sh",
    ".conf",
    ".json",
    ".csv",
    ".service",
    ".timer",
}
# Assembled from pieces so that this file does not contain them.
BANNED_WORDS = (
    "TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "/wo" + "rk/", "/tmp/" + "plan", "/tmp/" + "v/", "as an " + "AI",
)  # fmt: skip


@lru_cache(maxsize=1)
def files() -> tuple[Path, ...]:
    """What is or would be committed: git's word where there is a repository, else the directory without caches."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        return tuple(path for path in (ROOT / line for line in listed.stdout.splitlines()) if path.is_file())
    hidden = re.compile(r"(^|/)(\.venv|__pycache__|\.[a-z_]+_cache|\.hypothesis|\.git)(/|$)")
    found = (path for path in ROOT.rglob("*") if path.is_file())
    return tuple(path for path in found if not hidden.search(path.relative_to(ROOT).as_posix()))


def modules() -> list[Path]:
    return [path for path in files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PACKAGES]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_top_level_is_the_agreed_one() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in files()} <= TOP


def test_every_module_says_what_it_is_for() -> None:
    silent = []
    for path in modules():
        source = path.read_text("utf-8")
        if not source.strip():
            continue
        text = ast.get_docstring(ast.parse(source)) or ""
        whole = path.name == "__init__.py" or path.name == "__main__.py" or "/versions/" in name(path)
        if not text or (not whole and ("For:" not in text or "May not:" not in text)):
            silent.append(name(path))
    assert silent == []


def test_functions_fit_a_screen_and_files_are_one_room() -> None:
    large = []
    for path in modules():
        text = path.read_text("utf-8")
        if text.count("\n") > FILE_LINES_MAX:
            large.append(f"{name(path)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > FUNCTION_LINES_MAX:
                    large.append(f"{name(path)}:{node.lineno} {node.name}: {size} lines")
    assert large == []


def test_no_words_that_do_not_belong() -> None:
    pattern = re.compile("|".join(re.escape(word) if "/" in word else rf"\b{word}\b" for word in BANNED_WORDS))
    found = []
    for path in files():
        if path.suffix in TEXT_SUFFIXES and "vectors" not in path.parts:
            for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
                if pattern.search(line):
                    found.append(f"{name(path)}:{number}: {line.strip()[:80]}")
    assert found == []


def test_errors_are_not_swallowed_in_silence() -> None:
    silent = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                broad = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
                if broad and all(isinstance(step, ast.Pass | ast.Continue) for step in node.body):
                    silent.append(f"{name(path)}:{node.lineno}")
    assert silent == []


def test_no_index_address_is_pinned() -> None:
    """A lock file made behind a mirror carries the mirror's address to everybody."""
    text = (ROOT / "constraints.txt").read_text("utf-8") + (ROOT / "pyproject.toml").read_text("utf-8")
    assert "://" not in text and "--index" not in text and "--extra-index" not in text
