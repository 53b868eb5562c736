"""Goal: whatever lies on a stick, it is told in clear words and nothing is changed; a bad part never stops the good.

Method: real bundles, cut, turned, mixed up and forged; the stores are compared table by table.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from conflict.ledger import files
from edge import aside
from edge.config import read_config
from hub import admin, enrolment, held, refusals, schema, state
from ops.stick import verify
from protocol import envelope as envelopes
from protocol.carriers.bundle import read_bundle, write_bundle
from protocol.carriers.bundle_errors import BundleUnreadable
from protocol.carriers.stick import ASIDE_MAX
from protocol.envelope import open_envelope, seal_envelope
from protocol.errors import LiandongError
from protocol.messages import Ack, Chunk, Hello, Message, Ops, Stream, Want, Welcome
from protocol.roster import REVOKED, Device
from tests.unit.hub.hub_support import hub_device
from tests.unit.stick.courier import Courier, content

COUNTY = "420222"


def bundle(courier: Courier, *payloads: bytes, county: str = COUNTY, sender: bytes = b"stranger") -> Path:
    path = courier.file("made")
    write_bundle(path, payloads, county=county, sender=sender, created_ms=0)
    return path


def sealed(courier: Courier, name: str, *messages: Message) -> bytes:
    """From a device to the hub."""
    return seal_envelope(messages, keys=courier.nodes[name].keys, recipient=hub_device(courier.hub))


def from_hub(courier: Courier, name: str, *messages: Message) -> bytes:
    device = courier.hub.shelf.roster.device(courier.nodes[name].keys.incarnation)
    assert device is not None
    return seal_envelope(messages, keys=courier.hub.keys, recipient=device)


def hello(**changes: object) -> Hello:
    values = {"session": b"8 bytes.", "software": "x", "documents": {}, "epoch": b"", "pos": 0, "head_seq": 0}
    return Hello(**{**values, "counts": {}, "urgent": False, **changes})  # type: ignore[arg-type]


def half(path: Path, where: float) -> None:
    blob = path.read_bytes()
    path.write_bytes(blob[: int(len(blob) * where)])


def turned(path: Path, _where: float) -> None:
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(blob)


@pytest.mark.parametrize(
    ("spoil", "where", "code"),
    [
        (half, 0.0, "bundle_truncated"),
        (half, 0.01, "bundle_truncated"),
        (half, 0.5, "bundle_truncated"),
        (half, 0.999, "bundle_truncated"),
        (turned, 0, "bundle_damaged"),
        (lambda path, _: path.write_bytes(os.urandom(5_000)), 0, "bundle_foreign"),
        (lambda path, _: path.write_bytes(path.read_bytes() + b"\0"), 0, "bundle_damaged"),
        (lambda path, _: (path.unlink(), os.mkfifo(path)), 0, "bundle_foreign"),
        (lambda path, _: (path.unlink(), path.symlink_to("/etc/passwd")), 0, "bundle_foreign"),
        (lambda path, _: (path.unlink(), path.symlink_to("nowhere")), 0, "bundle_unreadable"),
        (lambda path, _: path.unlink(), 0, "bundle_missing"),
    ],
    ids=["empty", "head", "half", "tail", "turned", "garbage", "longer", "pipe", "link", "dangling", "missing"],
)
def test_a_spoilt_bundle_changes_nothing(
    courier: Courier, tmp_path: Path, spoil: Callable[[Path, float], object], where: float, code: str
) -> None:
    courier.accept("village")
    up = courier.export("village").file
    _taken, answered = courier.at_hub(up)
    assert answered is not None
    for name, store, path in (("hub", "hub.db", up), ("village", "edge.db", answered.file)):
        spoil(path, where)
        before = content(tmp_path / name / store, strict=True)
        with pytest.raises(LiandongError) as caught:
            courier.at_hub(path) if name == "hub" else courier.at(name, path)
        assert caught.value.code == code and caught.value.text_zh != caught.value.text
        assert content(tmp_path / name / store, strict=True) == before
        said, error = verify(path, None)
        assert error is not None and not said["complete"]
        assert error.code == ("bundle_unreadable" if code == "bundle_missing" else code)


def test_bundles_of_others(courier: Courier, tmp_path: Path) -> None:
    """Another county's, another device's, the hub's own: each is told apart and changes nothing."""
    courier.accept("village")
    up = courier.export("village").file
    _taken, answered = courier.at_hub(up)
    assert answered is not None
    foreign = bundle(courier, *read_bundle(up), county="331123")
    before = {
        name: content(tmp_path / name / file, strict=True) for name, file in (("hub", "hub.db"), ("other", "edge.db"))
    }
    for take, path, code in (
        (courier.at_hub, foreign, "bundle_foreign"),
        (lambda path: courier.at("other", path), foreign, "bundle_foreign"),
        (courier.at_hub, answered.file, "bundle_not_for_us"),
        (lambda path: courier.at("other", path), answered.file, "bundle_not_for_us"),
        (lambda path: courier.at("other", path), up, "bundle_not_for_us"),
        (lambda path: courier.at("other", path), bundle(courier, b"garbage"), "bundle_not_for_us"),
        (courier.at_hub, bundle(courier, b"garbage"), "bundle_not_for_us"),
    ):
        with pytest.raises(LiandongError) as caught:
            take(path)
        assert caught.value.code == code, path
    assert content(tmp_path / "hub" / "hub.db", strict=True) == before["hub"]
    assert content(tmp_path / "other" / "edge.db", strict=True) == before["other"]
    assert read_config(tmp_path / "other").county == COUNTY


