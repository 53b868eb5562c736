"""Staff accounts of one device: who acts, in which role, and the passwords that prove it.

For: adding, disabling, listing and checking accounts; slowing down whoever guesses.
May not: decide what a role may do with a case (conflict/powers.py does); keep a password.
Manual: docs/operating/edge.md, "Staff".  Decision: docs/decisions/0071-staff-accounts.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, select, update

from conflict.kinds import NAME_MAX, Role
from edge import schema
from edge.errors import BadPassword, FieldTooLong, LockedOut, UnknownStaff
from protocol.errors import InputError, RefusedError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

    from conflict.ledger.store import Store

ROLES = tuple(role.value for role in Role if role is not Role.HUB)
MANAGER_ROLES = (Role.CHIEF.value, Role.ADMINISTRATOR.value)
FIRST_ACCOUNT = Role.CHIEF.value  # name and role of the one account of a fresh device
PASSWORD_CHARS_MIN = 6  # guessing is slowed; a longer rule ends on a note at the screen
PASSWORD_CHARS_MAX = 200
FREE_FAILURES = 3  # wrong passwords before the first delay: a person mistypes
LOCK_MS_FIRST = 5_000
LOCK_MS_MAX = 900_000  # 15 minutes: stops guessing, does not close an office for a day
ARGON2_PASSES, ARGON2_KIB, ARGON2_LANES = 2, 19_456, 1  # OWASP's second setting: fits an old PC, 30 ms on a new one


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: goes into every op as staff and role."""

    name: str
    role: str


