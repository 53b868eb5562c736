"""Commands start light: what only the daemon, a password or a migration needs is not imported by the service."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from edge.config import SOFTWARE

ROOT = Path(__file__).parents[3]
HEAVY = ("paho", "argon2", "httpx", "alembic", "rich", "zstandard", "cryptography", "starlette", "typer", "PIL")


def test_service_imports_nothing_heavy() -> None:
    code = f"import sys, edge.main, edge.service; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout.strip() == "[]"


def test_software_version_is_the_project_s() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"] == SOFTWARE
