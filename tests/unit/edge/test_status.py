"""What the status says: backlog, contact, and a banner for everything that a person should know."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conflict.ledger.meta import put_meta
from edge import aside, memory, outbox
from edge.clock import AHEAD_MS_MAX
from edge.main import Node
from edge.service import Application
from edge.staff import Actor
from edge.status import SILENT_MS_MAX
from protocol.errors import BadSignature
from tests.unit.edge.county import GOOD_ID, NOW_MS, VILLAGE, Hands

CHIEF = Actor("chief", "chief")


def codes(node: Node) -> list[str]:
    return [banner["code"] for banner in node.status()["banners"]]  # type: ignore[attr-defined]


def test_a_fresh_device(village: Node) -> None:
    status = village.status()
    assert (status["office"], status["office_name"]) == (VILLAGE, "白沙村便民服务室")
    assert status["device"] == village.keys.incarnation.hex()
    assert (status["pending"], status["refused"], status["waiting"], status["last_contact"]) == (0, 0, 0, None)
    assert status["versions"] == {
        "software": "0.1.0",
        "roster": 4,
        "catalogue": 1,
        "calendar": 1,
        "roster_issued": "2026-01-05 09:00",
    }
    assert codes(village) == ["no_password"]


def test_backlog_by_state(village: Node) -> None:
    for _ in range(3):
        village.service.accept(CHIEF, Application("JF-1", "张三", GOOD_ID))
    with village.store.write() as tx:
        outbox.offered(tx, [1, 2], now_ms=NOW_MS)
        outbox.offered(tx, [1], now_ms=NOW_MS)
        entries = outbox.entries(tx, ["pending", "offered"])
    assert [(entry.seq, entry.state, entry.offers) for entry in entries] == [
        (1, "offered", 2),
        (2, "offered", 1),
        (3, "pending", 0),
    ]
    assert village.status()["pending"] == 3  # an offer proves nothing
    assert village.service.list_cases()[0]["unsent"] == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda tx, hands: None, None),
        (lambda tx, hands: setattr(hands, "now_ms", 0), "clock_behind"),
        (lambda tx, hands: setattr(hands, "now_ms", NOW_MS + AHEAD_MS_MAX + 60_000), "clock_ahead"),
        (lambda tx, hands: hands.forward(SILENT_MS_MAX + 1), "long_silence"),
        (lambda tx, hands: put_meta(tx, memory.HUB_STATE, "revoked"), "device_revoked"),
        (lambda tx, hands: put_meta(tx, memory.OTHER_HISTORY, [3, b"x" * 32]), "other_history"),
        (lambda tx, hands: aside.put(tx, "op", b"bytes", BadSignature("x"), now_ms=NOW_MS), "set_aside"),
    ],
)
def test_banners(village: Node, hands: Hands, change: Callable[[object, Hands], None], expected: str | None) -> None:
    village.staff.set_password(CHIEF, "chief", "a password")
    with village.store.write() as tx:
        memory.learn_hub_time(tx, NOW_MS, village.clock, fresh=True)
        memory.note_contact(tx, NOW_MS)
        change(tx, hands)
    assert codes(village) == ([expected] if expected else [])


def test_a_wrong_clock_never_stops_a_case(village: Node, hands: Hands) -> None:
    with village.store.write() as tx:
        memory.learn_hub_time(tx, NOW_MS, village.clock, fresh=True)
    hands.mono_ms += 3_600_000
    hands.now_ms = NOW_MS + 10 * 365 * 86_400_000
    saved = village.service.accept(CHIEF, Application("JF-1", "张三", GOOD_ID))
    shown = village.service.show(saved.case)
    assert "clock_ahead" in codes(village)
    assert shown["timeline"][0]["at_ms"] == NOW_MS + 3_600_000  # the evidence corrects the claim
    assert shown["due"].startswith("2026-01-12")


def test_the_same_bytes_set_aside_twice_are_one_entry(village: Node) -> None:
    with village.store.write() as tx:
        for _ in range(3):
            aside.put(tx, "op", b"bytes", BadSignature("x", "签名不符"), now_ms=NOW_MS)
        assert [(one.code, one.reason, one.tries) for one in aside.listed(tx)] == [("bad_signature", "签名不符", 3)]
        aside.handled(tx, [b"bytes"])
        assert aside.listed(tx) == []


def test_garbage_cannot_fill_the_disk(village: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "KEPT_MAX", 2)
    with village.store.write() as tx:
        kept = [aside.put(tx, "op", bytes([number]), BadSignature("x"), now_ms=NOW_MS) for number in range(3)]
        assert kept == [True, True, False] and len(aside.listed(tx)) == 2