class Staff:
    """The accounts in one store. Every method is its own transaction."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    def check(self, name: str | None = None, password: str | None = None) -> Actor:
        """The person who acts.

        Args:    name: None means the first account. password: needed exactly where the account has one.
        Raises:  UnknownStaff, BadPassword, LockedOut.
        """
        wanted = name or FIRST_ACCOUNT
        with self._store.read() as tx:
            row = _row(tx, wanted)
        if row.hash:
            self._refuse_while_locked(row)
            right = password is not None and _verify(row.hash, password)
            if not right or row.failures:
                self._count(wanted, right)
            if not right:
                raise BadPassword(
                    f"The password of {wanted!r} is missing or wrong.", f"账号 {wanted} 的密码缺失或不正确。"
                )
        return Actor(row.name, row.role)

    def add(self, actor: Actor, name: str, role: str, password: str | None = None) -> None:
        """A new account. Raises InputError (name taken, unknown role), RefusedError unless a manager asks."""
        _only_managers(actor)
        if role not in ROLES:
            raise InputError(f"A role is one of {', '.join(ROLES)}.", f"角色只能是：{'、'.join(ROLES)}。")
        if not name.strip() or len(name) > NAME_MAX:
            raise FieldTooLong(f"A staff name has 1 to {NAME_MAX} characters.", f"账号名应为 1 至 {NAME_MAX} 个字符。")
        secret = _hash(password) if password is not None else ""
        with self._store.write() as tx:
            if tx.execute(select(schema.staff.c.name).where(schema.staff.c.name == name)).first():
                raise InputError(f"There is an account {name!r} already.", f"账号 {name} 已存在。")
            add_row(tx, name, role, secret=secret, now_ms=self._now_ms())

    def set_password(self, actor: Actor, name: str, password: str) -> None:
        """Set a password: everybody their own, managers anybody's. Opens a locked account."""
        if actor.name != name:
            _only_managers(actor)
        secret = _hash(password)
        with self._store.write() as tx:
            _row(tx, name)
            values = {"hash": secret, "failures": 0, "locked_until_ms": 0}
            tx.execute(update(schema.staff).where(schema.staff.c.name == name).values(**values))

    def disable(self, actor: Actor, name: str) -> None:
        """Close an account. Its ops stay; the last manager cannot be closed."""
        _only_managers(actor)
        with self._store.write() as tx:
            _row(tx, name)
            open_managers = select(schema.staff.c.name).where(
                schema.staff.c.role.in_(MANAGER_ROLES), schema.staff.c.disabled == 0
            )
            if {row.name for row in tx.execute(open_managers)} == {name}:
                raise RefusedError(
                    "This is the last account that can manage the others.", "这是最后一个管理账号，不能停用。"
                )
            tx.execute(update(schema.staff).where(schema.staff.c.name == name).values(disabled=1))

    def list(self) -> list[dict[str, Any]]:
        """All accounts by name: name, role, has_password, disabled, locked_until_ms."""
        with self._store.read() as tx:
            rows = tx.execute(select(schema.staff).order_by(schema.staff.c.name)).all()
        return [
            {
                "name": row.name,
                "role": row.role,
                "has_password": bool(row.hash),
                "disabled": bool(row.disabled),
                "locked_until_ms": row.locked_until_ms,
            }
            for row in rows
        ]

    def _refuse_while_locked(self, row: Any) -> None:
        left = row.locked_until_ms - self._now_ms()
        if 0 < left <= LOCK_MS_MAX:  # beyond the longest lock the clock was set back: that must not close the office
            seconds = -(-left // 1000)
            raise LockedOut(
                f"Too many wrong passwords for {row.name!r}; try again in {seconds} seconds.",
                f"账号 {row.name} 密码错误次数过多，请 {seconds} 秒后再试。",
                seconds=seconds,
            )

    def _count(self, name: str, right: bool) -> None:
        with self._store.write() as tx:
            failures = 0 if right else _row(tx, name).failures + 1
            beyond = failures - FREE_FAILURES
            delay = min(LOCK_MS_FIRST << min(beyond, 20), LOCK_MS_MAX) if beyond >= 0 else 0
            until = self._now_ms() + delay if delay else 0
            values = {"failures": failures, "locked_until_ms": until}
            tx.execute(update(schema.staff).where(schema.staff.c.name == name).values(**values))


def add_row(tx: Connection, name: str, role: str, *, secret: str = "", now_ms: int) -> None:
    """The row of a new account, in the caller's transaction (a fresh store gets its first account so)."""
    values = {"name": name, "role": role, "hash": secret, "disabled": 0, "failures": 0, "locked_until_ms": 0}
    tx.execute(insert(schema.staff).values(created_ms=now_ms, **values))


def any_account(tx: Connection) -> bool:
    """Whether the store has its first account."""
    return tx.execute(select(schema.staff.c.name).limit(1)).first() is not None


def still_here(tx: Connection, actor: Actor) -> Actor:
    """The actor as the store has them now, read in the transaction of their act. Raises UnknownStaff."""
    row = _row(tx, actor.name)
    return Actor(row.name, row.role)


def _row(tx: Connection, name: str) -> Any:
    row = tx.execute(select(schema.staff).where(schema.staff.c.name == name)).first()
    if row is None or row.disabled:
        raise UnknownStaff(
            f"There is no open account {name!r} on this device.", f"本设备没有可用的账号 {name}。", staff=name
        )
    return row


def _only_managers(actor: Actor) -> None:
    if actor.role not in MANAGER_ROLES:
        raise RefusedError("Only a chief or an administrator manages accounts.", "只有负责人或管理员可以管理账号。")


def _hash(password: str) -> str:
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise InputError(
            f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters.",
            f"密码应为 {PASSWORD_CHARS_MIN} 至 {PASSWORD_CHARS_MAX} 个字符。",
        )
    return _hasher().hash(password)


def _verify(secret: str, password: str) -> bool:
    from argon2.exceptions import VerifyMismatchError

    if len(password) > PASSWORD_CHARS_MAX:
        return False
    try:
        return _hasher().verify(secret, password)
    except VerifyMismatchError:
        return False


def _hasher() -> PasswordHasher:
    """Imported only where a password is at hand: most commands have none."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=ARGON2_PASSES, memory_cost=ARGON2_KIB, parallelism=ARGON2_LANES)
