"""The gateway against the real city platform over real sockets: one case once, whatever the line does.

For: what `step` promises; the store, the ledger, the fold, httpx and the platform are the real ones.
May not: wait for wall-clock time: the gateway is told what time it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection

from conflict.errors import HeldByAnother
from hub.upward import Answer, CityClient, call_now, case_facts, requeue, resume, retry_answer, step
from hub.upward.bundle import build_body, build_head
from hub.upward.errors import CityDenied, CityTakenBack, NothingToRetry
from hub.upward.forwards import idempotency_key
from hub.upward.gateway import FEED_OVERLAP
from hub.upward.queue import CHECK_MS
from hub.upward.tries import STATE_CHECK_MS, claim
from ops.city import CitySettings, CityThread
from ops.city.faults import Fault
from tests.contract.city_world import CITY, TOKEN, County, cases_at, client_of, grant, operator_of

HOUR_MS = 3_600_000


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    made = County(tmp_path / "hub")
    yield made
    made.store.close()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[CityThread]:
    with CityThread(CitySettings(tmp_path / "city", TOKEN)) as running:
        yield running


@pytest.fixture
def city(platform: CityThread) -> Iterator[CityClient]:
    with client_of(platform.url) as client:
        yield client


@pytest.fixture
def operator(platform: CityThread) -> Iterator[httpx.Client]:
    with operator_of(platform.url) as http:
        yield http


@pytest.fixture(params=["sqlite", "postgresql"])
def either_county(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[County]:
    """The county on both databases."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    made = County(tmp_path / "hub", url)
    yield made
    made.store.close()


def test_there_and_back(either_county: County, city: CityClient, operator: httpx.Client) -> None:
    county = either_county
    case = county.new_case()
    county.forward(case)
    assert county.row(case)["state"] == "queued"
    first = county.step(city)
    assert (first.sent, first.handed, first.touched) == (1, 1, {case})
    row = county.row(case)
    assert (row["state"], row["receipt"]) == ("sent", cases_at(operator)[0]["receipt"])
    assert [op.body["reference"] for op in county.ops(case, "take")] == [row["receipt"]]
    grant(operator, row["receipt"])
    county.step(city, after_ms=10_000)
    (decision,) = county.ops(case, "decide")
    assert decision.body["for_office"] == CITY and decision.body["document"] == "市审〔2026〕7号"
    assert (county.status(case), county.row(case)["state"], county.row(case)["city_state"]) == (
        "decided",
        "answered",
        "decided",
    )
    quiet = county.step(city, after_ms=10_000)
    assert (quiet.sent, quiet.handed, quiet.touched) == (0, 0, set())


def test_a_return_goes_back_and_a_new_forward_is_a_new_case(
    county: County, city: CityClient, operator: httpx.Client
) -> None:
    case = county.new_case()
    first = county.forward(case)
    county.step(city)
    receipt = county.row(case)["receipt"]
    operator.post(f"/operator/cases/{receipt}/return", json={"reason": "面积与图件不符"})
    county.step(city, after_ms=10_000)
    (returned,) = county.ops(case, "return")
    assert (returned.body["of"], returned.body["reason"], county.status(case)) == (
        first,
        "面积与图件不符",
        "processing",
    )
    county.forward(case)
    county.step(city)
    assert sorted(row["state"] for row in county.rows(case)) == ["answered", "sent"]
    assert len(cases_at(operator)) == 2


@pytest.mark.parametrize("mode", ["cut", "garbage", "error_after"])
def test_a_lost_answer_makes_no_second_case(
    county: County, platform: CityThread, city: CityClient, operator: httpx.Client, mode: Any
) -> None:
    case = county.new_case()
    county.forward(case)
    platform.faults.append(Fault(mode, times=2, path="/api/cases"))
    county.step(city)
    row = county.row(case)
    assert (row["state"], row["code"], row["attempts"]) == ("sending", "city_unclear", 1)
    for _ in range(3):
        county.step(city, after_ms=HOUR_MS)
    assert county.row(case)["state"] == "sent"
    assert [found["receipt"] for found in cases_at(operator)] == [county.row(case)["receipt"]]
    assert len(county.ops(case, "take")) == 1


class RecordingCity:
    """The real client, which remembers what it handed in."""

    def __init__(self, city: CityClient) -> None:
        self._city = city
        self.calls: list[tuple[str, bytes]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._city, name)

    def hand_in(self, key: str, body: bytes) -> str:
        self.calls.append((key, body))
        return self._city.hand_in(key, body)


