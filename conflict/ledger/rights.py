"""Files that nobody but their owner may read: private keys, passwords, the store.

For: taking other people's rights away at the start of a daemon, and refusing the start where the disk keeps no rights.
May not: read the files.
Manual: docs/operating/storage.md, "Rights".  Decision: docs/decisions/0148-rights-are-taken-back.md.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from conflict.ledger.errors import StoreUnsafe
from protocol.carriers.durable import PRIVATE

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_log = logging.getLogger("liandong.store")


def keep_private(paths: Iterable[Path]) -> None:
    """See that only the owner may read and write these files; those that do not exist are passed over. Not on Windows.

    Raises:  StoreUnsafe if a disk keeps no rights (a FAT stick, some shares), or the file belongs to somebody else.
    """
    if os.name == "nt":
        return
    for path in paths:
        if not path.exists() or not _open_to_others(path):
            continue
        try:
            path.chmod(PRIVATE)
        except OSError as error:
            _log.warning("the rights of %s cannot be changed: %s", path.name, error.strerror)
        if _open_to_others(path):
            raise StoreUnsafe(
                f"Others can read {path}, and that cannot be changed here. Move the directory to a disk that keeps rights.",
                f"其他用户可以读取 {path}，且无法收回权限，请把数据目录移到支持文件权限的本机磁盘。",
                file=str(path),
            )
        _log.warning("others could read %s; that is no longer so", path.name)


def _open_to_others(path: Path) -> bool:
    return bool(path.stat().st_mode & _OTHERS)
