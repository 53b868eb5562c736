"""Chunks: large content (attachments, documents) in pieces that a thin line can carry and resume.

For: arithmetic of pieces and missing ranges; nothing else.
May not: hold content; verify it (the ledger does, whole, before it counts).
Spec: docs/protocol/chunks.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

CHUNK_BYTES = 32_768  # one chunk and its envelope stay well below ENVELOPE_BYTES_MAX
GRAIN_BYTES = 256  # a chunk may travel in slices of so many grains each
FILE_BYTES_MAX = 20 * 1024 * 1024  # 20 MiB: a scanned form of many pages; more is refused on entry
WINDOW = 8  # chunks asked for at once: 256 KiB in flight; on a thin line much less (protocol/pace.py)


def count_of(size: int) -> int:
    """How many chunks content of `size` bytes has; empty content has none."""
    return (size + CHUNK_BYTES - 1) // CHUNK_BYTES


def pieces(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(index, bytes) of each chunk in order."""
    for index in range(count_of(len(content))):
        yield index, content[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]


def fits(size: int, index: int, data: bytes) -> bool:
    """Whether `data` has the length that chunk `index` of content of `size` bytes must have."""
    length = length_of(size, index)
    return length > 0 and len(data) == length


def length_of(size: int, index: int) -> int:
    """How many bytes chunk `index` of content of `size` bytes has; 0 if there is no such chunk."""
    if not 0 <= index < count_of(size) or not 0 < size <= FILE_BYTES_MAX:
        return 0
    return min(CHUNK_BYTES, size - CHUNK_BYTES * index)


def ranges(indexes: Iterable[int]) -> list[list[int]]:
    """Sorted indexes as inclusive ranges: 0, 1, 2, 5 -> [[0, 2], [5, 5]]."""
    out: list[list[int]] = []
    for index in sorted(set(indexes)):
        if out and index == out[-1][1] + 1:
            out[-1][1] = index
        else:
            out.append([index, index])
    return out


def first_of(missing: list[list[int]], most: int) -> list[int]:
    """The first `most` indexes of some ranges; hostile ranges cost nothing beyond that."""
    out: list[int] = []
    for first, last in missing:
        for index in range(first, min(last, first + most - 1) + 1):
            out.append(index)
            if len(out) == most:
                return out
    return out
