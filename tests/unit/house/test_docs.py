"""Docs that bite: every command stands in the manual, every page and decision that is named exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from ops.cli.tree import app

ROOT = Path(__file__).parents[3]
PACKAGES = ("protocol", "conflict", "edge", "hub", "ops")
PAGE = re.compile(r"docs/[a-z_/0-9.-]+\.md")
CHINESE = ROOT / "docs/operating/zh-CN"
CODE = re.compile(r"`([a-z_]+)`")
LINK = re.compile(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)")


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def commands(group: Any, path: str = "") -> set[str]:
    found: set[str] = set()
    for name, command in group.commands.items():
        words = f"{path} {name}".strip()
        found |= commands(command, words) if hasattr(command, "commands") else {words}
    return found


def test_every_command_is_in_the_manual() -> None:
    manual = (ROOT / "docs/operating/commands.md").read_text("utf-8")
    missing = []
    for words in sorted(commands(typer.main.get_command(app))):
        group, _, name = words.rpartition(" ")
        listed = re.search(rf"`{re.escape(words)}\b", manual) or (
            name
            and re.search(
                rf"[`|\\ ]{re.escape(name)}[\\`| \[]", manual.split(f"## {group.split()[0] if group else ''}")[-1]
            )
        )
        if not listed:
            missing.append(words)
    assert missing == []


def pages_for_users() -> list[Path]:
    return [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted(CHINESE.glob("*.md"))]


def test_commands_in_readmes_and_chinese_manuals_exist() -> None:
    known = commands(typer.main.get_command(app))
    groups = {words.split()[0] for words in known}
    wrong = []
    for page in pages_for_users():
        for line in page.read_text("utf-8").splitlines():
            for words in re.findall(r"(?:^\s+|`)liandong ([a-z]+(?: [a-z-]+)?)", line):
                first, _, second = words.partition(" ")
                exists = any(one == words or one.startswith(f"{words} ") for one in known)
                if first not in groups or (second and first not in known and not exists):
                    wrong.append(f"{page.name}: {words}")
    assert wrong == []


def test_chinese_manuals_name_codes_that_exist_and_all_banners_and_notices() -> None:
    """What a person may see on a screen stands in the manual that this person reads."""
    manuals = ("docs/operating/errors.md", "docs/operating/hub.md")
    known = {code for name in manuals for code in CODE.findall((ROOT / name).read_text("utf-8"))}
    for page in sorted(CHINESE.glob("*.md")):
        named = {code for code in CODE.findall(page.read_text("utf-8")) if "_" in code}
        assert named - known == set(), page.name
    banners = set(re.findall(r'_banner\(\s*"([a-z_]+)"', (ROOT / "edge/status.py").read_text("utf-8")))
    assert len(banners) > 6
    assert banners - set(CODE.findall((CHINESE / "desk.md").read_text("utf-8"))) == set()
    english = (ROOT / "docs/operating/hub.md").read_text("utf-8").split("## Notices")[1].split("##")[0]
    notices = set(CODE.findall(english))
    told = {
        code
        for path in sorted((ROOT / "hub").rglob("*.py"))
        for code in re.findall(r'notices\.tell\([^)]*?code="([a-z_]+)"', path.read_text("utf-8"), re.DOTALL)
    }
    assert len(told) > 6 and told - notices == set()
    assert len(notices) > 6 and notices - set(CODE.findall((CHINESE / "county.md").read_text("utf-8"))) == set()


def test_pages_that_modules_name_exist() -> None:
    missing = {
        f"{path.relative_to(ROOT).as_posix()}: {page}"
        for path in sources()
        for page in PAGE.findall(path.read_text("utf-8"))
        if not (ROOT / page).exists()
    }
    assert missing == set()


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    broken = [
        f"{page.relative_to(ROOT).as_posix()}: {link}"
        for page in pages
        for link in LINK.findall(page.read_text("utf-8"))
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_what_a_page_says_is_shown_by_a_test_is_there() -> None:
    """Names of tests in the pages (attacks.md above all) are those of tests that exist."""
    written = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "tests").rglob("*.py")))
    missing = {
        f"{page.relative_to(ROOT).as_posix()}: {name}"
        for page in [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
        for name in re.findall(r"`(test_[a-z_0-9]+)`", page.read_text("utf-8"))
        if f"def {name}(" not in written
    }
    missing |= {
        f"{page.relative_to(ROOT).as_posix()}: {name}"
        for page in (ROOT / "docs").rglob("*.md")
        for name in re.findall(r"`(tests/[a-z_0-9/]+\.py)`", page.read_text("utf-8"))
        if not (ROOT / name).exists()
    }
    assert missing == set()


def test_decisions_are_numbered_once() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs/decisions").glob("*.md")]
    assert len(numbers) == len(set(numbers))
