"""An office's device as the commands open it: the node, who acts, and how an act's outcome is said.

For: `at_office`, used by every command of a worker.
May not: hold a rule of its own.
Manual: docs/operating/commands.md, "case".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ops import output
from ops.clock import chosen_now_ms

if TYPE_CHECKING:
    from edge.clock import Clock
    from edge.desk import Saved
    from edge.main import Node
    from edge.service import Service
    from edge.staff import Actor, Staff

PASSWORD_VARIABLE = "LIANDONG_PASSWORD"


@dataclass(frozen=True, slots=True)
class Desk:
    """An open device and who acts at it."""

    node: Node
    service: Service
    actor: Actor


def edge_clock() -> Clock:
    """The machine's clocks, with the test's wall clock where LIANDONG_NOW sets one. Raises BadClock."""
    from edge.clock import machine_clock

    return machine_clock(chosen_now_ms())


@contextmanager
def at_office(directory: Path, staff: str | None) -> Iterator[Desk]:
    """The device in `directory` and the person who acts; everything is closed at the end.

    Raises:  NotANode, BadConfig, StoreError, UnknownStaff, BadPassword, LockedOut.
    """
    from edge.main import open_node

    with open_node(directory, edge_clock()) as node:
        yield Desk(node, node.service, node.staff.check(staff, password_of(node.staff, staff)))


def password_of(staff: Staff, name: str | None) -> str | None:
    """The password from LIANDONG_PASSWORD, or asked for at a terminal if the account has one; None if neither."""
    from edge.staff import FIRST_ACCOUNT

    given = os.environ.get(PASSWORD_VARIABLE)
    if given is not None:
        return given
    needed = any(one["name"] == (name or FIRST_ACCOUNT) and one["has_password"] for one in staff.list())
    return ask_password(f"Password of {name or FIRST_ACCOUNT} 密码: ") if needed and sys.stdin.isatty() else None


def ask_password(prompt: str) -> str:
    """Ask at the terminal without showing what is typed."""
    import getpass

    return getpass.getpass(prompt, stream=sys.stderr)


def say_saved(saved: Saved, *, as_json: bool, slip: Path | None = None) -> None:
    """Say what a finished act answers: it is on disk now. slip: where the slip of a new case was written."""
    from conflict.labels import label

    data = {"case": saved.case, "number": saved.number, "status": saved.status, "op": saved.op}
    word = label(saved.status, "zh" if output.chinese() else "en")
    text = f"{saved.number} {word}"
    if slip is not None:
        data["slip"] = str(slip)
        text += f"\n{slip}"
    output.show(data, as_json=as_json, text=text)
