"""Goal: an import or export that is killed anywhere is simply repeated and ends as if nothing had happened.

Method: the import dies before and after each of its commits, is repeated, and the store is compared table by table with
one that was never disturbed; real processes die by SIGKILL.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from conflict.ledger.store import Store
from edge.main import open_node
from edge.stick import taking as edge_taking
from hub.init import open_county
from hub.stick import answer as hub_answer
from hub.stick import taking as hub_taking
from protocol.carriers.bundle import PART_SUFFIX
from tests.support.process import ROOT
from tests.unit.edge.county import seeds
from tests.unit.stick.courier import CHIEF, Courier, content

COMMITS_MAX = 60
CHILD = """
import os, signal, sys
from pathlib import Path
from conflict.ledger.sqlite_store import SqliteStore
import protocol.carriers.bundle as bundle
from edge.main import open_node
from edge.stick import export, taking
from tests.unit.edge.county import Hands

directory, place, point = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
hands = Hands(now_ms=int(sys.argv[4]))

def die(*_args):
    os.kill(os.getpid(), signal.SIGKILL)

with open_node(directory, hands.clock()) as node:
    if point.startswith("commit"):
        left = int(point.removeprefix("commit"))
        def count(self, plain=SqliteStore._write_back):
            global left
            left -= 1
            return plain(self) if left else die()
        SqliteStore._write_back = count
        taking.take(node, place)
    else:
        setattr(bundle, point, die)
        export.export(node, place)
"""


class Killed(BaseException):
    """The process ends here."""


def die_at(store: Store, number: int, *, after: bool) -> None:
    """Let the store's commit of this number (from now on) be the last thing that happens, or the first that does not."""
    plain = type(store).write
    seen = 0

    @contextmanager
    def write(**options: Any) -> Iterator[Connection]:
        nonlocal seen
        seen += 1
        dies = seen == number
        with plain(store, **options) as tx:
            yield tx
            if dies and not after:
                raise Killed
        if dies:
            raise Killed

    store.write = write  # type: ignore[method-assign]


def until_done(store: Store, take: Callable[[], object], *, after: bool) -> int:
    """Repeat `take`, killed one commit later each time, until it comes to its end. How often it was killed."""
    for number in range(1, COMMITS_MAX):
        die_at(store, number, after=after)
        try:
            take()
        except Killed:
            continue
        finally:
            del store.write  # type: ignore[method-assign]
        return number - 1
    raise AssertionError("it never comes to its end")


def scan(directory: Path) -> Path:
    path = directory / "身份证复印件.jpg"
    path.write_bytes(seeds("scan")(64) * 2_000)
    return path


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_device_killed_while_it_imports(
    courier: Courier, tmp_path: Path, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents, stream, receipts and bytes; the device is a township that gets two cases."""
    monkeypatch.setattr(edge_taking, "CHUNKS_TOGETHER", 1)
    monkeypatch.setattr(hub_answer, "BATCH_PLAIN_BYTES_MAX", 1)
    for _ in range(2):
        saved = courier.accept("village", attachments=[scan(tmp_path)])
        courier.nodes["village"].service.forward(CHIEF, saved.case)
    courier.trip("village")
    with courier.hub.store.write() as tx:
        content_of = {"years": {"2026": {"off": ["01-01"], "work": []}}, "source": "test"}
        courier.hub.shelf.publish_calendar(tx, courier.hub.keys, content_of, now_ms=courier.hands.now_ms)
    courier.accept("town")
    _taken, answered = courier.at_hub(courier.export("town").file)
    assert answered is not None
    clock = courier.hands.clock()
    shutil.copytree(tmp_path / "town", tmp_path / "calm")
    with open_node(tmp_path / "calm", clock) as calm:
        edge_taking.take(calm, answered.file)
    town = courier.nodes["town"]
    kills = until_done(town.store, lambda: edge_taking.take(town, answered.file), after=after)
    assert kills > 6
    assert content(tmp_path / "town" / "edge.db") == content(tmp_path / "calm" / "edge.db")
    assert courier.states("town") == {"accepted": 1} and courier.digests("town") == courier.digests()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_hub_killed_while_it_imports(
    courier: Courier, tmp_path: Path, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many small portions of ops, bytes, and the answer."""
    monkeypatch.setattr(hub_taking, "COMMIT_OPS_MAX", 1)
    monkeypatch.setattr(hub_taking, "CHUNKS_TOGETHER", 2)
    for _ in range(3):
        courier.accept("village", fields={"栏目": os.urandom(1_900).hex()}, attachments=[scan(tmp_path)])
    exported = courier.export("village").file
    shutil.copytree(tmp_path / "hub", tmp_path / "calm")
    now = courier.hands.now_ms

    def take(county: Any, number: int) -> None:
        target = courier.pocket / f"answer-{number}.ldb"
        hub_taking.take(county, exported, answer_to=target, now_ms=lambda: now, random_bytes=seeds("x"))

    calm = open_county(tmp_path / "calm")
    take(calm, 0)
    calm.store.close()
    numbers = iter(range(1, COMMITS_MAX))
    kills = until_done(courier.hub.store, lambda: take(courier.hub, next(numbers)), after=after)
    assert kills > 4
    assert content(tmp_path / "hub" / "hub.db") == content(tmp_path / "calm" / "hub.db")
    last = max(courier.pocket.glob("answer-*.ldb"), key=lambda path: path.stat().st_mtime_ns)
    assert courier.at("village", last).settled == 6 and courier.equal()


def run_child(directory: Path, place: Path, point: str, now_ms: int) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(directory), str(place), point, str(now_ms)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=100,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr


def test_killed_processes(courier: Courier, tmp_path: Path) -> None:
    """An export that dies leaves no file under the final name and nothing carried; an import that dies is repeated."""
    courier.accept("village", attachments=[scan(tmp_path)])
    village = courier.nodes["village"]
    target = courier.pocket / "killed.ldb"
    run_child(village.directory, target, "_check_medium", courier.hands.now_ms)
    assert [path.name for path in courier.pocket.iterdir()] == [f"killed.ldb{PART_SUFFIX}"]
    assert courier.states("village") == {"pending": 2}
    made = courier.export("village", since_last=True, to=target)
    assert (made.ops, made.chunks) == (2, 4) and list(courier.pocket.iterdir()) == [target]
    _taken, answered = courier.at_hub(target)
    assert answered is not None
    run_child(village.directory, answered.file, "commit2", courier.hands.now_ms)
    courier.at("village", answered.file)
    assert courier.states("village") == {"accepted": 2} and courier.equal()
