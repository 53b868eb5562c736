"""Trying again what the hub itself stumbled over, when somebody asks: after an update of the program.

For: held ops with the code `internal`, each in a transaction of its own, so that one that still fails stops no other.
May not: release what a person must decide (late ops of revoked devices).
Manual: docs/operating/drills.md, "Poison".
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hub import admin, held
from protocol.errors import StoreError

if TYPE_CHECKING:
    from hub.init import County

_log = logging.getLogger("liandong.hub.retry")


def retry(county: County, *, staff: str, now_ms: int) -> dict[str, int]:
    """Try every such op once, oldest first.

    Returns: tried, handled, left. What is left stays held with its reason (`hub held list`).
    """
    with county.store.read() as tx:
        entries = [one for one in held.listed(tx, limit=10_000) if one.code == held.INTERNAL]
    handled = 0
    for one in entries:
        try:
            handled += admin.release(county, [one.op], staff=staff, now_ms=now_ms)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001  (a fault of ours that one op sets off must stop no other)
            county.shelf.reset()
            _log.exception("op %s still cannot be taken", one.op.hex())
    return {"tried": len(entries), "handled": handled, "left": len(entries) - handled}
