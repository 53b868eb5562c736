"""The thread that keeps a connection up, and the inbox with its bell."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from protocol.carriers import PAYLOAD_BYTES_MAX
from protocol.carriers.inbox import Counters, Inbox
from protocol.carriers.keeper import Keeper

PATIENCE_S = 30.0


class Script:
    """Conversations that go as written: True or False (worked or not), or an exception; then it waits to be stopped."""

    def __init__(self, *acts: bool | Exception) -> None:
        self.acts, self.series, self.done = list(acts), [], threading.Event()
        self.keeper = Keeper("test", self.converse, self.delays)

    def converse(self) -> tuple[bool, str]:
        if not self.acts:
            self.done.set()
            while not self.keeper.leaving:
                threading.Event().wait(0.001)
            return False, "left"
        act = self.acts.pop(0)
        if isinstance(act, Exception):
            raise act
        return act, "as written"

    def delays(self) -> Iterator[float]:
        self.series.append(0)
        while True:
            self.series[-1] += 1
            yield 0.0

    def play(self) -> Script:
        self.keeper.start()
        assert self.done.wait(PATIENCE_S)
        return self

    def stop(self) -> None:
        self.keeper.stop(PATIENCE_S, wake=lambda: None)


def test_errors_end_one_conversation_and_not_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    script = Script(
        ConnectionRefusedError(111, "Connection refused"), ValueError("a bug"), KeyError("another"), False
    ).play()
    assert script.keeper.faults == 2
    assert caplog.text.count("Traceback") == 2
    script.stop()
    assert script.keeper.reason == "stopped"


def test_out_of_reach_is_no_fault_and_says_why() -> None:
    heard: list[str] = []
    script = Script(ConnectionRefusedError(111, "Connection refused"))
    script.delays = lambda: (heard.append(script.keeper.reason) or 0.0 for _ in range(9))  # type: ignore[method-assign]
    script.keeper = Keeper("test", script.converse, script.delays)
    script.play().stop()
    assert heard[0] == "the broker cannot be reached: Connection refused" and script.keeper.faults == 0


def test_delays_begin_anew_after_a_connection_that_worked() -> None:
    script = Script(False, False, True, False, True).play()
    script.stop()
    assert script.series == [2, 2, 2], "two waits, then a new series after each connection that worked"


def test_again_ends_a_long_wait() -> None:
    waits = iter([3_600.0])
    acts: list[str] = []
    second = threading.Event()

    def converse() -> tuple[bool, str]:
        acts.append("dialled")
        if len(acts) == 2:
            second.set()
        return False, "refused"

    def delays() -> Iterator[float]:
        yield from waits
        while True:
            yield 0.01

    keeper = Keeper("test", converse, delays)
    keeper.start()
    while not acts:
        second.wait(0.001)
    keeper.again()
    assert second.wait(PATIENCE_S)
    keeper.stop(PATIENCE_S, wake=lambda: None)


def test_start_twice_is_one_thread_and_stop_then_start_works() -> None:
    script = Script()
    script.keeper.start()
    before = threading.active_count()
    script.keeper.start()
    assert threading.active_count() == before
    script.stop()
    script.done.clear()
    script.play().stop()


def test_inbox_keeps_what_fits() -> None:
    counters = Counters()
    inbox = Inbox(2, counters)
    for payload in (b"", bytes(PAYLOAD_BYTES_MAX + 1), bytes(PAYLOAD_BYTES_MAX), b"two", b"three"):
        inbox.put("t", payload)
    assert (counters.received, counters.dropped) == (2, 3)
    assert inbox.get(0.0) == ("t", bytes(PAYLOAD_BYTES_MAX))
    assert inbox.get(0.0) == ("t", b"two")
    assert inbox.get(0.0) is None and inbox.get(0.01) is None


def test_bell_rings_once_and_a_waiting_payload_always() -> None:
    inbox = Inbox(2, Counters())
    assert not inbox.wait(0.0)
    inbox.ring()
    assert inbox.wait(0.0) and not inbox.wait(0.0)
    inbox.put("t", b"x")
    assert inbox.wait(0.0) and inbox.wait(0.0)
    inbox.get(0.0)
    assert not inbox.wait(0.0)
