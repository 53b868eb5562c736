"""Goal: what the city says becomes exactly one op of the hub that every holder of the case gets.

Method: the real gateway and the real desk over a county's store; the city is a table of answers.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import pytest

from conflict.ledger.errors import StoreUnreachable
from conflict.ledger.files import save_file
from conflict.ledger.views import view
from hub import upward
from hub.init import County
from hub.upward_run import HubDesk, run_gateway
from protocol.errors import RefusedError
from protocol.op import Op, parse_op
from tests.unit.hub.hub_support import COUNTY, NOW, TOWN, Clock, Machine, enrol, new_intake
from tests.unit.hub.test_hub_intake import offer, ops_in

CITY = "4202"
SCAN = b"scan of a paper"


class City:
    """A city that takes everything and decides when told."""

    def __init__(self) -> None:
        self.taken: dict[str, str] = {}
        self.feed: list[dict[str, Any]] = []

    def hand_in(self, key: str, body: bytes) -> str:
        return self.taken.setdefault(key, f"黄石-{len(self.taken) + 1:04d}")

    def answers(self, after: int) -> list[Any]:
        return [entry for entry in self.feed if entry["n"] > after]

    def answers_of(self, receipt: str) -> list[Any] | None:
        return []

    def withdraw(self, key: str, receipt: str, reason: str) -> None:
        raise AssertionError("nobody withdraws here")

    def say(self, kind: str, **body: str) -> None:
        ((key, receipt),) = self.taken.items()
        number = len(self.feed) + 1
        entry = {
            "n": number,
            "id": f"a{number}",
            "key": key,
            "receipt": receipt,
            "kind": kind,
            "at_ms": NOW,
            "body": body,
        }
        self.feed.append(entry)


def forwarded(county: County) -> tuple[Op, Machine]:
    """A 上报件 of the county's window on its way to the city, complete."""
    machine, intake = enrol(county, COUNTY, seed=1), new_intake(county)
    with county.store.write() as tx:
        save_file(tx, SCAN, now_ms=NOW)
    opened = machine.accept("QR-RS-018")
    ops = [opened]
    for material in county.shelf.items["QR-RS-018"]["materials"]:
        body = {
            "material": material,
            "sha256": hashlib.sha256(SCAN).digest(),
            "size": len(SCAN),
            "media": "image/png",
            "name": "scan.png",
            "grade": "B",
        }
        ops.append(machine.op("attach", body, ops[-1:]))
    ops.append(machine.op("examine", {"outcome": "agree", "opinion": "材料齐全，建议上报"}, ops[-1:]))
    ops.append(machine.op("forward", {"to": CITY, "opinion": "同意上报"}, ops[-1:]))
    taken = offer(intake, machine, *ops)
    assert taken.stored == len(ops) and taken.refused == 0
    return opened, machine


def step(county: County, city: City, after_ms: int = 0) -> upward.StepResult:
    clock = Clock(NOW + after_ms)
    return upward.step(county.store, city, HubDesk(county, county.shelf, clock), now_ms=clock())


def test_answer_of_the_city_reaches_every_holder_once(either: County) -> None:
    opened, _machine = forwarded(either)
    city = City()
    assert step(either, city).touched == {opened.id}
    city.say("decided", decision="granted", opinion="同意", document="黄劳鉴〔2026〕1号")
    step(either, city, 60_000)
    assert step(either, city, 120_000).handed == 0
    with either.store.read() as tx:
        case = view(tx, opened.id)
    assert case.status == "decided" and case.decision["document"] == "黄劳鉴〔2026〕1号"
    by_hub = [op for op in map(parse_op, ops_in(either, COUNTY)) if op.role == "hub"]
    assert [(op.kind, op.body["for_office"]) for op in by_hub] == [("take", CITY), ("decide", CITY)]
    assert [op.seq for op in by_hub] == [1, 2]


def test_answer_that_the_case_does_not_allow_is_refused_and_writes_nothing(county: County) -> None:
    opened, machine = forwarded(county)
    city = City()
    step(county, city)
    city.say("decided", decision="granted", opinion="同意")
    with county.store.read() as tx:
        heads = view(tx, opened.id).heads
    taken = [parse_op(blob) for blob in ops_in(county, COUNTY) if parse_op(blob).id in heads]
    offer(new_intake(county), machine, machine.op("withdraw", {"reason": "申请人撤回"}, taken))
    length = len(ops_in(county, COUNTY))
    result = step(county, city, 60_000)
    assert result.handed == 0 and len(ops_in(county, COUNTY)) == length
    with county.store.read() as tx:
        assert upward.overview(tx, now_ms=NOW)["set_aside"]


def test_desk_asks_the_rules(county: County) -> None:
    opened, _machine = forwarded(county)
    desk = HubDesk(county, county.shelf, Clock())
    answer = upward.Answer("x", opened.id, opened.id, "return", {"of": opened.id, "reason": "?"}, CITY)
    with county.store.write() as tx, pytest.raises(RefusedError):
        desk.hand_over(tx, answer)


def test_gateway_runs_beside_the_loop_and_ends(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a city it idles; a fault in a step does not end it."""
    from hub import upward_run

    monkeypatch.setattr(upward_run, "STEP_S", 0.01)
    monkeypatch.setattr(upward_run, "TROUBLE_S", 0.01)
    calls: list[int] = []

    def stumble(_directory: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ZeroDivisionError("a bug")

    monkeypatch.setattr(upward, "load_address", stumble)
    stop = threading.Event()
    worker = threading.Thread(
        target=run_gateway, args=(county, county.shelf, stop, lambda: None), kwargs={"now_ms": Clock()}
    )
    worker.start()
    while len(calls) < 4 and worker.is_alive():
        stop.wait(0.01)
    stop.set()
    worker.join(10)
    assert len(calls) >= 4 and not worker.is_alive()


def test_gateway_comes_up_although_the_store_does_not_answer_at_first(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread used to end for good if the database was away at the moment of its start."""
    from hub import upward_run

    monkeypatch.setattr(upward_run, "STEP_S", 0.01)
    monkeypatch.setattr(upward_run, "TROUBLE_S", 0.01)
    stop, looked = threading.Event(), threading.Event()
    resumes: list[int] = []

    def resume(_store: object, *, now_ms: int) -> None:
        resumes.append(now_ms)
        if len(resumes) < 3:
            raise StoreUnreachable("The database server does not answer.", "数据库服务器没有响应。")

    monkeypatch.setattr(upward, "resume", resume)
    monkeypatch.setattr(upward, "load_address", lambda _directory: looked.set())
    worker = threading.Thread(
        target=run_gateway, args=(county, county.shelf, stop, lambda: None), kwargs={"now_ms": Clock()}
    )
    worker.start()
    came_up = looked.wait(10)
    stop.set()
    worker.join(10)
    assert came_up and len(resumes) == 3


def test_township_does_not_see_the_city_case_of_the_county(county: County) -> None:
    forwarded(county)
    assert ops_in(county, TOWN) == []
