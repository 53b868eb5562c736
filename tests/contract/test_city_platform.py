"""The city platform keeps its published promises: docs/protocol/city.md, call by call, over a real socket.

For: whoever writes another county's client, or replaces our platform by a real one.
May not: look into the platform's store.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops.city import CitySettings, CityThread
from ops.city.faults import Fault
from tests.support.process import python_env

PAPER = "申请书正文".encode()


def bundle(number: str = "420222-1", **changes: Any) -> dict[str, Any]:
    """A complete bundle with one material."""
    material = {
        "material": "申请书",
        "name": "申请书.txt",
        "media": "text/plain",
        "size": len(PAPER),
        "sha256": hashlib.sha256(PAPER).hexdigest(),
        "content": base64.b64encode(PAPER).decode(),
    }
    whole = {
        "case": "aa",
        "number": number,
        "forward": "bb",
        "county": "420222",
        "from": "420222",
        "target": "4202",
        "item": {"code": "XK-ZR-001"},
        "fields": {"applicant_name": "王小山", "applicant_id": "11010519491231002X"},
        "opinions": [{"office": "420222", "outcome": "agree", "opinion": "同意上报"}],
        "required": ["申请书"],
        "materials": [material],
    }
    return whole | changes


def client_of(url: str, token: str = "token") -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[CityThread]:
    with CityThread(CitySettings(tmp_path / "city", "token")) as running:
        yield running


@pytest.fixture
def http(city: CityThread) -> Iterator[httpx.Client]:
    with client_of(city.url) as client:
        yield client


def hand_in(http: httpx.Client, key: str, body: dict[str, Any]) -> httpx.Response:
    return http.post("/api/cases", json=body, headers={"Idempotency-Key": key})


def test_one_key_is_one_case(http: httpx.Client) -> None:
    first, again = hand_in(http, "k1", bundle()), hand_in(http, "k1", bundle())
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == {"receipt": again.json()["receipt"], "repeated": False}
    assert again.json()["repeated"] is True
    assert len(http.get("/operator/cases").json()["cases"]) == 1


def test_a_key_with_another_body_is_refused_and_names_the_receipt(http: httpx.Client) -> None:
    receipt = hand_in(http, "k1", bundle()).json()["receipt"]
    other = hand_in(http, "k1", bundle("420222-2"))
    assert other.status_code == 409
    assert (other.json()["error"]["code"], other.json()["error"]["receipt"]) == ("key_used", receipt)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"required": ["申请书", "户口簿"]}, "户口簿"),
        ({"opinions": []}, "opinion"),
        ({"fields": {"applicant_name": "王小山"}}, "applicant_id"),
        ({"materials": [bundle()["materials"][0] | {"sha256": "00" * 32}]}, "SHA-256"),
        ({"materials": [bundle()["materials"][0] | {"content": "!!"}]}, "material 1"),
        ({"number": " "}, "number"),
        ({"item": {}}, "item.code"),
    ],
)
def test_an_incomplete_bundle_is_refused_with_what_is_missing(
    http: httpx.Client, changes: dict[str, Any], said: str
) -> None:
    answer = hand_in(http, "k1", bundle(**changes))
    assert answer.status_code == 422
    assert any(said in sentence for sentence in answer.json()["error"]["missing"])
    assert http.get("/operator/cases").json()["cases"] == []
    assert hand_in(http, "k1", bundle()).status_code == 201  # a refused key stays free


@pytest.mark.parametrize("token", ["", "wrong", "token "])
def test_nothing_happens_without_the_token(city: CityThread, token: str) -> None:
    with client_of(city.url, "token") as insider:
        receipt = hand_in(insider, "k1", bundle()).json()["receipt"]
        with httpx.Client(base_url=city.url, trust_env=False, headers={"Authorization": f"Bearer {token}x"}) as http:
            assert hand_in(http, "k2", bundle()).status_code == 401
            for path in ("/api/answers", f"/api/cases/{receipt}", "/operator/cases"):
                assert http.get(path).status_code == 401
            for path in (f"/operator/cases/{receipt}/decide", f"/api/cases/{receipt}/withdraw", "/operator/faults"):
                assert http.post(path, json={}).status_code == 401
        assert len(insider.get("/operator/cases").json()["cases"]) == 1


def test_a_decision_comes_through_the_feed_in_order(http: httpx.Client) -> None:
    receipt = hand_in(http, "k1", bundle()).json()["receipt"]
    decision = {"decision": "granted", "opinion": "准予", "document": "市审〔2026〕7号"}
    assert http.post(f"/operator/cases/{receipt}/decide", json=decision).json()["state"] == "decided"
    feed = http.get("/api/answers?after=0").json()["answers"]
    assert [answer["kind"] for answer in feed] == ["received", "accepted", "decided"]
    assert feed[-1]["body"] == decision and feed[-1]["key"] == "k1"
    rest = http.get(f"/api/answers?after={feed[0]['n']}&limit=1").json()["answers"]
    assert rest == feed[1:2]
    state = http.get(f"/api/cases/{receipt}").json()
    assert (state["state"], state["answers"]) == ("decided", feed)
    assert state["files"][0]["sha256"] == hashlib.sha256(PAPER).hexdigest()


def test_an_ended_case_does_not_move(http: httpx.Client) -> None:
    receipt = hand_in(http, "k1", bundle()).json()["receipt"]
    assert http.post(f"/operator/cases/{receipt}/return", json={"reason": "材料不清"}).status_code == 200
    late = http.post(f"/operator/cases/{receipt}/decide", json={"decision": "granted", "opinion": "准予"})
    assert (late.status_code, late.json()["error"]["state"]) == (409, "returned")
    assert http.post(f"/api/cases/{receipt}/withdraw", json={"reason": "申请人撤回"}).status_code == 409


@pytest.mark.parametrize(
    "wish",
    [{"decision": "maybe", "opinion": "x"}, {"decision": "granted"}, {"decision": "denied", "opinion": "不予"}],
)
def test_a_decision_must_be_whole(http: httpx.Client, wish: dict[str, str]) -> None:
    receipt = hand_in(http, "k1", bundle()).json()["receipt"]
    assert http.post(f"/operator/cases/{receipt}/decide", json=wish).status_code == 422


def test_a_withdrawn_key_is_never_taken(http: httpx.Client) -> None:
    assert http.post("/api/keys/k1/withdraw", json={"reason": "撤回"}).json()["state"] == "withdrawn"
    assert hand_in(http, "k1", bundle()).status_code == 410
    receipt = hand_in(http, "k2", bundle()).json()["receipt"]
    assert http.post("/api/keys/k2/withdraw", json={"reason": "撤回"}).json()["state"] == "withdrawn"
    assert http.get(f"/api/cases/{receipt}").json()["state"] == "withdrawn"


def test_a_case_acts_by_itself_when_told_so(tmp_path: Path) -> None:
    now = [1_790_000_000_000]
    settings = CitySettings(tmp_path, "token", automatic="grant", delay_ms=2_000)
    with CityThread(settings, now_ms=lambda: now[0]) as city, client_of(city.url) as http:
        hand_in(http, "k1", bundle())
        assert [answer["kind"] for answer in http.get("/api/answers").json()["answers"]] == ["received"]
        now[0] += 2_000
        last = http.get("/api/answers").json()["answers"][-1]
        assert (last["kind"], last["body"]["decision"]) == ("decided", "granted")


def hand_in_badly(http: httpx.Client) -> str:
    """What a caller sees: a status, or the class of the error."""
    try:
        return str(hand_in(http, "k1", bundle()).status_code)
    except httpx.HTTPError as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("mode", "seen", "cases"),
    [
        ("cut", "RemoteProtocolError", 1),
        ("cut_before", "RemoteProtocolError", 0),
        ("error", "500", 0),
        ("error_after", "500", 1),
        ("busy", "503", 0),
        ("garbage", "201", 1),
        ("refuse", "422", 0),
    ],
)
def test_bad_days(city: CityThread, http: httpx.Client, mode: Any, seen: str, cases: int) -> None:
    city.faults.append(Fault(mode, times=1))
    assert hand_in_badly(http) == seen
    assert len(http.get("/operator/cases").json()["cases"]) == cases
    assert hand_in_badly(http) == "201"
    assert len(http.get("/operator/cases").json()["cases"]) == 1


def test_faults_are_switched_over_http_and_can_spare_others(http: httpx.Client) -> None:
    wish = {"faults": [{"mode": "error", "key": "k1"}, {"mode": "shuffle", "path": "/api/answers"}]}
    assert http.post("/operator/faults", json=wish).json() == {"faults": 2}
    assert (hand_in(http, "k1", bundle()).status_code, hand_in(http, "k2", bundle()).status_code) == (500, 201)
    hand_in(http, "k3", bundle())
    assert [answer["n"] for answer in http.get("/api/answers").json()["answers"]] == [2, 1]
    http.post("/operator/faults", json={"faults": []})
    assert hand_in(http, "k1", bundle()).status_code == 201
    assert http.post("/operator/faults", json={"faults": [{"mode": "nonsense"}]}).status_code == 422


def read_url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["url"])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the platform as a process of its own on the same directory, as often as asked."""
    started: list[subprocess.Popen[str]] = []

    def run() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ops.city", "--dir", str(tmp_path / "city")]
        environment = python_env({"LIANDONG_CITY_TOKEN": "token"})
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait(30)


def test_what_it_acknowledged_survives_a_kill(start: Callable[[], subprocess.Popen[str]]) -> None:
    process = start()
    with client_of(read_url(process)) as http:
        receipt = hand_in(http, "k1", bundle()).json()["receipt"]
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    process = start()
    with client_of(read_url(process)) as http:
        assert hand_in(http, "k1", bundle()).json() == {"receipt": receipt, "repeated": True}
        assert [answer["receipt"] for answer in http.get("/api/answers").json()["answers"]] == [receipt]
    process.terminate()
    assert process.wait(30) in (0, -signal.SIGTERM)
