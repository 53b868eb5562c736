"""Backup and restore of one node: its store, keys and configuration as one file that proves itself.

For: a consistent copy of a live node; putting it back into an empty directory, marked as restored.
May not: overwrite anything; use a name from a file as a path without checking it; keep the copy readable by others.
Manual: docs/operating/backup.md.  Decision: docs/decisions/0093-backup-file.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ops.nodes import Node, find_node
from protocol.carriers.durable import PRIVATE, sync_directory, write_durably
from protocol.errors import InputError, RefusedError

FORMAT = "liandong backup"
VERSION = 1
MANIFEST = "manifest.json"
MARKER = "restored.json"  # in a restored hub's directory until its daemon has begun a new epoch
FILES_MAX = 100_000
MANIFEST_BYTES_MAX = 32 * 1024 * 1024
PIECE = 1024 * 1024
# What belongs to one run or one disk, not to the node: locks, the reserve, SQLite's own companions, half-written files.
PASSING = re.compile(r"(\.lock|\.ballast|-wal|-shm|-journal|\.pid|\.log|\.new|\.sock)$")
SAFE_NAME = re.compile(r"^[A-Za-z0-9_.\-\u4e00-\u9fff]{1,120}$")


class BackupDamaged(InputError):
    """The file is no backup of ours, or a part of it is missing or changed."""

    code = "backup_damaged"


class DirectoryInUse(RefusedError):
    """A restore goes into a directory that does not exist or is empty, never over a node."""

    code = "directory_not_empty"


def backup(directory: Path, target: Path, *, now_ms: int) -> dict[str, Any]:
    """Write a consistent copy of the node in `directory` to the file `target`; the node may be running.

    Returns: the manifest: format, version, kind, county, office, incarnation, made_ms, store, files [{name, size, sha256}].
    Raises:  RefusedError if `target` exists; InputError for a hub on PostgreSQL (its operator uses pg_dump); StoreError.
    """
    node = find_node(directory)
    if target.exists():
        raise RefusedError(f"{target} exists; a backup overwrites nothing.", f"{target} 已存在,备份不会覆盖文件。")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as room:
        copy = Path(room) / "store.db"
        with node.open_store() as store:
            store.backup_to(copy)
        store_name = Path(node.place).name
        parts = {store_name: copy, **dict(_belongings(directory, store_name))}
        manifest = _manifest(node, store_name, parts, now_ms)
        half = Path(room) / "half"
        _write_archive(half, manifest, parts)
        _check(half)
        half.replace(target)
    sync_directory(target.parent)
    return manifest


def restore(source: Path, directory: Path, *, now_ms: int) -> dict[str, Any]:
    """Put the node of a backup file into `directory`, whole or not at all, and mark it as restored.

    A restored machine that continued its own numbering would contradict itself. So an office's device has new keys from
    the first moment, and asks the county to take them; a hub has a mark and begins a new epoch at its next start.

    Returns: the manifest of the backup.
    Raises:  DirectoryInUse, BackupDamaged.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise DirectoryInUse(
            f"{directory} is not empty; restore into a new directory.", f"目录 {directory} 非空,请恢复到新目录。"
        )
    manifest = _check(source)
    directory.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(dir=directory.parent, prefix=".restore-"))
    try:
        with tarfile.open(source, "r:") as archive:
            for entry in manifest["files"]:
                _unpack(archive, entry, room)
        if manifest["kind"] == "edge":
            _renew(room, now_ms)
        mark = {"restored_ms": now_ms, "backup_made_ms": manifest["made_ms"], "incarnation": manifest["incarnation"]}
        if manifest["kind"] == "hub":
            write_durably(room / MARKER, json.dumps(mark).encode(), mode=PRIVATE)
        node = find_node(room)
        with node.open_store(check=True):
            pass
        if directory.exists():
            directory.rmdir()
        room.rename(directory)
    except BaseException:
        shutil.rmtree(room, ignore_errors=True)
        raise
    sync_directory(directory.parent)
    return manifest


