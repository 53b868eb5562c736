"""What lies on a stick: which files there are bundles, what a new one is called, how much still fits into it.

For: edge and hub, which export to and import from one file or a directory of files.
May not: open envelopes; use a name found on the medium for anything but opening that file; choose what travels.
Spec: docs/protocol/bundle.md.  Manual: docs/operating/sticks.md.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from protocol.carriers.bundle import PART_SUFFIX, peek_header
from protocol.carriers.bundle_errors import BundleUnreadable
from protocol.errors import InputError, LiandongError, RemoteProtocolError

SUFFIX = ".ldb"
FILES_MAX = 1_000  # bundles taken from one directory; a county has some 600 devices
MIB = 2**20
ROOM_MIB = 1_000  # what an export may hold unless told otherwise
ROOM_MIB_MAX = 1_900  # a bundle ends at 2 GiB; reference data and one batch a device go in beyond the room
ASIDE_MAX = 100  # bad envelopes of one import that are kept as evidence; further ones are only counted


class NoBundle(InputError):
    """There is no bundle at the place that was named."""

    code = "bundle_missing"


class BundleNotForUs(RemoteProtocolError):
    """A sound bundle that holds nothing for this node. Nothing was changed."""

    code = "bundle_not_for_us"

    def __init__(self) -> None:
        super().__init__(
            "The bundle holds nothing for this machine; it belongs to another one. Nothing was changed.",
            "数据包中没有发给本机的内容，属于其他设备，未做任何更改。",
        )


@dataclass(frozen=True, slots=True)
class Aside:
    """Something on a stick that could not be taken. number: of the envelope in its file, 0 for the file itself."""

    file: str
    number: int
    code: str
    text: str
    text_zh: str


@dataclass(slots=True)
class Taken:
    """What an import did.

    envelopes: for this node, opened; others: passed over, for other nodes. new, repeated, refused, waiting: ops, each
    in one of the four. settled: own ops that now have the hub's word. gaps: batches of a stream that build on a stick which has not come. bad: envelopes and files set
    aside; the first ASIDE_MAX of them are in `aside`.
    """

    envelopes: int = 0
    others: int = 0
    new: int = 0
    repeated: int = 0
    refused: int = 0
    waiting: int = 0
    settled: int = 0
    documents: int = 0
    chunks: int = 0
    gaps: int = 0
    bad: int = 0
    aside: list[Aside] = field(default_factory=list)

    def set_aside(self, path: Path, number: int, error: LiandongError) -> bool:
        """Count what could not be taken; False if so much was set aside that no more is kept."""
        self.bad += 1
        if len(self.aside) >= ASIDE_MAX:
            return False
        self.aside.append(Aside(path.name, number, error.code, error.text, error.text_zh))
        return True


class Room:
    """How many bytes of envelopes a bundle still takes."""

    def __init__(self, bytes_max: int) -> None:
        self.left = bytes_max

    def take(self, envelope: bytes, *, must: bool = False) -> bool:
        """Whether the envelope goes in. `must`: it does in any case, so that every bundle brings its reader forward."""
        if not must and len(envelope) > self.left:
            return False
        self.left -= len(envelope)
        return True


def bundles_in(place: Path) -> list[Path]:
    """The bundles at `place`: itself, or in a directory the files whose names end in `.ldb`, in the order of their names.

    Raises:  NoBundle; BundleUnreadable.
    """
    try:
        if not place.is_dir():
            if not os.path.lexists(place):
                raise NoBundle(f"There is no file {place}.", f"没有文件 {place}。")
            return [place]
        found = sorted(one for one in place.iterdir() if one.suffix == SUFFIX and not one.name.startswith("."))
    except OSError as error:
        raise BundleUnreadable(error.strerror or str(error)) from error
    if not found:
        raise NoBundle(
            f"{place} holds no bundle (a file whose name ends in {SUFFIX}).",
            f"目录 {place} 中没有数据包（文件名以 {SUFFIX} 结尾）。",
        )
    if len(found) > FILES_MAX:
        raise NoBundle(
            f"{place} holds more than {FILES_MAX} bundles; import them in several directories.",
            f"目录 {place} 中的数据包超过 {FILES_MAX} 个，请分目录导入。",
        )
    return found


def written_by(path: Path, incarnation: bytes) -> bool:
    """Whether a bundle says that this node itself wrote it: its own is passed over when a whole stick is imported."""
    try:
        return peek_header(path).sender == incarnation
    except (BundleUnreadable, RemoteProtocolError):
        return False  # reading it will say what is wrong with it


def new_file(place: Path, stem: str) -> Path:
    """Where a new bundle goes: `place` itself, or in a directory a name of its own that begins with `stem`."""
    if not place.is_dir():
        return place
    for number in count(1):
        name = f"{stem}{SUFFIX}" if number == 1 else f"{stem}-{number}{SUFFIX}"
        if not os.path.lexists(place / name) and not os.path.lexists(place / (name + PART_SUFFIX)):
            return place / name
    raise AssertionError("unreachable")
