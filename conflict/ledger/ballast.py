"""The reserve: a file of real blocks beside the store, given up when the disk is full.

For: on a full disk SQLite cannot even record a refusal. Releasing the reserve gives that room; while the reserve is
gone, ordinary writes are refused and only writes that say so (`reserve=True`) use the room.
May not: hold data. Its content is meaningless.
Manual: docs/operating/storage.md, "Full disk".
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from conflict.ledger.locks import NOT_WRITABLE

BALLAST_BYTES = 2**20  # room to open the store and record some fifty refusals, one commit each
MARGIN_BYTES = 4 * 2**20  # free space beyond the reserve before we call the disk usable again
_BLOCK = 2**18
_SHORT = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Ballast:
    """The reserve of one store. Its state is the file's presence, so that all processes agree about it."""

    def __init__(self, path: Path, size: int = BALLAST_BYTES) -> None:
        self.path = path
        self.size = size

    def present(self) -> bool:
        """True while the reserve is whole. About 2 µs."""
        try:
            return self.path.stat().st_size >= self.size
        except FileNotFoundError:
            return False

    def lacks_room(self) -> bool:
        """True while the disk has less free space than work needs, the reserve included if it was given up."""
        wanted = MARGIN_BYTES if self.present() else self.size + MARGIN_BYTES
        return shutil.disk_usage(self.path.parent).free < wanted

    def release(self) -> None:
        """Give the room back to the disk."""
        self.path.unlink(missing_ok=True)

    def restore(self) -> bool:
        """Make the reserve if there is room for it and for work besides; say whether it stands now."""
        if shutil.disk_usage(self.path.parent).free < self.size + MARGIN_BYTES:
            return False
        part = self.path.with_name(self.path.name + ".part")
        try:
            _write_blocks(part, self.size)
        except OSError as error:
            part.unlink(missing_ok=True)
            if error.errno in _SHORT:
                return False
            raise
        part.replace(self.path)
        return True


def room_is_short(directory: Path) -> bool:
    """Whether a file of some blocks cannot be written here now: a full disk, a quota, a limit of the process."""
    return _obstacle(directory) in _SHORT


def is_read_only(directory: Path) -> bool:
    """Whether nothing can be made here now, because the disk was set read-only or our rights were taken."""
    return _obstacle(directory) in NOT_WRITABLE


def _obstacle(directory: Path) -> int | None:
    """The system's number for why a file of some blocks cannot be written; None if it can."""
    probe = directory / f".room-{os.getpid()}"
    try:
        _write_blocks(probe, _BLOCK)
    except OSError as error:
        return error.errno
    finally:
        with suppress(OSError):  # a read-only disk refuses to delete even what is not there; then nothing was made
            probe.unlink(missing_ok=True)
    return None


def _write_blocks(path: Path, size: int) -> None:
    """Random bytes: a file system that compresses or leaves holes would not keep room for zeros."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        for start in range(0, size, _BLOCK):
            file.write(os.urandom(min(_BLOCK, size - start)))
        file.flush()
        os.fsync(file.fileno())
