"""The line to the broker: each fault does what its name says, and a good line loses nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from ops.chaos.line import Line
from ops.chaos.plan import LINE_FAULTS
from tests.support.carriers import until

PATIENCE_S = 20.0


@pytest.fixture
def line() -> Iterator[Line]:
    """A line to a server that sends everything back."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    there, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=echo, args=(there,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        made = Line(server.getsockname()[1])
        made.open()
        yield made
        made.close()


def echo(there: socket.socket) -> None:
    with there:
        try:
            while data := there.recv(65_536):
                there.sendall(data)
        except OSError:
            return


def dial(line: Line, timeout: float = PATIENCE_S) -> socket.socket:
    return socket.create_connection(("127.0.0.1", line.port), timeout=timeout)


def read(here: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size and (data := here.recv(65_536)):
        got += data
    return got


def test_a_good_line_carries_everything(line: Line) -> None:
    sent = bytes(range(256)) * 1_000
    with dial(line) as here:
        threading.Thread(target=here.sendall, args=(sent,), daemon=True).start()
        assert read(here, len(sent)) == sent


@pytest.mark.parametrize("fault", ["freeze", "half"])
def test_a_frozen_line_holds_what_is_on_its_way_until_it_is_good_again(line: Line, fault: str) -> None:
    with dial(line) as here:
        here.sendall(b"before")
        assert read(here, 6) == b"before"
        line.bad(fault)
        here.sendall(b"after")
        here.settimeout(0.3)
        with pytest.raises(TimeoutError):
            here.recv(1)
        up = 11 if fault == "half" else 6  # half: it went up, the answer is held
        until(lambda: line.bytes["up"] == up, "counted after it was handed on")
        here.settimeout(PATIENCE_S)
        line.good()
        assert read(here, 5) == b"after"


def test_a_cut_resets_what_is_open_and_lets_new_connections_through(line: Line) -> None:
    with dial(line) as here:
        here.sendall(b"x")
        assert read(here, 1) == b"x"
        line.bad("cut")
        with pytest.raises(ConnectionResetError):
            here.recv(1)
    with dial(line) as again:
        again.sendall(b"y")
        assert read(again, 1) == b"y"


def test_a_refusing_line_ends_every_connection(line: Line) -> None:
    line.bad("refuse")
    with dial(line) as here, contextlib.suppress(ConnectionResetError):
        assert here.recv(1) == b""
    line.good()
    with dial(line) as again:
        again.sendall(b"y")
        assert read(again, 1) == b"y"


def test_a_slow_line_takes_three_seconds_for_a_round_trip(line: Line) -> None:
    line.bad("slow")
    with dial(line) as here:
        begin = time.monotonic()
        here.sendall(b"z" * 1_000)
        assert len(read(here, 1_000)) == 1_000
        assert time.monotonic() - begin >= 3.0 + 2 * 1_000 / 5_000


def test_every_fault_of_the_plan_is_known_to_the_line(line: Line) -> None:
    for fault in LINE_FAULTS:
        line.bad(fault)
    assert line.refuse is False
    assert line.rate == 5_000  # the last one took the place of those before
