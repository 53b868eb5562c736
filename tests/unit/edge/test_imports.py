"""Commands start light: what only the daemon, a password or a migration needs is not imported by the service."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from edge.acts.accept import terms_of
from edge.config import SOFTWARE
from hub.catalogue import load_items
from hub.catalogue import terms_of as hub_terms_of

ROOT = Path(__file__).parents[3]
HEAVY = ("paho", "argon2", "httpx", "alembic", "rich", "zstandard", "cryptography", "starlette", "typer")


def test_service_imports_nothing_heavy() -> None:
    code = f"import sys, edge.main, edge.service; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout.strip() == "[]"


def test_software_version_is_the_project_s() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"] == SOFTWARE


def test_embedded_terms_are_those_that_the_hub_compares_with() -> None:
    """The hub vetoes a case whose terms differ from the published ones, so both sides must cut them alike."""
    items = load_items(ROOT / "tests" / "data" / "items.csv")
    assert len(items) == 120
    for item in items:
        assert terms_of(item) == hub_terms_of(item)
