"""Trying again what was set aside: handled entries go, the others keep their reason and count one more try."""

from __future__ import annotations

from edge import aside, outbox
from edge.forms import Application
from edge.main import Node
from edge.retry import retry
from edge.sync.intake import ENVELOPES_MAX, Intake
from protocol.envelope import seal_envelope
from protocol.errors import BadSeal, MalformedBytes
from protocol.messages import Ack
from protocol.roster import Device
from tests.unit.edge.county import GOOD_ID, NOW_MS, County, carry, spread


def intake(node: Node) -> Intake:
    return Intake(node.store, node.keys, node.reference, node.clock)


def entries(node: Node) -> list[tuple[str, str, int]]:
    with node.store.read() as tx:
        return [(one.what, one.code, one.tries) for one in aside.listed(tx)]


def test_an_op_goes_in_once_its_author_is_known_and_garbage_stays(village: Node, town: Node, county: County) -> None:
    village.service.accept(village.staff.check(), Application("DF-1", "王小明", GOOD_ID))
    device = county.roster.devices.pop(village.keys.incarnation)
    whole = county.roster.version
    spread(county, town)
    assert county.roster.version == whole + 1
    carry(village, town)
    with town.store.write() as tx:
        aside.put(tx, "op", b"garbage", MalformedBytes("no op"), now_ms=NOW_MS)
    assert sorted(entries(town)) == [("op", "malformed", 1), ("op", "unknown_sender", 1)]
    assert retry(town) == {"tried": 2, "handled": 0, "left": 2}
    county.roster.put_device(device)
    spread(county, town)  # a newer roster takes it in by itself
    assert retry(town) == {"tried": 1, "handled": 0, "left": 1}
    assert entries(town)[0][:2] == ("op", "malformed") and entries(town)[0][2] >= 3
    assert len(town.service.list_cases()) == 1


def test_envelopes_are_kept_as_evidence_within_bounds(village: Node, county: County) -> None:
    for number in range(ENVELOPES_MAX + 5):
        intake(village).envelope(b"noise %d" % number, BadSeal("does not open"))
    assert len(entries(village)) == ENVELOPES_MAX
    assert "set_aside" in {one["code"] for one in village.status()["banners"]}
    keys = village.keys
    me = Device(keys.incarnation, keys.office, "edge", keys.sign_public, keys.seal_public, 1, NOW_MS)
    good = seal_envelope([Ack(b"e" * 8, 1)], keys=county.hub, recipient=me)
    with village.store.write() as tx:
        aside.put(tx, "envelope", good, BadSeal("an older program"), now_ms=NOW_MS)
    assert retry(village) == {"tried": ENVELOPES_MAX + 1, "handled": 1, "left": ENVELOPES_MAX}


def test_what_the_hub_could_not_handle_is_offered_again(village: Node) -> None:
    saved = village.service.accept(village.staff.check(), Application("DF-1", "王小明", GOOD_ID))
    with village.store.write() as tx:
        tx.exec_driver_sql("UPDATE edge_outbox SET state = 'refused'")
    intake(village).problem("malformed", "could not be read", bytes.fromhex(saved.op))
    assert retry(village) == {"tried": 1, "handled": 1, "left": 0}
    with village.store.read() as tx:
        assert outbox.counts(tx)["pending"] == 1
