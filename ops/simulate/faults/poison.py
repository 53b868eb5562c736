"""Poison: well-signed nonsense, garbage, replays, reflections, foreign counties, forged and lying authors, old versions.

For: bytes that no honest program of today makes, sent over the lines of real devices.
May not: break a cipher; use a key that the attacker would not have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from conflict.ledger.append import append_many
from conflict.ledger.chains import chain
from conflict.ledger.views import heads, list_views, refold
from conflict.ledger.views import op as ledger_op
from conflict.numbers import make
from edge import incarnation, memory, outbox
from edge.main import Node
from edge.sync_loop import hub_device
from ops.simulate import raw
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.faults.fault import Fault, busy, one_edge
from ops.simulate.raw import RawOp
from ops.simulate.world import HOUR, MINUTE
from protocol import keys as device_keys
from protocol import topics
from protocol.chunks import CHUNK_BYTES
from protocol.envelope import seal_envelope
from protocol.errors import LiandongError
from protocol.messages import Chunk, Message, Ops
from protocol.op import Draft, Op, sign_op
from protocol.trust import fingerprint

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

TIMES = 3  # in one fault
NONSENSE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("frobnicate", {"of": b"\0" * 32}),
    ("amend", {"fields": {}}),
    ("amend", {"fields": {"事由": "x" * 5_000}}),
    ("amend", {"fields": [["事由", "列表"]]}),
    ("veto", {"of": b"\1" * 32, "code": "mine", "reason": "我说了算"}),
    ("decide", {"decision": "granted", "opinion": "", "for_office": "4202"}),
    ("attach", {"material": "m", "sha256": b"\2" * 32, "size": 2**52, "media": "", "name": "n", "grade": "A"}),
    ("attach", {"material": "m", "sha256": b"\3" * 31, "size": 5, "media": "", "name": "n", "grade": "A"}),
    ("take", {"of": b"\4" * 32}),
    ("resolve", {"conflict": "field:x", "choice": 2**40, "reason": ""}),
    ("rehome", {"office": "420222100", "parent": "42", "reason": "?"}),
    ("note", {"text": "\0\x01\u202e" * 10}),
    ("forward", {"to": "99"}),
    ("time_bound", {"of": b"\5" * 32, "latest_ms": 0}),
)


@dataclass(frozen=True, slots=True)
class Telepathy:
    """A message of a version to come."""

    number: ClassVar[int] = 99
    text: str
    more: list[int]


def _send(machine: EdgeMachine, *messages: Any) -> None:
    """Seal messages as this device and publish them beside its loop."""
    node = machine.node
    if node is None or machine.line.state != "online":
        return
    peer = hub_device(node.reference.trust)
    envelope = seal_envelope(list[Message](messages), keys=node.keys, recipient=peer)
    machine.do(lambda: machine.line.publish(_up(node), envelope))


def _up(node: Node) -> str:
    return topics.up(topics.space(fingerprint(node.reference.trust.root_public)), topics.mailbox(node.keys.incarnation))


def _often(work: Callable[[Simulation, EdgeMachine], None]) -> Callable[[Simulation, int], None]:
    """Have it happen a few times at one device that is connected."""

    def begin(sim: Simulation, span_ms: int) -> None:
        victim = one_edge(sim)
        sim.open_line(victim, span_ms)
        busy(sim, [victim], span_ms, acts=1)

        def once() -> None:
            if victim.up and not victim.gone and not sim.healing and victim.node is not None:
                try:
                    work(sim, victim)
                except LiandongError as error:
                    sim.world.note("poison refused", error.code)

        for number in range(TIMES):
            sim.world.at(span_ms * (number + 1) / (TIMES + 1), once)

    return begin


def _draft(sim: Simulation, node: Node, kind: str, body: dict[str, Any], *, opens: bool) -> Draft | None:
    """A draft about one of the device's cases, or an opening one."""
    common: dict[str, Any] = {"staff": "chief", "role": "chief", "claimed_ms": node.clock.now_ms(), "body": body}
    if opens:
        return Draft(kind=kind, case=None, parents=(), **common)
    with node.store.read() as tx:
        rows = list_views(tx, limit=20)
        if not rows:
            return None
        case = sim.world.rng.choice(rows).case
        return Draft(kind=kind, case=case, parents=heads(tx, case), **common)


