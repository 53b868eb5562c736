"""Carrying for others: which offices hand in ops of offices below them, and so need the receipts about those too.

For: a township that carries its villages' ops stops offering them and passes the receipts down only if it gets them.
May not: commit; give an office anything about cases outside its scope (only an office that is or was above counts).
Spec: docs/protocol/receipt.md.  Decision: docs/decisions/0121-carriers-get-receipts.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from conflict.ledger.meta import get_meta, put_meta
from protocol.roster import DEPTH_MAX, Roster

FORMER = "hub.former_superiors"  # office -> offices that it was directly under before, sorted
KEY = "hub.carriers"  # office -> offices that carried for it, sorted


def carriers(tx: Connection) -> dict[str, list[str]]:
    """The offices that ever carried for an office, by that office."""
    found: dict[str, list[str]] = get_meta(tx, KEY, {})
    return found


def note(tx: Connection, carrier: str, offices: Iterable[str]) -> None:
    """From now on receipts about ops of these offices go to the carrier as well."""
    known = carriers(tx)
    changed = False
    for office in offices:
        before = known.get(office, [])
        if carrier not in before:
            known[office] = sorted([*before, carrier])
            changed = True
    if changed:
        put_meta(tx, KEY, known)


def left(tx: Connection, office: str, superior: str) -> None:
    """The office is under another one now. What its former superior still carries for it is taken as before."""
    known: dict[str, list[str]] = get_meta(tx, FORMER, {})
    known[office] = sorted({*known.get(office, []), superior})
    put_meta(tx, FORMER, known)


def was_above(tx: Connection, roster: Roster, upper: str, lower: str) -> bool:
    """Whether office `upper` is, or once was, somewhere above office `lower`."""
    former: dict[str, list[str]] = get_meta(tx, FORMER, {})
    level = {lower}
    for _ in range(DEPTH_MAX):
        level = {above for office in level for above in (roster.parent(office), *former.get(office, ())) if above}
        if upper in level:
            return True
    return False
