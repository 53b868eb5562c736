"""Bundle files: whole or absent when written; nothing believed before the end when read.

Method: every byte position of a small bundle is cut and changed, lengths and counts are forged with a right hash, and
the medium fails at each step of writing.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import canonical
from protocol.carriers import bundle, bundle_format
from protocol.carriers.bundle import BundleSummary, read_bundle, verify_bundle, write_bundle
from protocol.carriers.bundle_errors import (
    BundleDamaged,
    BundleEmpty,
    BundleExists,
    BundleForeign,
    BundleNotWritten,
    BundleTooLarge,
    BundleTruncated,
    BundleUnreadable,
)
from protocol.carriers.bundle_format import ENVELOPE_BYTES_MAX, MAGIC, Header, prefix
from protocol.errors import LiandongError, LocalProtocolError, RemoteProtocolError, StoreError

COUNTY, SENDER, AT = "420222", b"\x01\x02\x03\x04\x05\x06\x07\x08", 1_767_225_600_000
ENVELOPES = [b"one", b"two" * 100, b"\x00"]
EXAMPLES = int(os.environ.get("LIANDONG_EXAMPLES", "50"))


def write(path: Path, envelopes: list[bytes] | Iterator[bytes] = ENVELOPES) -> BundleSummary:
    return write_bundle(path, envelopes, county=COUNTY, sender=SENDER, created_ms=AT)


def forge(*records: bytes, count: int | None = None, header: bytes | None = None, after: bytes = b"") -> bytes:
    """A bundle with a right hash over whatever it says."""
    body = header if header is not None else Header(COUNTY, SENDER, AT).to_bytes()
    body += b"".join(prefix(len(record)) + record for record in records)
    body += prefix(0) + prefix(len(records) if count is None else count)
    return body + hashlib.sha256(body).digest() + after


@pytest.fixture
def good(tmp_path: Path) -> bytes:
    path = tmp_path / "good.ldb"
    write(path)
    return path.read_bytes()


def test_round_trip_and_what_the_summary_says(tmp_path: Path) -> None:
    path = tmp_path / "a.ldb"
    summary = write(path, iter(ENVELOPES))
    assert list(read_bundle(path, county=COUNTY)) == ENVELOPES
    assert verify_bundle(path) == summary
    assert (summary.header, summary.envelopes, summary.size) == (Header(COUNTY, SENDER, AT), 3, path.stat().st_size)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ldb"]
    assert path.read_bytes() == forge(*ENVELOPES)


@settings(max_examples=EXAMPLES, deadline=None)
@given(envelopes=st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=20))
def test_any_envelopes_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, envelopes: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("bundle") / "a.ldb"
    write(path, envelopes)
    assert list(read_bundle(path)) == envelopes


def test_cut_anywhere_it_is_truncated_and_gives_nothing(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "cut.ldb"
    for length in range(len(good)):
        path.write_bytes(good[:length])
        with pytest.raises(BundleTruncated):
            next(read_bundle(path))


def test_changed_anywhere_it_gives_nothing(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "changed.ldb"
    for at in range(len(good)):
        for flip in (0x01, 0x80):
            path.write_bytes(good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :])
            with pytest.raises(LiandongError) as caught:
                list(read_bundle(path, county=COUNTY))
            assert caught.value.code in {"bundle_damaged", "bundle_truncated", "bundle_foreign", "bundle_too_large"}


@settings(max_examples=EXAMPLES, deadline=None)
@given(blob=st.binary(max_size=400))
def test_hostile_bytes_end_in_one_of_our_errors(tmp_path_factory: pytest.TempPathFactory, blob: bytes) -> None:
    path = tmp_path_factory.mktemp("bundle") / "a.ldb"
    for content in (blob, MAGIC + blob, Header(COUNTY, SENDER, AT).to_bytes() + blob):
        path.write_bytes(content)
        with pytest.raises(RemoteProtocolError):
            list(read_bundle(path))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (forge(), BundleEmpty),
        (forge(b"x", after=b"y"), BundleDamaged),
        (forge(b"x", count=2), BundleDamaged),
        (forge(b"x", header=MAGIC + prefix(1_025) + bytes(1_025)), BundleDamaged),
        (forge(b"x", header=MAGIC + prefix(0xFFFFFFFF)), BundleDamaged),
        (forge(b"x", header=MAGIC + prefix(3) + b"abc"), BundleDamaged),
        (Header(COUNTY, SENDER, AT).to_bytes() + prefix(0xFFFFFFFF) + b"x", BundleDamaged),
        (forge(bytes(ENVELOPE_BYTES_MAX + 1)), BundleDamaged),
        (b"PK\x03\x04 another file", BundleForeign),
        (MAGIC.replace(b"\r\n", b"\n") + b"copied as text", BundleForeign),
        (b"", BundleTruncated),
    ],
)
def test_each_lie_has_its_words(tmp_path: Path, content: bytes, error: type[LiandongError]) -> None:
    path = tmp_path / "lie.ldb"
    path.write_bytes(content)
    with pytest.raises(error) as caught:
        next(read_bundle(path))
    assert caught.value.text and caught.value.text_zh != caught.value.text


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ([2, COUNTY, SENDER, AT, "more"], BundleForeign),
        ([0, COUNTY, SENDER, AT], BundleDamaged),
        ([1, "../../x", SENDER, AT], BundleDamaged),
        ([1, "", SENDER, AT], BundleDamaged),
        ([1, COUNTY, SENDER + b"9", AT], BundleDamaged),
        ([1, COUNTY, SENDER, True], BundleDamaged),
        ([1, COUNTY], BundleDamaged),
        ({"v": 1}, BundleDamaged),
    ],
)
def test_headers_that_are_not_ours(tmp_path: Path, fields: object, error: type[LiandongError]) -> None:
    body, path = canonical.encode(fields), tmp_path / "header.ldb"
    path.write_bytes(forge(b"x", header=MAGIC + prefix(len(body)) + body))
    with pytest.raises(error):
        verify_bundle(path)


def test_another_county_is_foreign(tmp_path: Path) -> None:
    path = tmp_path / "a.ldb"
    write(path)
    with pytest.raises(BundleForeign):
        verify_bundle(path, county="331123")
    assert verify_bundle(path, county=COUNTY).envelopes == 3


def test_limits_at_and_beyond(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "ENVELOPES_MAX", 3)
    write(tmp_path / "at.ldb", [b"x"] * 3)
    with pytest.raises(BundleTooLarge):
        write(tmp_path / "beyond.ldb", [b"x"] * 4)
    monkeypatch.setattr(bundle_format, "ENVELOPES_MAX", 2)
    with pytest.raises(BundleTooLarge):
        verify_bundle(tmp_path / "at.ldb")
    size = (tmp_path / "at.ldb").stat().st_size
    monkeypatch.setattr(bundle_format, "ENVELOPES_MAX", 3)
    monkeypatch.setattr(bundle, "BUNDLE_BYTES_MAX", size)
    write(tmp_path / "size.ldb", [b"x"] * 3)
    monkeypatch.setattr(bundle, "BUNDLE_BYTES_MAX", size - 1)
    with pytest.raises(BundleTooLarge):
        write(tmp_path / "size-beyond.ldb", [b"x"] * 3)
    with pytest.raises(BundleTooLarge):
        verify_bundle(tmp_path / "at.ldb")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["at.ldb", "size.ldb"]


def test_nothing_to_carry_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(BundleEmpty):
        write(tmp_path / "a.ldb", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("county", "sender"), [("42a", SENDER), ("", SENDER), ("1" * 13, SENDER), (COUNTY, b"short")])
def test_arguments_out_of_bounds_are_our_mistake(tmp_path: Path, county: str, sender: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        write_bundle(tmp_path / "a.ldb", [b"x"], county=county, sender=sender, created_ms=AT)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.ldb"
    path.write_bytes(b"the case files of last year")
    with pytest.raises(BundleExists):
        write(path)
    assert path.read_bytes() == b"the case files of last year"


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_on_a_hostile_stick_are_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "a.ldb.part").symlink_to(victim)
    write(tmp_path / "a.ldb")
    (tmp_path / "b.ldb").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BundleExists):
        write(tmp_path / "b.ldb")
    assert victim.read_bytes() == b"precious" and not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_or_a_directory_is_no_bundle(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ldb")
    for path in (tmp_path / "pipe.ldb", tmp_path):
        with pytest.raises((BundleForeign, BundleUnreadable)):
            verify_bundle(path)
    with pytest.raises(BundleUnreadable):
        verify_bundle(tmp_path / "absent.ldb")


def test_half_written_bundles_of_an_earlier_export_are_replaced(tmp_path: Path, good: bytes) -> None:
    (tmp_path / "a.ldb.part").write_bytes(good[:40])
    write(tmp_path / "a.ldb")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.ldb", "good.ldb"]


@pytest.mark.parametrize("step", ["fsync", "replace", "open"])
def test_a_medium_that_fails_at_any_step_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path if step == "replace" else os, step, fail)
    with pytest.raises(BundleNotWritten) as caught:
        write(tmp_path / "a.ldb")
    monkeypatch.undo()
    assert "No space left" in caught.value.text and isinstance(caught.value, StoreError)
    assert list(tmp_path.iterdir()) == []


def test_an_envelope_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def source() -> Iterator[bytes]:
        yield b"one"
        raise RuntimeError("the store broke")

    with pytest.raises(RuntimeError):
        write(tmp_path / "a.ldb", source())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "corrupt",
    [lambda data: data[:-1], lambda data: data[:60] + b"?" + data[61:], lambda data: forge(b"something else")],
    ids=["short", "one byte", "another bundle"],
)
def test_a_medium_that_gives_back_something_else_carried_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corrupt: Callable[[bytes], bytes]
) -> None:
    real = bundle._write

    def write_badly(part: Path, *args: object) -> BundleSummary:
        summary = real(part, *args)  # type: ignore[arg-type]
        part.write_bytes(corrupt(part.read_bytes()))
        return summary

    monkeypatch.setattr(bundle, "_write", write_badly)
    with pytest.raises(BundleNotWritten):
        write(tmp_path / "a.ldb")
    assert list(tmp_path.iterdir()) == []


def test_synced_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order that survives a stick pulled out: file synced, read back, renamed, directory synced."""
    steps: list[str] = []

    def spy(owner: object, name: str, label: str) -> None:
        real = getattr(owner, name)

        def spying(*args: object, **kwargs: object) -> object:
            steps.append(label)
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, spying)

    spy(os, "fsync", "sync")
    spy(bundle, "_check_medium", "read back")
    spy(Path, "replace", "rename")
    write(tmp_path / "a.ldb")
    assert steps == ["sync", "read back", "rename", *(["sync"] if os.name != "nt" else [])]


