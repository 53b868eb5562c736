"""A device killed while it saves: what was not said to be saved is not there, what was said is, whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge.main import Node, open_node
from edge.service import Application
from edge.staff import Actor
from tests.unit.edge.county import GOOD_ID, Hands

ROOT = Path(__file__).parents[3]
CHILD = """
import os, signal, sys
from pathlib import Path
import edge.desk as desk
from edge.main import open_node
from edge.service import Application
from edge.staff import Actor
from tests.unit.edge.county import GOOD_ID, Hands

def die(*_args, **_more):
    os.kill(os.getpid(), signal.SIGKILL)

directory, point, scan = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
node = open_node(directory, Hands().clock())
if point != "after":
    owner, name = (desk.outbox, "add") if point == "add" else (desk, point)
    setattr(owner, name, die)
node.service.accept(Actor("chief", "chief"), Application("JF-1", "张三", GOOD_ID, attachments=[scan]))
print("saved", flush=True)
die()
"""


def run_child(directory: Path, point: str, scan: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(directory), point, str(scan)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("point", ["append_many", "add", "save_file", "refold", "keep_due", "after"])
def test_killed_while_saving(village: Node, tmp_path: Path, point: str) -> None:
    scan = tmp_path / "身份证复印件.jpg"
    scan.write_bytes(os.urandom(100_000))
    directory = village.directory
    village.close()
    child = run_child(directory, point, scan)
    assert child.returncode == -signal.SIGKILL, child.stderr
    with open_node(directory, Hands().clock(), check=True) as node:
        cases, status = node.service.list_cases(), node.status()
        if point == "after":
            assert child.stdout == "saved\n"
            assert (len(cases), status["ops"], status["pending"]) == (1, 2, 2)
            assert node.service.show(cases[0]["case"])["missing_files"] == []
        else:
            assert child.stdout == ""
            assert (cases, status["ops"], status["pending"]) == ([], 0, 0)
            assert status["attachments"]["complete"] == 0
        again = node.service.accept(Actor("chief", "chief"), Application("JF-1", "张三", GOOD_ID))
        assert again.number.split("-")[3] == ("000002" if point == "after" else "000001")
