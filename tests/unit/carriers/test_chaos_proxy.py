"""The proxy that tests rely on does what it says."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.carriers import until
from tests.support.chaos import ChaosProxy


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(4096):
            self.request.sendall(data)


@pytest.fixture
def line() -> Iterator[ChaosProxy]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        with ChaosProxy(server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()


def dial(line: ChaosProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", line.port), 30)


def echo(end: socket.socket, data: bytes) -> bytes:
    end.sendall(data)
    got = b""
    while len(got) < len(data):
        piece = end.recv(65_536)
        assert piece, "cut"
        got += piece
    return got


def test_passes_and_counts(line: ChaosProxy) -> None:
    with dial(line) as end:
        assert echo(end, b"x" * 100_000) == b"x" * 100_000
    until(lambda: line.bytes == {"up": 100_000, "down": 100_000}, "the last piece is counted after it was handed on")
    assert line.accepted == 1


def test_delay_counts_both_ways_and_does_not_lower_the_rate(line: ChaosProxy) -> None:
    line.delay_s = 0.1
    with dial(line) as end:
        began = time.monotonic()
        echo(end, b"x" * 240_000)
        took = time.monotonic() - began
    assert 0.2 <= took < 6.0  # 59 pieces one after the other would need 12 s


def test_rate(line: ChaosProxy) -> None:
    line.rate = 100_000
    with dial(line) as end:
        began = time.monotonic()
        echo(end, b"x" * 20_000)
        assert time.monotonic() - began >= 0.2


def test_frozen_bytes_are_held_and_come_later(line: ChaosProxy) -> None:
    with dial(line) as end:
        line.freeze(up=False)
        end.sendall(b"hello")
        end.settimeout(0.1)
        with pytest.raises(TimeoutError):
            end.recv(5)
        until(lambda: line.bytes["up"] == 5, "what goes up is not held")
        line.thaw()
        end.settimeout(30)
        assert end.recv(5) == b"hello"


def test_cut_refuse_and_cut_after(line: ChaosProxy) -> None:
    with dial(line) as end:
        echo(end, b"x")
        line.cut()
        with pytest.raises(ConnectionError):
            end.recv(1)
            raise ConnectionError("closed without a reset")
    line.refuse = True
    with dial(line) as end, pytest.raises((ConnectionError, AssertionError)):
        echo(end, b"x")
    line.refuse, line.cut_after = False, 10_000
    with dial(line) as end, pytest.raises((ConnectionError, AssertionError)):
        echo(end, b"x" * 50_000)
