"""Goal: a card links one device to one township; what is damaged, foreign or above its station is refused in plain words."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edge.branch import setup
from edge.branch.wiring import township_line
from edge.errors import BadLink
from hub.broker_accounts import AccountFile
from ops.branch import make_card, set_up
from protocol.carriers import BadBrokerUrl
from protocol.errors import InputError, TransportError
from tests.unit.branch.branch_world import BranchWorld
from tests.unit.branch.test_branch import accept, county_down
from tests.unit.edge.line import NEIGHBOUR, VILLAGE

BROKER = "mqtt://127.0.0.1:1"


def test_a_card_for_one_device(world: BranchWorld) -> None:
    town, village, neighbour = (world.nodes[name] for name in ("town", "village", "neighbour"))
    served = set_up(town, BROKER)
    card = make_card(town, VILLAGE)
    accounts = AccountFile(town.directory)
    assert accounts.admits("hub", served.password) and accounts.admits(card.user, card.password)
    assert (
        setup.take_card(village.directory, card.to_bytes(), village.keys) == card == setup.read_link(village.directory)
    )
    assert (village.directory / setup.LINK_NAME).stat().st_mode & 0o077 == 0
    with pytest.raises(BadLink):
        setup.take_card(neighbour.directory, card.to_bytes(), neighbour.keys)
    assert setup.read_link(neighbour.directory) is None


def test_setting_up_again_keeps_the_account(world: BranchWorld) -> None:
    first, second = set_up(world.nodes["town"], BROKER), set_up(world.nodes["town"], "mqtt://10.8.7.1:1884")
    assert first.password == second.password
    assert setup.read_branch(world.nodes["town"].directory) == second
    with pytest.raises(BadBrokerUrl):
        set_up(world.nodes["town"], "http://10.8.7.1")


def test_cards_only_for_devices_below(world: BranchWorld) -> None:
    town = world.nodes["town"]
    with pytest.raises(BadLink):
        make_card(town, VILLAGE)  # serves no branch yet
    set_up(town, BROKER)
    for office in ("420222108201", "420222", "420222107", "99"):
        with pytest.raises(BadLink):
            make_card(town, office)
    world.enrol("second", NEIGHBOUR)
    world.run(5)
    with pytest.raises(InputError):
        make_card(town, NEIGHBOUR)
    wanted = world.nodes["second"].keys.incarnation.hex()
    assert make_card(town, NEIGHBOUR, wanted[:8]).device == wanted


@pytest.mark.parametrize(
    "blob", [b"", b"[]", b"{}", b'{"version": 2}', b"\xff", b"null", b'{"version": 1, "county": 5}']
)
def test_damaged_cards(world: BranchWorld, blob: bytes) -> None:
    village = world.nodes["village"]
    with pytest.raises(BadLink):
        setup.take_card(village.directory, blob, village.keys)


def test_a_field_that_is_no_text(world: BranchWorld) -> None:
    set_up(world.nodes["town"], BROKER)
    card = json.loads(make_card(world.nodes["town"], VILLAGE).to_bytes())
    with pytest.raises(BadLink):
        setup.take_card(
            world.nodes["village"].directory, json.dumps({**card, "user": 5}).encode(), world.nodes["village"].keys
        )


def test_a_card_for_an_earlier_name_is_not_used(world: BranchWorld) -> None:
    set_up(world.nodes["town"], BROKER)
    village = world.nodes["village"]
    card = make_card(world.nodes["town"], VILLAGE)
    setup.take_card(village.directory, card.to_bytes(), village.keys)
    assert township_line(village, lambda: False) is not None
    (village.directory / setup.LINK_NAME).write_bytes(replace(card, device="ab" * 8).to_bytes())
    assert township_line(village, lambda: False) is None


def test_one_round_with_the_township(world: BranchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """`edge sync` of a village: time passes while the carrier waits, and the township turns in it."""
    county_down(world)
    accept(world.nodes["village"])
    line, carrier = world.townships["village"], world.local["village"]

    def wait(_timeout: float) -> bool:
        world.branches["town"].turn()
        world.hands.forward(250)
        return True

    monkeypatch.setattr(carrier, "wait", wait)
    done = line.run_once(60)
    assert done.complete and done.pending == 1 and done.sent >= 1
    assert world.equal("village", "town")
    carrier.turn(False)
    world.townships["village"].turn()
    with pytest.raises(TransportError):
        line.run_once(60)


def test_a_card_that_does_not_fit_any_more_shows_as_a_banner(world: BranchWorld) -> None:
    """Method: none; one that fits; one of a township that is not above; one for an earlier name; a damaged one."""
    town, village = world.nodes["town"], world.nodes["village"]

    def shown() -> bool:
        return "township_card" in [banner["code"] for banner in village.status()["banners"]]

    assert not shown()
    set_up(town, BROKER)
    card = make_card(town, VILLAGE)
    setup.take_card(village.directory, card.to_bytes(), village.keys)
    assert not shown()
    for wrong in (
        replace(card, township=world.nodes["neighbour"].keys.incarnation.hex()),
        replace(card, device="00" * 8),
    ):
        (village.directory / setup.LINK_NAME).write_bytes(wrong.to_bytes())
        assert shown()
    (village.directory / setup.LINK_NAME).write_bytes(b"{")
    assert shown()
