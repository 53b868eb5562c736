"""Goal: one code makes one device, and every misuse is told apart. Method: sealed requests, real roster and accounts."""

from __future__ import annotations

import pytest

from hub import admin, devices, enrolment, refusals, schema
from hub.broker_accounts import AccountFile, write_password
from hub.documents import Shelf
from hub.enrolment import ACCOUNT_KEPT_MS, CODE_VALID_MS
from hub.errors import UnknownDevice, UnknownOffice
from hub.init import County
from hub.joining import Joins
from protocol import keys as device_keys
from protocol import topics
from protocol.documents import open_document
from protocol.enrol import EnrolCode, JoinRequest, open_answer, seal_request
from protocol.errors import WrongRecipient
from protocol.keys import DeviceKeys
from protocol.roster import ACTIVE, FROZEN, REVOKED, Roster
from protocol.trust import Trust, fingerprint, spoken
from tests.unit.hub.hub_support import COUNTY, NEIGHBOUR, NOW, TOWN, VILLAGE, ask, enrol, random_source


def code(county: County, office: str = VILLAGE, *, seed: int = 50, now_ms: int = NOW) -> enrolment.NewCode:
    with county.store.write() as tx:
        return enrolment.make_code(
            tx,
            county.config,
            county.shelf.roster,
            office,
            staff="周强",
            now_ms=now_ms,
            random_bytes=random_source(seed),
        )


def keys_of(office: str, seed: int) -> DeviceKeys:
    return device_keys.generate(COUNTY, office, "edge", random_source(seed))


def test_code_says_whom_to_believe_and_keeps_its_secret(county: County) -> None:
    made = code(county)
    read = EnrolCode.from_text(made.code.to_text())
    assert (read.county, read.office, read.broker) == (COUNTY, VILLAGE, "mqtt://127.0.0.1:1883")
    read.check_card(county.card)
    assert made.expires_ms == NOW + CODE_VALID_MS
    with county.store.read() as tx:
        (row,) = tx.execute(schema.code.select()).all()
    assert all(read.secret not in value for value in row if isinstance(value, bytes))


def test_machine_becomes_a_device(either: County) -> None:
    machine = enrol(either, VILLAGE, seed=1)
    device = either.shelf.roster.device(machine.keys.incarnation)
    assert device is not None
    assert (device.office, device.role, device.state, device.label) == (VILLAGE, "edge", ACTIVE, "village PC")
    assert either.shelf.version("roster") == 2
    (node,) = admin.list_nodes(either)
    assert node["fingerprint"] == spoken(fingerprint(machine.keys.sign_public))


@pytest.mark.parametrize("office", ["420222999", "4202", "331123001", "", "x"])
def test_unknown_office(county: County, office: str) -> None:
    with pytest.raises(UnknownOffice):
        code(county, office)


def test_code_works_once(either: County) -> None:
    made = code(either)
    first, second = keys_of(VILLAGE, 1), keys_of(VILLAGE, 2)
    assert ask(either, first, made.code.secret).refused == ""
    answer = ask(either, second, made.code.secret)
    assert answer.refused == "code_used" and answer.broker_password == ""
    assert either.shelf.roster.device(second.incarnation) is None
    with either.store.read() as tx:
        (one,) = refusals.listed(tx)
    assert (one.what, one.code, one.device) == ("join", "code_used", second.incarnation)


def test_same_machine_asking_again_is_answered_again(county: County) -> None:
    """The first answer may have been lost. Nothing new is made."""
    made, keys = code(county), keys_of(VILLAGE, 1)
    first, again = ask(county, keys, made.code.secret), ask(county, keys, made.code.secret)
    assert first.refused == again.refused == "" and first.broker_password == again.broker_password != ""
    assert county.shelf.version("roster") == 2


def test_a_copy_of_a_device_is_asked_for_other_keys_and_its_code_stays_good(county: County) -> None:
    taken = enrol(county, VILLAGE, seed=1).keys
    made = code(county)
    assert ask(county, taken, made.code.secret).refused == "keys_taken"
    assert ask(county, keys_of(VILLAGE, 2), made.code.secret).refused == ""


