"""Errors of the local store, and how a driver's error becomes one of them.

For: one class per thing that an operator would do differently, each with a stable code and a sentence in two languages.
May not: retry, log, or hide an error that it does not know (that one passes unchanged).
Manual: docs/operating/storage.md, docs/operating/errors.md.
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from protocol.errors import InputError, LocalProtocolError, StoreError


class StoreMissing(StoreError):
    """There is no store at the place that was named."""

    code = "store_missing"


class StoreFull(StoreError):
    """The disk has no room. Nothing of the transaction was kept; the reserve is released."""

    code = "store_full"


class StoreDamaged(StoreError):
    """The bytes of the store are not what the database wrote."""

    code = "store_damaged"


class StoreLocked(StoreError):
    """Another process kept the store for longer than we wait. Nothing was changed; try again."""

    code = "store_locked"


class StoreReadOnly(StoreError):
    """The store or its directory cannot be written."""

    code = "store_read_only"


class StoreTooNew(StoreError):
    """A newer program wrote this store and says that this program may not open it."""

    code = "store_too_new"


class StoreUnsafe(StoreError):
    """The settings that durability rests on could not be had; the start is refused."""

    code = "store_unsafe"


class StoreForeign(StoreError):
    """A database that is not one of ours."""

    code = "store_foreign"


class StoreFailed(StoreError):
    """The operating system reported an input or output error while reading or writing."""

    code = "store_failed"


class StoreUnreachable(StoreError):
    """The database server does not answer."""

    code = "store_unreachable"


class AlreadyRunning(StoreError):
    """A daemon already runs on this directory."""

    code = "already_running"


class NestedWrite(LocalProtocolError):
    """A write block inside a write block of the same thread: a fault of the program, which would wait for itself."""

    code = "nested_write"


class FoldFailed(LocalProtocolError):
    """The fold of a case raised, although it is promised never to. Facts name the case."""

    code = "fold_failed"


class UnknownCase(InputError):
    """No case here has this number or id."""

    code = "unknown_case"


class AmbiguousCase(InputError):
    """More than one case fits the number or the beginning of an id."""

    code = "ambiguous_case"


_FULL = (
    "The disk is full. Nothing was saved; free some space and try again.",
    "磁盘已满，本次内容没有保存。请清理磁盘后重试。",
)
_DAMAGED = (
    "The local store is damaged. An office's device: liandong node repair. The hub: restore a backup (docs/operating/drills.md).",
    "本机数据库已损坏。机构设备请运行 liandong node repair；县中心请按手册恢复备份。",
)
_LOCKED = (
    "The local store is in use by another program. Nothing was changed; try again in a moment.",
    "本机数据库正被其他程序占用，没有做任何更改，请稍后再试。",
)
_READ_ONLY = (
    "The local store cannot be written. Check the permissions of its directory and whether the disk is read-only.",
    "本机数据库无法写入，请检查目录权限以及磁盘是否为只读。",
)
_FAILED = (
    "The disk reported an error. Nothing was saved; check the disk before going on.",
    "磁盘读写出错，本次内容没有保存，请先检查磁盘。",
)
_UNREACHABLE = (
    "The database server does not answer. Nothing was saved; check that it runs and try again.",
    "数据库服务器没有响应，本次内容没有保存，请检查服务器后重试。",
)
_FOREIGN = (
    "This file is not a database of Liandong.",
    "该文件不是联动系统的数据库。",
)

_BY_SQLITE_NAME: tuple[tuple[str, type[StoreError], tuple[str, str]], ...] = (
    ("SQLITE_FULL", StoreFull, _FULL),
    ("SQLITE_BUSY", StoreLocked, _LOCKED),
    ("SQLITE_LOCKED", StoreLocked, _LOCKED),
    ("SQLITE_PROTOCOL", StoreLocked, _LOCKED),
    ("SQLITE_READONLY", StoreReadOnly, _READ_ONLY),
    ("SQLITE_PERM", StoreReadOnly, _READ_ONLY),
    ("SQLITE_CANTOPEN", StoreReadOnly, _READ_ONLY),
    ("SQLITE_CORRUPT", StoreDamaged, _DAMAGED),
    ("SQLITE_NOTADB", StoreForeign, _FOREIGN),
    ("SQLITE_IOERR", StoreFailed, _FAILED),
)
_BY_SQLSTATE: tuple[tuple[str, type[StoreError], tuple[str, str]], ...] = (
    ("53100", StoreFull, _FULL),
    ("25006", StoreReadOnly, _READ_ONLY),
    ("40P01", StoreLocked, _LOCKED),
    ("40001", StoreLocked, _LOCKED),
    ("55P03", StoreLocked, _LOCKED),
    ("XX001", StoreDamaged, _DAMAGED),
    ("XX002", StoreDamaged, _DAMAGED),
    ("58030", StoreFailed, _FAILED),
    ("08", StoreUnreachable, _UNREACHABLE),
    ("57P0", StoreUnreachable, _UNREACHABLE),
    ("53300", StoreUnreachable, _UNREACHABLE),
)


def store_error(error: BaseException) -> StoreError | None:
    """The store error that a driver's `error` stands for, or None if it is not about the store's health.

    Args:    error: a DBAPI error of sqlite3 or psycopg, or SQLAlchemy's wrapper of one.
    """
    if isinstance(error, StoreError):
        return error
    driver = error.orig if isinstance(error, DBAPIError) else error
    name = getattr(driver, "sqlite_errorname", None)
    if isinstance(name, str):
        return _first(name, _BY_SQLITE_NAME)
    state = getattr(driver, "sqlstate", None)
    if isinstance(state, str):
        return _first(state, _BY_SQLSTATE)
    if type(driver).__name__ == "OperationalError" and type(driver).__module__.startswith("psycopg"):
        return StoreUnreachable(*_UNREACHABLE, detail=(str(driver).splitlines() or ["no answer"])[0][:200])
    return None


def full() -> StoreFull:
    """The error for a disk without room, when we find out before the database does."""
    return StoreFull(*_FULL)


def locked() -> StoreLocked:
    """The error for a lock that another process keeps."""
    return StoreLocked(*_LOCKED)


def read_only(detail: str) -> StoreReadOnly:
    """The error for a place that cannot be written."""
    return StoreReadOnly(*_READ_ONLY, detail=detail)


def damaged(detail: str) -> StoreDamaged:
    """The error for bytes that the database did not write so."""
    return StoreDamaged(*_DAMAGED, detail=detail)


def foreign(detail: str) -> StoreForeign:
    """The error for a database of somebody else."""
    return StoreForeign(*_FOREIGN, detail=detail)


def _first(name: str, table: tuple[tuple[str, type[StoreError], tuple[str, str]], ...]) -> StoreError | None:
    for prefix, kind, (text, text_zh) in table:
        if name.startswith(prefix):
            return kind(text, text_zh, detail=name)
    return None
