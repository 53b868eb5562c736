"""The password file of both brokers: format, changes beside other processes, damaged lines."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hub.broker_accounts import (
    AccountFile,
    check_password,
    hash_password,
    new_password,
    passwords_path,
    remove_account,
    write_password,
)
from protocol.errors import LocalProtocolError
from tests.support.process import python_env

# Written by mosquitto_passwd 2.0.11 for the password "secretsecret".
MOSQUITTOS = (
    "$7$101$fI5NVrRUl91dLetk$bISBeX8qqb1/7Z0axKVrfzt6sy/AefpKsNjGzUcJAeYX0z77b8QV9XkBucXDiIBBgmbsqoJMMWhMMhlZ6d8cxg=="
)


def test_hashes_of_mosquitto_are_understood() -> None:
    assert check_password(MOSQUITTOS, "secretsecret")
    assert not check_password(MOSQUITTOS, "secretsecreT")


def test_hashes_are_salted_and_fit_their_password_only() -> None:
    password = new_password()
    first, second = hash_password(password), hash_password(password)
    assert first != second and check_password(first, password) and not check_password(first, new_password())
    assert len(password) == 32 and password != new_password()


@pytest.mark.parametrize(
    "damaged",
    ["", "$", "$7$$$", "$6$101$YQ==$YQ==", "$7$0$YQ==$YQ==", "$7$x$YQ==$YQ==", "$7$101$!$!", "$7$101$YQ==$YQ==",
     MOSQUITTOS.replace("101", "999999"), MOSQUITTOS[:-4], MOSQUITTOS + "$", MOSQUITTOS.replace("$7$", "$8$")],
)  # fmt: skip
def test_damaged_hashes_admit_nobody(damaged: str) -> None:
    assert not check_password(damaged, "secretsecret")


def test_write_change_remove(tmp_path: Path) -> None:
    accounts, one, two = AccountFile(tmp_path), new_password(), new_password()
    assert not accounts.admits("a", one)
    write_password(tmp_path, "a", one)
    write_password(tmp_path, "b", two)
    assert accounts.admits("a", one) and accounts.admits("b", two) and not accounts.admits("a", two)
    write_password(tmp_path, "a", two)
    assert accounts.admits("a", two) and not accounts.admits("a", one)
    assert remove_account(tmp_path, "a") and not remove_account(tmp_path, "a")
    assert not accounts.admits("a", two) and accounts.admits("b", two)


def test_a_broker_sees_changes_and_a_missing_file(tmp_path: Path) -> None:
    accounts = AccountFile(tmp_path)
    assert not accounts.refresh()
    write_password(tmp_path, "a", new_password())
    assert accounts.refresh() and not accounts.refresh()
    before = accounts.stored("a")
    write_password(tmp_path, "a", new_password())
    assert accounts.refresh() and accounts.stored("a") != before
    passwords_path(tmp_path).unlink()
    assert accounts.refresh() and accounts.stored("a") is None and not accounts.refresh()


@pytest.mark.parametrize(
    ("user", "password"),
    [("", "x" * 20), ("A", "x" * 20), ("a:b", "x" * 20), ("a\nb", "x" * 20), ("+", "x" * 20), ("x" * 65, "x" * 20), ("a", "x" * 19)],
)  # fmt: skip
def test_names_and_passwords_that_no_machine_makes(tmp_path: Path, user: str, password: str) -> None:
    with pytest.raises(LocalProtocolError):
        write_password(tmp_path, user, password)
    assert not passwords_path(tmp_path).exists()


def test_a_damaged_line_locks_out_one_machine_only(tmp_path: Path) -> None:
    password = new_password()
    write_password(tmp_path, "good", password)
    path = passwords_path(tmp_path)
    path.write_text("half a li\n" + path.read_text() + "bad:$7$101$\n\n")
    assert AccountFile(tmp_path).admits("good", password)
    write_password(tmp_path, "next", new_password())
    assert [line.split(":")[0] for line in path.read_text().splitlines()] == ["good", "next"]


@pytest.mark.skipif(os.name == "nt", reason="no such rights on Windows")
def test_only_owner_and_group_may_read(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_password(tmp_path, "a", new_password())
    finally:
        os.umask(before)
    assert stat.S_IMODE(passwords_path(tmp_path).stat().st_mode) == 0o640


def test_processes_that_write_at_once_lose_no_account(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from hub.broker_accounts import *\n"
        "for n in range(15): write_password(Path(sys.argv[1]), f'{sys.argv[2]}-{n}', new_password())"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, tmp_path, name], env=python_env()) for name in ("a", "b", "c")
    ]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert len(passwords_path(tmp_path).read_text().splitlines()) == 45
