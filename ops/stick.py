"""Sticks as commands know them: export, import and check of bundles, whichever kind of node a directory holds.

For: `liandong bundle`; one shape of answer for devices and hub.
May not: hold a rule of its own (edge/stick and hub/stick do).
Manual: docs/operating/sticks.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ops.cli.office import edge_clock
from ops.clock import county_clock, local_text
from ops.nodes import find_node
from protocol.carriers.bundle import peek_header, read_bundle, verify_bundle
from protocol.carriers.bundle_format import Header
from protocol.carriers.stick import Taken, new_file
from protocol.envelope import Opened, open_envelope, peek_parties
from protocol.errors import InputError, LiandongError, RemoteProtocolError
from protocol.messages import STREAM_OP, STREAM_RECEIPT, Chunk, Ops, Stream, Want

Open = Callable[[bytes], Opened]


def export(
    directory: Path, place: Path, *, offices: Sequence[str], since_last: bool, everything: bool, room_bytes: int
) -> dict[str, Any]:
    """Write a bundle. file, envelopes, ops, chunks, bytes, left; at the hub also devices."""
    if find_node(directory).kind == "edge":
        from edge.main import open_node
        from edge.stick import export as edge_export

        if offices:
            raise InputError("--office is for the hub; a device exports to its hub.", "--office 仅用于县中心。")
        with open_node(directory, edge_clock()) as node:
            made_here = edge_export.export(
                node, place, since_last=since_last, everything=everything, room_bytes=room_bytes
            )
            return asdict(made_here)
    if everything:
        raise InputError("--everything is for a device.", "--everything 仅用于机构的设备。")
    from hub.init import open_county, settle_restored
    from hub.stick import answer

    county = open_county(directory)
    try:
        now_ms = county_clock(county.store)
        settle_restored(county, now_ms=now_ms())
        file = new_file(place, f"county-{now_ms()}")
        made = answer.export(county, file, offices=offices, since_last=since_last, now_ms=now_ms, room_bytes=room_bytes)
        return asdict(made)
    finally:
        county.store.close()


def take(directory: Path, place: Path, *, answer_to: Path | None, room_bytes: int) -> dict[str, Any]:
    """Import a bundle or a directory of bundles. envelopes, others, ops, documents, chunks, gaps, set_aside, answer."""
    if find_node(directory).kind == "edge":
        from edge.main import open_node, renew_if_due
        from edge.stick import taking as edge_taking

        if answer_to is not None:
            raise InputError(
                "--answer is for the hub; a device answers with its next export.", "--answer 仅用于县中心。"
            )
        with open_node(directory, edge_clock()) as node:
            found = _taken(edge_taking.take(node, place))
            return {**found, "renewed": renew_if_due(node)}
    from hub.init import open_county
    from hub.stick import taking as hub_taking

    county = open_county(directory)
    try:
        now_ms = county_clock(county.store)
        taken, made = hub_taking.take(county, place, answer_to=answer_to, now_ms=now_ms, room_bytes=room_bytes)
    finally:
        county.store.close()
    return {**_taken(taken), "answer": made.file if made else None, "answered": asdict(made) if made else None}


def _taken(taken: Taken) -> dict[str, Any]:
    return {
        "envelopes": taken.envelopes,
        "others": taken.others,
        "ops": {
            "new": taken.new,
            "repeated": taken.repeated,
            "refused": taken.refused,
            "waiting": taken.waiting,
        },
        "settled": taken.settled,
        "documents": taken.documents,
        "chunks": taken.chunks,
        "gaps": taken.gaps,
        "bad": taken.bad,
        "set_aside": [asdict(one) for one in taken.aside],
        "answer": None,
    }


@dataclass(slots=True)
class _Seen:
    """What one reading of a bundle found."""

    recipients: Counter[str] = field(default_factory=Counter)
    senders: Counter[str] = field(default_factory=Counter)
    mine: int = 0
    inside: Counter[str] = field(default_factory=Counter)
    bad: list[dict[str, Any]] = field(default_factory=list)


def verify(path: Path, directory: Path | None) -> tuple[dict[str, Any], LiandongError | None]:
    """Say what a bundle is without taking anything from it.

    Args:    directory: a node that opens what is for it; without one only form and hashes are checked.
    Returns: complete, county, sender, recipient (None if there are several), created, envelopes, bytes, sha256; with a
             directory also for_this_node, contents and bad. And the error of a bundle that is not whole or not sound.
    """
    found: dict[str, Any] = {"file": path, "complete": False, **_said(None)}
    try:
        found |= _said(peek_header(path))
        summary = verify_bundle(path)
    except (RemoteProtocolError, LiandongError) as error:
        return found, error
    found |= {"complete": True, "envelopes": summary.envelopes, "bytes": summary.size, "sha256": summary.sha256}
    if directory is None:
        seen = _read(path, None, b"", summary.header.county)
        return found | _parties(seen), None
    node = find_node(directory)
    with _opener(directory, node.kind) as open_with:
        seen = _read(path, open_with, bytes.fromhex(node.incarnation), node.county)
    found |= _parties(seen)
    found |= {"for_this_node": seen.mine > 0, "contents": dict(seen.inside), "bad": seen.bad}
    return found, None


def _said(header: Header | None) -> dict[str, Any]:
    if header is None:
        return {"county": None, "sender": None, "recipient": None, "created": None, "envelopes": None}
    return {"county": header.county, "sender": header.sender, "created": local_text(header.created_ms)}


def _parties(seen: _Seen) -> dict[str, Any]:
    names = list(seen.recipients)
    return {"recipient": names[0] if len(names) == 1 else None, "recipients": dict(seen.recipients)}


def _read(path: Path, open_with: Open | None, incarnation: bytes, county: str) -> _Seen:
    seen = _Seen()
    for number, envelope in enumerate(read_bundle(path), 1):
        try:
            named, _sender, recipient = peek_parties(envelope)
            seen.recipients[recipient.hex()] += 1
            if open_with is None or recipient != incarnation or named != county:
                continue
            seen.mine += 1
            opened = open_with(envelope)
        except RemoteProtocolError as error:
            if len(seen.bad) < 100:
                seen.bad.append({"number": number, "code": error.code, "text": error.text, "text_zh": error.text_zh})
            continue
        _count(seen.inside, opened)
    return seen


def _count(inside: Counter[str], opened: Opened) -> None:
    for message in opened.messages:
        if isinstance(message, Ops):
            inside["ops"] += len(message.blobs)
        elif isinstance(message, Stream):
            inside["ops"] += sum(kind == STREAM_OP for kind, _blob in message.items)
            inside["receipts"] += sum(kind == STREAM_RECEIPT for kind, _blob in message.items)
        elif isinstance(message, Chunk):
            inside["chunks"] += 1
        elif isinstance(message, Want):
            inside["wants"] += 1
        else:
            inside[type(message).__name__.lower()] += 1


@contextmanager
def _opener(directory: Path, kind: str) -> Iterator[Open]:
    """What opens envelopes for the node in `directory`; its store is read only."""
    if kind == "edge":
        from edge.main import open_node
        from edge.sync_loop import hub_device

        with open_node(directory, edge_clock()) as node:
            hub = hub_device(node.reference.trust)
            yield lambda blob: open_envelope(blob, keys=node.keys, speaker=lambda _name: hub)
        return
    from hub.init import open_county

    county = open_county(directory)
    try:
        yield lambda blob: open_envelope(blob, keys=county.keys, speaker=county.shelf.roster.speaker)
    finally:
        county.store.close()
