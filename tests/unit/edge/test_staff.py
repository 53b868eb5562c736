"""Accounts: the first one, passwords, roles, and the delay that meets whoever guesses."""

from __future__ import annotations

import pytest

from edge.errors import BadPassword, LockedOut, UnknownStaff
from edge.main import Node
from edge.staff import FREE_FAILURES, LOCK_MS_FIRST, LOCK_MS_MAX, Actor
from protocol.errors import InputError, RefusedError
from tests.unit.edge.county import Hands

CHIEF = Actor("chief", "chief")


def test_a_fresh_device_has_one_account_without_password(village: Node) -> None:
    assert village.staff.check() == CHIEF
    assert [(row["name"], row["role"], row["has_password"]) for row in village.staff.list()] == [
        ("chief", "chief", False)
    ]
    assert "no_password" in [banner["code"] for banner in village.status()["banners"]]


def test_a_password_is_needed_once_set(village: Node) -> None:
    village.staff.set_password(CHIEF, "chief", "一个够长的密码")
    assert village.staff.check("chief", "一个够长的密码") == CHIEF
    for wrong in (None, "", "别的密码别的密码"):
        with pytest.raises(BadPassword):
            village.staff.check("chief", wrong)
    assert "no_password" not in [banner["code"] for banner in village.status()["banners"]]


def test_guessing_is_slowed_and_a_right_password_clears(village: Node, hands: Hands) -> None:
    village.staff.set_password(CHIEF, "chief", "correct horse")
    for _ in range(FREE_FAILURES):
        with pytest.raises(BadPassword):
            village.staff.check("chief", "wrong horse")
    with pytest.raises(LockedOut) as caught:
        village.staff.check("chief", "correct horse")
    assert caught.value.facts["seconds"] == LOCK_MS_FIRST // 1000
    hands.forward(LOCK_MS_FIRST)
    assert village.staff.check("chief", "correct horse") == CHIEF
    with pytest.raises(BadPassword):
        village.staff.check("chief", "wrong horse")
    assert village.staff.check("chief", "correct horse") == CHIEF


def test_a_clock_set_back_does_not_lock_for_years(village: Node, hands: Hands) -> None:
    village.staff.set_password(CHIEF, "chief", "correct horse")
    for _ in range(FREE_FAILURES):
        with pytest.raises(BadPassword):
            village.staff.check("chief", "wrong horse")
    hands.now_ms -= 10 * LOCK_MS_MAX
    assert village.staff.check("chief", "correct horse") == CHIEF


def test_managing_accounts(village: Node) -> None:
    village.staff.add(CHIEF, "小李", "examiner", "另一个好密码")
    examiner = village.staff.check("小李", "另一个好密码")
    assert examiner == Actor("小李", "examiner")
    with pytest.raises(RefusedError):
        village.staff.add(examiner, "小王", "agent")
    village.staff.set_password(examiner, "小李", "自己换的密码")
    with pytest.raises(RefusedError):
        village.staff.set_password(examiner, "chief", "替别人换密码")
    village.staff.disable(CHIEF, "小李")
    with pytest.raises(UnknownStaff):
        village.staff.check("小李", "自己换的密码")
    with pytest.raises(RefusedError):
        village.staff.disable(CHIEF, "chief")


@pytest.mark.parametrize(("name", "role"), [("chief", "agent"), ("x", "king"), ("  ", "agent"), ("长" * 61, "agent")])
def test_bad_accounts_are_refused(village: Node, name: str, role: str) -> None:
    with pytest.raises(InputError):
        village.staff.add(CHIEF, name, role)
    assert len(village.staff.list()) == 1


def test_short_passwords_are_refused_and_no_password_is_stored(village: Node) -> None:
    with pytest.raises(InputError):
        village.staff.set_password(CHIEF, "chief", "short")
    village.staff.set_password(CHIEF, "chief", "a long password")
    for path in village.directory.glob("edge.db*"):
        assert b"a long password" not in path.read_bytes()
    with pytest.raises(UnknownStaff):
        village.staff.check("nobody")