def _sign(node: Node, draft: Draft, seq: int, last: bytes, *, device: bytes = b"", office: str = "") -> Op:
    return sign_op(
        draft,
        office=office or node.keys.office,
        device=device or node.keys.incarnation,
        seed=node.keys.sign_seed,
        seq=seq + 1,
        prev=last or None,
    )


def _past_the_desk(node: Node, draft: Draft) -> bool:
    """Sign and queue an op as a faulty program would, past every check."""
    with node.store.write() as tx:
        incarnation.need_current(tx, node.keys.incarnation)
        seq, last = chain(tx, node.keys.incarnation)
        op = _sign(node, draft, seq, last)
        append_many(tx, [op], arrived_ms=node.clock.now_ms(), via="local")
        refold(tx, [op.case], fresh=[op])
        outbox.add(tx, [op], now_ms=node.clock.now_ms(), base=incarnation.base(tx, node.keys.incarnation))
    return True


def _poison_op(sim: Simulation, machine: EdgeMachine) -> None:
    """A faulty program of the office writes nonsense into its own chain, past every check of the desk."""
    node = machine.node
    assert node is not None
    kind, body = sim.world.rng.choice(NONSENSE)
    opens = sim.world.chance(0.3)
    draft = _draft(sim, node, "accept" if opens else kind, body, opens=opens)
    if draft is None:
        return

    if machine.do(lambda: _past_the_desk(node, draft)):
        sim.book.look_at(machine, told=False)
        sim.world.note("nonsense", machine.name, kind)


def _poison_envelope(sim: Simulation, machine: EdgeMachine) -> None:
    """Garbage, a truncated, replayed, reflected or altered envelope: what a hostile broker can do."""
    rng, broker, node = sim.world.rng, sim.broker, machine.node
    assert node is not None
    past = list(broker.past)
    topic, payload = rng.choice(past) if past else (_up(node), b"nothing yet")
    harm = rng.choice(("garbage", "truncated", "replayed", "reflected", "altered"))
    if harm == "garbage":
        payload = rng.randbytes(rng.randint(1, 2_000))
    elif harm == "truncated":
        payload = payload[: rng.randrange(len(payload))]
    elif harm == "altered":
        place = rng.randrange(len(payload))
        payload = payload[:place] + bytes([payload[place] ^ 1 << rng.randrange(8)]) + payload[place + 1 :]
    elif harm == "reflected":
        topic = topic[:-2] + "down" if topic.endswith("/up") else topic[: -len("down")] + "up"
    if payload:
        broker.inject(topic, payload)
        sim.world.note("harm", harm)


def _foreign_county(sim: Simulation, machine: EdgeMachine) -> None:
    """A device of another county speaks into ours."""
    node = machine.node
    assert node is not None
    keys = device_keys.generate("331123", "331123101", "edge", sim.world.rng.randbytes)
    envelope = seal_envelope([Ops([b"\x01"])], keys=keys, recipient=hub_device(node.reference.trust))
    sim.broker.inject(_up(node), envelope)


def _forged_author(sim: Simulation, machine: EdgeMachine) -> None:
    """A device hands in ops that name another device, another office, or nobody at all."""
    node, rng = machine.node, sim.world.rng
    assert node is not None
    draft = _draft(sim, node, "note", {"text": "伪造"}, opens=False)
    if draft is None:
        return
    others = [other for other in sim.working() if other is not machine and other.incarnation]
    who = rng.choice(("other device", "other office", "nobody", "hub"))
    if who == "other device" and others:
        victim = rng.choice(others)
        forged = _sign(
            node, draft, rng.randint(0, 5), rng.randbytes(32), device=victim.incarnation, office=victim.office
        )
    elif who == "other office":
        office = "420222" if machine.office != "420222" else "420222100"
        forged = _sign(node, draft, rng.randint(1, 5), rng.randbytes(32), office=office)
    elif who == "hub":
        hub = hub_device(node.reference.trust)
        forged = _sign(node, draft, rng.randint(1, 5), rng.randbytes(32), device=hub.incarnation, office="420222")
    else:
        forged = _sign(node, draft, rng.randint(1, 5), rng.randbytes(32), device=rng.randbytes(8))
    sim.book.evil.add(forged.id)
    _send(machine, Ops([forged.blob]))