@pytest.mark.parametrize(("later_ms", "said"), [(CODE_VALID_MS, ""), (CODE_VALID_MS + 1, "code_expired")])
def test_code_expires_on_the_instant(county: County, later_ms: int, said: str) -> None:
    made = code(county)
    assert ask(county, keys_of(VILLAGE, 1), made.code.secret, now_ms=NOW + later_ms).refused == said


def test_secret_that_nobody_issued(county: County) -> None:
    assert ask(county, keys_of(VILLAGE, 1), bytes(16)).refused == "code_unknown"


def test_code_of_another_office(county: County) -> None:
    made = code(county, TOWN)
    assert ask(county, keys_of(VILLAGE, 1), made.code.secret).refused == "code_unknown"
    assert ask(county, keys_of(TOWN, 2), made.code.secret).refused == ""


def test_office_retired_meanwhile(county: County) -> None:
    made = code(county)
    with county.store.write() as tx:
        from dataclasses import replace

        office = county.shelf.roster.offices[VILLAGE]
        county.shelf.change_roster(
            tx, county.keys, lambda roster: roster.put_office(replace(office, retired=True)), now_ms=NOW
        )
    assert ask(county, keys_of(VILLAGE, 1), made.code.secret).refused == "unknown_office"


def test_revoked_stays_revoked_frozen_may_go_on(county: County) -> None:
    machine = enrol(county, VILLAGE, seed=1)

    def put(state: str) -> str:
        with county.store.write() as tx:
            return enrolment.set_state(
                tx, county.shelf, county.keys, machine.keys.incarnation, state, staff="周强", now_ms=NOW
            ).state

    assert [put(state) for state in (FROZEN, ACTIVE, REVOKED, ACTIVE)] == [FROZEN, ACTIVE, REVOKED, REVOKED]
    with county.store.write() as tx, pytest.raises(UnknownDevice):
        enrolment.set_state(tx, county.shelf, county.keys, b"12345678", REVOKED, staff="周强", now_ms=NOW)
    with county.store.write() as tx, pytest.raises(UnknownDevice):
        enrolment.set_state(tx, county.shelf, county.keys, county.keys.incarnation, REVOKED, staff="周强", now_ms=NOW)


def test_replaced_machine_is_a_new_incarnation(county: County) -> None:
    old, new = enrol(county, VILLAGE, seed=1), enrol(county, VILLAGE, seed=2)
    assert old.keys.incarnation != new.keys.incarnation
    assert len(county.shelf.roster.devices_of(VILLAGE)) == 2


def test_request_through_the_broker(county: County) -> None:
    """The account is written before the answer leaves; the answer goes only where the request came from."""
    made, keys = code(county), keys_of(VILLAGE, 1)
    joins, trust = Joins(county.directory, county.store, county.shelf, county.keys), Trust.of(county.card)

    def request(reply: str) -> bytes:
        asked = JoinRequest(COUNTY, VILLAGE, keys.sign_public, keys.seal_public, 1, made.code.secret, "PC", reply)
        return seal_request(asked, keys=keys, hub=trust.hub)

    assert joins.answer("join-other", request("join-mine"), now_ms=NOW) == (None, False)
    assert joins.answer("join-mine", b"garbage", now_ms=NOW) == (None, False)
    sealed, changed = joins.answer("join-mine", request("join-mine"), now_ms=NOW)
    assert sealed is not None and changed
    answer = open_answer(sealed, keys=keys, trust=trust)
    assert answer.broker_user == topics.mailbox(keys.incarnation)
    assert AccountFile(county.directory).admits(answer.broker_user, answer.broker_password)
    with pytest.raises(WrongRecipient):
        open_answer(sealed, keys=keys_of(VILLAGE, 2), trust=trust)
    with county.store.read() as tx:
        assert sorted(one.code for one in refusals.listed(tx)) == ["malformed", "wrong_recipient"]


