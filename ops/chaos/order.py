"""Save, then say (law 10), as the kernel saw it: no answer and no receipt leaves before the sync of the log that holds the op.

For: findings over the trace of one `case` command, and over those of a hub and a device that take one envelope.
May not: run anything.
Manual: docs/operating/chaos.md, "System calls".  Decision: docs/decisions/0141-at-every-write.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from ops.chaos.syscalls import SYNCS, Call

STDOUT = 1
SENDS = ("sendto", "sendmsg", "write", "writev")


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


def is_output(call: Call) -> bool:
    """Whether a write went to standard output: a pipe here, never a file of the store."""
    return call.path.startswith("pipe:")
