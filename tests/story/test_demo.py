"""The demonstration is a story of its own: the whole way from village rooms to the city and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import liandong


@pytest.mark.timeout(560)
def test_the_demonstration_plays_to_its_end(tmp_path: Path) -> None:
    answer = liandong("demo", "--dir", tmp_path / "room", timeout=540, check=False)
    assert answer.status == 0, f"{answer.err}\n{answer.out}"
    assert answer["ok"] is True
    assert len(answer["cases"]) == 7
    assert answer["reconcile"]["equal"] is True
    assert len(answer["reconcile"]["offices"]) == 5
