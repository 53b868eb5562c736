"""The walls of the house: the import contracts are kept, and each has been seen failing.

The second test copies the packages, plants one violation per contract, each in a module of its own, and wants
every contract to name exactly its plant. A contract that has never failed holds nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("protocol", "conflict", "edge", "hub", "ops")
LINT = "from importlinter.cli import lint_imports_command as main; main()"

# contract id -> (module to plant, its text)
PLANTS = {
    "floors": ("edge/planted.py", "import hub.planted_target\n"),
    "conflict-rooms": ("conflict/history.py", "import conflict.fold\n"),
    "pure-rooms": ("protocol/planted_clock.py", "import time\n"),
    "carriers-wall": ("protocol/planted_carrier.py", "import protocol.carriers.planted_target\n"),
    "ledger-wall": ("conflict/planted_ledger.py", "import conflict.ledger.planted_target\n"),
    "broker-door": ("edge/planted_broker.py", "import paho.mqtt.client\n"),
    "embedded-broker-door": ("hub/planted_embedded.py", "import amqtt\n"),
    "cipher-door": ("hub/planted_cipher.py", "import cryptography\n"),
    "http-door": ("edge/planted_http.py", "import httpx\n"),
}
TARGETS = ("hub/planted_target.py", "protocol/carriers/planted_target.py", "conflict/ledger/planted_target.py")


def contracts() -> dict[str, dict[str, object]]:
    """The contracts of pyproject.toml by id."""
    with (ROOT / "pyproject.toml").open("rb") as handle:
        listed = tomllib.load(handle)["tool"]["importlinter"]["contracts"]
    return {contract["id"]: contract for contract in listed}


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """import-linter over the packages in `tree` with the configuration in `tree`."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-P", "-c", LINT, "--no-cache"],
        cwd=tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def copy_tree(target: Path) -> None:
    """Our packages and pyproject.toml, and nothing else, in `target`."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "data", "planted*"))
    shutil.copy(ROOT / "pyproject.toml", target)


def test_contracts_are_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_each_contract_has_a_plant() -> None:
    assert set(PLANTS) == set(contracts())


def test_each_contract_fails_on_its_plant(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    for name in TARGETS:
        (tmp_path / name).write_text('"""Something to import."""\n', "utf-8")
    for name, text in PLANTS.values():
        with (tmp_path / name).open("a", encoding="utf-8") as handle:
            handle.write(f"\n{text}")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    reports = done.stdout.split("Broken contracts")[1]
    for contract_id, (module, _text) in PLANTS.items():
        title = str(contracts()[contract_id]["name"])
        assert title in reports, f"{title}: kept in spite of its plant\n{done.stdout}"
        report = reports.split(title)[1]
        for other in contracts().values():
            report = report.split(f"\n{other['name']}\n")[0]
        planted = module.removesuffix(".py").replace("/", ".")
        assert f"{planted} -> " in report or f"{planted} is not allowed to import" in report, report


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_ours(package: str) -> None:
    """A package of the same name from an index would shadow ours (PyPI has an `ops`)."""
    module = __import__(package)
    assert Path(str(module.__file__)).parent == ROOT / package