def test_accounts_of_old_codes_go(county: County) -> None:
    made = code(county)
    write_password(county.directory, made.user, made.password)
    for later_ms, gone in ((CODE_VALID_MS + 1, 0), (CODE_VALID_MS + ACCOUNT_KEPT_MS + 1, 1), (10**12, 0)):
        with county.store.write() as tx:
            assert enrolment.tidy_accounts(tx, county.directory, now_ms=NOW + later_ms) == gone
    assert not AccountFile(county.directory).admits(made.user, made.password)


def test_roster_travels_as_changes(county: County) -> None:
    """A device that holds version 1 gets what changed since, the same bytes each time; a new one gets the whole."""
    trust = Trust.of(county.card)
    (whole,) = county.shelf.whole()[:1]
    enrol(county, VILLAGE, seed=1)
    enrol(county, NEIGHBOUR, seed=2)
    kind, version, base, digest, size = county.shelf.offers({"roster": 1, "catalogue": 1, "calendar": 1})[0]
    assert (kind, version, base) == ("roster", 3, 1) and size < 1_000
    piece = county.shelf.chunk(digest, 0)
    assert piece is not None and piece[0] == size
    roster = Roster.of(COUNTY, open_document(whole, trust), open_document(piece[1], trust))
    assert roster.devices == county.shelf.roster.devices and roster.version == 3
    assert county.shelf.offers({"roster": 1})[0][3] == digest
    assert county.shelf.offers({"roster": 3, "catalogue": 1, "calendar": 1}) == []
    assert [row[2] for row in county.shelf.offers({})] == [0, 0, 0]
    assert county.shelf.chunk(digest, 1) is None and county.shelf.chunk(bytes(32), 0) is None


def test_another_process_sees_the_new_roster(county: County) -> None:
    other = Shelf(Trust.of(county.card), county.keys)
    with county.store.read() as tx:
        other.refresh(tx)
    machine = enrol(county, VILLAGE, seed=1)
    assert other.roster.device(machine.keys.incarnation) is None
    with county.store.read() as tx:
        assert other.refresh(tx) and not other.refresh(tx)
    assert other.roster.device(machine.keys.incarnation) is not None


def test_roster_change_that_was_undone_is_forgotten(county: County) -> None:
    with pytest.raises(OSError, match="full"), county.store.write() as tx:
        county.shelf.change_roster(tx, county.keys, lambda roster: None, now_ms=NOW)
        raise OSError("full")
    county.shelf.reset()
    with county.store.read() as tx:
        county.shelf.refresh(tx)
    assert county.shelf.version("roster") == 1


def test_new_areas_add_rename_and_retire(county: County, tmp_path: object) -> None:
    from tests.unit.hub.hub_support import AREAS

    rows = AREAS.read_text().splitlines()
    changed = [row.replace("白沙镇", "白沙新镇") for row in rows if not row.startswith(NEIGHBOUR)]
    path = county.directory / "areas.csv"
    path.write_text("\n".join([*changed, "420222107299,新村,420222107,village"]))
    done = admin.publish_areas(county, path, now_ms=NOW)
    assert done == {"version": 2, "added": 1, "renamed": 1, "retired": 1}
    roster = county.shelf.roster
    assert roster.offices[NEIGHBOUR].retired and roster.offices[TOWN].name == "白沙新镇"
    assert admin.publish_areas(county, path, now_ms=NOW)["version"] == 2


def test_nodes_show_what_a_device_said(county: County) -> None:
    from protocol.messages import Hello

    machine = enrol(county, VILLAGE, seed=1)
    device = county.shelf.roster.device(machine.keys.incarnation)
    assert device is not None
    hello = Hello(b"s" * 8, "liandong 9" * 20, {"roster": 2}, b"e" * 8, 3, 7, {"pending": 5, "junk": 1}, False)
    contact = devices.greeted(device, hello, now_ms=NOW + 5)
    with county.store.write() as tx:
        devices.save(tx, {device.incarnation: contact})
    (node,) = admin.list_nodes(county)
    assert (node["pending"], node["behind_up"], node["last_contact_ms"]) == (5, 7, NOW + 5)
    assert node["documents"] == {"roster": 2} and len(node["software"]) == devices.TEXT_MAX
