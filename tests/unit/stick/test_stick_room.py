"""Goal: what does not fit one stick goes with the next, nothing twice within a series, and every stick brings progress.

Method: bytes that do not compress, rooms of a few envelopes.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conflict.ledger.files import file_totals
from edge.stick.export import WANTS_MAX
from hub.stick.answer import WANTS_MAX as HUB_WANTS_MAX
from ops.cli import bundle as command
from protocol.carriers import stick
from protocol.carriers.bundle import PART_SUFFIX, write_bundle
from protocol.carriers.bundle_errors import BundleExists, BundleNotWritten, BundleTruncated
from protocol.carriers.stick import FILES_MAX, NoBundle, Room, bundles_in, new_file, written_by
from tests.unit.stick.courier import Courier

LARGE = 300_000


def scans(directory: Path, count: int) -> list[Path]:
    paths = [directory / f"scan-{number}.jpg" for number in range(count)]
    for path in paths:
        path.write_bytes(os.urandom(LARGE))
    return paths


def whole_files(courier: Courier) -> int:
    with courier.hub.store.read() as tx:
        return file_totals(tx)["complete"]


def test_an_export_goes_on_where_the_last_one_was_cut(courier: Courier, tmp_path: Path) -> None:
    courier.accept("village", attachments=scans(tmp_path, 3))
    made = [courier.export("village", room=400_000)]
    while made[-1].left:
        made.append(courier.export("village", room=400_000))
        assert len(made) < 9
    assert [one.ops for one in made] == [4, 0, 0]
    assert sum(one.chunks for one in made) == 30 and made[0].left == 30 - made[0].chunks
    assert all(one.bytes <= 400_200 for one in made)
    assert courier.export("village", room=10**9).chunks == 30  # a new series: nothing has a receipt yet
    for one in made:
        courier.at_hub(one.file)
    assert whole_files(courier) == 3


def test_ops_go_before_any_bytes_and_at_least_one_batch_always(courier: Courier, tmp_path: Path) -> None:
    fields = {f"栏目{number}": os.urandom(1_500).hex() for number in range(8)}
    for _ in range(4):
        courier.accept("village", fields=fields, attachments=scans(tmp_path, 1))
    made = [courier.export("village", room=1) for _ in range(2)]
    assert [(one.ops > 0, one.chunks) for one in made] == [(True, 0), (True, 0)]
    assert made[0].left - made[1].left == made[1].ops
    rest = courier.export("village")
    assert rest.ops == 8 - made[0].ops - made[1].ops and rest.chunks == 40 and rest.left == 0


def test_no_bytes_before_the_op_that_names_them(courier: Courier, tmp_path: Path) -> None:
    """The small chunk would fit where the second batch of ops does not."""
    fields = {f"栏目{number}": os.urandom(1_500).hex() for number in range(8)}
    small = tmp_path / "small.jpg"
    small.write_bytes(os.urandom(3_000))
    for _ in range(4):
        courier.accept("village", fields=fields)
    courier.accept("village", attachments=[small])
    made = courier.export("village", room=20_000)
    assert (made.ops < 6, made.chunks, made.left) == (True, 0, 6 - made.ops + 1)
    rest = courier.export("village")
    assert (rest.ops, rest.chunks, rest.left) == (6 - made.ops, 1, 0)


def test_only_what_is_new_since_the_last_stick(courier: Courier) -> None:
    courier.accept("village")
    assert courier.export("village").ops == 1
    courier.accept("village")
    assert courier.export("village", since_last=True).ops == 1
    assert courier.export("village", since_last=True).ops == 0
    assert courier.export("village").ops == 2


def test_an_answer_goes_on_as_well(courier: Courier, tmp_path: Path) -> None:
    """The township's answer is cut: stream first, then bytes; its next stick gets the rest."""
    for _ in range(2):
        courier.accept("village", attachments=scans(tmp_path, 2))
    courier.trip("village")
    _taken, answered = courier.at_hub(courier.export("town").file, room=400_000)
    assert answered is not None and answered.ops == 6 and 0 < answered.chunks < 40
    assert answered.left == 40 - answered.chunks
    courier.at("town", answered.file)
    trips = 0
    while courier.nodes["town"].status()["attachments"]["incomplete"]:
        courier.trip("town", room=400_000)
        trips += 1
    assert trips == 3 and courier.equal()


