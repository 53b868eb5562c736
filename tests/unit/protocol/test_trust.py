"""Roster, documents, receipts, cards, enrolment: believed because signed by someone entitled, and for one use only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocol import enrol
from protocol.documents import Document, open_document, sign_document
from protocol.errors import (
    BadSeal,
    BadSignature,
    MalformedBytes,
    RevokedSender,
    StaleDocument,
    SuiteNotAllowed,
    UnknownSender,
    WrongRecipient,
)
from protocol.keys import DeviceKeys
from protocol.receipt import AcceptedRun, Receipt, Refused, Waiting, open_receipt, sign_receipt
from protocol.roster import Office, Roster
from protocol.signed import sign_statement
from protocol.trust import HubCard, spoken
from tests.vectors.protocol_county import (
    COUNTY,
    HUB,
    NOW_MS,
    REVOKED,
    STRANGER,
    VILLAGE,
    card,
    certificate,
    device,
    keys,
    roster,
    trust,
)

RECEIPT = Receipt(
    COUNTY,
    VILLAGE.incarnation,
    NOW_MS,
    (AcceptedRun(1, 3, b"a" * 32),),
    (Refused(b"b" * 32, 4, "held_by_another", "此件由白沙镇办理。"),),
    (Waiting(b"c" * 32, 5, "parents_missing"),),
)


def test_receipts_survive_their_bytes_and_are_the_hubs_only() -> None:
    assert open_receipt(sign_receipt(RECEIPT, HUB), trust()) == RECEIPT
    with pytest.raises(BadSignature):
        open_receipt(sign_receipt(RECEIPT, VILLAGE), trust())
    with pytest.raises(WrongRecipient):
        open_receipt(sign_receipt(replace(RECEIPT, county="331123"), HUB), trust())
    with pytest.raises(MalformedBytes):
        open_receipt(sign_statement("receipt", {"county": COUNTY}, seed=HUB.sign_seed), trust())


def test_a_statement_of_one_kind_never_passes_for_another() -> None:
    document = sign_document(Document("calendar", COUNTY, 1, 0, NOW_MS, {}), HUB)
    with pytest.raises(BadSignature):
        open_receipt(document, trust())
    assert open_document(document, trust()).kind == "calendar"


def test_documents_of_another_county_or_with_an_impossible_base_are_refused() -> None:
    with pytest.raises(WrongRecipient):
        open_document(sign_document(Document("calendar", "331123", 1, 0, NOW_MS, {}), HUB), trust())
    with pytest.raises(MalformedBytes):
        open_document(sign_document(Document("calendar", COUNTY, 2, 2, NOW_MS, {}), HUB), trust())


def test_a_roster_grows_by_changes_and_never_back() -> None:
    county = roster()
    whole = county.changes_since(0)
    county.put_office(Office("420222108", "浮屠镇", "township", "420222"))
    county.put_device(device(STRANGER))
    county.publish(NOW_MS + 1)
    change = county.changes_since(1)
    assert [row[0] for row in change.content["offices"]] == ["420222108"] and len(change.content["devices"]) == 1
    reader = Roster.of(COUNTY, whole)
    assert reader.version == 1 and reader.office("420222108") is None
    reader.apply(change)
    assert reader.version == 2 and reader.children("420222") == ["420222107", "420222108"]
    assert reader.devices == county.devices and reader.offices == county.offices
    for stale in (whole, change, Document("roster", COUNTY, 9, 5, NOW_MS, change.content)):
        with pytest.raises(StaleDocument):
            reader.apply(stale)
    with pytest.raises(MalformedBytes):
        reader.apply(Document("roster", COUNTY, 3, 2, NOW_MS, {"offices": [["1"]], "devices": [], "suites": [1]}))
    assert reader.version == 2


def test_only_active_known_devices_with_an_allowed_suite_may_speak() -> None:
    county = roster()
    assert county.speaker(VILLAGE.incarnation).office == VILLAGE.office
    with pytest.raises(UnknownSender):
        county.speaker(STRANGER.incarnation)
    with pytest.raises(RevokedSender):
        county.speaker(REVOKED.incarnation)
    county.suites = (2,)
    with pytest.raises(SuiteNotAllowed):
        county.speaker(VILLAGE.incarnation)


def test_the_same_keys_are_the_same_incarnation_and_new_keys_another() -> None:
    again = DeviceKeys.from_bytes(VILLAGE.to_bytes())
    assert again == VILLAGE and again.incarnation == VILLAGE.incarnation
    assert keys("replacement", VILLAGE.office).incarnation != VILLAGE.incarnation
    with pytest.raises(MalformedBytes):
        DeviceKeys.from_bytes(HUB.to_bytes()[:-1])


def test_a_card_proves_its_hub_and_a_certificate_never_goes_back() -> None:
    assert HubCard.from_bytes(card().to_bytes()) == card()
    forged = replace(card(), root_public=VILLAGE.sign_public)
    with pytest.raises(BadSignature):
        HubCard.from_bytes(forged.to_bytes())
    newer = keys("second hub", COUNTY, "hub")
    renewed = trust().renewed(certificate(2, newer))
    assert renewed.hub.incarnation == newer.incarnation
    with pytest.raises(StaleDocument):
        renewed.renewed(certificate(1))
    assert len(spoken(card().fingerprint)) == 24


def test_enrolment_code_survives_copying_and_names_its_county() -> None:
    code = enrol.EnrolCode(COUNTY, VILLAGE.office, "mqtt://10.0.0.1:1883", card().fingerprint, b"s" * 16)
    text = code.to_text()
    assert enrol.EnrolCode.from_text(f"  {text.lower()}\n".replace("-", "- ")) == code
    code.check_card(card())
    for wrong in (text[:-1], text[:20] + ("A" if text[20] != "A" else "B") + text[21:], "", "LD1", "hello", "LD1-A"):
        with pytest.raises(enrol.BadCode):
            enrol.EnrolCode.from_text(wrong)
    with pytest.raises(WrongRecipient):
        replace(code, root_fingerprint=b"x" * 16).check_card(card())


def request(own: DeviceKeys = STRANGER, county: str = COUNTY) -> bytes:
    asked = enrol.JoinRequest(
        county, own.office, own.sign_public, own.seal_public, 1, b"s" * 16, "window 1", "join-abc"
    )
    return enrol.seal_request(asked, keys=own, hub=trust().hub)


def test_a_join_request_proves_its_key_and_reaches_the_hub_only() -> None:
    assert enrol.open_request(request(), keys=HUB).sign_public == STRANGER.sign_public
    with pytest.raises(WrongRecipient):
        enrol.open_request(request(), keys=VILLAGE)
    with pytest.raises(WrongRecipient):
        enrol.open_request(request(county="331123"), keys=HUB)
    with pytest.raises((BadSeal, MalformedBytes)):
        enrol.open_request(request()[:-2] + b"zz", keys=HUB)
    stolen = enrol.JoinRequest(COUNTY, VILLAGE.office, VILLAGE.sign_public, VILLAGE.seal_public, 1, b"", "", "")
    with pytest.raises(BadSignature):  # another's public keys without the private ones
        enrol.open_request(enrol.seal_request(stolen, keys=STRANGER, hub=trust().hub), keys=HUB)


def test_a_join_answer_is_the_hubs_and_for_one_machine() -> None:
    answer = enrol.JoinAnswer(COUNTY, STRANGER.office, STRANGER.incarnation, "", "", "user", "pass", NOW_MS, (b"d",))
    blob = enrol.seal_answer(answer, keys=HUB, seal_public=STRANGER.seal_public, device_suite=1)
    assert enrol.open_answer(blob, keys=STRANGER, trust=trust()) == answer
    with pytest.raises(WrongRecipient):
        enrol.open_answer(blob, keys=VILLAGE, trust=trust())
    fake = enrol.seal_answer(answer, keys=VILLAGE, seal_public=STRANGER.seal_public, device_suite=1)
    with pytest.raises(BadSignature):
        enrol.open_answer(fake, keys=STRANGER, trust=trust())


def test_an_office_is_above_those_below_it_and_never_above_itself() -> None:
    county = roster()
    for code, parent in (("420222107", COUNTY), ("420222107201", "420222107"), ("420222999", "420222999")):
        county.put_office(Office(code, code, "", parent))
    assert county.is_above(COUNTY, "420222107201") and county.is_above("420222107", "420222107201")
    assert not county.is_above("420222107201", "420222107") and not county.is_above(COUNTY, COUNTY)
    assert not county.is_above("", COUNTY), "the topmost office has nobody above it"
    assert not county.is_above(COUNTY, "420222999"), "a ring in the roster ends"