def _equivocates(sim: Simulation, machine: EdgeMachine) -> None:
    """A device says to the hub something else under a number than what its store says: once is enough."""
    node = machine.node
    assert node is not None
    draft = _draft(sim, node, "note", {"text": "另一说法"}, opens=False)
    if draft is None or sim.book.has_lied(machine):
        return
    with node.store.read() as tx:
        seq, _last = chain(tx, node.keys.incarnation)
    if seq < 1:
        return
    other = _sign(node, draft, seq - 1, b"" if seq == 1 else sim.world.rng.randbytes(32))
    sim.book.lied(machine, other.id)
    _send(machine, Ops([other.blob]))


def _old_version(sim: Simulation, machine: EdgeMachine) -> None:
    """A program of another version: messages, fields and kinds of op that today's does not know."""
    node = machine.node
    assert node is not None
    _send(machine, Telepathy("未来的消息", [1, 2]))
    draft = _draft(sim, node, "haruspicy", {"liver": "left"}, opens=False)
    if draft is None:
        return

    if machine.do(lambda: _past_the_desk(node, draft)):
        sim.book.look_at(machine, told=False)


def _false_bytes(sim: Simulation, machine: EdgeMachine) -> None:
    """A device sends bytes of the right length that are not the file's, together with the op that names it."""
    node = machine.node
    assert node is not None
    rows = node.service.list_cases(limit=20)
    if not rows:
        return
    shown = node.service.show(sim.world.rng.choice(rows)["case"])
    if not sim.perform(machine, *sim.staff.attach(shown["case"], shown)):
        return
    with node.store.read() as tx:
        seq, _last = chain(tx, node.keys.incarnation)
    op = RawOp.read(raw.ops_after(machine.store_path, node.keys.incarnation, seq - 1)[0])
    sha256, size = op.body["sha256"], op.body["size"]
    piece = sim.world.rng.randbytes(min(size, CHUNK_BYTES))
    _send(machine, Ops([op.blob]), Chunk(sha256, size, 0, piece))


def _false_terms(sim: Simulation, machine: EdgeMachine) -> None:
    """A faulty program opens a case under terms that nobody has published."""
    node = machine.node
    assert node is not None
    with node.store.write() as tx:
        rows = list_views(tx, limit=20)
        opener = ledger_op(tx, sim.world.rng.choice(rows).case) if rows else None
        number = make(node.keys.office, node.clock.now_ms(), memory.next_number(tx), device=node.keys.incarnation)
    if opener is None or not isinstance(opener.body.get("terms"), dict):
        return
    terms = {**opener.body["terms"], "version": 999}
    draft = _draft(sim, node, "accept", {**opener.body, "terms": terms, "number": number}, opens=True)
    if draft is not None and machine.do(lambda: _past_the_desk(node, draft)):
        sim.book.look_at(machine, told=False)
        sim.world.note("false terms", machine.name)


SPAN = (10 * MINUTE, 2 * HOUR)
POISON = (
    Fault("poison_op", "an office's program writes well-signed nonsense", SPAN, _often(_poison_op)),
    Fault(
        "poison_envelope",
        "garbage, truncated, replayed, reflected and altered envelopes",
        SPAN,
        _often(_poison_envelope),
    ),
    Fault("foreign_county", "a device of another county speaks into ours", SPAN, _often(_foreign_county)),
    Fault("forged_author", "a device hands in ops in another's name", SPAN, _often(_forged_author)),
    Fault("equivocation", "a device says two things under one number", SPAN, _often(_equivocates)),
    Fault("false_bytes", "a device sends bytes that are not the file's", SPAN, _often(_false_bytes)),
    Fault(
        "false_terms", "an office's program opens cases under terms that nobody published", SPAN, _often(_false_terms)
    ),
    Fault("old_version", "messages and kinds of op of another version", SPAN, _often(_old_version)),
)
