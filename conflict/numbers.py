"""Case numbers: what is printed on the slip, read out on the telephone, and typed again.

For: making a number without a network, and reading it back from what people type.
May not: keep a counter (the device's ledger does); stand for a case in protocol or store (its id does).
Spec: docs/protocol/numbers.md, "Case numbers".  Decision: 0032.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date

from conflict.calendar import day_of
from conflict.identity import CREDIT_ALPHABET, weighted_check
from protocol.errors import InputError, LocalProtocolError

SEQUENCE_MAX = 999_999  # cases of one incarnation of one device
PART_LENGTH = 3
TAIL_LENGTH = 8 + PART_LENGTH + 6 + 1  # date, device part, sequence, check character
OFFICE_LENGTHS = (6, 9, 12)

_DASHES = "‐‑–—−－_/. "
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "S": "5", "Z": "2"})  # letters that no number contains


class BadCaseNumber(InputError):
    """What was typed is no case number. `facts["problem"]`: length, characters, date, or check."""

    code = "bad_case_number"


@dataclass(frozen=True, slots=True)
class CaseNumber:
    """office: 6, 9 or 12 digits. day: civil date of entry by the device's clock, for people only.

    part: 3 characters of the device; sequence: its count of cases from 1, which no clock and no date resets.
    """

    office: str
    day: date
    part: str
    sequence: int

    @property
    def text(self) -> str:
        """The printed form, 28 to 34 characters, such as 420222100201-20261126-7M3-000042-K."""
        day, sequence = f"{self.day:%Y%m%d}", f"{self.sequence:06d}"
        check = weighted_check(f"{self.office}{day}{self.part}{sequence}", first=1)
        return f"{self.office}-{day}-{self.part}-{sequence}-{check}"


def make(office: str, claimed_ms: int, sequence: int, *, device: bytes) -> str:
    """The number of the `sequence`-th case of this device.

    Args:    claimed_ms: the device's clock, ms since 1970 UTC; a wrong one makes a wrong date, never a second equal
             number. sequence: 1 to SEQUENCE_MAX, never given twice by one incarnation. device: its 8 bytes.
    Raises:  LocalProtocolError if the office code or the sequence cannot be numbered.
    """
    if not _is_office(office) or not 1 <= sequence <= SEQUENCE_MAX:
        raise LocalProtocolError(
            f"office {office} cannot number its case {sequence}: codes have 6, 9 or 12 digits and a device numbers "
            f"1 to {SEQUENCE_MAX}; enrol the device anew to start at 1"
        )
    return CaseNumber(office, day_of(claimed_ms), device_part(device), sequence).text


def device_part(device: bytes) -> str:
    """The 3 characters that tell an office's devices apart, from the incarnation.

    Two devices of one office must not share it: the hub refuses a join that would (the device draws another
    incarnation), so numbers are unique for certain and not by chance of 1 in 29,791.
    """
    value, part = int.from_bytes(device, "big"), ""
    for _ in range(PART_LENGTH):
        value, place = divmod(value, len(CREDIT_ALPHABET))
        part = CREDIT_ALPHABET[place] + part
    return part


def parse(text: str) -> CaseNumber:
    """The case number that was typed: any case and width, with or without hyphens and spaces; O, I, S, Z as 0, 1, 5, 2.

    Raises:  BadCaseNumber if it is none, or if its check character shows a wrong or swapped character.
    """
    plain = _plain(text)
    office_length = len(plain) - TAIL_LENGTH
    if office_length not in OFFICE_LENGTHS:
        raise _bad(
            "length",
            "a case number has 24, 27 or 30 characters without hyphens",
            "办件编号去掉连字符后应为 24、27 或 30 位",
        )
    office, day_text = plain[:office_length], plain[office_length : office_length + 8]
    part, sequence = plain[office_length + 8 : -7], plain[-7:-1]
    if not (_is_office(office) and day_text.isdigit() and sequence.isdigit() and int(sequence)):
        raise _bad(
            "characters", "a case number starts with the office code and the date", "办件编号应以机构代码和日期开头"
        )
    try:
        day = date.fromisoformat(f"{day_text[:4]}-{day_text[4:6]}-{day_text[6:]}")
    except ValueError as error:
        raise _bad("date", "the case number holds no date where one belongs", "办件编号中的日期无效") from error
    if weighted_check(plain[:-1], first=1) != plain[-1]:
        raise _bad(
            "check",
            "the case number does not fit its last character: compare it with the slip",
            "办件编号与末位校验不符，请与回执核对",
        )
    return CaseNumber(office, day, part, int(sequence))


def _plain(text: str) -> str:
    """The characters that count, or an error if another one is among them."""
    folded = unicodedata.normalize("NFKC", text).upper()
    kept = "".join(one for one in folded if one not in _DASHES and one != "-" and not one.isspace())
    kept = kept.translate(_LOOKALIKES)
    if not all(one in CREDIT_ALPHABET for one in kept):
        raise _bad("characters", "a case number has digits and capital letters only", "办件编号只含数字和大写字母")
    return kept


def _is_office(code: str) -> bool:
    return len(code) in OFFICE_LENGTHS and code.isascii() and code.isdigit()


def _bad(problem: str, text: str, text_zh: str) -> BadCaseNumber:
    return BadCaseNumber(text, text_zh, problem=problem)
