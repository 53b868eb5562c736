"""Keys and stores that others could read: their rights are taken back, or the start is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conflict.ledger.errors import StoreUnsafe
from conflict.ledger.rights import keep_private

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows keeps rights in another way")


def test_rights_of_others_are_taken_back(tmp_path: Path) -> None:
    key, store = tmp_path / "device.key", tmp_path / "edge.db"
    key.write_bytes(b"secret")
    store.write_bytes(b"")
    key.chmod(0o644)
    store.chmod(0o600)
    keep_private([key, store, tmp_path / "not there"])
    assert [path.stat().st_mode & 0o777 for path in (key, store)] == [0o600, 0o600]
    assert key.read_bytes() == b"secret"


def test_a_disk_without_rights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a FAT stick does: the call succeeds, and nothing changes."""
    key = tmp_path / "device.key"
    key.write_bytes(b"secret")
    key.chmod(0o644)
    monkeypatch.setattr(Path, "chmod", lambda *_arguments: None)
    with pytest.raises(StoreUnsafe) as caught:
        keep_private([key])
    assert str(key) in caught.value.text and str(key) in caught.value.text_zh
