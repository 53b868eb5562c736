"""Identity numbers: real forms pass in any typing, each slip is named, nothing leaks into the error.

The citizens' numbers are those that the standard prints; the credit codes are those that public bodies and a company
publish.
"""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict.identity import (
    BadIdentityNumber,
    birth_of,
    check_citizen,
    check_identity,
    citizen_check_character,
    credit_check,
    normalise,
    weighted_check,
)

from .support import examples

PRINTED = "11010519491231002X"  # GB 11643-1999, appendix
ALIBABA = "91330100799655058B"
COLLECTIVE = "N2" + "420222" + "MF1234567"


def made(body: str) -> str:
    return body + citizen_check_character(body)


def test_the_printed_examples_pass() -> None:
    found = check_identity(PRINTED)
    assert (found.number, found.kind, found.birth) == (PRINTED, "citizen", date(1949, 12, 31))
    assert check_identity("440524188001010014").birth == date(1880, 1, 1)  # the standard's other example


@pytest.mark.parametrize(
    "typed",
    [
        "11010519491231002x",
        " 110105 19491231 002x ",
        "１１０１０５１９４９１２３１００２Ｘ",
        "110105-19491231-002X",
        "110105\u30001949\u00a01231\u200b002X",
        "11010519491231002Ⅹ",
        "11010519491231002×",
    ],
)
def test_what_people_type(typed: str) -> None:
    assert check_identity(typed).number == PRINTED == normalise(typed)


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", "empty"),
        ("  -", "empty"),
        ("1101051949123100", "length"),
        ("110105194912310021X", "length"),
        ("110105491231002", "length"),  # the form before 1999
        ("11010519491231002A", "characters"),
        ("1101051949123100XX", "characters"),
        ("1101O519491231002X", "characters"),
        ("张10519491231002X12", "characters"),
        ("110105194912310020", "check"),
        ("010105194912310024", "characters"),  # no area begins with 0
        ("110105194912310O2X", "characters"),
        ("110105194921310026", "birth_date"),
        ("110105194902300023", "birth_date"),
        ("11010500010101002X", "birth_date"),
        ("110105199902290020", "birth_date"),  # no leap year
        ("110105194913210025", "birth_date"),
    ],
)
def test_each_slip_is_named(typed: str, problem: str) -> None:
    with pytest.raises(BadIdentityNumber) as caught:
        check_identity(typed)
    assert caught.value.facts["problem"] == problem
    assert caught.value.code == "bad_identity_number"
    assert caught.value.text != caught.value.text_zh
    digits = normalise(typed)
    assert not digits or digits not in caught.value.text + caught.value.text_zh + repr(caught.value.facts)


def test_a_right_check_character_does_not_save_a_wrong_date() -> None:
    with pytest.raises(BadIdentityNumber) as caught:
        check_identity(made("42022219900230001"))
    assert caught.value.facts["problem"] == "birth_date"


def test_a_birth_date_in_the_future_of_a_certain_day() -> None:
    number = made("42022220261127001")
    assert check_identity(number).birth == date(2026, 11, 27)
    assert check_identity(number, today=date(2026, 11, 27)).number == number
    with pytest.raises(BadIdentityNumber) as caught:
        check_identity(number, today=date(2026, 11, 26))
    assert caught.value.facts["problem"] == "future"


def test_credit_codes() -> None:
    assert check_identity(ALIBABA).kind == "organisation" and check_identity(ALIBABA.lower()).birth is None
    collective = COLLECTIVE + weighted_check(COLLECTIVE, first=0)
    assert check_identity(collective).number == collective  # rural collectives start with N
    with pytest.raises(BadIdentityNumber) as caught:
        check_identity(ALIBABA[:-1] + "C")
    assert caught.value.facts["problem"] == "check"
    with pytest.raises(BadIdentityNumber) as caught:
        check_citizen(ALIBABA)
    assert caught.value.facts["problem"] == "characters"


def test_a_mistyped_citizen_is_not_taken_for_an_organisation() -> None:
    """Found by the property below: a slip in the month, and by chance 1 in 31 the check of the credit code fits."""
    slipped = "110000197936295667"
    assert credit_check(slipped) and not credit_check(made("11000019790629566"))
    with pytest.raises(BadIdentityNumber) as caught:
        check_identity(slipped)
    assert caught.value.facts["problem"] == "birth_date"


@pytest.mark.parametrize("code", ["11100000000013127D", "12100000400000624D", ALIBABA])
def test_older_credit_codes_without_letters_in_the_middle(code: str) -> None:
    assert check_identity(code).kind == "organisation"


BIRTHS = st.dates(date(1900, 1, 1), date(2026, 1, 1))
BODIES = st.builds(lambda area, birth, order: f"{area}{birth:%Y%m%d}{order:03d}", st.integers(110000, 659999) | st.just(420222), BIRTHS, st.integers(0, 999))  # fmt: skip


def _refused(number: str) -> None:
    """By the citizens' check always; by the common one too, as no credit code begins 42 (see docs for the rest)."""
    with pytest.raises(BadIdentityNumber):
        check_citizen(number)
    if number.startswith("42"):
        with pytest.raises(BadIdentityNumber):
            check_identity(number)


@given(body=BODIES, place=st.integers(0, 17), shift=st.integers(1, 9))
@examples(factor=3)
def test_every_single_wrong_digit_is_caught(body: str, place: int, shift: int) -> None:
    number = made(body)
    alphabet = "0123456789X" if place == 17 else "0123456789"
    other = alphabet[(alphabet.index(number[place]) + shift) % len(alphabet)]
    _refused(number[:place] + other + number[place + 1 :])


@given(body=BODIES, place=st.integers(0, 16))
@examples(factor=3)
def test_every_swap_of_neighbours_is_caught(body: str, place: int) -> None:
    number = made(body)
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    if swapped != number:
        _refused(swapped)


@given(text=st.text(max_size=30))
@examples()
def test_any_text_is_a_number_or_a_named_slip(text: str) -> None:
    try:
        found = check_identity(text)
    except BadIdentityNumber as error:
        assert error.facts["problem"]
    else:
        assert len(found.number) == 18 and birth_of(found.number) == found.birth
