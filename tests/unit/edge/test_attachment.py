"""Attached files: measured and refused before anything is written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edge import attachment
from edge.attachment import FILE_NAME_CHARS_MAX, file_of, read_file
from edge.errors import AttachmentTooLarge, AttachmentUnreadable


def test_reads_hashes_and_names(tmp_path: Path) -> None:
    path = tmp_path / "身份证复印件.jpg"
    path.write_bytes(b"picture")
    made = read_file(path)
    assert (made.name, made.material, made.media) == ("身份证复印件.jpg", "身份证复印件", "image/jpeg")
    assert made.sha256 == hashlib.sha256(b"picture").digest()


def test_size_limit_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachment, "FILE_BYTES_MAX", 10)
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * 10)
    assert len(read_file(path).data) == 10
    path.write_bytes(b"x" * 11)
    with pytest.raises(AttachmentTooLarge):
        read_file(path)


@pytest.mark.parametrize("kind", ["missing", "directory", "empty"])
def test_unreadable(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.pdf"
    if kind == "directory":
        path.mkdir()
    if kind == "empty":
        path.touch()
    with pytest.raises(AttachmentUnreadable) as caught:
        read_file(path)
    assert "a.pdf" in caught.value.text and "a.pdf" in caught.value.text_zh
    assert str(tmp_path) not in caught.value.text


def test_long_names_are_shortened_and_keep_their_ending() -> None:
    made = file_of("长" * 300 + ".pdf", b"1")
    assert len(made.name) == FILE_NAME_CHARS_MAX and made.name.endswith(".pdf") and made.media == "application/pdf"
    assert len(made.material) <= FILE_NAME_CHARS_MAX
