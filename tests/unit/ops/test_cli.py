"""The command line by itself: usage errors, help everywhere, a light start, another county's tree, exchanged files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from ops import cli
from ops.cli.tree import app
from ops.demo.cast import identity

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data"
HEAVY = (
    "rich",
    "httpx",
    "starlette",
    "uvicorn",
    "alembic",
    "paho",
    "amqtt",
    "argon2",
    "chinese_calendar",
    "cryptography",
)
PROMISED = {
    "county": {"init", "enrol"},
    "edge": {"join", "run", "sync", "staff"},
    "hub": {"run", "nodes", "conflicts", "upward"},
    "broker": {"run"},
    "node": {"status"},
    "case": {
        "accept", "list", "show", "amend", "attach", "notice", "supplement", "forward", "take", "return", "examine",
        "decide", "suspend", "resume", "conclude", "deliver", "withdraw", "digest", "explain",
    },
    "": {"reconcile", "backup", "restore", "bench", "demo"},
}  # fmt: skip


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, JSON document and stderr of one command run in this process."""
    code = cli.run([*map(str, words), "--json"])
    out = capsys.readouterr()
    return code, json.loads(out.out), out.err


def commands(group: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every command below a typer group, by its words."""
    found: dict[tuple[str, ...], Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found.update(commands(command, (*path, name)))
        else:
            found[(*path, name)] = command
    return found


TREE = commands(typer.main.get_command(app))


def test_the_promised_commands_exist() -> None:
    for group, names in PROMISED.items():
        if group:
            assert names <= {words[1] for words in TREE if words[0] == group}, group
        else:
            assert names <= {words[0] for words in TREE}


@pytest.mark.parametrize("words", sorted(TREE), ids=" ".join)
def test_every_command_and_option_is_explained(words: tuple[str, ...]) -> None:
    command = TREE[words]
    assert command.help
    silent = [
        one.name
        for one in command.params
        if not getattr(one, "help", None) and one.name not in ("help", "host", "port", "note", "text")
    ]
    assert silent == []
    assert any("--json" in one.opts for one in command.params)


@pytest.mark.parametrize(
    "words",
    [("case",), ("nonsense",), ("case", "accept"), ("case", "list"), ("case", "show", "--dir", "x", "--nonsense", "1")],
)
def test_a_wrong_command_line_is_one_sentence_and_code_2(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, document, sentence = said(capsys, *words)
    assert code == 2
    assert document["error"]["code"] == "usage"
    assert sentence.startswith("liandong: ")


def test_a_directory_without_a_node_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("case", "list"), ("node", "status"), ("case", "digest"), ("backup", "--to", tmp_path / "b")):
        code, document, _ = said(capsys, *words, "--dir", tmp_path)
        assert (code, document["error"]["code"]) == (1, "not_a_node")
    assert list(tmp_path.iterdir()) == []


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom ops import cli\nassert cli.run(['case', '--help']) == 0\n"
        f"print(sorted(set({HEAVY!r}) & {{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_another_county_joins_by_exchanged_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub, office = tmp_path / "hub", tmp_path / "室 with space"
    areas = DATA / "counties" / "331123_suichang.csv"
    code, made, _ = said(
        capsys, "county", "init", "--dir", hub, "--areas", areas, "--items", DATA / "items.csv", "--county", "331123"
    )
    assert code == 0, made
    assert (made["county"], made["offices"], made["items"]) == ("331123", 235, 120)
    village = next(row.split(",")[0] for row in areas.read_text("utf-8").splitlines() if row.endswith(",village"))
    _, code_of, _ = said(capsys, "county", "enrol", "--dir", hub, "--office", village)
    assert code_of["expires_at"].endswith("+08:00")
    card, request, answer = tmp_path / "card", tmp_path / "request", tmp_path / "answer"
    assert said(capsys, "county", "card", "--dir", hub, "--out", card)[0] == 0
    join = ("edge", "join", "--dir", office)
    assert said(capsys, *join, "--code", code_of["code"], "--hub-card", card, "--request", request)[0] == 0
    assert said(capsys, "case", "list", "--dir", office)[1]["error"]["code"] == "not_a_node"  # not finished yet
    code, admitted, _ = said(capsys, "county", "admit", "--dir", hub, "--request", request, "--answer", answer)
    assert (code, admitted["refused"]) == (0, "")
    code, joined, _ = said(capsys, *join, "--answer", answer)
    assert (code, joined["office"], joined["fingerprint"]) == (0, village, admitted["fingerprint"])
    code, saved, _ = said(
        capsys, "case", "accept", "--dir", office, "--item", "JF-MZ-001", "--applicant", "雷水根",
        "--id-number", identity("19700101", "001", "331123"), "--field", "申请理由=房屋倒塌",
    )  # fmt: skip
    assert code == 0, saved
    assert set(saved) >= {"case", "number", "status", "op"}
    assert saved["number"].startswith(village)
    assert saved["number"] in Path(saved["slip"]).read_text("utf-8")
    for name in (saved["number"], saved["case"], saved["case"][:10], saved["number"].lower().replace("-", "")):
        assert said(capsys, "case", "show", "--dir", office, name)[1]["case"] == saved["case"]
    _, shown, _ = said(capsys, "case", "show", "--dir", office, saved["number"])
    assert shown["fields"]["申请理由"]["value"] == "房屋倒塌"
    assert {"status", "holder", "due", "conflicts", "timeline"} <= set(shown)
    _, status, _ = said(capsys, "node", "status", "--dir", office)
    assert (status["pending"], status["refused"], status["waiting"]) == (1, 0, 0)
    second = tmp_path / "second"
    said(capsys, "edge", "join", "--dir", second, "--code", code_of["code"], "--hub-card", card, "--request", request)
    code, refused, _ = said(capsys, "county", "admit", "--dir", hub, "--request", request, "--answer", answer)
    assert (code, refused["refused"]) == (1, "code_used")
    code, error, _ = said(capsys, "edge", "join", "--dir", second, "--answer", answer)
    assert (code, error["error"]["code"], error["error"]["facts"]["reason"]) == (1, "join_refused", "code_used")


def test_staff_accounts_guard_the_desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ops.bench.town import county_in, join_by_files

    with county_in(tmp_path / "hub") as county:
        join_by_files(county, tmp_path / "v")
    office = ("--dir", tmp_path / "v")
    monkeypatch.setenv("LIANDONG_NEW_PASSWORD", "long enough")
    assert said(capsys, "edge", "staff", "add", *office, "陈会计", "--role", "agent")[0] == 0
    act = ("case", "list", *office, "--staff", "陈会计")
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115, PTH123
    assert said(capsys, *act)[1]["error"]["code"] == "bad_password"
    monkeypatch.setenv("LIANDONG_PASSWORD", "long enough")
    assert said(capsys, *act)[0] == 0
    assert said(capsys, "case", "list", *office, "--staff", "nobody")[1]["error"]["code"] == "unknown_staff"
    accounts = said(capsys, "edge", "staff", "list", *office)[1]["staff"]
    assert {one["name"]: one["role"] for one in accounts} == {"chief": "chief", "陈会计": "agent"}
