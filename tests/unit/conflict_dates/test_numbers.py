"""Case numbers: unique without clock and network, read back from whatever people type, slips shown."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict.identity import CREDIT_ALPHABET
from conflict.numbers import SEQUENCE_MAX, BadCaseNumber, CaseNumber, device_part, make, parse
from protocol.errors import LocalProtocolError

from .support import examples, ms

VILLAGE, DEVICE = "420222100201", bytes.fromhex("0011223344556677")
NOW = ms("2026-11-26 15:00")
NUMBER = make(VILLAGE, NOW, 42, device=DEVICE)

OFFICES = st.sampled_from(["420222", "420222100", VILLAGE])
SEQUENCES = st.integers(1, SEQUENCE_MAX)
DEVICES = st.binary(min_size=8, max_size=8)


def test_form() -> None:
    assert NUMBER == "420222100201-20261126-6HR-000042-F"
    assert parse(NUMBER) == CaseNumber(VILLAGE, date(2026, 11, 26), "6HR", 42)
    assert [len(make(office, NOW, 1, device=DEVICE)) for office in ("420222", "420222100", VILLAGE)] == [28, 31, 34]


@pytest.mark.parametrize(
    "typed",
    [
        NUMBER.lower(),
        NUMBER.replace("-", ""),
        NUMBER.replace("-", " "),
        f"  {NUMBER}\n",
        NUMBER.replace("-", "—"),
        NUMBER.replace("0", "O"),
        NUMBER.replace("1", "l").replace("l", "I").replace("2", "z"),
        "".join(chr(ord(one) + 0xFEE0) for one in NUMBER),
    ],
)
def test_what_people_type(typed: str) -> None:
    assert parse(typed).text == NUMBER


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", "length"),
        (NUMBER[:-1], "length"),
        (NUMBER + "0", "length"),
        ("ab" * 32, "length"),
        (NUMBER.replace("6HR", "6VR"), "characters"),
        ("A" + NUMBER[1:], "characters"),
        ("办件" + NUMBER[2:], "characters"),
        (NUMBER.replace("000042", "000000"), "characters"),
        (NUMBER.replace("20261126", "20261326"), "date"),
        (NUMBER.replace("000042", "000043"), "check"),
    ],
)
def test_what_is_no_case_number(typed: str, problem: str) -> None:
    with pytest.raises(BadCaseNumber) as caught:
        parse(typed)
    assert (caught.value.facts["problem"], caught.value.code) == (problem, "bad_case_number")


@pytest.mark.parametrize(
    ("office", "sequence"), [("4202", 1), ("42022210020a", 1), (VILLAGE, 0), (VILLAGE, SEQUENCE_MAX + 1)]
)
def test_what_cannot_be_numbered_is_our_fault(office: str, sequence: int) -> None:
    with pytest.raises(LocalProtocolError):
        make(office, NOW, sequence, device=DEVICE)


def test_a_clock_at_1970_or_beyond_still_numbers() -> None:
    """The same two cases twice, under a clock that stands still and one that jumps: four different numbers."""
    clocks = [0, 0, -(10**15), 10**17]
    numbers = [make(VILLAGE, clock, sequence, device=DEVICE) for sequence, clock in enumerate(clocks, 1)]
    assert len(set(numbers)) == 4 and parse(numbers[0]).day == date(1970, 1, 1)


def test_two_devices_of_one_office_share_no_number() -> None:
    other = bytes.fromhex("0011223344556678")
    assert device_part(DEVICE) != device_part(other)
    ours = {make(VILLAGE, NOW, sequence, device=device) for device in (DEVICE, other) for sequence in range(1, 200)}
    assert len(ours) == 2 * 199


@given(office=OFFICES, claimed_ms=st.integers(-(10**14), 10**14), sequence=SEQUENCES, device=DEVICES)
@examples()
def test_reading_back(office: str, claimed_ms: int, sequence: int, device: bytes) -> None:
    number = make(office, claimed_ms, sequence, device=device)
    read = parse(number.replace("-", ""))
    assert (read.office, read.part, read.sequence, read.text) == (office, device_part(device), sequence, number)


@given(office=OFFICES, sequence=SEQUENCES, device=DEVICES, data=st.data())
@examples(factor=3)
def test_every_wrong_or_swapped_character_is_caught(
    office: str, sequence: int, device: bytes, data: st.DataObject
) -> None:
    plain = make(office, NOW, sequence, device=device).replace("-", "")
    first, second = (data.draw(st.integers(0, len(plain) - 1)) for _ in range(2))
    swapped = list(plain)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    wrong = list(plain)
    wrong[first] = CREDIT_ALPHABET[(CREDIT_ALPHABET.index(plain[first]) + data.draw(st.integers(1, 30))) % 31]
    for typed in ("".join(swapped), "".join(wrong)):
        if typed != plain:
            with pytest.raises(BadCaseNumber):
                parse(typed)
