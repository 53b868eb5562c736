"""Duplicate acceptance: the same applicant and item at two offices, found without an index of plain numbers.

For: the keyed blind index of exact matches, keyed candidate keys for mistyped numbers, and the comparison of two
applicants that says same, candidate or different, and why.
May not: void or link anything (a county administrator does); keep a key or an index (hub/duplicates.py does).
Spec: docs/protocol/numbers.md, "Duplicates".  Decision: 0034.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from conflict.identity import LENGTH, birth_of, normalise
from protocol import canonical
from protocol.errors import LocalProtocolError

KEY_BYTES = 32
CANDIDATE_KEY_BYTES = 16  # a clash by chance among 10^8 keys: 1 in 10^22
NEAR_LENGTH_MAX = 24  # characters; longer text in the field is no number with a slip, and each character is a key
DOMAIN_EXACT = "liandong duplicate exact v1"
DOMAIN_NEAR = "liandong duplicate candidate v1"


class Verdict(StrEnum):
    """same: one applicant. candidate: a person should look. different: nothing points to one applicant."""

    SAME = "same"
    CANDIDATE = "candidate"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who applies, as entered; each may be empty."""

    name: str = ""
    number: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a comparison found. `reasons`: codes with a sentence each in REASONS, strongest first."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()


REASONS = {
    "same_number": ("the identity numbers are equal", "证件号码相同"),
    "name_differs": ("but the names differ", "但姓名不同"),
    "check_character": ("the identity numbers differ in the last character only", "证件号码仅末位不同"),
    "substitution": ("one digit of the identity numbers differs", "证件号码有一位不同"),
    "transposition": ("two digits of the identity numbers are swapped", "证件号码有两位颠倒"),
    "inserted_or_dropped": ("one of the identity numbers has a digit more", "证件号码多一位或少一位"),
    "same_name": ("the names are equal", "姓名相同"),
    "similar_name": ("the names differ in one character", "姓名仅一字不同"),
    "same_phone": ("the telephone numbers are equal", "联系电话相同"),
    "same_birth_date": ("the birth dates are equal", "出生日期相同"),
}


def blind_index(key: bytes, number: str, item: str) -> bytes:
    """The index entry, 32 bytes, under which cases of one applicant and item meet.

    Args:    key: KEY_BYTES secret bytes of the county's hub; whoever has it can try all numbers, so it stays there.
             number: as entered; it is normalised here. item: the item code.
    Raises:  LocalProtocolError if the key is short.
    """
    return _keyed(key, [DOMAIN_EXACT, normalise(number), item])


def candidate_keys(key: bytes, applicant: Applicant, item: str) -> frozenset[bytes]:
    """Index entries of 16 bytes, about 20; two applicants who might be one share at least one.

    Shared by numbers that are one wrong, missing, extra or adjacent swapped character apart (whatever the check
    character), by equal name and birth date, and by equal name and phone. Compare the cases that meet with `compare`.
    """
    item_key = _keyed(key, [DOMAIN_NEAR, item])
    features = _features(plain_name(applicant.name), normalise(applicant.number), plain_phone(applicant.phone))
    return frozenset(hmac.digest(item_key, one.encode(), "sha256")[:CANDIDATE_KEY_BYTES] for one in features)


def compare(one: Applicant, two: Applicant) -> Likeness:
    """Whether two applicants are the same, might be, or are different, with reasons. Symmetric.

    A near number alone is no candidate: in one county several people share a birthday and nearly a number. It takes a
    name or a phone beside it; twins whose names differ in one character do come before a person.
    """
    numbers = normalise(one.number), normalise(two.number)
    names = plain_name(one.name), plain_name(two.name)
    phones = plain_phone(one.phone), plain_phone(two.phone)
    name = _name_reason(*names)
    if numbers[0] and numbers[0] == numbers[1]:
        named = name or ("name_differs" if all(names) else None)
        return Likeness(Verdict.SAME, ("same_number", named) if named else ("same_number",))
    phone = "same_phone" if phones[0] and phones[0] == phones[1] else None
    near = _near(*numbers) if all(numbers) else None
    births = birth_of(numbers[0]), birth_of(numbers[1])
    birth = "same_birth_date" if births[0] is not None and births[0] == births[1] else None
    found = tuple(reason for reason in (near, name, phone, birth) if reason)
    strong = bool(near and (name or phone)) or (name == "same_name" and bool(phone or birth))
    return Likeness(Verdict.CANDIDATE if strong else Verdict.DIFFERENT, found)


def plain_name(name: str) -> str:
    """A name without what people write differently: width, spaces, dots between the parts, capitals."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(one for one in folded if unicodedata.category(one)[0] in "LN")


def plain_phone(phone: str) -> str:
    """The digits of a telephone number, without the country code of China."""
    digits = "".join(one for one in unicodedata.normalize("NFKC", phone) if one.isascii() and one.isdigit())
    for prefix in ("0086", "86"):
        if digits.startswith(prefix) and len(digits) - len(prefix) == 11:
            return digits[len(prefix) :]
    return digits


def _features(name: str, number: str, phone: str) -> Iterator[str]:
    """Texts that two applicants share if they might be one; no part holds a colon."""
    if number:
        body = _body(number)
        yield f"number:{body}"
        places = range(len(body)) if len(body) <= NEAR_LENGTH_MAX else ()
        for shorter in {body[:place] + body[place + 1 :] for place in places}:
            yield f"number:{shorter}"
    birth = birth_of(number)
    if name and birth is not None:
        yield f"birth:{name}:{birth.isoformat()}"
    if name and phone:
        yield f"phone:{name}:{phone}"


def _body(number: str) -> str:
    """The number without its check character, which a clerk may have made to fit."""
    return number[:-1] if len(number) >= LENGTH - 1 else number


def _near(one: str, two: str) -> str | None:
    """How two different numbers are one slip apart, not counting the check character; None if they are further."""
    one, two = _body(one), _body(two)
    if max(len(one), len(two)) > NEAR_LENGTH_MAX:
        return None
    if one == two:
        return "check_character"
    if len(one) != len(two):
        longer, shorter = sorted((one, two), key=len, reverse=True)
        drops = (longer[:place] + longer[place + 1 :] for place in range(len(longer)))
        return "inserted_or_dropped" if len(longer) - len(shorter) == 1 and shorter in drops else None
    places = [place for place in range(len(one)) if one[place] != two[place]]
    if len(places) == 1:
        return "substitution"
    if len(places) == 2 and one[places[0]] == two[places[1]] and one[places[1]] == two[places[0]]:
        return "transposition"
    return None


def _name_reason(one: str, two: str) -> str | None:
    if not one or not two:
        return None
    if one == two:
        return "same_name"
    differing = sum(1 for left, right in zip(one, two, strict=False) if left != right)
    return "similar_name" if len(one) == len(two) >= 2 and differing == 1 else None


def _keyed(key: bytes, value: list[str]) -> bytes:
    if len(key) != KEY_BYTES:
        raise LocalProtocolError(f"the index key has {KEY_BYTES} bytes")
    return hmac.digest(key, canonical.encode(value), "sha256")
