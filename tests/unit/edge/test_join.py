"""Joining: from a code to a device, with files and over a real broker, broken off at any step and repeated."""

from __future__ import annotations

import shutil
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge import incarnation, join, outbox
from edge.clock import machine_clock
from edge.config import read_config
from edge.errors import AlreadyJoined, JoinRefused, NotANode
from edge.identity import read_account, read_keys
from edge.main import Node, open_node, sync_once
from edge.main import join as join_over_broker
from edge.service import Application
from hub import enrolment
from hub.config import write_config as write_hub_config
from hub.init import open_county
from hub.main import run_hub
from ops.clock import machine_ms, mono_ms
from protocol.enrol import BadCode, EnrolCode, JoinAnswer, seal_answer
from protocol.errors import BadConfig, BadSeal, TransportError, WrongRecipient
from protocol.keys import DeviceKeys
from protocol.trust import fingerprint
from tests.support.brokers import EmbeddedBroker
from tests.unit.edge.county import COUNTY, GOOD_ID, NOW_MS, VILLAGE, County, Hands, seeds
from tests.unit.edge.line import ITEM, new_hub
from tests.unit.edge.line import VILLAGE as REAL_VILLAGE


def code_of(county: County, name: str = "code") -> str:
    mark = fingerprint(county.card.root_public)
    return EnrolCode(COUNTY, VILLAGE, county.card.broker, mark, seeds(name)(16)).to_text()


def answer_for(county: County, keys: DeviceKeys, *, refused: str = "", documents: tuple[bytes, ...] = ()) -> bytes:
    reason = "该入网码已过期" if refused else ""
    answer = JoinAnswer(COUNTY, VILLAGE, keys.incarnation, refused, reason, "user", "secret", NOW_MS, documents)
    return seal_answer(answer, keys=county.hub, seal_public=keys.seal_public, device_suite=keys.suite)


def test_files_are_exchanged_and_a_case_can_be_entered(county: County, tmp_path: Path, hands: Hands) -> None:
    config, _code, keys = join.prepare(tmp_path, code_of(county), county.card)
    assert config.state == "joining"
    with pytest.raises(NotANode):
        open_node(tmp_path, hands.clock())
    made = join.finish(tmp_path, answer_for(county, keys, documents=tuple(county.documents())), hands.clock())
    assert (made.office, made.device) == (VILLAGE, keys.incarnation.hex()) and len(made.fingerprint) == 24
    with open_node(tmp_path, hands.clock()) as node:
        saved = node.service.accept(node.staff.check(), Application("JF-1", "张三", GOOD_ID))
        assert saved.status == "accepted"


@pytest.mark.parametrize("reason", sorted(join.DRAW_AGAIN))
def test_a_copy_whose_new_keys_another_has_draws_others_and_keeps_its_ops(
    village: Node, county: County, hands: Hands, reason: str
) -> None:
    """A disk was copied after the device had taken new keys and before the county knew them; the other copy joined first."""
    renewed = incarnation.renew(
        village.directory, village.store, village.reference, why=incarnation.COPIED, now_ms=NOW_MS
    )
    with open_node(village.directory, hands.clock()) as node:
        saved = node.service.accept(node.staff.check(), Application("JF-1", "张三", GOOD_ID))
    join.prepare(village.directory, code_of(county), county.card)
    with pytest.raises(JoinRefused):
        join.finish(village.directory, answer_for(county, renewed, refused=reason), hands.clock())
    _config, _code, drawn = join.prepare(village.directory, code_of(county), county.card)  # the code is still good
    assert drawn.incarnation != renewed.incarnation
    with open_node(village.directory, hands.clock()) as node, node.store.read() as tx:
        assert "needs_code" in {one["code"] for one in node.status()["banners"]}
        assert [entry.op.hex() for entry in outbox.entries(tx, ["pending"])] == [saved.op]
        assert list(incarnation.names(tx)) == [village.keys.incarnation, renewed.incarnation, drawn.incarnation]
    join.finish(village.directory, answer_for(county, drawn), hands.clock())
    with open_node(village.directory, hands.clock()) as node:
        shown = {one["code"] for one in node.status()["banners"]}
        assert node.config.state == "joined" and not shown & {"renewing", "needs_code"}


