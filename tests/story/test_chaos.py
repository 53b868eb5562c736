"""The short form of `python3 run.py chaos`: bad weather over real processes, and the system calls of a command and the hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.chaos.plan import LINE_FAULTS
from ops.chaos.postgres import find_binaries
from ops.chaos.run import Options, run_chaos
from ops.chaos.saved_first import look_at_syscalls
from ops.chaos.server_order import look_at_server
from ops.chaos.stage import PROCESSES
from ops.chaos.syscalls import why_not
from tests.support.process import python_env

SEED = 1034  # within six seconds: hub, broker and three offices killed (one twice), and four faults of lines
SECONDS = 6.0
KILLS = {"case-accept": 4, "hub-intake": 2}  # `run.py chaos boundaries` takes all, and more subjects


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that the run starts find the tree."""
    for name, value in python_env().items():
        monkeypatch.setenv(name, value)


@pytest.mark.timeout(560)
def test_nothing_is_lost_or_doubled_in_bad_weather() -> None:
    said: list[str] = []
    report = run_chaos(Options(SEED, SECONDS, boundaries={}), said.append)
    assert report.all_findings == [], said
    assert report.ok
    assert set(report.kills) == set(PROCESSES)
    assert report.kills["hub"] and report.kills["broker"] and sum(report.kills.values()) >= 5
    assert set(report.faults) <= set(LINE_FAULTS) and sum(report.faults.values()) >= 3
    assert report.ops > 0


@pytest.mark.timeout(400)
def test_saved_and_received_are_said_after_the_sync_and_a_kill_at_any_write_leaves_a_whole_store(
    tmp_path: Path,
) -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    report = look_at_syscalls(tmp_path, SEED, lambda line: None, most=KILLS)
    assert report.findings == []
    for subject, kills in report.kills.items():
        assert kills.tried == KILLS[subject]
        assert kills.at > 20  # fewer means that the trace was not understood
    assert sum(kills.killed for kills in report.kills.values()) >= 4


@pytest.mark.timeout(400)
def test_no_receipt_leaves_before_postgresql_has_synced_the_commit(tmp_path: Path) -> None:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    if find_binaries() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    said: list[str] = []
    assert look_at_server(tmp_path, said.append) == []
    assert "right" in said[-1]
