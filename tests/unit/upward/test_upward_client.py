"""What each answer of a city means, from real sockets: a small server says exactly what the test tells it.

For: the classification that decides between waiting, trying again and asking a person; limits; addresses.
May not: use the city platform of ours (it is too well-behaved for some of these).
"""

from __future__ import annotations

import contextlib
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.upward import load_address, save_address
from hub.upward.client import ANSWER_BYTES_MAX, CityAddress, CityClient
from hub.upward.errors import (
    BadCityAddress,
    CityBusy,
    CityDenied,
    CityHasOther,
    CityRefused,
    CityTakenBack,
    CityUnclear,
    CityUnreachable,
)
from protocol.errors import LiandongError


@contextmanager
def saying(answer: bytes | None) -> Iterator[str]:
    """A server that answers one call with these bytes and hangs up; None: takes the call and stays silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        line, _ = listener.accept()
        with line:
            line.recv(65_536)
            if answer is None:
                done.wait(30)
            else:
                with contextlib.suppress(OSError):  # a caller that has had enough hangs up
                    line.sendall(answer)
                    line.shutdown(socket.SHUT_WR)
                    while line.recv(65_536):  # closing with unread bytes would reset the line under the answer
                        continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        done.set()
        thread.join(10)
        listener.close()


def response(status: str, body: str | bytes = "", *headers: str) -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(raw)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def hand_in(answer: bytes | None, **limits: float) -> str:
    with saying(answer) as url, CityClient(CityAddress(url, "token"), **limits) as city:
        return city.hand_in("key", b"{}")


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (response("201 Created", "<html>"), CityUnclear),
        (response("201 Created", "[1]"), CityUnclear),
        (response("201 Created", "{}"), CityUnclear),
        (response("201 Created", '{"receipt": 7}'), CityUnclear),
        (response("201 Created", "[" * 100_000), CityUnclear),
        (response("201 Created", b'{"receipt": "\xff"}'), CityUnclear),
        (b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n{", CityUnclear),
        (b"SSH-2.0-hello\r\n", CityUnclear),
        (b"", CityUnclear),
        (response("500 Broken"), CityUnclear),
        (response("502 Bad Gateway", "<html>"), CityUnclear),
        (response("408 Timeout"), CityUnclear),
        (response("429 Too Many"), CityBusy),
        (response("503 Busy"), CityBusy),
        (response("401 No", '{"error": {"code": "bad_token", "message": "x"}}'), CityDenied),
        (response("403 No"), CityDenied),
        (response("404 Not Found"), CityDenied),
        (response("302 Found", "", "Location: http://127.0.0.1:1/steal"), CityDenied),
        (response("400 Bad"), CityRefused),
        (response("413 Large"), CityRefused),
        (response("422 Incomplete", '{"error": {"code": "incomplete", "message": "缺户口簿"}}'), CityRefused),
        (response("409 Conflict", '{"error": {"code": "key_used", "receipt": "R-1"}}'), CityHasOther),
        (response("409 Conflict", '{"error": "?"}'), CityRefused),
        (response("410 Gone"), CityTakenBack),
    ],
)
def test_meaning_of_an_answer(answer: bytes, meaning: type[LiandongError]) -> None:
    with pytest.raises(LiandongError) as caught:
        hand_in(answer)
    assert type(caught.value) is meaning
    assert caught.value.text and caught.value.text_zh != caught.value.text


def test_a_receipt_is_read() -> None:
    assert hand_in(response("201 Created", '{"receipt": "4202-1"}')) == "4202-1"


def test_characters_that_no_store_takes_are_cleaned() -> None:
    assert hand_in(response("201 Created", '{"receipt": "4202\\u0000-\\ud8001"}')) == "4202-?1"


def test_the_citys_words_reach_the_person() -> None:
    with pytest.raises(CityRefused, match="缺户口簿") as caught:
        hand_in(response("422 Incomplete", '{"error": {"code": "incomplete", "message": "缺户口簿"}}'))
    assert "缺户口簿" in caught.value.text_zh


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("Retry-After: 90", 90_000, 90_000),
        ("Retry-After: Wed, 21 Oct 2099 07:28:00 GMT", 10**12, 10**13),
        ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Retry-After: soon", 0, 0),
        ("Retry-After: -5", 0, 0),
        ("X-Other: 1", 0, 0),
    ],
)
def test_retry_after(header: str, low: int, high: int) -> None:
    with pytest.raises(CityBusy) as caught:
        hand_in(response("503 Busy", "", header))
    assert low <= caught.value.facts["wait_ms"] <= high


def test_silence_ends_in_an_unknown_outcome() -> None:
    with pytest.raises(CityUnclear):
        hand_in(None, answer_s=0.1)


def test_an_endless_answer_is_cut_off() -> None:
    with pytest.raises(CityUnclear, match="longer"):
        hand_in(response("201 Created", b"x" * (ANSWER_BYTES_MAX + 1)))


def test_nobody_there_means_nothing_was_handed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with CityClient(CityAddress(f"http://127.0.0.1:{port}", "token")) as city, pytest.raises(CityUnreachable):
        city.hand_in("key", b"{}")


def test_a_city_without_a_certificate_gets_nothing() -> None:
    with (
        saying(response("201 Created", '{"receipt": "R"}')) as url,
        CityClient(CityAddress(url.replace("http:", "https:"), "token")) as city,
        pytest.raises(CityUnreachable),
    ):
        city.hand_in("key", b"{}")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "city.example",
        "http://city.example",
        "ftp://127.0.0.1",
        "https://",
        "https://user:pass@city.example",
        "https://city.example/?a=1",
        "https://city.example:port",
        "http://127.0.0.1.evil.example",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(BadCityAddress):
        CityAddress(url, "token").check()


@pytest.mark.parametrize("token", ["", "两", "a\nb"])
def test_tokens_that_are_refused(token: str) -> None:
    with pytest.raises(BadCityAddress):
        CityAddress("https://city.example", token).check()


def test_the_address_is_kept_privately(tmp_path: Path) -> None:
    assert load_address(tmp_path) is None
    address = CityAddress("https://city.example/platform", "secret")
    save_address(tmp_path, address)
    assert load_address(tmp_path) == address
    kept = tmp_path / "keys" / "city.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "secret" not in repr(address)
    kept.write_text("{", encoding="utf-8")
    with pytest.raises(BadCityAddress):
        load_address(tmp_path)
    with pytest.raises(BadCityAddress):
        save_address(tmp_path, CityAddress("http://city.example", "secret"))
