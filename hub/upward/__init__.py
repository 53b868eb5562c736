"""The upward gateway: cases that are decided above the county go to the city over HTTP, and its answers come back.

For: `sync_queue` (called after each refold), `step` and `resume` (called by the daemon), the lists and acts of an
administrator. The store needs `COMPONENT` (`store.ensure(COMPONENT)`).
May not: sign ops (the hub does, behind `Desk`); be imported by edge, conflict or protocol.
Docs: docs/operating/upward.md, docs/protocol/city.md.
"""

from hub.upward.address_file import load_address, save_address
from hub.upward.answers import Answer, retry_answer
from hub.upward.city_state import call_now
from hub.upward.client import CityAddress, CityClient
from hub.upward.gateway import Desk, StepResult, resume, step
from hub.upward.listing import list_queue, overview
from hub.upward.queue import requeue, sync_queue
from hub.upward.schema import COMPONENT

__all__ = [
    "COMPONENT",
    "Answer",
    "CityAddress",
    "CityClient",
    "Desk",
    "StepResult",
    "call_now",
    "list_queue",
    "load_address",
    "overview",
    "requeue",
    "resume",
    "retry_answer",
    "save_address",
    "step",
    "sync_queue",
]