def test_bad_envelopes_stop_no_good_one(courier: Courier) -> None:
    courier.accept("village")
    good = list(read_bundle(courier.export("village").file))
    turned_one = bytearray(good[1])
    turned_one[-1] ^= 1
    stranger = courier.nodes["other"].keys
    forged = seal_envelope([hello()], keys=stranger, recipient=hub_device(courier.hub))
    forged = forged.replace(stranger.incarnation, b"nobody..")
    path = bundle(courier, b"garbage", bytes(turned_one), forged, *good)
    taken, answered = courier.at_hub(path)
    assert (taken.new, taken.bad) == (1, 3) and answered is not None
    assert [(one.number, one.code) for one in taken.aside] == [
        (2, "bad_signature"),
        (3, "unknown_sender"),
        (1, "malformed"),
    ]
    with courier.hub.store.read() as tx:
        found = {one.code: one for one in refusals.listed(tx)}
    assert set(found) == {"bad_signature", "unknown_sender", "malformed"}
    assert found["malformed"].evidence == b"garbage"
    again, _answered = courier.at_hub(path)
    assert again.bad == 3
    with courier.hub.store.read() as tx:
        assert {one.times for one in refusals.listed(tx)} == {2}  # the same bytes count once
    back = list(read_bundle(answered.file))
    not_the_hub = Device(
        courier.nodes["village"].keys.incarnation,
        "420222107201",
        "edge",
        courier.nodes["village"].keys.sign_public,
        courier.nodes["village"].keys.seal_public,
        1,
        0,
    )
    usurper = seal_envelope([Ack(b"", 0)], keys=stranger, recipient=not_the_hub)
    down = courier.at("village", bundle(courier, b"garbage", usurper, *back))
    assert (down.settled, down.bad) == (1, 2)
    with courier.nodes["village"].store.read() as tx:
        assert aside.counts(tx) == {"unknown_sender": 1, "malformed": 1}


def test_garbage_without_end_is_counted_and_not_kept(courier: Courier) -> None:
    rng = random.Random(1)
    courier.accept("village")
    good = list(read_bundle(courier.export("village").file))
    garbage = [rng.randbytes(200) for _ in range(ASIDE_MAX + 30)]
    taken, _answered = courier.at_hub(bundle(courier, *garbage, *good))
    assert (taken.new, taken.bad, len(taken.aside)) == (1, ASIDE_MAX + 30, ASIDE_MAX)
    with courier.hub.store.read() as tx:
        assert tx.scalar(select(func.count()).select_from(schema.refusal)) == ASIDE_MAX


