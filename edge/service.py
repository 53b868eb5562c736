"""The service: everything a worker of an office can do with a case, with no network, always.

For: the acts (edge/acts/) and the lists and sheets (edge/listing.py) as one object per open device.
May not: send anything (the sync loop does); write but through the desk; know screens or command lines.
Manual: docs/operating/edge.md.  Decision: docs/decisions/0070-one-transaction-per-act.md.
"""

from __future__ import annotations

from conflict.ledger.store import Store
from edge.acts.accept import AcceptActs
from edge.acts.closing import ClosingActs
from edge.acts.decision import DecisionActs
from edge.acts.handover import HandoverActs
from edge.acts.materials import MaterialActs
from edge.clock import Clock
from edge.desk import Desk, Saved
from edge.forms import Application
from edge.listing import Listing
from edge.reference import Reference
from edge.staff import Actor
from protocol.keys import DeviceKeys

__all__ = ["Actor", "Application", "Saved", "Service"]


class Service(AcceptActs, MaterialActs, HandoverActs, DecisionActs, ClosingActs, Listing):
    """One per open store. Every act takes the Actor that `Staff.check` gave and answers Saved once it is durable."""

    def __init__(
        self, store: Store, keys: DeviceKeys, reference: Reference, clock: Clock, *, office_phone: str = ""
    ) -> None:
        super().__init__(Desk(store, keys, reference, clock), office_phone=office_phone)