def test_material_that_comes_during_a_try_does_not_change_the_bundle(
    county: County, platform: CityThread, city: CityClient, operator: httpx.Client
) -> None:
    case = county.new_case()
    county.forward(case)
    platform.faults.append(Fault("cut", times=1, path="/api/cases"))
    recording = RecordingCity(city)
    county.step(recording)
    county.attach(case, b"late paper", material="补充说明")
    county.step(recording, after_ms=HOUR_MS)
    assert county.row(case)["state"] == "sent"
    assert len(recording.calls) == 2 and len(set(recording.calls)) == 1
    assert len(cases_at(operator)[0]["bundle"]["materials"]) == 1


def test_an_incomplete_case_is_not_sent_and_says_what_it_waits_for(
    county: County, city: CityClient, operator: httpx.Client
) -> None:
    case = county.new_case(paper=None)
    county.forward(case)
    county.step(city)
    row = county.row(case)
    assert (row["state"], row["attempts"]) == ("waiting_materials", 0)
    assert [(one["kind"], one["name"]) for one in row["missing"]] == [("file", "a.txt")]
    assert cases_at(operator) == []
    county.bring(b"late")  # no op comes with the bytes
    county.step(city, after_ms=CHECK_MS)
    assert county.row(case)["state"] == "sent"
    assert operator.get(f"/api/cases/{county.row(case)['receipt']}").json()["files"][0]["size"] == 4


def test_one_bad_case_stops_no_other(
    county: County, platform: CityThread, city: CityClient, operator: httpx.Client
) -> None:
    bad_modes: tuple[Any, ...] = ("error", "busy", "refuse", "cut_before", "garbage")
    for mode in bad_modes:
        key = idempotency_key(county.forward(county.new_case(urgent=True)))
        platform.faults.append(Fault(mode, key=key, seconds=5))
    good = county.new_case()
    county.forward(good)
    for _ in range(3):
        county.step(city)
    assert county.row(good)["state"] == "sent"
    states = sorted(row["state"] for row in county.rows())
    assert states == ["failed", "sending", "sending", "sending", "sending", "sent"]
    platform.faults.clear()
    for _ in range(6):
        county.step(city, after_ms=HOUR_MS)
    assert sorted(row["state"] for row in county.rows()) == ["failed"] + ["sent"] * 5
    assert len(cases_at(operator)) == 5


def test_a_refusal_is_for_a_person_who_can_try_again(
    county: County, platform: CityThread, city: CityClient, operator: httpx.Client
) -> None:
    case = county.new_case()
    county.forward(case)
    platform.faults.append(Fault("refuse", path="/api/cases"))
    county.step(city)
    for _ in range(3):
        county.step(city, after_ms=HOUR_MS)
    row = county.row(case)
    assert (row["state"], row["code"], row["attempts"]) == ("failed", "city_refused", 1)
    assert "本市不受理此事项" in row["reason"]
    platform.faults.clear()
    county.attach(case, b"more", material="更正说明")
    with county.store.write() as tx:
        assert requeue(tx, case, now_ms=county.now_ms) == 1
    county.step(city)
    assert county.row(case)["state"] == "sent"
    assert len(cases_at(operator)[0]["bundle"]["materials"]) == 2  # built anew


def test_busy_means_later_and_the_city_is_not_pressed(
    county: County, platform: CityThread, city: CityClient, operator: httpx.Client
) -> None:
    cases = [county.new_case() for _ in range(3)]
    for case in cases:
        county.forward(case)
    platform.faults.append(Fault("busy", seconds=600, path="/api/cases"))
    county.step(city)
    tried = [row for row in county.rows() if row["attempts"]]
    assert len(tried) == 1 and tried[0]["code"] == "city_busy"
    assert tried[0]["next_try_ms"] >= county.now_ms + 600_000
    platform.faults.clear()
    county.step(city)
    assert sorted(row["state"] for row in county.rows()) == ["sending", "sent", "sent"]


def test_nobody_there(county: County, tmp_path: Path) -> None:
    case = county.new_case()
    county.forward(case)
    with CityThread(CitySettings(tmp_path / "city", TOKEN)) as platform:
        url = platform.url
    with client_of(url) as city:
        for _ in range(3):
            county.step(city, after_ms=HOUR_MS)
        row, view = county.row(case), county.overview()
        assert (row["state"], row["attempts"]) == ("queued", 0)
        assert (view["city"]["problem_code"], view["city"]["paused"]) == ("city_unreachable", True)
        port = int(url.rpartition(":")[2])
        with CityThread(CitySettings(tmp_path / "city", TOKEN), port=port):
            county.step(city, after_ms=HOUR_MS)
    assert county.row(case)["state"] == "sent"
    assert county.overview()["city"]["problem_code"] == ""


