"""Identity numbers: citizens' (GB 11643) and organisations' (GB 32100), as people type them.

For: one normal form, and a check that catches slips at the counter: check character and a real birth date.
May not: say who a person is; put a number into an error or a log; ask any register.
Spec: docs/protocol/numbers.md, "Identity numbers".
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Literal

from protocol.errors import InputError

LENGTH = 18
BIRTH_YEAR_MIN = 1850  # nobody who applies, or whose estate is settled, was born earlier
CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100: without I O S V Z

_CITIZEN_WEIGHTS = tuple(2 ** (17 - place) % 11 for place in range(17))
_CITIZEN_CHECKS = "10X98765432"
_CODE_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
# Registering body and kind of organisation in codes from before letters were usual in the part that follows.
_OLD_LEADS = frozenset(
    f"{body}{kind}"
    for body, kinds in zip(
        "123456789", ("1239", "19", "123459", "19", "123459", "129", "129", "19", "123"), strict=True
    )
    for kind in kinds
)
_PROVINCES = frozenset(
    str(code)
    for code in (*range(10, 16), 21, 22, 23, *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82)
)
_SEPARATORS = {"-", "‐", "‑", "–", "—", "−", "·", ".", "_"}

Kind = Literal["citizen", "organisation"]
Problem = Literal["empty", "length", "characters", "birth_date", "future", "check"]

_TEXTS: dict[str, tuple[str, str]] = {
    "empty": ("no identity number was given", "没有填写证件号码"),
    "length": (
        "an identity number or credit code has 18 characters; compare it with the card",
        "身份证号或统一社会信用代码应为 18 位，请与证件核对",
    ),
    "characters": (
        "an identity number has 17 digits and a digit or X; a credit code has digits and capital letters without I, O, S, V, Z",
        "身份证号应为 17 位数字加一位数字或 X；统一社会信用代码为数字和大写字母，不含 I、O、S、V、Z",
    ),
    "birth_date": (
        "digits 7 to 14 of the identity number are no birth date; compare it with the card",
        "身份证号第 7 至 14 位不是有效的出生日期，请与证件核对",
    ),
    "future": (
        "the birth date in the identity number lies in the future; compare it with the card",
        "身份证号中的出生日期在今天之后，请与证件核对",
    ),
    "check": (
        "the identity number does not fit its check character: a digit is wrong or two are swapped; compare it with the card",
        "证件号码与校验位不符：可能有一位写错或两位颠倒，请与证件核对",
    ),
}


class BadIdentityNumber(InputError):
    """A number that cannot be anybody's. `facts["problem"]` names why; the number itself is never repeated."""

    code = "bad_identity_number"

    def __init__(self, problem: Problem) -> None:
        text, text_zh = _TEXTS[problem]
        super().__init__(text, text_zh, problem=problem)


@dataclass(frozen=True, slots=True)
class Identity:
    """A number that passed. `number`: its normal form, 18 characters; `birth` for citizens only."""

    number: str
    kind: Kind
    birth: date | None = None


def normalise(text: str) -> str:
    """The normal form of what was typed: half-width, no spaces or hyphens, capital letters. Checks nothing."""
    folded = unicodedata.normalize("NFKC", text)
    kept = (one for one in folded if not (one.isspace() or one in _SEPARATORS or unicodedata.category(one) == "Cf"))
    return "".join(kept).upper().replace("×", "X")


def check_identity(text: str, *, today: date | None = None) -> Identity:
    """The citizen or organisation whose number was typed.

    Args:    today: the newest date that is certain, such as the last signed hub time; None to accept any birth date.
             Not the device's own date: a dead clock battery says 1970, and a case can always be entered.
    Raises:  BadIdentityNumber. What looks like a citizen's number is judged as one: see `_is_organisation`.
    """
    number = normalise(text)
    if len(number) == LENGTH:
        if _is_organisation(number):
            return Identity(number, "organisation")
        if not _citizen_shape(number):
            raise BadIdentityNumber("check" if _credit_shape(number) and _birth(number) is None else "characters")
    return check_citizen(number, today=today)


def check_citizen(text: str, *, today: date | None = None) -> Identity:
    """As `check_identity`, for a citizen only. Source: GB 11643-1999."""
    number = normalise(text)
    if not number:
        raise BadIdentityNumber("empty")
    if len(number) != LENGTH:
        raise BadIdentityNumber("length")
    if not _citizen_shape(number):
        raise BadIdentityNumber("characters")
    birth = _birth(number)
    if birth is None:
        raise BadIdentityNumber("birth_date")
    if citizen_check_character(number[:17]) != number[17]:
        raise BadIdentityNumber("check")
    if today is not None and birth > today:
        raise BadIdentityNumber("future")
    return Identity(number, "citizen", birth)


def citizen_check_character(body: str) -> str:
    """The 18th character for 17 digits."""
    total = sum(weight * int(digit) for weight, digit in zip(_CITIZEN_WEIGHTS, body, strict=True))
    return _CITIZEN_CHECKS[total % 11]


def credit_check(number: str) -> bool:
    """Whether 18 characters are a credit code: its shape and check character. Source: GB 32100-2015."""
    return _credit_shape(number) and weighted_check(number[:17], first=0) == number[17]


def weighted_check(body: str, *, first: int) -> str:
    """The character that brings the sum of value x 3^place to 0 modulo 31, in the alphabet of GB 32100.

    31 is prime and 3 generates all its 30 residues, so within 30 places every wrong character and every swap of two
    characters shows. `first`: the power for the first place.
    """
    total = sum(CREDIT_ALPHABET.index(one) * pow(3, place, 31) for place, one in enumerate(body, first))
    return CREDIT_ALPHABET[-total % 31]


def birth_of(number: str) -> date | None:
    """The birth date in a citizen's number in normal form, also if the check character is wrong; None if there is none."""
    return _birth(number) if len(number) == LENGTH and _citizen_shape(number) else None


def _is_organisation(number: str) -> bool:
    """Whether 18 characters are a credit code and not a citizen's number with a slip in it.

    One slip in 31 would fit the check character of GB 32100. Codes with two letters are beyond doubt. Older ones, all
    digits, must also have a leading pair that was in use, a province at places 3 and 4, an organisation code (GB 11714)
    that fits its own check, and no real birth date at places 7 to 14.
    """
    if not credit_check(number):
        return False
    if sum(one.isalpha() for one in number[:17]) >= 2:
        return True
    old_form = number[:2] in _OLD_LEADS and number[2:4] in _PROVINCES
    return old_form and _code_fits(number[8:17]) and _birth(number) is None


def _code_fits(code: str) -> bool:
    """Whether 9 characters are an organisation code. Source: GB 11714-1997."""
    total = sum(weight * int(one, 36) for weight, one in zip(_CODE_WEIGHTS, code, strict=False))
    return code[8] == "0123456789X"[-total % 11]


def _citizen_shape(number: str) -> bool:
    """17 digits, not led by 0, and a digit or X."""
    body, last = number[:17], number[17:]
    return body.isascii() and body.isdigit() and body[0] != "0" and (last == "X" or (last.isascii() and last.isdigit()))


def _credit_shape(number: str) -> bool:
    """Any letter of the alphabet may lead (N: rural collectives); places 3 to 8 are an area code."""
    area = number[2:8]
    known = len(number) == LENGTH and all(one in CREDIT_ALPHABET for one in number)
    return known and number[0] != "0" and area.isdigit()


def _birth(number: str) -> date | None:
    digits = number[6:14]
    if not (digits.isascii() and digits.isdigit()) or int(digits[:4]) < BIRTH_YEAR_MIN:
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
