"""The error manual names every code that the program can raise, and none that it cannot."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

from protocol.errors import LiandongError

ROOT = Path(__file__).parents[3]
MANUAL = ROOT / "docs" / "operating" / "errors.md"
PACKAGES = ("protocol", "conflict", "edge", "hub", "ops")


def codes() -> set[str]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if ".migrations" not in module.name and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return {cls.code for cls in (LiandongError, *below(LiandongError))}


def below(cls: type[LiandongError]) -> Iterator[type[LiandongError]]:
    for child in cls.__subclasses__():
        if not child.__module__.startswith("tests."):
            yield child
            yield from below(child)


def test_every_code_has_its_entry_and_every_entry_a_code() -> None:
    tables = MANUAL.read_text("utf-8").split("## Codes that are states")[0]
    rows = [line.split("|")[1] for line in tables.splitlines() if line.startswith("| `")]
    listed = {code for cell in rows for code in re.findall(r"`([a-z_]+)`", cell)}
    assert codes() - listed == set(), "codes without an entry in docs/operating/errors.md"
    source = "".join(path.read_text("utf-8") for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    stale = {code for code in listed - codes() if f'"{code}"' not in source}  # codes said without being raised
    assert stale == set(), "entries for codes that nothing says"
