"""One byte form per value: the canonical encoding that op ids and signatures rest on.

For: encoding and decoding a small set of values (None, bool, int, str, bytes, list, dict) as a strict subset of
MessagePack: shortest forms, keys sorted and unique, no floats, no extension types, integers within 2^53.
May not: know what the values mean; read a clock, a file or a socket.
Spec: docs/protocol/canonical.md.  Vectors: tests/vectors/canonical/.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgpack

from protocol.errors import LocalProtocolError, MalformedBytes, TooLarge

INT_MAX = 2**53  # exactly representable in every language that a second edge may be written in
DEPTH_MAX = 12  # levels of nesting; the deepest message of ours has 7
BYTES_MAX = 2**22  # 4 MiB: a decompressed envelope may hold 1 MiB, a large catalogue or roster some more


def encode(value: Any) -> bytes:
    """The canonical bytes of `value`.

    Args:    value: None, bool, int in [-2^53, 2^53], str without lone surrogates, bytes, list/tuple, or dict whose
             keys are all str or all int (0 or more).
    Raises:  LocalProtocolError for anything else: what we encode is ours to get right.
    Source:  docs/protocol/canonical.md.
    """
    try:
        packed: bytes = msgpack.packb(_ordered(value, 0), use_bin_type=True)
    except (UnicodeEncodeError, OverflowError) as error:
        raise LocalProtocolError(f"value cannot be encoded: {error}") from error
    return packed


def decode(blob: bytes, *, bytes_max: int = BYTES_MAX) -> Any:
    """The value that `blob` is the canonical form of.

    Args:    blob: 1 to `bytes_max` bytes.
    Raises:  TooLarge above the limit; MalformedBytes if the bytes are not canonical (re-encoding must give them back).
    """
    if len(blob) > bytes_max:
        raise TooLarge(f"{len(blob)} bytes where at most {bytes_max} are allowed")
    try:
        value = msgpack.unpackb(
            blob,
            raw=False,
            strict_map_key=False,
            object_pairs_hook=_map_in_order,
            list_hook=_checked_list,
            max_ext_len=0,
        )
        if type(value) not in _PLAIN:
            _check_kinds((value,))
        _check_depth(value, DEPTH_MAX)
        again = msgpack.packb(value, use_bin_type=True)
    except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise MalformedBytes(f"not canonical: {error}") from error
    if again != blob:
        raise MalformedBytes("not canonical: the same value has another byte form")
    return value


def decode_pair(blob: bytes, *, bytes_max: int = BYTES_MAX) -> tuple[bytes, bytes] | None:
    """The two byte strings of a list of two, as `decode` gives them, without decoding: every op comes in such a list.

    Returns: None if `blob` is not the canonical form of such a list; `decode` then says what is wrong with it.
    """
    if not 3 <= len(blob) <= bytes_max or blob[0] != _LIST_OF_TWO:
        return None
    first = _byte_string(blob, 1)
    if first is None:
        return None
    second = _byte_string(blob, first[1])
    if second is None or second[1] != len(blob):
        return None
    return blob[first[0] : first[1]], blob[second[0] : second[1]]


_LIST_OF_TWO = 0x92  # MessagePack: a list of two entries
_BYTES_MARKS = {0xC4: (1, 0), 0xC5: (2, 0x100), 0xC6: (4, 0x10000)}  # mark -> bytes of the length, least length


def _byte_string(blob: bytes, at: int) -> tuple[int, int] | None:
    """Begin and end of the contents of the byte string at `at`, if it is one, in its shortest form and whole."""
    width, least = _BYTES_MARKS.get(blob[at], (0, 0)) if at < len(blob) else (0, 0)
    begin = at + 1 + width
    if width == 0 or begin > len(blob):
        return None
    size = int.from_bytes(blob[at + 1 : begin], "big")
    return (begin, begin + size) if size >= least and begin + size <= len(blob) else None


def _map_in_order(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """A map whose keys come sorted, each once, all text or all integers from 0. Hooks raise ValueError."""
    table = dict(pairs)
    keys = list(table)
    kinds = set(map(type, keys))
    if len(keys) != len(pairs) or not (kinds <= {str} or (kinds == {int} and min(keys) >= 0)) or sorted(keys) != keys:
        raise ValueError("the keys of a map are all text or all integers from 0, sorted, each once")
    _check_kinds(table.values())
    return table


def _checked_list(items: list[Any]) -> list[Any]:
    _check_kinds(items)
    return items


def _check_kinds(items: Collection[Any]) -> None:
    kinds = set(map(type, items))
    if not kinds <= _KINDS:
        raise ValueError("a value of a kind that has no canonical form")
    if int in kinds:
        for item in items:
            if type(item) is int and not -INT_MAX <= item <= INT_MAX:
                raise ValueError("an integer beyond 2^53")


def _check_depth(value: Any, left: int) -> None:
    """Containers only; scalars in the innermost allowed one are fine."""
    kind = type(value)
    if kind is not dict and kind is not list:
        return
    if left == 0 and value:
        raise ValueError(f"nested deeper than {DEPTH_MAX} levels")
    for item in value.values() if kind is dict else value:
        if type(item) is dict or type(item) is list:
            _check_depth(item, left - 1)


_PLAIN = frozenset({str, bytes, bool, type(None)})
_KINDS = _PLAIN | {int, list, dict}


def _ordered(value: Any, depth: int) -> Any:
    """`value` with the keys of its maps in order, everything in it checked. Hot: ids and digests all pass here."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is int:
        if not -INT_MAX <= value <= INT_MAX:
            raise LocalProtocolError("an integer beyond 2^53")
        return value
    if depth >= DEPTH_MAX and value != _EMPTY.get(kind):
        raise LocalProtocolError(f"nested deeper than {DEPTH_MAX} levels")
    deeper = depth + 1
    if kind is dict:
        types = set(map(type, value))
        if not (types <= {str} or (types == {int} and min(value) >= 0)):
            raise LocalProtocolError("the keys of a map are all text or all integers from 0")
        return {key: item if type(item := value[key]) in _PLAIN else _ordered(item, deeper) for key in sorted(value)}
    if kind is list or kind is tuple:
        return [item if type(item) in _PLAIN else _ordered(item, deeper) for item in value]
    raise LocalProtocolError(f"a value of type {kind.__name__} has no canonical form")


_EMPTY: dict[type, Any] = {list: [], tuple: (), dict: {}}
