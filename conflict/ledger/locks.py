"""Locks between processes: one writer per store, one daemon per directory.

For: the write turn (a lock file beside the database that every process of ours takes before it writes or checkpoints),
the proof that locks work on this disk, and the daemon lock.
May not: know what is written under the lock. A crash releases every lock; the files stay and mean nothing by themselves.
Manual: docs/operating/storage.md, "One writer".
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from conflict.ledger.errors import AlreadyRunning, NestedWrite, StoreUnsafe, locked, read_only

WRITE_WAIT_S = 30.0  # longest wait for a turn before a person is told
POLL_S = 0.002  # how often a waiting process looks again; a turn lasts 1 to 20 ms
DAEMON_LOCK = "daemon.lock"
NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


class WriteTurn:
    """The right to write one store, held by at most one thread of one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._threads = threading.Lock()
        self._file = _file_lock(path)
        self._owner: int | None = None

    @contextmanager
    def hold(self, *, wait_s: float = WRITE_WAIT_S) -> Iterator[None]:
        """Wait for the turn and keep it for the block.

        Raises:  NestedWrite if this thread holds it already; StoreLocked after `wait_s` seconds; StoreReadOnly.
        """
        if self._owner == threading.get_ident():
            raise NestedWrite("a write block was opened inside a write block of the same thread")
        deadline = time.monotonic() + wait_s
        if not self._threads.acquire(timeout=wait_s):
            raise locked()
        try:
            self._owner = threading.get_ident()
            try:
                self._file.acquire(timeout=max(0.0, deadline - time.monotonic()), poll_interval=POLL_S)
            except Timeout:
                raise locked() from None
            except OSError as error:
                raise read_only(f"lock file: {error.strerror}") from error
            try:
                yield
            finally:
                self._file.release()
        finally:
            self._owner = None
            self._threads.release()


def prove_locks(path: Path) -> None:
    """Show that a lock taken on this disk keeps a second one out. Takes about 0.3 ms.

    Args:    path: the store's lock file.
    Raises:  StoreUnsafe if the disk cannot lock; StoreReadOnly if the file cannot be made.
    """
    first, second = _file_lock(path), _file_lock(path)
    try:
        first.acquire(timeout=0)
    except Timeout:
        return  # somebody holds it and we were kept out: that is the proof
    except OSError as error:
        if error.errno in NOT_WRITABLE:
            raise read_only(f"lock file: {error.strerror}") from error
        raise _no_locks(error.strerror or "the disk refused the lock") from error
    try:
        second.acquire(timeout=0)
    except Timeout:
        return
    finally:
        first.release()
    second.release()
    raise _no_locks("two locks were granted at once")


@contextmanager
def daemon_lock(directory: Path) -> Iterator[None]:
    """Be the only daemon on `directory` for the block. `case` commands beside a daemon do not take this lock.

    Raises:  AlreadyRunning if another daemon holds it.
    """
    lock = _file_lock(directory / DAEMON_LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise AlreadyRunning(
            "A program already runs on this directory. Stop it first, or use the commands beside it.",
            "该目录已有正在运行的程序，请先停止，或直接使用命令行操作。",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _file_lock(path: Path) -> FileLock:
    return FileLock(path, thread_local=False, fallback_to_soft=False, mode=0o600)


def _no_locks(detail: str) -> StoreUnsafe:
    return StoreUnsafe(
        "The disk under the store does not support file locks (a network share, perhaps). Move it to a local disk.",
        "数据库所在磁盘不支持文件锁（可能是网络共享盘），请移到本地磁盘。",
        detail=detail,
    )