def _renew(directory: Path, now_ms: int) -> None:
    """Nobody ever signs under the old name here again: what it said after the backup is out in the world."""
    from edge import incarnation
    from edge.clock import machine_clock
    from edge.config import JOINING, read_config
    from edge.main import open_node

    if read_config(directory).state == JOINING:
        return
    with open_node(directory, machine_clock(lambda: now_ms), check=True) as node:
        incarnation.renew(directory, node.store, node.reference, why=incarnation.RESTORED, now_ms=now_ms)


def _belongings(directory: Path, store_name: str) -> Iterator[tuple[str, Path]]:
    """Every lasting file of the node but the store itself, by its name inside the directory."""
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and not path.is_symlink() and not PASSING.search(name) and name not in (store_name, MARKER):
            yield name, path


def _manifest(node: Node, store_name: str, parts: dict[str, Path], now_ms: int) -> dict[str, Any]:
    files = [{"name": name, "size": path.stat().st_size, "sha256": _sha256(path)} for name, path in parts.items()]
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": node.kind,
        "county": node.county,
        "office": node.office,
        "incarnation": node.incarnation,
        "made_ms": now_ms,
        "store": store_name,
        "files": files,
    }


def _write_archive(path: Path, manifest: dict[str, Any], parts: dict[str, Path]) -> None:
    blob = json.dumps(manifest, ensure_ascii=False, indent=1).encode()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as out:
        with tarfile.open(fileobj=out, mode="w:", format=tarfile.PAX_FORMAT) as archive:
            head = tarfile.TarInfo(MANIFEST)
            head.size, head.mode = len(blob), PRIVATE
            archive.addfile(head, _bytes(blob))
            for name, part in parts.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = part.stat().st_size, PRIVATE
                with part.open("rb") as content:
                    archive.addfile(member, content)
        out.flush()
        os.fsync(out.fileno())


def _check(source: Path) -> dict[str, Any]:
    """The manifest of a backup file whose every part was read and is as the manifest says. Raises BackupDamaged."""
    try:
        with tarfile.open(source, "r:") as archive:
            head = archive.next()
            if head is None or head.name != MANIFEST or head.size > MANIFEST_BYTES_MAX:
                raise _damaged(source, "it does not begin with a manifest")
            manifest = json.loads(_content(archive, head).read())
            _check_manifest(source, manifest)
            for entry in manifest["files"]:
                member = archive.getmember(entry["name"])
                if not member.isfile() or member.size != entry["size"]:
                    raise _damaged(source, f"{entry['name']} has another size")
                if _digest(_content(archive, member)) != entry["sha256"]:
                    raise _damaged(source, f"{entry['name']} was changed")
    except (OSError, ValueError, KeyError, TypeError, tarfile.TarError) as error:
        raise _damaged(source, str(error)) from error
    checked: dict[str, Any] = manifest
    return checked


def _check_manifest(source: Path, manifest: Any) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or manifest.get("version") != VERSION:
        raise _damaged(source, f"it is not a backup of version {VERSION}")
    if manifest["kind"] not in ("edge", "hub") or len(manifest["files"]) > FILES_MAX:
        raise _damaged(source, "its manifest cannot be right")
    for entry in manifest["files"]:
        steps = PurePosixPath(entry["name"]).parts
        if not steps or len(steps) > 4 or any(step in (".", "..") or not SAFE_NAME.match(step) for step in steps):
            raise _damaged(source, "it names a file outside the node's directory")


def _unpack(archive: tarfile.TarFile, entry: dict[str, Any], room: Path) -> None:
    target = room.joinpath(*PurePosixPath(entry["name"]).parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(handle, "wb") as out, _content(archive, archive.getmember(entry["name"])) as content:
        shutil.copyfileobj(content, out, PIECE)
        out.flush()
        os.fsync(out.fileno())


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    if content is None:
        raise tarfile.TarError(f"{member.name} is no file")
    return content


def _bytes(blob: bytes) -> IO[bytes]:
    import io

    return io.BytesIO(blob)


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return _digest(content)


def _digest(content: IO[bytes]) -> str:
    return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]


def _damaged(source: Path, detail: str) -> BackupDamaged:
    return BackupDamaged(
        f"{source} cannot be restored: {detail}. Nothing was changed.",
        f"备份文件 {source} 无法恢复({detail}),未作任何改动。",
    )