def test_a_wrong_token_fails_no_case(county: County, platform: CityThread) -> None:
    case = county.new_case()
    county.forward(case)
    with CityClient(replace_token(platform.url)) as stranger:
        county.step(stranger)
        assert (county.row(case)["state"], county.overview()["city"]["problem_code"]) == ("queued", "city_denied")
    with client_of(platform.url) as city:
        assert county.step(city, after_ms=1).sent == 0  # the pause holds
        with county.store.write() as tx:
            call_now(tx)
        assert county.step(city, after_ms=1).sent == 1


def replace_token(url: str) -> Any:
    from hub.upward import CityAddress

    return CityAddress(url, "old-token")


def test_recalled_before_sending_is_not_sent(county: County, city: CityClient, operator: httpx.Client) -> None:
    case = county.new_case()
    forward = county.forward(case)
    county.act("recall", case, of=forward, reason="补充意见")
    county.step(city)
    row = county.row(case)
    assert (row["state"], row["code"], row["tell_city"]) == ("withdrawn", "recalled", False)
    assert cases_at(operator) == []


def test_withdrawn_after_sending_is_told(county: County, city: CityClient, operator: httpx.Client) -> None:
    case = county.new_case()
    county.forward(case)
    county.step(city)
    county.act("withdraw", case, reason="申请人撤回")
    assert county.row(case)["tell_city"] is True
    county.step(city)
    assert [found["state"] for found in cases_at(operator)] == ["withdrawn"]
    row = county.row(case)
    assert (row["state"], row["tell_city"], row["city_state"]) == ("withdrawn", False, "withdrawn")


def test_withdrawn_while_nobody_knows_whether_the_city_has_it(
    county: County, platform: CityThread, city: CityClient, operator: httpx.Client
) -> None:
    """The call was cut before the city took it: the key is withdrawn, so a late copy is not taken either."""
    case = county.new_case()
    forward = county.forward(case)
    platform.faults.append(Fault("cut_before", times=1, path="/api/cases"))
    county.step(city)
    county.act("withdraw", case, reason="申请人撤回")
    county.step(city)
    assert (county.row(case)["state"], county.row(case)["tell_city"]) == ("withdrawn", False)
    assert cases_at(operator) == []
    with pytest.raises(CityTakenBack):
        city.hand_in(idempotency_key(forward), whole_body(county, case))


def test_a_withdrawal_that_comes_too_late_is_visible(county: County, city: CityClient, operator: httpx.Client) -> None:
    case = county.new_case()
    county.forward(case)
    county.step(city)
    grant(operator, county.row(case)["receipt"])
    county.act("withdraw", case, reason="申请人撤回")
    county.step(city, after_ms=10_000)
    row = county.row(case)
    assert (row["state"], row["tell_city"]) == ("withdrawn", False)
    assert "Too late" in row["reason"]
    assert [(one["kind"], one["state"]) for one in row["answers"] if one["state"] == "refused"] == [
        ("decide", "refused")
    ]
    assert [one["id"] for one in county.overview()["set_aside"]]
    assert (county.status(case), county.ops(case, "decide")) == ("withdrawn", [])


@pytest.mark.parametrize("mode", ["repeat", "shuffle"])
def test_a_feed_that_repeats_itself_or_is_out_of_order(
    county: County, platform: CityThread, city: CityClient, operator: httpx.Client, mode: Any
) -> None:
    platform.faults.append(Fault(mode, path="/api/answers"))
    cases = [county.new_case() for _ in range(4)]
    for case in cases:
        county.forward(case)
    county.step(city)
    for case in cases:
        grant(operator, county.row(case)["receipt"])
    for _ in range(3):
        county.step(city, after_ms=10_000)
    for case in cases:
        assert (len(county.ops(case, "take")), len(county.ops(case, "decide"))) == (1, 1)
        assert county.status(case) == "decided"