def test_secrets_are_for_the_owner_only(county: County, tmp_path: Path, hands: Hands) -> None:
    _config, _code, keys = join.prepare(tmp_path, code_of(county), county.card)
    join.finish(tmp_path, answer_for(county, keys), hands.clock())
    for name in ("keys/device.key", "keys/broker.json", "edge.db"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
    shown = (tmp_path / "edge.json").read_text("utf-8")
    assert keys.sign_seed.hex() not in shown and "secret" not in shown


def test_every_step_may_be_repeated(county: County, tmp_path: Path, hands: Hands) -> None:
    """A crash leaves some files; the same command then goes on with the same keys."""
    code = code_of(county)
    _config, _code, first = join.prepare(tmp_path, code, county.card)
    (tmp_path / "edge.json").unlink()  # died between keys and configuration
    _config, _code, second = join.prepare(tmp_path, code, county.card)
    assert first.incarnation == second.incarnation
    answer = answer_for(county, first, documents=tuple(county.documents()))
    join.finish(tmp_path, answer, hands.clock())
    with open_node(tmp_path, hands.clock()) as node:
        node.staff.add(node.staff.check(), "小李", "agent")
    join.finish(tmp_path, answer, hands.clock())
    with open_node(tmp_path, hands.clock()) as node:
        assert {account["name"] for account in node.staff.list()} == {"chief", "小李"}


def test_a_directory_is_one_device(county: County, tmp_path: Path) -> None:
    join.prepare(tmp_path, code_of(county), county.card)
    with pytest.raises(AlreadyJoined):
        join.prepare(tmp_path, code_of(county, "another code"), county.card)


def test_foreign_card_and_mistyped_code_change_nothing(county: County, tmp_path: Path) -> None:
    other = County(root_seed=seeds("another root")(32))
    with pytest.raises(WrongRecipient):
        join.prepare(tmp_path / "e", code_of(county), other.card)
    with pytest.raises(BadCode):
        join.prepare(tmp_path / "e", code_of(county)[:-4], county.card)
    assert not (tmp_path / "e").exists()


def test_refusal_and_foreign_answers(county: County, tmp_path: Path, hands: Hands) -> None:
    _config, _code, keys = join.prepare(tmp_path, code_of(county), county.card)
    with pytest.raises(JoinRefused) as caught:
        join.finish(tmp_path, answer_for(county, keys, refused="code_expired"), hands.clock())
    assert caught.value.facts["reason"] == "code_expired" and "已过期" in caught.value.text_zh
    other = replace(keys, seal_seed=seeds("other")(32))
    with pytest.raises((BadSeal, WrongRecipient)):
        join.finish(tmp_path, answer_for(county, other), hands.clock())
    assert read_config(tmp_path).state == "joining" and read_account(tmp_path) is None


def test_damaged_files_are_named(county: County, tmp_path: Path, hands: Hands) -> None:
    _config, _code, keys = join.prepare(tmp_path, code_of(county), county.card)
    join.finish(tmp_path, answer_for(county, keys), hands.clock())
    (tmp_path / "keys/device.key").write_bytes(b"garbage")
    with pytest.raises(BadConfig, match=r"device\.key"):
        read_keys(tmp_path)
    (tmp_path / "edge.json").write_text("{", "utf-8")
    with pytest.raises(BadConfig, match=r"edge\.json"):
        open_node(tmp_path, hands.clock())
    with pytest.raises(NotANode):
        open_node(tmp_path / "nowhere", hands.clock())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """A county served by a real broker and the hub's daemon in a thread; its directory."""
    new_hub(tmp_path / "hub")
    county = open_county(tmp_path / "hub")
    county.store.close()
    broker = EmbeddedBroker(tmp_path / "hub")
    write_hub_config(tmp_path / "hub", replace(county.config, broker=broker.url))
    broker.start()
    stop, ready = threading.Event(), threading.Event()
    daemon = threading.Thread(
        target=run_hub,
        args=(tmp_path / "hub", stop),
        kwargs={"now_ms": machine_ms, "mono_ms": mono_ms, "broker": broker.url, "ready": ready.set},
    )
    daemon.start()
    ready.wait(20)
    yield tmp_path / "hub"
    stop.set()
    daemon.join(20)
    broker.stop()


def test_over_a_real_broker(served: Path, tmp_path: Path) -> None:
    """Join, fetch the documents, enter a case, one round: the hub's receipt is here. The same code works once."""
    county = open_county(served)
    with county.store.write() as tx:
        made = enrolment.make_code(
            tx,
            county.config,
            county.shelf.roster,
            REAL_VILLAGE,
            staff="周强",
            now_ms=machine_ms(),
            random_bytes=seeds("x"),
        )
    county.store.close()
    enrolment.write_accounts(served, [(made.user, made.password)])
    code, clock = made.code.to_text(), machine_clock()
    done = join_over_broker(tmp_path / "e", code, clock, timeout_s=60)
    assert done.office == REAL_VILLAGE
    assert join_over_broker(tmp_path / "e", code, clock, timeout_s=60) == done
    with open_node(tmp_path / "e", clock) as node:
        node.service.accept(node.staff.check(), Application(ITEM, "张三", GOOD_ID))
        assert node.status()["pending"] == 1
        summary = sync_once(node, timeout_s=60)
        assert (summary.sent, summary.pending, summary.complete) == (1, 0, True)
        assert node.status()["accepted"] == 1
    with pytest.raises(JoinRefused) as caught:
        join_over_broker(tmp_path / "second", code, clock, timeout_s=60)
    assert caught.value.facts["reason"] == "code_used"


def test_without_a_line_the_error_is_offline(county: County, tmp_path: Path, hands: Hands) -> None:
    with pytest.raises(TransportError) as caught:
        join_over_broker(tmp_path / "e", code_of(county), hands.clock(), timeout_s=0.3)
    assert caught.value.code == "offline"
    shutil.rmtree(tmp_path / "e")
    _config, _code, keys = join.prepare(tmp_path / "e", code_of(county), county.card)
    join.finish(tmp_path / "e", answer_for(county, keys), hands.clock())
    with open_node(tmp_path / "e", machine_clock()) as node, pytest.raises(TransportError) as caught:
        sync_once(node, timeout_s=0.5)
    assert caught.value.code == "offline"
