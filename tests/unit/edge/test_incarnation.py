"""New keys in place: after any crash one name signs, ops of the old name stay to be offered, numbers never meet."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from conflict.ledger.meta import put_meta
from conflict.numbers import device_part, parse
from edge import incarnation, memory, outbox
from edge.config import read_config, write_config
from edge.errors import Renewed
from edge.forms import Application
from edge.identity import read_keys
from edge.main import Node, open_node
from edge.sync.intake import Intake
from protocol.messages import Welcome
from protocol.roster import FROZEN
from tests.unit.edge.county import GOOD_ID, NOW_MS, Hands

FORM = Application("DF-1", "王小明", GOOD_ID)
EPOCH = b"epoch001"


def accept(node: Node) -> str:
    return node.service.accept(node.staff.check(), FORM).number


def renew(node: Node, why: str = incarnation.RESTORED) -> bytes:
    fresh = incarnation.renew(node.directory, node.store, node.reference, why=why, now_ms=node.clock.now_ms())
    return fresh.incarnation


def unsettled(node: Node) -> list[int]:
    with node.store.read() as tx:
        return [place for place, _blob in outbox.unsettled(tx, limit=99)]


def test_old_ops_stay_and_new_ones_follow_in_the_outbox(village: Node, hands: Hands) -> None:
    numbers = [accept(village), accept(village)]
    old = village.keys.incarnation
    new = renew(village)
    with pytest.raises(Renewed):
        accept(village)  # keys read before the renewal
    assert new == renew(village)  # once is enough
    with open_node(village.directory, hands.clock()) as node:
        assert node.keys.incarnation == new != old
        numbers.append(accept(node))
        assert unsettled(node) == [1, 2, 3]
        assert set(incarnation.earlier_keys(node.directory)) == {old}
        assert parse(numbers[2]).part == device_part(new) != device_part(old)
        intake = Intake(node.store, node.keys, node.reference, node.clock)
        with node.store.write() as tx:
            tx.exec_driver_sql("UPDATE edge_outbox SET state = 'accepted'")
        assert intake.welcome(Welcome(b"s" * 8, NOW_MS, EPOCH, 0, b"", [], 0, "active", b"")) == 1  # the new name's op
        assert unsettled(node) == [3]
    assert len(set(numbers)) == 3


@pytest.mark.parametrize("step", range(6))
def test_a_crash_at_any_step_leaves_one_name_that_signs(
    village: Node, hands: Hands, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Dies at the n-th rename of a file; opening the directory finishes what was begun."""
    accept(village)
    old, steps, real = village.keys.incarnation, [], os.replace

    def dying(source: Path, target: Path) -> None:
        steps.append(target)
        if len(steps) > step:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(Path, "replace", lambda self, target: dying(self, target))
    died = False
    try:
        renew(village)
    except KeyboardInterrupt:
        died = True
    monkeypatch.undo()
    with open_node(village.directory, hands.clock()) as node:
        keys, config = read_keys(node.directory), read_config(node.directory)
        assert config.incarnation == keys.incarnation.hex() == node.keys.incarnation.hex()
        accept(node)
        assert unsettled(node) == [1, 2]
        renewed = keys.incarnation != old
        assert config.state == ("renewing" if renewed else "joined")
        assert renewed or (died and step == 0)


@pytest.mark.parametrize("state", ["renewing", "joined"])
def test_a_store_that_a_disk_set_back_behind_the_new_keys_takes_cases(village: Node, hands: Hands, state: str) -> None:
    """A lying disk forgot the store's last commits and kept the key file: places in the outbox began anew at 1 and no
    case could be entered (UNIQUE constraint). Found by the simulator, all kinds, seed 4."""
    accept(village)
    with village.store.write() as tx:
        tx.exec_driver_sql("UPDATE edge_outbox SET state = 'accepted'")
    village.store.backup_to(village.directory / "before.db")
    new = renew(village)
    write_config(village.directory, replace(read_config(village.directory), state=state))
    village.store.close()
    for stale in village.directory.glob("edge.db*"):
        stale.unlink()
    (village.directory / "before.db").rename(village.directory / "edge.db")
    with open_node(village.directory, hands.clock()) as node:
        accept(node)
        assert node.keys.incarnation == new and unsettled(node) == [2]
        assert ("renewing" in {banner["code"] for banner in node.status()["banners"]}) == (state == "renewing")
    with open_node(village.directory, hands.clock()) as node:
        accept(node)
        assert unsettled(node) == [2, 3], "remembered once"


def test_what_makes_a_new_name_due(village: Node) -> None:
    def due() -> str:
        with village.store.read() as tx:
            return incarnation.due(tx, village.reference, village.keys.incarnation)

    assert due() == ""
    for key, value, why in (
        (memory.HUB_STATE, FROZEN, incarnation.COPIED),
        (memory.OTHER_HISTORY, [3, b"x" * 32], incarnation.RESTORED),
    ):
        with village.store.write() as tx:
            put_meta(tx, key, value)
        assert due() == why
    renew(village)
    with village.store.read() as tx:
        assert incarnation.due(tx, village.reference, read_keys(village.directory).incarnation) == ""


def test_a_person_is_told_until_the_county_has_taken_the_name(village: Node, hands: Hands) -> None:
    renew(village)

    def shown() -> set[str]:
        with open_node(village.directory, hands.clock()) as node:
            return {one["code"] for one in node.status()["banners"]}

    assert "renewing" in shown()
    with village.store.write() as tx:
        incarnation.refused(tx, "本设备原名称已冻结")
    assert "needs_code" in shown()
    with village.store.write() as tx:
        incarnation.admitted(tx)
    assert not shown() & {"renewing", "needs_code"}