def test_a_file_that_changes_between_the_readings_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.ldb"
    envelopes = [bytes([number]) * 60_000 for number in range(5)]  # more than any buffer holds
    write(path, envelopes)
    reading = read_bundle(path)
    assert next(reading) == envelopes[0]
    with path.open("r+b") as file:
        file.write(forge(*[bytes([number + 100]) * 60_000 for number in range(5)]))
    with pytest.raises(BundleDamaged):
        list(reading)


def test_a_bad_sector_is_the_mediums_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.ldb"
    write(path)

    class BadSector(io.BytesIO):
        def fileno(self) -> int:
            return descriptor

        def read(self, *_: object) -> bytes:
            raise OSError(5, "Input/output error")

    descriptor = os.open(path, os.O_RDONLY)
    monkeypatch.setattr(bundle, "_open", lambda _: BadSector())
    with pytest.raises(BundleUnreadable, match="Input/output"):
        verify_bundle(path)
    os.close(descriptor)


def test_reading_needs_no_memory_for_the_whole(tmp_path: Path) -> None:
    """A generator in, a generator out: 20 MiB pass through with one envelope in hand."""
    import tracemalloc

    path = tmp_path / "big.ldb"
    tracemalloc.start()
    write(path, (os.urandom(ENVELOPE_BYTES_MAX) for _ in range(320)))
    assert sum(len(envelope) for envelope in read_bundle(path)) == 320 * ENVELOPE_BYTES_MAX
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 2**20


@pytest.mark.skipif(
    shutil.which("mount") is None or not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs a mount"
)
def test_a_full_stick_for_real(tmp_path: Path) -> None:
    import subprocess

    stick = tmp_path / "stick"
    stick.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", stick], capture_output=True).returncode:
        pytest.skip("no right to mount here")
    try:
        with pytest.raises(BundleNotWritten, match="No space left"):
            write(stick / "a.ldb", [os.urandom(60_000)] * 10)
        assert list(stick.iterdir()) == []
        write(stick / "a.ldb", [os.urandom(60_000)] * 2)
        assert verify_bundle(stick / "a.ldb").envelopes == 2
    finally:
        subprocess.run(["umount", stick], check=True)
