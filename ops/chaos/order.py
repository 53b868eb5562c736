"""Save, then say (law 10), as the kernel saw it: no answer and no receipt leaves before the sync of the log that holds the op.

For: findings over the trace of one `case` command, over those of a hub and a device that take one envelope, and over
those of a PostgreSQL server and the hub before it.
May not: run anything.
Manual: docs/operating/chaos.md, "System calls".  Decision: docs/decisions/0141-at-every-write.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ops.chaos.syscalls import SYNCS, Call
from protocol.carriers.bundle import PART_SUFFIX

STDOUT = 1
SENDS = ("sendto", "sendmsg", "write", "writev")
SERVER_LOG = "/pg_wal/"
LOG_WRITES = ("pwrite64", "write", "writev")
COMMIT, READ_ONLY = b"COMMIT\x00", b"READ ONLY"  # in PostgreSQL's protocol: asked for and answered by the same word


def saved_when(calls: Sequence[Call], op: str) -> tuple[Call, Call] | None:
    """The write that put the op's id into a store's log, and the sync of that log that made it last; None if either lacks."""
    raw = bytes.fromhex(op)
    for write in calls:
        if write.name == "pwrite64" and write.path.endswith("-wal") and raw in write.data:
            for sync in calls:
                if sync.name in SYNCS and sync.path == write.path and sync.begin > write.end and sync.result == 0:
                    return write, sync
            return None
    return None


def check_command(calls: Sequence[Call], op: str) -> list[str]:
    """What is wrong with the order in the trace of a `case … --json` command that answered with `op` (hex)."""
    saved = saved_when(calls, op)
    if saved is None:
        return ["no sync of the log followed the write of the op"]
    _, sync = saved
    answers = [call for call in calls if call.name == "write" and op.encode() in call.data and is_output(call)]
    if not answers:
        return ["the answer was not seen"]
    found = [
        f"the answer left at line {call.begin}, before the log was synced at line {sync.end}"
        for call in answers
        if call.begin < sync.end
    ]
    first = min(call.begin for call in answers)
    late = [
        call for call in calls if call.name == "pwrite64" and call.path == sync.path and sync.end < call.begin < first
    ]
    if late and not any(call.name in SYNCS and late[-1].end < call.begin and call.end < first for call in calls):
        found.append("the log was written again and not synced before the answer")
    return found


def check_hub(calls: Sequence[Call], op: str, mailbox: str) -> list[str]:
    """What is wrong with the order in the trace of a hub that took the envelope with `op` from the device of `mailbox`.

    Between the arrival of that envelope and the sync nothing may leave for the device; afterwards the receipt must.
    """
    return _check_taking(calls, op, f"/{mailbox}/up", f"/{mailbox}/down", "no receipt left after the sync")


def check_edge(calls: Sequence[Call], op: str, mailbox: str) -> list[str]:
    """The same of a device that got `op` in its stream: its acknowledgement leaves after the sync, or the hub would never
    send the op again."""
    return _check_taking(calls, op, f"/{mailbox}/down", f"/{mailbox}/up", "no acknowledgement left after the sync")


def _check_taking(calls: Sequence[Call], op: str, came: str, leaves: str, none_left: str) -> list[str]:
    saved = saved_when(calls, op)
    if saved is None:
        return ["no sync of the log followed the write of the op"]
    write, sync = saved
    return _check_between(calls, write, sync, came, leaves, none_left)


def _check_between(calls: Sequence[Call], write: Call, sync: Call, came: str, leaves: str, none_left: str) -> list[str]:
    arrivals = [
        call for call in calls if call.name == "recvfrom" and came.encode() in call.data and call.end < write.begin
    ]
    if not arrivals:
        return ["the arrival of the envelope was not seen"]
    sends = [
        call for call in calls if call.name in SENDS and leaves.encode() in call.data and call.begin > arrivals[-1].end
    ]
    early = [call for call in sends if call.begin < sync.end]
    found = [
        f"something left for the other side at line {call.begin}, before the sync at line {sync.end}" for call in early
    ]
    return found if len(sends) > len(early) else [*found, none_left]


def check_stick(calls: Sequence[Call], stick: Path) -> list[str]:
    """What is wrong with the order in the trace of a command that wrote the file `stick` (a bundle, or an answer).

    It gets its name after its bytes were synced, and after the store's log was, which holds what an answer speaks of. The
    name is synced before the store notes that anything was carried, and before the command answers.
    """
    part, name = f"{stick}{PART_SUFFIX}", str(stick).encode()
    named = next((call for call in calls if call.name == "rename" and call.data.endswith(name)), None)
    if named is None:
        return ["the file never got its name"]
    writes = [call for call in calls if call.name in LOG_WRITES]
    before = [call for call in writes if call.end < named.begin and (call.path == part or call.path.endswith("-wal"))]
    found = [
        f"{Path(path).name} was written and not synced before the file got its name"
        for path in sorted({call.path for call in before})
        if not _synced(calls, path, max(call.end for call in before if call.path == path), named.begin)
    ]
    after = [call for call in writes if call.begin > named.end and (call.path.endswith("-wal") or is_output(call))]
    if not after or not _synced(calls, str(stick.parent), named.end, after[0].begin):
        found.append("something was noted or answered before the name was synced")
    return found


def _synced(calls: Sequence[Call], path: str, begin: int, end: int) -> bool:
    return any(
        call.name in SYNCS and call.path == path and call.result == 0 and begin < call.begin and call.end < end
        for call in calls
    )


def check_server(calls: Sequence[Call], op: str) -> list[str]:
    """What is wrong with the order in the trace of a PostgreSQL server that took `op` (hex) in a transaction.

    Between the COMMIT that came and its answer the server's log must be written and synced; the op is in what was synced.
    """
    commit = _commit(calls, op, came="recvfrom", went="sendto")
    if commit is None:
        return ["the commit of the op was not seen"]
    asked, answered = commit
    writes = [
        call for call in calls if SERVER_LOG in call.path and call.name in LOG_WRITES and call.end < answered.begin
    ]
    syncs = [call for call in calls if SERVER_LOG in call.path and call.name in SYNCS and call.result == 0]
    last = max((call for call in writes if call.begin > asked.end), key=lambda call: call.end, default=None)
    if last is None:
        return ["the server answered the commit without having written its log"]
    if not any(last.end < sync.begin and sync.end < answered.begin for sync in syncs):
        return [f"the server answered the commit at line {answered.begin}, before its log was synced"]
    if not any(bytes.fromhex(op) in call.data for call in writes):
        return ["the server's log was synced without the op"]
    return []


def check_hub_of_server(calls: Sequence[Call], op: str, mailbox: str) -> list[str]:
    """As `check_hub`, for a hub whose store is a server's: its sync is the answer to the COMMIT of the op."""
    commit = _commit(calls, op, came="sendto", went="recvfrom")
    if commit is None:
        return ["the commit of the op was not seen"]
    asked, answered = commit
    return _check_between(
        calls, asked, answered, f"/{mailbox}/up", f"/{mailbox}/down", "no receipt left after the commit"
    )


def _commit(calls: Sequence[Call], op: str, *, came: str, went: str) -> tuple[Call, Call] | None:
    """COMMIT and its answer, of the first transaction of a connection that had the op and was not for reading only.

    came, went: the calls by which a query and its answer pass on this side of the connection.
    """
    raw = bytes.fromhex(op)
    said: dict[tuple[int, str], bytes] = {}  # by thread and connection: what the transaction has said so far
    asked: dict[tuple[int, str], Call] = {}
    for call in calls:
        line = call.thread, call.path
        if call.name == came:
            said[line] = said.get(line, b"") + call.data
            if COMMIT in call.data:
                asked[line] = call
        elif call.name == went and line in asked and COMMIT in call.data:
            if raw in said[line] and READ_ONLY not in said[line]:
                return asked[line], call
            del said[line], asked[line]
    return None


def is_output(call: Call) -> bool:
    """Whether a write went to standard output: a pipe here, never a file of the store."""
    return call.path.startswith("pipe:")