class HidingCity:
    """The real client, but the feed withholds some answers, for ever or for a while."""

    def __init__(self, city: CityClient, hides: Callable[[dict[str, Any]], bool]) -> None:
        self._city = city
        self.hides = hides

    def __getattr__(self, name: str) -> Any:
        return getattr(self._city, name)

    def answers(self, after: int) -> list[Any]:
        return [answer for answer in self._city.answers(after) if not self.hides(answer)]


def test_an_answer_that_shows_late_behind_the_cursor_is_found(
    county: County, city: CityClient, operator: httpx.Client
) -> None:
    cases = [county.new_case() for _ in range(2)]
    for case in cases:
        county.forward(case)
    county.step(city)
    receipts = [county.row(case)["receipt"] for case in cases]
    for receipt in receipts:
        grant(operator, receipt)
    slow = HidingCity(city, lambda answer: answer["receipt"] == receipts[0] and answer["kind"] == "decided")
    county.step(slow, after_ms=10_000)
    assert [county.status(case) for case in cases] == ["processing", "decided"]
    slow.hides = lambda answer: False
    county.step(slow, after_ms=10_000)
    assert county.status(cases[0]) == "decided"
    assert county.overview()["city"]["cursor"] < FEED_OVERLAP


def test_a_feed_that_never_shows_an_answer_loses_nothing(
    county: County, city: CityClient, operator: httpx.Client
) -> None:
    case = county.new_case()
    county.forward(case)
    deaf = HidingCity(city, lambda answer: True)
    county.step(deaf)
    grant(operator, county.row(case)["receipt"])
    county.step(deaf, after_ms=10_000)
    assert county.status(case) == "processing"
    county.step(deaf, after_ms=STATE_CHECK_MS)
    assert county.status(case) == "decided"


def test_an_answer_before_the_receipt_is_enough(
    county: County, platform: CityThread, city: CityClient, operator: httpx.Client
) -> None:
    """The call that handed the bundle in was cut; the city decides before it is repeated."""
    case = county.new_case()
    county.forward(case)
    platform.faults.append(Fault("cut", path="/api/cases"))
    county.step(city)
    grant(operator, cases_at(operator)[0]["receipt"])
    county.step(city, after_ms=10_000)
    assert [op.kind for kind in ("take", "decide") for op in county.ops(case, kind)] == ["take", "decide"]
    assert county.row(case)["state"] == "answered"


def test_a_hub_that_forgot_takes_over_the_number_that_the_city_gave(
    county: County, city: CityClient, operator: httpx.Client
) -> None:
    """Restored from a backup, case changed since, and not even the feed tells: the city's refusal does."""
    case = county.new_case()
    forward = county.forward(case)
    receipt = city.hand_in(idempotency_key(forward), whole_body(county, case))
    county.attach(case, b"more", material="补充说明")
    county.step(HidingCity(city, lambda answer: True))
    assert (county.row(case)["state"], county.row(case)["receipt"]) == ("sent", receipt)
    assert len(cases_at(operator)) == 1


class MeddlingCity:
    """The real client, with something that happens while a bundle is on the line."""

    def __init__(self, city: CityClient, meanwhile: Callable[[], None]) -> None:
        self._city = city
        self._meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._city, name)

    def hand_in(self, key: str, body: bytes) -> str:
        self._meanwhile()
        return self._city.hand_in(key, body)


def test_withdrawn_while_the_bundle_is_on_the_line(county: County, city: CityClient, operator: httpx.Client) -> None:
    case = county.new_case()
    county.forward(case)
    county.step(MeddlingCity(city, lambda: county.act("withdraw", case, reason="申请人撤回") and None))
    row = county.row(case)
    assert (row["state"], row["tell_city"], row["receipt"]) == ("withdrawn", True, cases_at(operator)[0]["receipt"])
    county.step(city)
    assert (county.row(case)["tell_city"], cases_at(operator)[0]["state"]) == (False, "withdrawn")


def test_a_door_that_closes_for_bundles_alone_fails_no_case(county: County, city: CityClient) -> None:
    def closed() -> None:
        raise CityDenied("no", "不行")

    cases = [county.new_case() for _ in range(2)]
    for case in cases:
        county.forward(case)
    county.step(MeddlingCity(city, closed))
    assert [(row["state"], row["attempts"]) for row in county.rows()] == [("queued", 0)] * 2
    assert county.overview()["city"]["problem_code"] == "city_denied"


