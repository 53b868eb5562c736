"""Receipts: the hub's signed word about ops. Only a receipt means delivered (law 2).

For: saying of an author's ops that they are accepted, refused with a reason, or waiting; proving it years later.
May not: decide any of that (hub/ does); read a clock.
Spec: docs/protocol/receipt.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import MalformedBytes, WrongRecipient
from protocol.keys import DeviceKeys
from protocol.signed import open_statement, sign_statement
from protocol.trust import Trust

REASON_CHARS_MAX = 400


@dataclass(frozen=True, slots=True)
class AcceptedRun:
    """Ops `first_seq` to `last_seq` of the author, the last having this id. Its hash chain names all before it."""

    first_seq: int
    last_seq: int
    last_op: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    op: bytes
    seq: int
    code: str
    reason: str  # plain words, Chinese, at most 400 characters


@dataclass(frozen=True, slots=True)
class Waiting:
    """The hub holds the op but cannot apply it yet; `code` says for what it waits."""

    op: bytes
    seq: int
    code: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """About ops of one author. hub_ms is the hub's clock when it committed: signed time for the author's evidence."""

    county: str
    author: bytes
    hub_ms: int
    accepted: tuple[AcceptedRun, ...] = ()
    refused: tuple[Refused, ...] = ()
    waiting: tuple[Waiting, ...] = ()


def sign_receipt(receipt: Receipt, keys: DeviceKeys) -> bytes:
    """The receipt signed by the hub. Call only after the commit that it reports."""
    content = {
        "county": receipt.county,
        "author": receipt.author,
        "at": receipt.hub_ms,
        "accepted": [[run.first_seq, run.last_seq, run.last_op] for run in receipt.accepted],
        "refused": [[one.op, one.seq, one.code, one.reason[:REASON_CHARS_MAX]] for one in receipt.refused],
        "waiting": [[one.op, one.seq, one.code] for one in receipt.waiting],
    }
    return sign_statement("receipt", content, seed=keys.sign_seed, suite_number=keys.suite)


def open_receipt(blob: bytes, trust: Trust) -> Receipt:
    """The receipt, believed because the certified hub signed it.

    Raises:  MalformedBytes, BadSignature, WrongRecipient (another county's).
    """
    content = open_statement(blob, "receipt", public=trust.hub.sign_public)
    try:
        receipt = Receipt(
            content["county"],
            content["author"],
            content["at"],
            tuple(AcceptedRun(*row) for row in content["accepted"]),
            tuple(Refused(*row) for row in content["refused"]),
            tuple(Waiting(*row) for row in content["waiting"]),
        )
    except (KeyError, TypeError) as error:
        raise MalformedBytes("a receipt with a malformed entry") from error
    if receipt.county != trust.county:
        raise WrongRecipient("a receipt of another county")
    return receipt
