"""The order check: it accepts save-then-say, and sees each way of saying too early."""

from __future__ import annotations

from pathlib import Path

from ops.chaos.boundaries import Boundary, answered_op, boundaries
from ops.chaos.order import check_command, check_edge, check_hub, check_hub_of_server, check_server, check_stick
from ops.chaos.syscalls import parse

OP = "ab" * 32
WAL, STORE = "/e/edge.db-wal", "/e/edge.db"


def xx(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


def call(name: str, path: str, data: bytes = b"", result: int = 0, thread: int = 7) -> str:
    where = path if path.startswith(("pipe:", "socket:")) else xx(path.encode())
    text = f', "{xx(data)}", 32' if data else ""
    return f"{thread} {name}(5<{where}>{text}) = {result}"


def trace(*lines: str) -> str:
    return "\n".join([*lines, "7 +++ exited with 0 +++"]) + "\n"


SAVE = call("pwrite64", WAL, b"page " + bytes.fromhex(OP))
FRAME = call("pwrite64", WAL, b"commit frame")
SYNC = call("fdatasync", WAL)
ANSWER = call("write", "pipe:[77]", f'{{"op": "{OP}"}}'.encode())


def test_the_answer_after_the_sync_is_right() -> None:
    assert check_command(parse(trace(SAVE, FRAME, SYNC, ANSWER)), OP) == []


def test_an_answer_before_the_sync_or_before_its_end_is_seen() -> None:
    assert "before the log was synced" in check_command(parse(trace(SAVE, FRAME, ANSWER, SYNC)), OP)[0]
    began = f"7 fdatasync(5<{xx(WAL.encode())}> <unfinished ...>"
    ended = "7 <... fdatasync resumed>) = 0"
    other = ANSWER.replace("7 write", "8 write")
    assert "before the log was synced" in check_command(parse(trace(SAVE, began, other, ended)), OP)[0]
    assert check_command(parse(trace(SAVE, began, ended, other)), OP) == []


def test_no_sync_a_failed_one_and_one_of_another_file_do_not_count() -> None:
    for lines in (
        (SAVE, ANSWER),
        (SAVE, call("fdatasync", WAL, result=-1), ANSWER),
        (SAVE, call("fsync", STORE), ANSWER),
    ):
        assert check_command(parse(trace(*lines)), OP) == ["no sync of the log followed the write of the op"]


def test_a_later_write_of_the_log_needs_a_sync_of_its_own() -> None:
    assert check_command(parse(trace(SAVE, SYNC, FRAME, ANSWER)), OP) == [
        "the log was written again and not synced before the answer"
    ]
    assert check_command(parse(trace(SAVE, SYNC, FRAME, SYNC, ANSWER)), OP) == []


def test_the_receipt_leaves_after_the_sync_of_the_hubs_log() -> None:
    hub_wal = "/h/hub.db-wal"
    save = call("pwrite64", hub_wal, bytes.fromhex(OP))
    sync = call("fdatasync", hub_wal)
    come = call("recvfrom", "socket:[3]", b"ld/space/box/up sealed")
    leave = call("sendto", "socket:[3]", b"0 ld/space/box/down sealed")
    other = call("sendto", "socket:[3]", b"0 ld/space/another/down sealed")
    assert check_hub(parse(trace(leave, come, other, save, sync, leave)), OP, "box") == []
    assert "left for the other side" in check_hub(parse(trace(come, save, leave, sync, leave)), OP, "box")[0]
    assert "left for the other side" in check_hub(parse(trace(come, leave, save, sync, leave)), OP, "box")[0]
    assert check_hub(parse(trace(come, save, sync)), OP, "box") == ["no receipt left after the sync"]
    assert check_hub(parse(trace(save, sync, leave)), OP, "box") == ["the arrival of the envelope was not seen"]


def test_the_acknowledgement_leaves_after_the_sync_of_the_devices_log() -> None:
    save, sync = call("pwrite64", WAL, bytes.fromhex(OP)), call("fdatasync", WAL)
    come = call("recvfrom", "socket:[3]", b"ld/space/box/down sealed")
    leave = call("sendto", "socket:[3]", b"0 ld/space/box/up sealed")
    assert check_edge(parse(trace(leave, come, save, sync, leave)), OP, "box") == []
    assert "left for the other side" in check_edge(parse(trace(come, save, leave, sync, leave)), OP, "box")[0]
    assert check_edge(parse(trace(come, save, sync)), OP, "box") == ["no acknowledgement left after the sync"]


def test_a_stick_has_its_name_after_its_bytes_and_before_anything_is_noted() -> None:
    part = call("write", "/s/up.ldb.part", b"bytes")
    synced, name = call("fsync", "/s/up.ldb.part"), f'7 rename("{xx(b"/s/up.ldb.part")}", "{xx(b"/s/up.ldb")}") = 0'
    lasts, noted, stick = call("fsync", "/s"), call("pwrite64", WAL, b"carried"), Path("/s/up.ldb")
    assert check_stick(parse(trace(SAVE, SYNC, part, synced, name, lasts, noted, SYNC, ANSWER)), stick) == []
    assert check_stick(parse(trace(part, synced, name, lasts, ANSWER)), stick) == []
    assert check_stick(parse(trace(part, name, synced, lasts, noted)), stick) == [
        "up.ldb.part was written and not synced before the file got its name"
    ]
    assert check_stick(parse(trace(SAVE, part, synced, name, lasts, SYNC, ANSWER)), stick) == [
        "edge.db-wal was written and not synced before the file got its name"
    ]
    assert check_stick(parse(trace(part, synced, name, noted, lasts, ANSWER)), stick) == [
        "something was noted or answered before the name was synced"
    ]
    assert check_stick(parse(trace(part, synced, lasts, noted)), stick) == ["the file never got its name"]


RAW, COMMITTED = bytes.fromhex(OP), b"C\x00\x00\x00\x0bCOMMIT\x00"
LOG = "/data/pg_wal/000000010000000000000001"
LOOKED = [call("recvfrom", "socket:[5]", b"BEGIN READ ONLY\x00" + RAW), call("recvfrom", "socket:[5]", b"COMMIT\x00")]
LOOKED += [call("sendto", "socket:[5]", COMMITTED)]
INSERT, ASK = call("recvfrom", "socket:[5]", b"INSERT " + RAW), call("recvfrom", "socket:[5]", b"Q COMMIT\x00")
LOGGED, LOG_SYNC = call("pwrite64", LOG, b"record " + RAW), call("fdatasync", LOG, thread=9)
ANSWERED = call("sendto", "socket:[5]", COMMITTED)


def test_a_server_answers_the_commit_after_the_sync_of_its_log() -> None:
    """Whoever of its processes syncs. A transaction that only read the op does not count."""
    assert check_server(parse(trace(*LOOKED, INSERT, ASK, LOGGED, LOG_SYNC, ANSWERED)), OP) == []
    early = check_server(parse(trace(*LOOKED, INSERT, ASK, LOGGED, ANSWERED, LOG_SYNC)), OP)
    assert "before its log was synced" in early[0]
    assert "without having written" in check_server(parse(trace(INSERT, ASK, ANSWERED, LOGGED, LOG_SYNC)), OP)[0]
    assert "without having written" in check_server(parse(trace(INSERT, LOGGED, LOG_SYNC, ASK, ANSWERED)), OP)[0]
    other = call("pwrite64", LOG, b"record of something else")
    assert check_server(parse(trace(INSERT, ASK, other, LOG_SYNC, ANSWERED)), OP) == [
        "the server's log was synced without the op"
    ]
    assert check_server(parse(trace(*LOOKED)), OP) == ["the commit of the op was not seen"]


def test_the_receipt_leaves_after_the_servers_answer() -> None:
    come, leave = call("recvfrom", "socket:[3]", b"ld/box/up"), call("sendto", "socket:[3]", b"0 ld/box/down sealed")
    insert, ask = call("sendto", "socket:[4]", b"INSERT " + RAW), call("sendto", "socket:[4]", b"Q COMMIT\x00")
    answer = call("recvfrom", "socket:[4]", COMMITTED)
    assert check_hub_of_server(parse(trace(come, insert, ask, answer, leave)), OP, "box") == []
    assert (
        "left for the other side" in check_hub_of_server(parse(trace(come, insert, ask, leave, answer)), OP, "box")[0]
    )
    assert check_hub_of_server(parse(trace(come, insert, ask, answer)), OP, "box") == [
        "no receipt left after the commit"
    ]


def test_boundaries_are_the_writes_below_the_directory_counted_as_strace_counts() -> None:
    calls = parse(
        trace(
            call("write", "pipe:[1]", b"x"),
            call("write", "/e/slips/a.new", b"slip"),
            call("fsync", "/e/slips/a.new"),
            f'7 rename("{xx(b"/e/slips/a.new")}", "{xx(b"/e/slips/a")}") = 0',
            call("recvfrom", "/e/odd", b"x"),
            call("pwrite64", WAL, b"x", thread=8),
            call("pwrite64", WAL, b"x", thread=7),
        )
    )
    assert boundaries(calls, Path("/e")) == [
        Boundary("write", 2), Boundary("fsync", 1), Boundary("rename", 1), Boundary("pwrite64", 1), Boundary("pwrite64", 1)
    ]  # fmt: skip


def test_only_a_whole_answer_counts() -> None:
    assert answered_op(f'{{"op": "{OP}"}}\n'.encode()) == OP
    assert answered_op(f'{{"op": "{OP}'.encode()) is None
    assert answered_op(b"") is None