class ScriptedCity:
    """A city that says what the test wants, for answers that no honest platform gives."""

    def __init__(self, *pages: list[Any]) -> None:
        self.pages = list(pages)

    def hand_in(self, key: str, body: bytes) -> str:
        return f"R-{key[:8]}"

    def answers(self, after: int) -> list[Any]:
        return self.pages.pop(0) if self.pages else []

    def answers_of(self, receipt: str) -> list[Any] | None:
        return []

    def withdraw(self, key: str, receipt: str, reason: str) -> None:
        return None


def test_unreadable_answers_are_set_aside_and_the_rest_goes_on(county: County) -> None:
    case = county.new_case()
    key = idempotency_key(county.forward(case))
    whole = {"key": key, "receipt": "R-1", "kind": "decided", "body": {"decision": "granted", "opinion": "准予"}}
    page: list[Any] = [
        None,
        17,
        {"n": "1", "id": "a"},
        {"n": -1, "id": "b"},
        {"n": 2**60, "id": "c"},
        {"n": 1, "id": "d"} | whole | {"kind": "celebrated"},
        {"n": 2, "id": "e"} | whole | {"body": {"decision": "granted"}},
        {"n": 3, "id": "f"} | whole | {"body": {"decision": "maybe", "opinion": "?"}},
        {"n": 4, "id": "g"} | whole | {"body": {"decision": "granted", "opinion": "长" * 4_001}},
        {"n": 5, "id": "h"} | whole | {"body": [1]},
        {"n": 6, "id": "i"} | whole | {"key": 5},
        {"n": 7, "id": "j"} | whole,
        {"n": 7, "id": "j"} | whole,
    ]
    city = ScriptedCity([], page)
    county.step(city)
    county.step(city, after_ms=10_000)
    assert len(county.ops(case, "decide")) == 1
    assert {one["id"] for one in county.overview()["set_aside"]} == {"d", "e", "f", "g", "h", "i"}
    assert county.overview()["city"]["cursor"] == 7


def test_an_answer_for_an_unknown_forward_waits_for_it(county: County) -> None:
    """A restored hub reads answers to forwards that its offices have not offered again yet."""
    case = county.new_case()
    with county.store.write() as tx:
        later = county.window.sign(tx, "forward", case, to=CITY, opinion="请审批")
    answer = {
        "n": 1,
        "id": "x-1",
        "key": idempotency_key(later.id),
        "receipt": "R-9",
        "kind": "decided",
        "body": {"decision": "granted", "opinion": "准予"},
    }
    city = ScriptedCity([answer])
    county.step(city)
    assert [one["id"] for one in county.overview()["strays"]] == ["x-1"]
    with county.store.write() as tx:
        county.put(tx, later)
    county.step(city, after_ms=10_000)
    assert (county.status(case), county.row(case)["receipt"]) == ("decided", "R-9")
    assert county.overview()["strays"] == []


class FlakyDesk:
    """The county's desk, which fails on one case as a faulty program would."""

    def __init__(self, county: County, bad: bytes) -> None:
        self.county, self.bad, self.mended = county, bad, False

    def hand_over(self, tx: Connection, answer: Answer) -> bytes:
        op = self.county.hand_over(tx, answer)
        if answer.case == self.bad and not self.mended:
            raise KeyError("王小山 11010519491231002X")
        return op


