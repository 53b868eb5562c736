"""What can be wrong with a bundle file: one class for each thing that a person would do differently.

For: clear words when a stick was pulled out, mixed up, filled or tampered with. Nothing was changed in any case.
May not: quote what the file says: it may be anything.
Manual: docs/operating/errors.md.
"""

from __future__ import annotations

from typing import ClassVar

from protocol.errors import InputError, RemoteProtocolError, StoreError


class _Detailed:
    """`detail`: what exactly was found, a few plain words."""

    sentence: ClassVar[str]
    sentence_zh: ClassVar[str]

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        tail = f" ({detail})" if detail else ""
        super().__init__(self.sentence + tail, self.sentence_zh)  # type: ignore[call-arg]


class BundleTruncated(_Detailed, RemoteProtocolError):
    """The file ends before its trailer."""

    code = "bundle_truncated"
    sentence = (
        "The bundle is not complete; the stick was pulled out too early or it was not copied whole. Export it again."
    )
    sentence_zh = "数据包不完整，可能是U盘拔出过早或未复制完全，请重新导出。"


class BundleDamaged(_Detailed, RemoteProtocolError):
    """The file is as long as it says, but its bytes are not those that were written."""

    code = "bundle_damaged"
    sentence = "The bundle is damaged. Export it again, with another stick."
    sentence_zh = "数据包已损坏，请更换U盘重新导出。"


class BundleForeign(_Detailed, RemoteProtocolError):
    """Not a bundle, or one of another county or of a newer program."""

    code = "bundle_foreign"
    sentence = "This file is not a bundle that can be read here."
    sentence_zh = "该文件不是本县可以读取的数据包。"


class BundleTooLarge(_Detailed, RemoteProtocolError):
    """More bytes or envelopes than one bundle may hold."""

    code = "bundle_too_large"
    sentence = "The bundle is too large. Export it in several parts."
    sentence_zh = "数据包过大，请分多个导出。"


class BundleEmpty(_Detailed, RemoteProtocolError):
    """There is no envelope in it, or none to write."""

    code = "bundle_empty"
    sentence = "There is nothing in the bundle to carry."
    sentence_zh = "没有需要携带的数据。"


class BundleUnreadable(_Detailed, StoreError):
    """The medium does not give the file."""

    code = "bundle_unreadable"
    sentence = "The bundle cannot be read from the medium. Put the stick in again, or use another one."
    sentence_zh = "无法从介质读取数据包，请重新插入U盘或更换U盘。"


class BundleNotWritten(_Detailed, StoreError):
    """The medium did not take the file, or gives back something else."""

    code = "bundle_not_written"
    sentence = "The bundle was not written; nothing counts as carried. Make room on the stick, or use another one."
    sentence_zh = "数据包未能写入，数据仍视为未携带，请清理U盘空间或更换U盘。"


class BundleExists(_Detailed, InputError):
    """A file of that name is there already."""

    code = "bundle_exists"
    sentence = "A file of that name exists already; choose another name."
    sentence_zh = "同名文件已存在，请另选文件名。"
