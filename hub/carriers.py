"""Carrying for others: which offices hand in ops of offices below them, and so need the receipts about those too.

For: a township that carries its villages' ops stops offering them and passes the receipts down only if it gets them.
May not: commit; give an office anything about cases outside its scope (only a superior office counts as a carrier).
Spec: docs/protocol/receipt.md.  Decision: docs/decisions/0121-carriers-get-receipts.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from conflict.ledger.meta import get_meta, put_meta

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
