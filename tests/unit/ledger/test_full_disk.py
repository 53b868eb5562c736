"""A full disk: the commit is refused, the refusal can be recorded, and work goes on when there is room again.

The real thing on a small tmpfs (as root, where mounting is allowed); a limit on file size elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conflict.ledger import ballast, errors
from conflict.ledger.ballast import Ballast, room_is_short
from conflict.ledger.meta import get_meta, put_meta
from conflict.ledger.store import Store, open_store

ROOT = Path(__file__).parents[3]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here (needs root)")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def fill(disk: Path) -> Path:
    """Take all the room there is."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65_536))
        except OSError:
            pass
    return filler


def save(store: Store, key: str, size: int, *, reserve: bool = False) -> None:
    with store.write(reserve=reserve) as tx:
        put_meta(tx, key, os.urandom(size))


def test_full_disk_refusal_and_recovery(small_disk: Path) -> None:
    with open_store(small_disk / "node.db", create=True) as store:
        save(store, "before", 1000)
        filler = fill(small_disk)
        with pytest.raises(errors.StoreFull) as caught:
            for number in range(100):
                save(store, f"try {number}", 100_000)
        assert caught.value.code == "store_full"
        with store.read() as tx:
            assert len(get_meta(tx, "before")) == 1000  # reading goes on
        with pytest.raises(errors.StoreFull):
            save(store, "ordinary", 10)  # the room given up is not for ordinary work
        save(store, "refusal", 10, reserve=True)
        with store.read() as tx:
            assert get_meta(tx, "ordinary") is None
            assert len(get_meta(tx, "refusal")) == 10
        filler.unlink()
        save(store, "after", 100_000)
        assert Ballast(small_disk / "node.db.ballast").present()
        assert store.check(full=True) == []


def test_start_on_a_full_disk(small_disk: Path) -> None:
    """A daemon that starts again on the full disk must come up to show its refusals."""
    with open_store(small_disk / "node.db", create=True) as store:
        save(store, "before", 1000)
    filler = fill(small_disk)
    with open_store(small_disk / "node.db") as store:
        with store.read() as tx:
            assert len(get_meta(tx, "before")) == 1000
        save(store, "refusal", 10, reserve=True)
        filler.unlink()
        save(store, "after", 10)


def test_copy_to_a_full_disk_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    with open_store(tmp_path / "node.db", create=True) as store:
        save(store, "big", 1_000_000)
        fill(small_disk)
        with pytest.raises(errors.StoreFull):
            store.backup_to(small_disk / "copy.db")
        assert [entry.name for entry in small_disk.iterdir()] == ["filler"]
        save(store, "after", 10)


LIMITED = """
import resource, sys
from conflict.ledger import errors
from conflict.ledger.store import open_store
from conflict.ledger.meta import get_meta, put_meta
store = open_store(sys.argv[1], create=True)
with store.write() as tx:
    put_meta(tx, "before", 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    with store.write() as tx:
        put_meta(tx, "big", bytes(1_000_000))
except errors.StoreFull as error:
    print("refused", error.code)
with store.write(reserve=True) as tx:
    put_meta(tx, "refusal", 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with store.write() as tx:
    put_meta(tx, "after", 1)
with store.read() as tx:
    print([get_meta(tx, key) for key in ("before", "big", "refusal", "after")])
store.close()
"""


def test_limit_on_file_size(tmp_path: Path) -> None:
    """Without root: the system refuses a longer file, SQLite calls it an I/O error, we find out what it is."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "node.db")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("refused store_full\n[1, None, 1, 1]\n", 0), done.stderr


def test_reserve_is_real_blocks_and_needs_a_margin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = Ballast(tmp_path / "x.ballast", size=100_000)
    assert not reserve.present()
    assert reserve.restore()
    assert reserve.present()
    assert reserve.path.stat().st_blocks * 512 >= 100_000
    reserve.release()
    reserve.release()
    assert not reserve.present()
    free = ballast.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        ballast.shutil, "disk_usage", lambda _path: free._replace(free=100_000 + ballast.MARGIN_BYTES - 1)
    )
    assert not reserve.restore()
    monkeypatch.setattr(ballast.shutil, "disk_usage", lambda _path: free._replace(free=100_000 + ballast.MARGIN_BYTES))
    assert reserve.restore()


def test_room_is_not_short_here(tmp_path: Path) -> None:
    assert not room_is_short(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_before_and_after_the_refusal(small_disk: Path) -> None:
    """What the banner of `node status` asks."""
    with open_store(small_disk / "node.db", create=True) as store:
        assert not store.short_of_room()
        filler = fill(small_disk)
        assert store.short_of_room()
        with pytest.raises(errors.StoreFull):
            for number in range(100):
                save(store, f"try {number}", 100_000)
        assert store.short_of_room()
        filler.unlink()
        assert not store.short_of_room()