def test_an_answer_whose_stream_is_cut_brings_something(courier: Courier) -> None:
    """Two offices share one answer of hardly any room: each gets its documents and one batch."""
    fields = {f"栏目{number}": os.urandom(1_500).hex() for number in range(8)}
    for _ in range(4):
        courier.accept("village", fields=fields)
    courier.trip("village")
    for name in ("town", "other"):
        courier.export(name, to=courier.pocket)
    rounds = 0
    while True:
        taken, answered = courier.at_hub(courier.pocket, to=courier.directory / f"answer-{rounds}.ldb", room=1)
        assert answered is not None and taken.bad == 0 and answered.devices >= 2
        courier.at("town", answered.file)
        if not answered.left:
            break
        rounds += 1
        courier.export("town", to=courier.pocket)
    assert rounds == 1 and courier.digests("town") == courier.digests()


def test_nothing_counts_before_the_medium_gave_it_back(courier: Courier, monkeypatch: pytest.MonkeyPatch) -> None:
    courier.accept("village")
    with monkeypatch.context() as patched:
        patched.setattr("protocol.carriers.bundle._summarise", lambda *_: (_ for _ in ()).throw(BundleTruncated()))
        with pytest.raises(BundleNotWritten):
            courier.export("village")
    assert list(courier.pocket.iterdir()) == [] and courier.states("village") == {"pending": 1}
    assert courier.export("village", since_last=True).ops == 1
    with pytest.raises(BundleExists):
        courier.export("village", to=courier.pocket / "002-village.ldb")
    (courier.pocket / f"x.ldb{PART_SUFFIX}").write_bytes(b"of an export that was cut off")
    courier.export("village", to=courier.pocket / "x.ldb")
    assert [one.name for one in sorted(courier.pocket.iterdir())] == ["002-village.ldb", "x.ldb"]


def test_an_existing_answer_is_not_overwritten_and_then_nothing_is_imported(courier: Courier) -> None:
    courier.accept("village")
    exported = courier.export("village").file
    with pytest.raises(BundleExists):
        courier.at_hub(exported, to=exported)
    assert courier.digests() == {}
    with pytest.raises(BundleNotWritten) as caught:
        courier.at_hub(exported, to=courier.pocket / "no" / "such" / "place.ldb")
    assert "what came in is stored" in caught.value.text and len(courier.digests()) == 1


def test_names_on_a_stick(tmp_path: Path) -> None:
    with pytest.raises(NoBundle):
        bundles_in(tmp_path / "nothing.ldb")
    with pytest.raises(NoBundle):
        bundles_in(tmp_path)
    for name in ("b.ldb", "a.ldb", ".hidden.ldb", "photo.jpg", f"c.ldb{PART_SUFFIX}"):
        (tmp_path / name).write_bytes(b"x")
    assert [one.name for one in bundles_in(tmp_path)] == ["a.ldb", "b.ldb"]
    assert new_file(tmp_path, "a").name == "a-2.ldb"
    assert new_file(tmp_path, "c").name == "c-2.ldb"  # somebody is writing c.ldb
    assert new_file(tmp_path / "new.ldb", "a") == tmp_path / "new.ldb"
    assert not written_by(tmp_path / "a.ldb", b"12345678")
    write_bundle(tmp_path / "mine.ldb", [b"x"], county="420222", sender=b"12345678", created_ms=0)
    assert written_by(tmp_path / "mine.ldb", b"12345678") and not written_by(tmp_path / "mine.ldb", b"87654321")
    for number in range(FILES_MAX):
        (tmp_path / f"{number}.ldb").touch()
    with pytest.raises(NoBundle):
        bundles_in(tmp_path)


def test_room() -> None:
    room = Room(10)
    assert room.take(b"x" * 10) and not room.take(b"x") and room.take(b"xx", must=True) and room.left == -2


def test_numbers_of_the_command_are_those_of_the_carrier() -> None:
    assert (command.MIB, command.ROOM_MIB, command.ROOM_MIB_MAX) == (stick.MIB, stick.ROOM_MIB, stick.ROOM_MIB_MAX)
    assert WANTS_MAX == HUB_WANTS_MAX
