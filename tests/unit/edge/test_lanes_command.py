"""Goal: `edge lanes` shows and sets each lane; what cannot be used is said in a sentence and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge.lanes import LANES_NAME
from edge.main import Node
from ops.cli.tree import app
from protocol.errors import InputError


def lanes(directory: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["edge", "lanes", *words, "--dir", str(directory), "--json"])


@pytest.fixture
def closed(village: Node) -> Path:
    """A device whose store nobody has open."""
    village.close()
    return village.directory


def test_each_lane_is_shown_and_set(closed: Path) -> None:
    assert list(json.loads(lanes(closed).stdout)["lanes"]) == ["urgent", "ops", "reference", "attachments"]
    assert not (closed / LANES_NAME).exists()
    made = lanes(closed, "set", "reference", "--rate", "20kB/s", "--window", "22:00-06:00")
    assert made.exit_code == 0
    assert json.loads((closed / LANES_NAME).read_text())["reference"] == {
        "bytes_per_s": 20_000,
        "from": "22:00",
        "to": "06:00",
    }
    lanes(closed, "--attachments-rate", "2000", "--window", "21:00-05:00")  # as before there were four
    shown = json.loads(lanes(closed).stdout)["lanes"]
    assert (shown["attachments"]["bytes_per_s"], shown["attachments"]["window"]) == (2_000, "21:00-05:00")
    assert shown["reference"]["window"] == "22:00-06:00" and shown["ops"]["window"] == "always"


@pytest.mark.parametrize(
    "words",
    [
        ("set", "urgent", "--rate", "5kB/s"),
        ("set", "ops", "--window", "22:00-06:00"),
        ("set", "ops", "--rate", "100"),
        ("set", "night"),
        ("set", "ops"),
        ("set",),
        ("show", "ops"),
        ("set", "reference", "--rate", "5kB/s", "--window", "22-6"),
        ("--unsent-limit", "0"),
    ],
)
def test_what_cannot_be_used_changes_nothing(closed: Path, words: tuple[str, ...]) -> None:
    lanes(closed, "set", "ops", "--rate", "4kB/s")
    before = (closed / LANES_NAME).read_bytes()
    failed = lanes(closed, *words)
    assert isinstance(failed.exception, InputError) and failed.exception.text.endswith(".")
    assert failed.exception.text_zh
    assert (closed / LANES_NAME).read_bytes() == before
