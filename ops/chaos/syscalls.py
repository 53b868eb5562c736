"""Running a command under strace, and reading what strace wrote.

For: the order check (order.py) and the kills at write boundaries (boundaries.py).
May not: judge; be needed where strace is not installed or may not trace (`why_not` says so in words).
Manual: docs/operating/chaos.md, "System calls".
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SYNCS = ("fsync", "fdatasync")
TRACED = (*SYNCS, "pwrite64", "write", "writev", "sendto", "sendmsg", "recvfrom", "ftruncate", "rename", "unlink")
STRING_BYTES = 4_200  # shown of each buffer: a whole page of the store
FLUSH_SECONDS_MAX = 30.0  # for strace to write the rest after its process ended
PROBE_SECONDS_MAX = 20.0
_LINE = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$")
_RESULT = re.compile(r"= (-?\d+)(?:<[^>]*>)?[^=]*$")
_PATH = re.compile(r"^\d+<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_UNFINISHED = "<unfinished ...>"


@dataclass(frozen=True, slots=True)
class Call:
    """One system call. begin and end are line numbers of the trace: a call ended before another began if end < begin.

    path: of the file descriptor that is its first argument, "" if there is none. data: the strings among its arguments.
    nth: which call of this name it was in its thread, from 1; what strace's `when=` counts.
    """

    thread: int
    name: str
    path: str
    data: bytes
    result: int | None
    begin: int
    end: int
    nth: int


def why_not() -> str | None:
    """Why this machine cannot trace, in a sentence; None if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed (apt-get install strace)"
    try:
        words = ["strace", "-f", "-o", os.devnull, "-e", "trace=fsync", "true"]
        done = subprocess.run(words, capture_output=True, timeout=PROBE_SECONDS_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"strace does not work here: {error}"
    if done.returncode:
        return f"tracing is not permitted here: {done.stderr.decode(errors='replace').strip()[:200]}"
    return None


def recording(target: Path, command: Sequence[str], *, shown: int = STRING_BYTES) -> list[str]:
    """The command that runs `command` (its process id, its signals) and records its calls in `target`.

    shown: bytes of each buffer.
    """
    traced = f"trace={','.join(TRACED)}"
    return ["strace", "-D", "-f", "-y", "-xx", "-s", str(shown), "-e", traced, "-o", str(target), *command]


def killing(name: str, nth: int, command: Sequence[str]) -> list[str]:
    """The command that runs `command` and kills it when a thread begins its nth call of `name`."""
    inject = f"inject={name}:signal=SIGKILL:when={nth}"
    return ["strace", "-D", "-f", "-o", os.devnull, "-e", f"trace={name}", "-e", inject, *command]


def read_trace(target: Path, *, ended: bool = True) -> list[Call]:
    """The calls of a trace in the order they began. ended: wait until strace has written its last line."""
    until = time.monotonic() + FLUSH_SECONDS_MAX
    text = target.read_text("ascii", "replace")
    while ended and not re.search(r"\+\+\+ (exited|killed)[^\n]*\+\+\+\n\Z", text) and time.monotonic() < until:
        time.sleep(0.05)
        text = target.read_text("ascii", "replace")
    return parse(text)


def parse(text: str) -> list[Call]:
    """The calls in strace's text (made with -f -y -xx), also those that strace shows in two halves."""
    calls: list[Call] = []
    open_calls: dict[int, tuple[int, str]] = {}  # thread -> line and first half of the call that it is in
    counts: dict[tuple[int, str], int] = {}
    for number, line in enumerate(text.splitlines()):
        found = _LINE.match(line)
        if found is None:
            continue
        thread, resumed, name, rest = int(found[1]), found[2], found[3], found[4]
        if resumed:
            begin, half = open_calls.pop(thread, (number, ""))
            name, rest = resumed, half + rest
        else:
            begin = number
            counts[(thread, name)] = counts.get((thread, name), 0) + 1
        if rest.endswith(_UNFINISHED):
            open_calls[thread] = (begin, rest.removesuffix(_UNFINISHED))
            continue
        calls.append(_call(thread, name, rest, begin, number, counts.get((thread, name), 1)))
    return sorted(calls, key=lambda call: call.begin)


def _call(thread: int, name: str, rest: str, begin: int, end: int, nth: int) -> Call:
    path, result = _PATH.match(rest), _RESULT.search(rest)
    data = b"".join(_bytes(text) for text in _TEXT.findall(rest))
    where = _bytes(path[1]).decode("utf-8", "replace") if path else ""
    return Call(thread, name, where, data, int(result[1]) if result else None, begin, end, nth)


def _bytes(text: str) -> bytes:
    """What strace shows as \\x41\\x42; a descriptor that is no file is shown as it is."""
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()
