"""`liandong bench drain`: a small county comes back after an outage, with real processes, and nothing is lost."""

from __future__ import annotations

import pytest

from tests.support.cli import liandong

pytestmark = pytest.mark.timeout(120)


def test_a_small_county_drains() -> None:
    found = liandong("bench", "drain", "--offices", "8", "--ops", "10", "--timeout", "60")
    assert found["store"] == {"stored": 80, "lost": 0, "doubled": 0, "refused": 0, "waiting": 0}
    assert (found["settled"], found["all"]["count"], found["all"]["missing"]) == (80, 8, 0)
    assert found["urgent_cases"]["count"] == 1 and found["connections"] == 8
    assert found["by_level"]["township"]["count"] == 1, "a county, a township, its villages"


def test_an_unknown_broker_is_a_mistake_of_who_asks() -> None:
    found = liandong("bench", "drain", "--broker", "rabbit", "--offices", "2", "--ops", "1", check=False)
    assert found.status == 1 and "embedded" in found.err