def test_a_device_of_ours_that_means_ill(courier: Courier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers without end, a bomb, a session of a megabyte, wants for what is not its own: all bounded."""
    saved = courier.accept("village")
    courier.trip("village")
    with courier.hub.store.read() as tx:
        assert saved.case and tx.scalar(select(func.count()).select_from(schema.scope))
    with monkeypatch.context() as patched:
        patched.setattr(envelopes, "PLAIN_BYTES_MAX", 2**30)
        bomb = sealed(courier, "other", Chunk(bytes(32), 2**40, 0, bytes(30_000_000)))
    assert len(bomb) < 65_536
    most = 2**53
    path = bundle(
        courier,
        bomb,
        sealed(courier, "other", hello(session=b"x" * 30_000)),
        sealed(courier, "other", hello(pos=-most, head_seq=most, documents={"roster": most, "x": -most})),
        sealed(courier, "other", *(Want(bytes([number]) * 32, [[0, most]] * 64) for number in range(64))),
        sealed(courier, "other", *[Ops([b""] * 500)] * 64),
        sealed(courier, "other", Chunk(bytes(32), most, most, b"x"), Chunk(b"", -1, -1, b"")),
        sealed(courier, "other", Ack(b"", most), Ack(bytes(8), -most)),
        sealed(courier, "other", Stream(b"", 1, most, []), Welcome(b"", 0, b"", 0, b"", [], 0, "", b"")),
    )
    taken, answered = courier.at_hub(path)
    assert [one.code for one in taken.aside] == ["too_large", "malformed"]
    assert taken.refused == 1 and taken.new == 0 and answered is not None and answered.chunks == 0
    assert courier.at("other", answered.file).bad == 0
    courier.trip("other")
    assert courier.equal()


def test_a_device_that_claims_to_be_far_ahead(courier: Courier) -> None:
    """One lie may cost an epoch, which only costs a stick; it does not do so again at once."""
    courier.accept("village")
    courier.trip("village")
    courier.hands.forward(3_600_000)
    with courier.hub.store.read() as tx:
        epoch = state.epoch_of(tx)
    for number in range(2):
        lie = sealed(courier, "other", hello(epoch=courier.place("village")[0], pos=2**50, head_seq=number))
        courier.at_hub(bundle(courier, lie))
    with courier.hub.store.read() as tx:
        assert state.epoch_of(tx) != epoch
    courier.accept("village")
    courier.trip("village", "town")
    assert courier.equal()


def test_the_newest_greeting_of_a_device_is_answered(courier: Courier) -> None:
    """Two exports of one device on a stick, in either order of their names."""
    courier.accept("village")
    first = sealed(courier, "village", hello(session=b"older...", head_seq=1))
    second = sealed(courier, "village", hello(session=b"newer...", head_seq=2))
    for number, pair in enumerate(((first, second), (second, first))):
        place = courier.directory / f"pair-{number}"
        place.mkdir()
        for name, one in zip("ab", pair, strict=True):
            write_bundle(place / f"{name}.ldb", [one], county=COUNTY, sender=b"stranger", created_ms=0)
        _taken, answered = courier.at_hub(place)
        assert answered is not None
        keys = courier.nodes["village"].keys
        opened = open_envelope(next(read_bundle(answered.file)), keys=keys, speaker=lambda _: hub_device(courier.hub))
        assert isinstance(opened.messages[0], Welcome) and opened.messages[0].session == b"newer..."


def test_a_device_is_told_what_the_hub_did_not_take(courier: Courier) -> None:
    courier.accept("village")
    good = list(read_bundle(courier.export("village").file))
    taken, answered = courier.at_hub(bundle(courier, *good, sealed(courier, "village", Ops([b"no op"]))))
    assert (taken.new, taken.refused) == (1, 1) and answered is not None
    courier.at("village", answered.file)
    with courier.nodes["village"].store.read() as tx:
        assert aside.counts(tx) == {"hub_problem": 1}
    assert courier.states("village") == {"accepted": 1}


def test_an_acknowledgement_moves_a_place_forward_only_and_not_beyond_the_end(courier: Courier) -> None:
    for _ in range(2):
        courier.accept("village")
        courier.trip("village")
    epoch, end = courier.place("village")
    before = courier.acked("village")
    assert 0 < before < end
    for said, after in ((end + 1, before), (end, end), (1, end)):
        courier.at_hub(bundle(courier, sealed(courier, "village", Ack(epoch, said))))
        assert courier.acked("village") == after
    courier.at_hub(bundle(courier, sealed(courier, "village", Ack(b"another.", end))))
    assert courier.acked("village") == end


def test_late_ops_of_a_revoked_device_go_to_a_person(courier: Courier) -> None:
    courier.accept("village")
    exported = courier.export("village").file
    hub = courier.hub
    with hub.store.write() as tx:
        device = courier.nodes["village"].keys.incarnation
        enrolment.set_state(tx, hub.shelf, hub.keys, device, REVOKED, staff="周强", now_ms=courier.hands.now_ms)
    for repeated in (0, 1):
        taken, answered = courier.at_hub(exported)
        assert (taken.waiting, taken.repeated, taken.new) == (1 - repeated, repeated, 0)
        assert answered is None
    with hub.store.read() as tx:
        assert [one.code for one in held.listed(tx)] == ["revoked"]


def test_the_scan_of_a_released_op_comes_with_the_same_stick_once_more(courier: Courier, tmp_path: Path) -> None:
    scan = tmp_path / "scan.bin"
    scan.write_bytes(courier.random(90_000))
    courier.accept("village", attachments=[scan])
    exported = courier.export("village").file
    hub = courier.hub
    with hub.store.write() as tx:
        device = courier.nodes["village"].keys.incarnation
        enrolment.set_state(tx, hub.shelf, hub.keys, device, REVOKED, staff="周强", now_ms=courier.hands.now_ms)
    courier.at_hub(exported)
    with hub.store.read() as tx:
        ops = [one.op for one in held.listed(tx)]
        assert not files.incomplete_files(tx, limit=9)
    assert admin.release(hub, ops, staff="周强", now_ms=courier.hands.now_ms) == len(ops) == 2
    with hub.store.read() as tx:
        assert len(files.incomplete_files(tx, limit=9)) == 1
    courier.at_hub(exported)
    with hub.store.read() as tx:
        assert not files.incomplete_files(tx, limit=9)


def test_a_courier_s_directory_with_bad_files_in_it(courier: Courier) -> None:
    courier.accept("village")
    courier.export("village", to=courier.pocket)
    cut = courier.export("other", to=courier.pocket / "0-cut.ldb").file
    half(cut, 0.7)
    (courier.pocket / "1-directory.ldb").mkdir()
    (courier.pocket / "2-link.ldb").symlink_to("/etc/passwd")
    os.mkfifo(courier.pocket / "3-pipe.ldb")
    (courier.pocket / "4-..\\..\\evil\n.ldb").write_bytes(b"\x00" * 100)
    taken, answered = courier.at_hub(courier.pocket, to=courier.pocket)
    assert taken.new == 1 and answered is not None and answered.file.parent == courier.pocket
    assert [(one.file[0], one.number, one.code) for one in taken.aside] == [
        ("0", 0, "bundle_truncated"),
        ("1", 0, "bundle_foreign"),
        ("2", 0, "bundle_foreign"),
        ("3", 0, "bundle_foreign"),
        ("4", 0, "bundle_foreign"),
    ]
    assert courier.at("village", courier.pocket).settled == 1


def test_a_medium_that_cannot_be_read(courier: Courier, monkeypatch: pytest.MonkeyPatch) -> None:
    courier.accept("village")
    exported = courier.export("village").file

    def broken(*_: object) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("protocol.carriers.bundle._summarise", broken)
    with pytest.raises(BundleUnreadable):
        courier.at_hub(exported)
    assert courier.digests() == {}


def test_verify_says_what_is_inside(courier: Courier) -> None:
    courier.accept("village")
    exported = courier.export("village").file
    village, hub = courier.nodes["village"], courier.hub
    plain, error = verify(exported, None)
    assert error is None and plain["complete"] and plain["county"] == COUNTY
    assert plain["sender"] == village.keys.incarnation and plain["recipient"] == hub.keys.incarnation.hex()
    assert plain["envelopes"] == 2 and "for_this_node" not in plain
    at_hub, _error = verify(exported, hub.directory)
    assert at_hub["for_this_node"] and at_hub["contents"] == {"hello": 1, "ops": 1}
    elsewhere, _error = verify(exported, village.directory)
    assert not elsewhere["for_this_node"] and elsewhere["contents"] == {}
    assert courier.digests() == {} and courier.states("village") == {"offered": 1}
    damaged = bundle(courier, *read_bundle(exported), b"garbage", sender=village.keys.incarnation)
    seen, error = verify(damaged, hub.directory)
    assert error is None and [one["code"] for one in seen["bad"]] == ["malformed"]
