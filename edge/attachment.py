"""Files that a worker attaches: read from disk, measured, named and hashed, before anything is written.

For: turning a path into bytes with a name, a media type and a SHA-256; the limits on one file and on one case.
May not: write to the store; keep a path (a name on a stick or in an op is never used as a path); look into a picture
(edge/photo.py does).
Manual: docs/operating/attachments.md.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from edge.errors import AttachmentTooLarge, AttachmentUnreadable
from protocol.chunks import FILE_BYTES_MAX

CASE_BYTES_MAX = 100 * 1024 * 1024  # all files of one case together
FILE_NAME_CHARS_MAX = 60
DEFAULT_GRADE = "C"  # handed in and copied by a worker, not compared with the original


@dataclass(frozen=True, slots=True)
class FileToAttach:
    """One file, read whole. `material`: name of the material it proves; empty means the file's own name.

    reduced_from: bytes that were handed in where a photo was made smaller, else 0.
    """

    name: str
    material: str
    media: str
    data: bytes
    sha256: bytes
    grade: str = DEFAULT_GRADE
    reduced_from: int = 0


def read_file(path: Path, *, material: str = "", grade: str = DEFAULT_GRADE) -> FileToAttach:
    """The file at `path`, ready to attach.

    Raises:  AttachmentUnreadable (missing, a directory, empty, no permission), AttachmentTooLarge (FILE_BYTES_MAX).
    """
    try:
        with path.open("rb") as source:
            data = source.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise AttachmentUnreadable(
            f"The file {path.name} cannot be read ({error.strerror}).",
            f"文件 {path.name} 无法读取（{error.strerror}）。",
        ) from error
    return file_of(path.name, data, material=material, grade=grade)


def file_of(name: str, data: bytes, *, material: str = "", grade: str = DEFAULT_GRADE) -> FileToAttach:
    """The same from bytes in memory (an upload). `name` is for people; it is shortened, kept with its ending."""
    if not data:
        raise AttachmentUnreadable(f"The file {name} is empty.", f"文件 {name} 是空的。")
    if len(data) > FILE_BYTES_MAX:
        limit = FILE_BYTES_MAX // (1024 * 1024)
        raise AttachmentTooLarge(
            f"The file {name} is larger than {limit} MiB.", f"文件 {name} 超过 {limit} MB，请压缩后再上传。"
        )
    shown = _short(name)
    media = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return FileToAttach(shown, material or _short(Path(name).stem), media, data, hashlib.sha256(data).digest(), grade)


def _short(name: str) -> str:
    ending = Path(name).suffix[:12]
    stem = name[: len(name) - len(Path(name).suffix)]
    printable = "".join(character for character in stem if character.isprintable())
    return (printable[: FILE_NAME_CHARS_MAX - len(ending)] or "文件") + ending
