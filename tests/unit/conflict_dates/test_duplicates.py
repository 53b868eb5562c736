"""Duplicates: equal numbers meet in a keyed index, mistyped ones as candidates, strangers do not."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict.duplicates import (
    KEY_BYTES,
    REASONS,
    Applicant,
    Likeness,
    Verdict,
    blind_index,
    candidate_keys,
    compare,
    plain_name,
    plain_phone,
)
from conflict.identity import citizen_check_character
from protocol.errors import LocalProtocolError

from .support import examples

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
ITEM = "JF-MZ-001"
BODY = "42022219630412352"


def made(body: str) -> str:
    return body + citizen_check_character(body)


ZHANG = Applicant("张桂兰", made(BODY), "13812345678")


def test_the_blind_index_meets_on_the_normal_form_and_on_nothing_else() -> None:
    typed = f" {ZHANG.number[:6]}-{ZHANG.number[6:]}".lower()
    assert blind_index(KEY, typed, ITEM) == blind_index(KEY, ZHANG.number, ITEM)
    others = {
        blind_index(OTHER_KEY, ZHANG.number, ITEM),
        blind_index(KEY, ZHANG.number, "JF-MZ-002"),
        blind_index(KEY, made("42022219630412353"), ITEM),
        blind_index(KEY, ZHANG.number + "J", "F-MZ-001"),
    }
    assert len(others) == 4 and blind_index(KEY, ZHANG.number, ITEM) not in others


def test_the_index_form_is_fixed() -> None:
    """Stored entries must be found again by later versions."""
    assert blind_index(KEY, "11010519491231002X", ITEM).hex() == (
        "8336a289ae4f57e98253265797c51c6142d28178ea2f899e58334127f7a0416b"
    )


def test_a_short_key_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        blind_index(bytes(KEY_BYTES - 1), ZHANG.number, ITEM)


CASES = [
    # (what differs, the other applicant, verdict, first reason)
    ("nothing", ZHANG, Verdict.SAME, "same_number"),
    ("typing only", Applicant("张 桂兰", ZHANG.number.lower(), ""), Verdict.SAME, "same_number"),
    ("the name", Applicant("李四", ZHANG.number, ""), Verdict.SAME, "same_number"),
    ("one digit", Applicant("张桂兰", made("42022219630412362")), Verdict.CANDIDATE, "substitution"),
    ("one digit and a character", Applicant("张桂芝", made("42022219630412362")), Verdict.CANDIDATE, "substitution"),
    ("two swapped", Applicant("张桂兰", made("42022219630421352")), Verdict.CANDIDATE, "transposition"),
    ("two far apart swapped", Applicant("张桂兰", made("42022219630512342")), Verdict.CANDIDATE, "transposition"),
    ("check character", Applicant("张桂兰", BODY + "0"), Verdict.CANDIDATE, "check_character"),
    ("a digit dropped", Applicant("张桂兰", made(BODY)[:9] + made(BODY)[10:]), Verdict.CANDIDATE, "inserted_or_dropped"),
    ("a digit more", Applicant("张桂兰", made(BODY)[:9] + "7" + made(BODY)[9:]), Verdict.CANDIDATE, "inserted_or_dropped"),
    ("one digit, other name, same phone", Applicant("李四", made("42022219630412362"), "+86 138-1234-5678"), Verdict.CANDIDATE, "substitution"),
    ("all but name and birth", Applicant("张桂兰", made("33112319630412014")), Verdict.CANDIDATE, "same_name"),
    ("all but name and phone", Applicant("张桂兰", made("42022219500101014"), "13812345678"), Verdict.CANDIDATE, "same_name"),
    ("no number at one", Applicant("张桂兰", "", "13812345678"), Verdict.CANDIDATE, "same_name"),
    ("a neighbour in the register", Applicant("李四", made("42022219630412362")), Verdict.DIFFERENT, "substitution"),
    ("namesake", Applicant("张桂兰", made("42022219500101014"), "13900000000"), Verdict.DIFFERENT, "same_name"),
    ("one telephone in the family", Applicant("李四", made("42022219500101014"), "13812345678"), Verdict.DIFFERENT, "same_phone"),
    ("everything", Applicant("李四", made("42022219500101014"), "13900000000"), Verdict.DIFFERENT, None),
]  # fmt: skip


@pytest.mark.parametrize(("what", "other", "verdict", "reason"), CASES, ids=[case[0] for case in CASES])
def test_compare(what: str, other: Applicant, verdict: Verdict, reason: str | None) -> None:
    found = compare(ZHANG, other)
    assert (found.verdict, found.reasons[:1]) == (verdict, (reason,) if reason else ()), what
    assert compare(other, ZHANG) == found
    assert set(found.reasons) <= set(REASONS)


def test_two_who_gave_nothing_are_not_one() -> None:
    assert compare(Applicant(), Applicant()) == Likeness(Verdict.DIFFERENT)
    assert candidate_keys(KEY, Applicant(), ITEM) == frozenset()


def test_a_name_beside_an_equal_number_is_told() -> None:
    assert compare(ZHANG, Applicant("李四", ZHANG.number)).reasons == ("same_number", "name_differs")
    assert compare(ZHANG, Applicant("", ZHANG.number)).reasons == ("same_number",)


def _meet(one: Applicant, two: Applicant) -> bool:
    return bool(candidate_keys(KEY, one, ITEM) & candidate_keys(KEY, two, ITEM))


@pytest.mark.parametrize(("what", "other", "verdict", "reason"), CASES, ids=[case[0] for case in CASES])
def test_candidate_keys_meet_for_every_candidate_but_a_far_swap(
    what: str, other: Applicant, verdict: Verdict, reason: str | None
) -> None:
    """Digits swapped far apart share no key by themselves: docs say so. Here they also change the birth date."""
    if what == "two far apart swapped":
        assert not _meet(ZHANG, other)
        assert _meet(ZHANG, Applicant(other.name, other.number, ZHANG.phone))
    elif verdict is not Verdict.DIFFERENT:
        assert _meet(ZHANG, other)


def test_a_long_text_in_the_field_is_one_key_and_near_to_nothing() -> None:
    long, other = Applicant("王芳", "1" * 4_000), Applicant("王芳", "1" * 3_999)
    assert len(candidate_keys(KEY, long, ITEM)) == 1
    assert compare(long, other) == Likeness(Verdict.DIFFERENT, ("same_name",))


def test_keys_are_bound_to_key_and_item() -> None:
    keys = candidate_keys(KEY, ZHANG, ITEM)
    assert 15 <= len(keys) <= 20 and all(len(one) == 16 for one in keys)
    assert not keys & candidate_keys(OTHER_KEY, ZHANG, ITEM) and not keys & candidate_keys(KEY, ZHANG, "JF-MZ-002")


@pytest.mark.parametrize(
    ("name", "plain"),
    [(" 张 桂兰 ", "张桂兰"), ("买买提·艾力", "买买提艾力"), ("买买提・艾力", "买买提艾力"), ("Ｌｉ Ｍｉｎｇ", "liming"), ("𠮷田", "𠮷田")],
)  # fmt: skip
def test_plain_name(name: str, plain: str) -> None:
    assert plain_name(name) == plain


@pytest.mark.parametrize(
    ("phone", "plain"),
    [("+86 138-1234-5678", "13812345678"), ("0086 13812345678", "13812345678"), ("0714-7345678", "07147345678"), ("无", "")],
)  # fmt: skip
def test_plain_phone(phone: str, plain: str) -> None:
    assert plain_phone(phone) == plain


BODIES = st.builds(
    lambda birth, order: f"420222{birth:%Y%m%d}{order:03d}", st.dates(date(1940, 1, 1), date(2020, 1, 1)), st.integers(0, 999)
)  # fmt: skip


@given(body=BODIES, place=st.integers(0, 15), digit=st.sampled_from("0123456789"), slip=st.sampled_from("sxid"))
@examples(factor=3)
def test_one_slip_in_a_number_always_meets_and_is_a_candidate(body: str, place: int, digit: str, slip: str) -> None:
    """s: another digit, x: neighbours swapped, i: one more, d: one less; the check character is made to fit or kept."""
    number = made(body)
    wrong = {
        "s": made(body[:place] + digit + body[place + 1 :]),
        "x": made(body[:place] + body[place + 1] + body[place] + body[place + 2 :]),
        "i": number[:place] + digit + number[place:],
        "d": number[:place] + number[place + 1 :],
    }[slip]
    one, two = Applicant("王芳", number), Applicant("王芳", wrong)
    assert _meet(one, two)
    assert compare(one, two).verdict is (Verdict.SAME if wrong == number else Verdict.CANDIDATE)


@given(one=BODIES, two=BODIES)
@examples(factor=3)
def test_strangers_meet_only_if_their_numbers_are_near(one: str, two: str) -> None:
    left, right = Applicant("王芳", made(one)), Applicant("李强", made(two))
    differing = sum(1 for a, b in zip(one, two, strict=True) if a != b)
    if differing > 8:
        assert not _meet(left, right)
    if one != two:
        assert compare(left, right).verdict is Verdict.DIFFERENT