def test_a_fault_of_our_own_in_one_case_stops_no_other(
    county: County, city: CityClient, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = county.new_case(), county.new_case()
    for case in (bad, good):
        county.forward(case)
    desk = FlakyDesk(county, bad)
    step(county.store, city, desk, now_ms=county.now_ms)
    assert (len(county.ops(bad, "take")), len(county.ops(good, "take"))) == (0, 1)
    assert "王小山" not in caplog.text and "KeyError" in caplog.text
    desk.mended = True
    step(county.store, city, desk, now_ms=county.now_ms + HOUR_MS)
    assert len(county.ops(bad, "take")) == 1


class StrictDesk:
    """The county's desk, whose rules refuse everything until a person has put the case right."""

    def __init__(self, county: County) -> None:
        self.county, self.strict = county, True

    def hand_over(self, tx: Connection, answer: Answer) -> bytes:
        op = self.county.hand_over(tx, answer)
        if self.strict:
            raise HeldByAnother("the case is held by another office", "办件现由其他单位承办")
        return op


def test_a_refused_answer_is_shown_and_handed_over_again_on_demand(county: County, city: CityClient) -> None:
    case = county.new_case()
    county.forward(case)
    desk = StrictDesk(county)
    for hours in (0, 1, 2):
        assert step(county.store, city, desk, now_ms=county.now_ms + hours * HOUR_MS).handed == 0
    (aside,) = county.overview()["set_aside"]
    assert (aside["state"], aside["code"], aside["reason_zh"]) == ("refused", "held_by_another", "办件现由其他单位承办")
    assert county.ops(case, "take") == []
    desk.strict = False
    with county.store.write() as tx:
        retry_answer(tx, aside["id"], now_ms=county.now_ms)
    assert step(county.store, city, desk, now_ms=county.now_ms).handed == 1
    assert len(county.ops(case, "take")) == 1
    with county.store.write() as tx, pytest.raises(NothingToRetry):
        retry_answer(tx, aside["id"], now_ms=county.now_ms)


def test_retry_needs_something_that_failed(county: County) -> None:
    case = county.new_case()
    county.forward(case)
    with county.store.write() as tx, pytest.raises(NothingToRetry):
        requeue(tx, case, now_ms=county.now_ms)


def test_a_city_that_forgot_its_number_is_told_by_key(county: County, city: CityClient, tmp_path: Path) -> None:
    case = county.new_case()
    forward = county.forward(case)
    county.step(city)
    county.act("withdraw", case, reason="申请人撤回")
    with CityThread(CitySettings(tmp_path / "emptied", TOKEN)) as emptied, operator_of(emptied.url) as operator:
        with client_of(emptied.url) as restored:
            county.step(restored)
        assert (county.row(case)["tell_city"], county.row(case)["city_state"]) == (False, "withdrawn")
        with client_of(emptied.url) as late, pytest.raises(CityTakenBack):
            late.hand_in(idempotency_key(forward), whole_body(county, case))
        assert cases_at(operator) == []


def whole_body(county: County, case: bytes) -> bytes:
    """A complete bundle of the case, as a late copy of a call would carry it."""
    with county.store.read() as tx:
        (forward,) = case_facts.forwards_of(tx, case_facts.view_of(tx, case))
        found = case_facts.Files(tx)
        return build_body(build_head(case_facts.view_of(tx, case), forward, found.has), found.read)


def test_a_jumping_clock_holds_nothing_back(
    county: County, platform: CityThread, city: CityClient, operator: httpx.Client
) -> None:
    """Ten years ahead, a failed try, back again: the waits that were written meanwhile do not count."""
    case = county.new_case()
    county.forward(case)
    platform.faults.append(Fault("error", times=1, path="/api/cases"))
    ten_years = 10 * 365 * 24 * HOUR_MS
    county.step(city, after_ms=ten_years)
    assert county.row(case)["state"] == "sending"
    county.step(city, after_ms=-ten_years)
    assert county.row(case)["state"] == "sent"


def test_urgent_cases_go_first(county: County, city: CityClient, operator: httpx.Client) -> None:
    ordinary, urgent = county.new_case(), county.new_case(urgent=True)
    for case in (ordinary, urgent):
        county.forward(case)
    county.step(city)
    assert [found["bundle"]["urgent"] for found in cases_at(operator)] == [True, False]


def test_a_city_that_lost_the_case_gets_it_again(
    county: County, city: CityClient, platform: CityThread, tmp_path: Path
) -> None:
    case = county.new_case()
    county.forward(case)
    county.step(city)
    with CityThread(CitySettings(tmp_path / "other-city", TOKEN)) as emptied, client_of(emptied.url) as restored:
        county.step(restored, after_ms=STATE_CHECK_MS)
        county.step(restored)
        assert county.row(case)["state"] == "sent"
        with operator_of(emptied.url) as http:
            assert len(cases_at(http)) == 1
    assert len(county.ops(case, "take")) == 1  # the second number for the same forward is shown, not applied


def test_province_items_go_to_the_city(county: County, city: CityClient, operator: httpx.Client) -> None:
    case = county.new_case()
    county.forward(case, to="42")
    county.step(city)
    assert cases_at(operator)[0]["bundle"]["target"] == "42"
    grant(operator, county.row(case)["receipt"])
    county.step(city, after_ms=10_000)
    assert county.ops(case, "decide")[0].body["for_office"] == "42"


def test_resume_frees_what_a_killed_process_held(county: County, city: CityClient) -> None:

    case = county.new_case()
    forward = county.forward(case)
    with county.store.write() as tx:
        assert claim(tx, forward, county.now_ms) is not None  # and the process dies here
    assert county.step(city).sent == 0
    resume(county.store, now_ms=county.now_ms)
    assert county.step(city).sent == 1
