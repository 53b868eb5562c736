"""Who may follow a device's name, and who may not: the hub's side of new keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conflict.ledger.meta import delete_meta
from conflict.numbers import device_part
from hub import enrolment, notices, refusals, succession
from hub.init import County
from protocol import keys as device_keys
from protocol import topics
from protocol.canonical import encode
from protocol.enrol import JoinRequest, open_answer, open_request, seal_answer, seal_request
from protocol.envelope import seal_envelope
from protocol.keys import DeviceKeys
from protocol.messages import Ack
from protocol.roster import ACTIVE, FROZEN, REVOKED
from protocol.succession import is_request, is_succession, sign_succession
from protocol.trust import Trust
from tests.unit.hub.hub_support import COUNTY, FAR, NOW, VILLAGE, ask, enrol, random_source


def follow(county: County, keys: DeviceKeys, old: DeviceKeys, word: bytes | None = None) -> Any:
    """Ask to follow `old`; the opened answer."""
    trust = Trust.of(county.card)
    secret = sign_succession(keys, old) if word is None else word
    box = topics.mailbox(old.incarnation)
    request = JoinRequest(COUNTY, keys.office, keys.sign_public, keys.seal_public, 1, secret, "PC", box)
    blob = seal_request(request, keys=keys, hub=trust.hub)
    assert is_request(blob)
    opened = open_request(blob, keys=county.keys)
    assert is_succession(opened)
    with county.store.write() as tx:
        done = succession.admit(tx, county.shelf, county.keys, opened, now_ms=NOW)
    sealed = seal_answer(done.answer, keys=county.keys, seal_public=keys.seal_public, device_suite=keys.suite)
    return open_answer(sealed, keys=keys, trust=trust)


def fresh(seed: int, office: str = VILLAGE) -> DeviceKeys:
    return device_keys.generate(COUNTY, office, "edge", random_source(seed))


def states(county: County) -> dict[bytes, str]:
    return {name: one.state for name, one in county.shelf.roster.devices.items() if one.role == "edge"}


def told(county: County) -> set[str]:
    with county.store.read() as tx:
        return {one.code for one in notices.open_notices(tx)}


def test_one_machine_follows_and_nobody_after_it(county: County) -> None:
    old, first, second = enrol(county, VILLAGE, seed=1).keys, fresh(2), fresh(3)
    answer = follow(county, first, old)
    assert (answer.refused, answer.broker_user) == ("", topics.mailbox(first.incarnation))
    assert states(county) == {old.incarnation: FROZEN, first.incarnation: ACTIVE}
    assert "succeeded" in told(county)
    assert follow(county, first, old).refused == ""  # the answer was lost
    assert follow(county, second, old).refused == "succession_refused"
    assert second.incarnation not in states(county)
    assert "succession_refused" in told(county)
    with county.store.read() as tx:
        assert refusals.listed(tx)[0].code == "succession_refused"


def test_a_hub_that_was_put_back_answers_the_follower_again(county: County) -> None:
    """It knows from the roster that these keys are a device of the office, and no more who followed whom."""
    old, first = enrol(county, VILLAGE, seed=1).keys, fresh(2)
    assert follow(county, first, old).refused == ""
    with county.store.write() as tx:
        delete_meta(tx, succession.FOLLOWED + old.incarnation.hex())
    assert follow(county, first, old).refused == ""
    assert follow(county, fresh(3), old).refused == "succession_refused"
    with county.store.write() as tx:
        enrolment.set_state(tx, county.shelf, county.keys, first.incarnation, REVOKED, staff="周强", now_ms=NOW)
    assert follow(county, first, old).refused == "succession_refused"
    assert states(county) == {old.incarnation: FROZEN, first.incarnation: REVOKED}


@pytest.mark.parametrize("state", [FROZEN, REVOKED])
def test_a_frozen_or_revoked_name_is_not_followed_but_a_code_helps(county: County, state: str) -> None:
    old, keys = enrol(county, VILLAGE, seed=1).keys, fresh(2)
    with county.store.write() as tx:
        enrolment.set_state(tx, county.shelf, county.keys, old.incarnation, state, staff="周强", now_ms=NOW)
    assert follow(county, keys, old).refused == "succession_refused"
    with county.store.write() as tx:
        made = enrolment.make_code(
            tx, county.config, county.shelf.roster, VILLAGE, staff="周强", now_ms=NOW, random_bytes=random_source(9)
        )
    assert ask(county, keys, made.code.secret).refused == ""


def test_only_the_old_key_speaks_and_only_for_these_keys(county: County) -> None:
    old, other, keys = enrol(county, VILLAGE, seed=1).keys, enrol(county, FAR, seed=4).keys, fresh(2)
    forged = replace(old, sign_seed=other.sign_seed)  # names the old device, signed by another
    borrowed = sign_succession(fresh(5), old)  # a word for other keys
    nonsense = b"x" * 40
    for word in (sign_succession(keys, forged), borrowed, nonsense, sign_succession(keys, other)):
        assert follow(county, keys, old, word).refused != ""
    assert set(states(county).values()) == {ACTIVE}
    assert keys.incarnation not in states(county)


def test_an_envelope_is_no_request(county: County) -> None:
    machine = enrol(county, VILLAGE, seed=1)
    hub = county.shelf.roster.devices[county.keys.incarnation]
    assert not is_request(seal_envelope([Ack(b"e" * 8, 1)], keys=machine.keys, recipient=hub))
    assert not is_request(b"") and not is_request(encode([1, b"x", b"y" * 9_000]))


def test_two_devices_of_an_office_never_share_a_part_of_numbers(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = enrol(county, VILLAGE, seed=1).keys
    monkeypatch.setattr(enrolment, "device_part", lambda name: device_part(first.incarnation))
    for office, refused in ((VILLAGE, "device_part_taken"), (FAR, "")):
        with county.store.write() as tx:
            made = enrolment.make_code(
                tx, county.config, county.shelf.roster, office, staff="周强", now_ms=NOW, random_bytes=random_source(7)
            )
        assert ask(county, fresh(8, office), made.code.secret).refused == refused
        with county.store.write() as tx:
            tx.exec_driver_sql("DELETE FROM hub_code WHERE used_ms = 0")
