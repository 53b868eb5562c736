"""Applicants who do not exist, with numbers that pass every check.

For: names, identity numbers (GB 11643) and telephone numbers drawn from the run's chance.
May not: hold anybody's real data.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta

SURNAMES = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何林罗高"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华"
WEIGHTS = tuple(2 ** (17 - place) % 11 for place in range(17))
CHECKS = "10X98765432"


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    number: str
    phone: str


def somebody(rng: random.Random) -> Person:
    """A person of the county."""
    name = rng.choice(SURNAMES) + "".join(rng.choice(GIVEN) for _ in range(rng.randint(1, 2)))
    born = date(1940, 1, 1) + timedelta(days=rng.randrange(24_000))
    body = f"420222{born:%Y%m%d}{rng.randrange(1_000):03d}"
    check = CHECKS[sum(int(digit) * weight for digit, weight in zip(body, WEIGHTS, strict=True)) % 11]
    return Person(name, body + check, f"13{rng.randrange(10**9):09d}")
