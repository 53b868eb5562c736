"""Disks that fail while a store writes: full, read-only, a crash at any statement or around a commit.

For: one set of listeners on SQLAlchemy's engines that ask the machine which runs now what its disk does.
May not: touch data; be left in place after a run.
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy import Connection, Engine, event

WRITE_BEGINS = "BEGIN IMMEDIATE"


class Crash(BaseException):
    """The process dies here. No `except Exception` of the product may catch it, as none catches SIGKILL."""


@dataclass
class Disk:
    """One machine's disk and the trap that is set on it.

    crash_at: statements until the process dies, counted from 1; 0 for never. crash_before_commit, crash_after_commit:
    the next commit is the last thing before which, or after which, it lives. doomed: it died after a commit and has not
    noticed yet; between the two nothing is written and nothing leaves.
    """

    store: Path
    full: bool = False
    read_only: bool = False
    crash_at: int = 0
    crash_before_commit: bool = False
    crash_after_commit: bool = False
    crash_at_publish: int = 0
    doomed: bool = False
    writing: bool = False
    statements: int = 0

    def disarm(self) -> None:
        self.crash_at = self.crash_at_publish = 0
        self.crash_before_commit = self.crash_after_commit = self.doomed = self.writing = False

    def live_or_die(self) -> None:
        """Called wherever something would become visible to others."""
        if self.doomed:
            raise Crash

    def publishing(self) -> None:
        self.live_or_die()
        if self.crash_at_publish:
            self.crash_at_publish -= 1
            if not self.crash_at_publish:
                raise Crash

    @property
    def reserve_is_given_up(self) -> bool:
        return not self.store.with_name(self.store.name + ".ballast").exists()


class Disks:
    """Which machine runs now, and the listeners that act upon its disk."""

    def __init__(self) -> None:
        self.current: Disk | None = None

    @contextmanager
    def running(self, disk: Disk) -> Iterator[None]:
        """What happens in this block happens on that machine."""
        before, self.current = self.current, disk
        try:
            yield
            disk.live_or_die()
        finally:
            self.current = before

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Have the listeners in place for the block, and room on the disk as the running machine sees it."""
        listeners = (("before_cursor_execute", self._statement), ("commit", self._commit), ("rollback", self._rollback))
        for name, listener in listeners:
            event.listen(Engine, name, listener)
        real = shutil.disk_usage

        def usage(path: Any) -> Any:
            found = real(path)
            return found._replace(free=0) if self.current is not None and self.current.full else found

        try:
            with mock.patch.object(shutil, "disk_usage", usage):
                yield
        finally:
            for name, listener in listeners:
                event.remove(Engine, name, listener)

    def _statement(self, _tx: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        disk = self.current
        if disk is None:
            return
        disk.live_or_die()
        disk.statements += 1
        if statement == WRITE_BEGINS:
            disk.writing = True
            if disk.read_only:
                disk.writing = False
                raise _failure("attempt to write a readonly database", "SQLITE_READONLY")
        if disk.crash_at:
            disk.crash_at -= 1
            if not disk.crash_at:
                raise Crash
        if disk.full and disk.writing and statement[:6] in ("INSERT", "UPDATE") and not disk.reserve_is_given_up:
            raise _failure("database or disk is full", "SQLITE_FULL")

    def _commit(self, _tx: Connection) -> None:
        disk = self.current
        if disk is None or not disk.writing:
            return
        if disk.crash_before_commit:
            raise Crash
        disk.writing = False
        if disk.crash_after_commit:
            disk.doomed = True

    def _rollback(self, _tx: Connection) -> None:
        if self.current is not None:
            self.current.writing = False


def copy_store(store: Path, target: Path) -> None:
    """What the disk holds now, log included. Nobody writes meanwhile: there is one thread."""
    for suffix in ("", "-wal"):
        source = store.with_name(store.name + suffix)
        if source.exists():
            shutil.copyfile(source, target.with_name(target.name + suffix))


def put_store_back(kept: Path, store: Path) -> None:
    """The store as `copy_store` found it; what was committed since is gone."""
    for suffix in ("", "-wal", "-shm"):
        store.with_name(store.name + suffix).unlink(missing_ok=True)
    copy_store(kept, store)


def _failure(text: str, name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorname = name
    return error
