"""Bad input: each has its clear error and code, changes nothing and loses nothing."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.attachment import FILE_BYTES_MAX
from ops import cli
from ops.bench.material import Author
from ops.bench.town import county_in, join_by_files
from ops.clock import COUNTY_ZONE
from ops.demo.cast import identity
from protocol import topics
from protocol.carriers.mqtt import MqttCarrier
from protocol.envelope import seal_envelope
from protocol.keys import generate
from protocol.messages import Ops
from protocol.trust import HubCard
from tests.story.town import COUNTY, HALL, PU, Town

GOOD = identity("19700101", "001")
ACCEPT = ("case", "accept", "--item", "JF-MZ-001", "--applicant", "王秀兰", "--id-number")
Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A county with a village and its township hall, joined by files; no broker runs."""
    room = tmp_path_factory.mktemp("bad-input")
    with county_in(room / "hub") as opened:
        join_by_files(opened, room / PU, PU)
        join_by_files(opened, room / HALL, HALL)
    return room


@pytest.fixture
def room(county: Path, tmp_path: Path) -> Path:
    """A copy of that county of a test's own."""
    shutil.copytree(county, tmp_path / "room")
    return tmp_path / "room"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """One command in this process: exit code, JSON document, stderr."""

    def one(*words: str | Path) -> tuple[int, dict[str, Any], str]:
        code = cli.run([*map(str, words), "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out), said.err

    yield one


def state(run: Run, directory: Path) -> tuple[Any, ...]:
    """What must not change: every view's digest and the backlog."""
    status = run("node", "status", "--dir", directory)[1]
    return run("case", "digest", "--dir", directory)[1], status["pending"], status["ops"], status["refused"]


def wrong_digit(number: str) -> str:
    return number[:-1] + ("1" if number[-1] != "1" else "2")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((*ACCEPT, wrong_digit(GOOD)), "bad_identity_number"),
        ((*ACCEPT, identity("19990230", "001")), "bad_identity_number"),  # the check fits, the day does not exist
        ((*ACCEPT, "42022219700101"), "bad_identity_number"),
        (("case", "accept", "--item", "NO-SUCH-001", "--applicant", "王", "--id-number", GOOD), "unknown_item"),
        (("case", "accept", "--item", "QR-MZ-009", "--applicant", "王", "--id-number", GOOD), "wrong_level"),
        (("case", "accept", "--item", "JF-MZ-001", "--applicant", " ", "--id-number", GOOD), "bad_input"),
        ((*ACCEPT, GOOD, "--field", "no equals sign"), "bad_input"),
        ((*ACCEPT, GOOD, "--field", "字段=" + "长" * 4_001), "field_too_long"),
        ((*ACCEPT, GOOD, "--attach", "/no/such/file"), "attachment_unreadable"),
        ((*ACCEPT, GOOD, "--staff", "nobody"), "unknown_staff"),
        (("case", "show", "420222107205-20260101-000001-1"), "unknown_case"),
        (("case", "take", "abcdef123456"), "unknown_case"),
    ],
)
def test_at_the_counter(room: Path, run: Run, words: tuple[str, ...], code: str) -> None:
    before = state(run, room / PU)
    exit_code, document, sentence = run(*words, "--dir", room / PU)
    assert (exit_code, document["error"]["code"]) == (1, code), document
    assert document["error"]["message"] in sentence
    assert sentence.count("\n") == 1
    assert state(run, room / PU) == before


def test_attachments_over_the_limit_and_empty_ones(room: Path, run: Run) -> None:
    before = state(run, room / PU)
    large, empty = room / "large.jpg", room / "empty.jpg"
    with large.open("wb") as out:
        out.truncate(FILE_BYTES_MAX + 1)
    empty.touch()
    for path, code in (
        (large, "attachment_too_large"),
        (empty, "attachment_unreadable"),
        (room, "attachment_unreadable"),
    ):
        exit_code, document, _ = run(*ACCEPT, GOOD, "--attach", path, "--dir", room / PU)
        assert (exit_code, document["error"]["code"]) == (1, code)
    assert state(run, room / PU) == before


def test_acts_that_the_case_does_not_allow(room: Path, run: Run) -> None:
    village = ("--dir", room / PU)
    number = run(*ACCEPT, GOOD, *village)[1]["number"]
    before = state(run, room / PU)
    for words, code in (
        (("deliver", number), "transition_not_allowed"),
        (("conclude", number), "transition_not_allowed"),
        (("take", number), "transition_not_allowed"),
        (("supplement", number, "--text", "x"), "nothing_to_answer"),
        (("decide", number, "--decision", "granted", "--opinion", "x"), "not_decision_level"),
        (("decide", number, "--decision", "perhaps"), "bad_input"),
        (("decide", number, "--decision", "denied", "--opinion", "x"), "bad_input"),
        (("forward", number, "--to", "331123"), "unknown_office"),
        (("examine", number, "--opinion", ""), "bad_input"),
        (("notice", number, "--missing", ""), "bad_input"),
    ):
        exit_code, document, _ = run("case", *words, *village)
        assert (exit_code, document["error"]["code"]) == (1, code), (words, document)
        assert state(run, room / PU) == before, words
    assert run("case", "forward", number, "--to", HALL, *village)[0] == 0
    assert run("case", "examine", number, "--opinion", "同意", *village)[1]["error"]["code"] == "handover_pending"


