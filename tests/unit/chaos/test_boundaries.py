"""What a kill left behind: `look` passes a whole store, and names everything that would be half-saved."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.config import STORE_NAME
from edge.service import Application
from ops.chaos.boundaries import look
from ops.simulate.raw import op_ids
from tests.unit.edge.county import GOOD_ID, VILLAGE, County, Hands


@pytest.fixture
def store(tmp_path: Path) -> tuple[Path, set[bytes], str]:
    """A village's store with two cases, the op ids before the second was opened, and the second's op; nobody has it open."""
    node = County().enrol(tmp_path / "village", VILLAGE, Hands())
    path = tmp_path / "village" / STORE_NAME
    form = Application("JF-1", "张三", GOOD_ID)
    node.service.accept(node.staff.check(), form)
    before = op_ids(path)
    saved = node.service.accept(node.staff.check(), form)
    node.close()
    return path, before, saved.op


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def test_a_whole_store_has_no_finding(store: tuple[Path, set[bytes], str]) -> None:
    path, before, op = store
    findings: list[str] = []
    assert look(path, before, op, findings) is True
    assert look(path, op_ids(path), None, findings) is False
    assert findings == []


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("delete from edge_outbox where op_id = x'{op}'", "not in the outbox"),
        ("delete from views where case_id = x'{op}'", "has no view"),
        ("update edge_outbox set op_id = x'{other}' where op_id = x'{op}'", "names an op that is not in the store"),
    ],
)
def test_half_of_an_act_is_seen(store: tuple[Path, set[bytes], str], statement: str, finding: str) -> None:
    path, before, op = store
    change(path, "PRAGMA foreign_keys=OFF", statement.format(op=op, other="11" * 32))
    findings: list[str] = []
    look(path, before, op, findings)
    assert any(finding in line for line in findings), findings


def test_an_answer_whose_op_is_not_there_and_a_store_that_does_not_open_are_seen(
    store: tuple[Path, set[bytes], str],
) -> None:
    path, before, op = store
    findings: list[str] = []
    look(path, before, "22" * 32, findings)
    assert findings == [f"op {'22' * 8} was answered and is not in the store"]
    path.write_bytes(b"not a store" * 100)
    assert look(path, before, op, findings) is False
    assert "does not open" in findings[-1]