def test_a_code_that_expired(room: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    office = ("--dir", room / "late")
    tomorrow = f"{datetime.now(COUNTY_ZONE) + timedelta(days=1):%Y-%m-%d}"  # the hub has signed today and goes not back
    monkeypatch.setenv("LIANDONG_NOW", f"{tomorrow}T09:00:00+08:00")
    code = run("county", "enrol", "--dir", room / "hub", "--office", PU, "--hours", "1")[1]
    assert code["expires_at"] == f"{tomorrow}T10:00:00+08:00"
    assert run("county", "card", "--dir", room / "hub", "--out", room / "card")[0] == 0
    join = ("edge", "join", *office, "--code", code["code"], "--hub-card", room / "card")
    assert run(*join, "--request", room / "request")[0] == 0
    monkeypatch.setenv("LIANDONG_NOW", f"{tomorrow}T10:00:01+08:00")
    admit = ("county", "admit", "--dir", room / "hub", "--request", room / "request", "--answer", room / "answer")
    exit_code, document, _ = run(*admit)
    assert (exit_code, document["refused"]) == (1, "code_expired")
    assert run("edge", "join", *office, "--answer", room / "answer")[1]["error"]["code"] == "join_refused"
    mistyped = code["code"][:20] + ("A" if code["code"][20] != "A" else "B") + code["code"][21:]
    assert run("edge", "join", "--dir", room / "x", "--code", mistyped)[1]["error"]["code"] == "bad_code"
    assert not (room / "x").exists()


def test_a_damaged_store_is_found_and_not_written(room: Path, run: Run) -> None:
    store = room / PU / "edge.db"
    run(*ACCEPT, GOOD, "--dir", room / PU)
    blob = bytearray(store.read_bytes())
    blob[:4096] = random.Random(1).randbytes(4096)
    store.write_bytes(blob)
    exit_code, document, _ = run("case", "list", "--dir", room / PU)
    assert exit_code == 1
    assert document["error"]["code"] in ("store_damaged", "store_foreign")
    assert store.read_bytes() == bytes(blob)


def test_an_unreachable_broker_loses_nothing(room: Path, run: Run) -> None:
    number = run(*ACCEPT, GOOD, "--dir", room / PU)[1]["number"]
    before = state(run, room / PU)
    exit_code, document, sentence = run("edge", "sync", "--dir", room / PU, "--timeout", "2")
    assert (exit_code, document["error"]["code"]) == (1, "offline"), document
    assert sentence.count("\n") == 1
    assert state(run, room / PU) == before
    assert run("case", "show", number, "--dir", room / PU)[0] == 0


@pytest.mark.timeout(300)
def test_foreign_and_malformed_envelopes_are_seen_at_the_hub(tmp_path: Path) -> None:
    with Town(tmp_path) as town:
        town.start("broker")
        town.start("hub")
        town.join(PU)
        town.start(PU)
        card = HubCard.from_bytes((town.hub_dir / "hub.card").read_bytes())
        stranger = Author(random.Random(7), PU)
        hub = generate(COUNTY, COUNTY, "hub", random.Random(8).randbytes)
        for_another = seal_envelope([Ops([stranger.accept().blob])], keys=stranger.keys, recipient=stranger.device)
        assert hub.incarnation != stranger.keys.incarnation
        account = json.loads((tmp_path / PU / "keys" / "broker.json").read_text("utf-8"))
        send_as(town, PU, account, card, [b"no envelope at all", for_another, for_another[:-1]])

        def seen() -> set[str]:
            return {one["code"] for one in town.run("hub", "refusals", "--dir", town.hub_dir)["refusals"]}

        town.wait("the hub records what it could not open", lambda: {"malformed", "wrong_recipient"} <= seen())
        case = town.accept(PU)["case"]
        town.wait("honest work goes on", lambda: case in town.digests("hub"))
        nodes = town.run("hub", "nodes", "--dir", town.hub_dir)
        assert [one["office"] for one in nodes["nodes"]] == [PU]
        assert {"malformed", "wrong_recipient"} <= {one["code"] for one in nodes["refusals"]}


def send_as(town: Town, office: str, account: dict[str, str], card: HubCard, payloads: list[bytes]) -> None:
    """Publish raw bytes to the hub as the device of `office`, whose daemon stands still meanwhile."""
    town.procs[office].terminate()
    box = account["user"]
    carrier = MqttCarrier(
        f"mqtt://127.0.0.1:{town.port}", client_id=box, delays=lambda: iter([0.2] * 100), username=box,
        password=account["password"], subscriptions=[],
    )  # fmt: skip
    carrier.start()
    try:
        town.wait("the line", lambda: carrier.state == "online")
        for payload in payloads:
            carrier.publish(topics.up(topics.space(card.fingerprint), box), payload)
        town.wait("all is handed over", lambda: carrier.counters.acknowledged >= len(payloads))
    finally:
        carrier.stop()
    town.start(office)


@pytest.mark.timeout(300)
def test_an_unreachable_city_is_said_and_waited_for(tmp_path: Path) -> None:
    with Town(tmp_path) as town:
        answer = town.run("hub", "upward", "connect", "--dir", town.hub_dir, "--url", "ftp://city", check=False)
        assert answer["error"]["code"] == "bad_city_address"
        words = ("hub", "upward", "connect", "--dir", town.hub_dir, "--url", "http://127.0.0.1:9")
        town.run(*words, env={"LIANDONG_CITY_TOKEN": "t" * 32})
        town.start("broker")
        town.start("hub")
        town.wait(
            "the trouble with the city is said",
            lambda: town.run("hub", "upward", "--dir", town.hub_dir)["city"]["problem_code"] == "city_unreachable",
        )
