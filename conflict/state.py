"""What moves: status, holder, hand-over and the other facts that decide whether the next act is possible.

For: the small immutable state after a set of ops, and how one applied op changes it.
May not: decide whether an op is allowed (powers.py) or still counts (replay.py); hold field values or materials.
Spec: docs/conflict/fold.md, "State".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from conflict.kinds import OpKind, Status, level_rank
from conflict.status import MOVES
from protocol.op import Op

OPEN_MAX = 64  # notices, suspensions, decisions in force, entrusted or re-homed offices that one state holds at once


class Handover(NamedTuple):
    """A case on its way: the forward op, who sent it, who is to take it."""

    op: bytes
    sender: str
    target: str


class Tenure(NamedTuple):
    """Why the holder holds: it took this forward op of that sender; below it, the tenure that the sender had."""

    op: bytes
    sender: str
    below: Tenure | None


class Decided(NamedTuple):
    """A decision in force: the decide op, and the op that put it in force (itself, or the resolve that chose it)."""

    op: bytes
    by: bytes


class State(NamedTuple):
    """See the module head. Offices are area codes, ops are ids."""

    status: Status = Status.DRAFT
    opener: str = ""
    holder: str = ""
    handover: Handover | None = None
    tenure: Tenure | None = None
    members: frozenset[str] = frozenset()  # opened the case or took it once
    notices: tuple[bytes, ...] = ()  # not answered yet
    noticed: frozenset[str] = frozenset()  # "office:stage" that gave its one-time notice
    examined: frozenset[str] = frozenset()  # offices whose opinion is on record
    suspensions: tuple[bytes, ...] = ()  # not resumed yet
    extended: bytes | None = None
    decisions: tuple[Decided, ...] = ()  # more than one: contested
    settled: tuple[Decided, ...] = ()  # the contested decisions that the last resolve chose from
    concluded: bytes | None = None
    entrusted: frozenset[str] = frozenset()
    homes: tuple[tuple[str, str], ...] = ()  # re-homed office -> its new superior
    linked: bytes | None = None  # the case that is kept instead of this one


def acting_office(op: Op) -> str:
    """The office an op speaks for: its author's, or the superior on whose behalf the hub writes."""
    named = op.body.get("for_office")
    return named if op.role == "hub" and type(named) is str else op.office


def stage_key(office: str, status: Status) -> str:
    """What "the same office in the same stage" means for the one-time notice: before or after acceptance."""
    early = status in (Status.RECEIVED, Status.SUPPLEMENTING)
    return f"{office}:{'before' if early else 'after'}"


def superior(state: State, office: str) -> str:
    """The office directly above, by the code's prefix unless a rehome op said otherwise; "" above a province."""
    for code, parent in reversed(state.homes):
        if code == office:
            return parent
    rank = level_rank(office)
    return {1: office[:9], 2: office[:6], 3: office[:4], 4: office[:2]}.get(rank, "")


def is_above(state: State, upper: str, lower: str) -> bool:
    """True if `upper` is a superior of `lower`, directly or through others."""
    office = lower
    for _ in range(6):
        office = superior(state, office)
        if office == upper:
            return True
        if not office:
            break
    return False


def advance(state: State, op: Op) -> State:
    """The state after `op`, which has been found allowed, or still counting, in `state`. Never raises."""
    effect = _EFFECTS.get(op.kind)
    return state if effect is None else effect(state, op)


def _moved(state: State, kind: OpKind) -> Status:
    return MOVES[kind].get(state.status, state.status)


def _open(state: State, op: Op) -> State:
    return state._replace(
        status=MOVES[OpKind(op.kind)][Status.DRAFT],
        opener=op.office,
        holder=op.office,
        members=frozenset({op.office}),
    )


def _accept(state: State, op: Op) -> State:
    return _open(state, op) if state.status is Status.DRAFT else state._replace(status=_moved(state, OpKind.ACCEPT))


def _notice(state: State, op: Op) -> State:
    return state._replace(
        status=_moved(state, OpKind.NOTICE),
        notices=_added(state.notices, op.id),
        noticed=state.noticed | {stage_key(op.office, state.status)},
    )


def _supplement(state: State, op: Op) -> State:
    left = tuple(item for item in state.notices if item != op.body["of"])
    status = state.status
    if status is Status.SUPPLEMENTING and not left:
        status = Status.RECEIVED
    return state._replace(status=status, notices=left)


def _refuse(state: State, op: Op) -> State:
    return state._replace(status=_moved(state, OpKind.REFUSE_ACCEPTANCE), handover=None)


def _forward(state: State, op: Op) -> State:
    """A sender that did not know of its re-homing named its former superior: the case goes to the new one."""
    sender, target = op.office, op.body["to"]
    new = dict(state.homes).get(sender)
    if new is not None and not is_above(state, target, sender) and not is_above(state, sender, target):
        target = new
    return state._replace(status=_moved(state, OpKind.FORWARD), handover=Handover(op.id, sender, target))


def _recall(state: State, op: Op) -> State:
    return state._replace(status=_moved(state, OpKind.RECALL), handover=None)


def _taken(state: State) -> State:
    """The pending hand-over is complete: its target holds the case."""
    if state.handover is None:
        return state
    return state._replace(
        holder=state.handover.target,
        tenure=Tenure(state.handover.op, state.handover.sender, state.tenure),
        members=state.members | {state.handover.target},
        handover=None,
    )


def _take(state: State, op: Op) -> State:
    return _taken(state)._replace(status=_moved(state, OpKind.TAKE))


def _return(state: State, op: Op) -> State:
    status = _moved(state, OpKind.RETURN)
    if state.handover is not None:
        return state._replace(status=status, handover=None)
    if state.tenure is None:
        return state
    return state._replace(status=status, holder=state.tenure.sender, tenure=state.tenure.below)


def _start(state: State, op: Op) -> State:
    return state._replace(status=_moved(state, OpKind.START))


def _examine(state: State, op: Op) -> State:
    return state._replace(status=_moved(state, OpKind.EXAMINE), examined=state.examined | {op.office})


def _decide(state: State, op: Op) -> State:
    decisions = (*state.decisions, Decided(op.id, op.id))
    return _taken(state)._replace(status=_moved(state, OpKind.DECIDE), decisions=decisions[:OPEN_MAX])


def _extend(state: State, op: Op) -> State:
    return state._replace(extended=op.id)


def _suspend(state: State, op: Op) -> State:
    return state._replace(status=_moved(state, OpKind.SUSPEND), suspensions=_added(state.suspensions, op.id))


def _resume(state: State, op: Op) -> State:
    left = tuple(item for item in state.suspensions if item != op.body["of"])
    return state._replace(status=state.status if left else _moved(state, OpKind.RESUME), suspensions=left)


def _conclude(state: State, op: Op) -> State:
    return state._replace(status=_moved(state, OpKind.CONCLUDE), concluded=op.id)


def _deliver(state: State, op: Op) -> State:
    return state._replace(status=_moved(state, OpKind.DELIVER))


def _withdraw(state: State, op: Op) -> State:
    return state._replace(status=_moved(state, OpKind.WITHDRAW), handover=None, suspensions=(), notices=())


def _void(state: State, op: Op) -> State:
    return state._replace(status=Status.VOIDED, handover=None, suspensions=(), notices=())


def _link(state: State, op: Op) -> State:
    return _void(state, op)._replace(linked=op.body["other"])


def _entrust(state: State, op: Op) -> State:
    to = frozenset({op.body["to"]})
    ends = op.body.get("ends") is True
    entrusted = state.entrusted - to if ends else state.entrusted | to
    return state if len(entrusted) > OPEN_MAX else state._replace(entrusted=entrusted)


def _rehome(state: State, op: Op) -> State:
    office, parent = op.body["office"], op.body["parent"]
    kept = tuple(pair for pair in state.homes if pair[0] != office)
    if len(kept) >= OPEN_MAX:
        return state
    pending = state.handover
    if pending is not None and pending.sender == office and pending.target == superior(state, office):
        pending = pending._replace(target=parent)
    return state._replace(homes=(*kept, (office, parent)), handover=pending)


def _added(items: tuple[bytes, ...], item: bytes) -> tuple[bytes, ...]:
    return (*items, item) if len(items) < OPEN_MAX else items


_EFFECTS: Mapping[str, Callable[[State, Op], State]] = {
    OpKind.RECEIVE: _open,
    OpKind.ACCEPT: _accept,
    OpKind.NOTICE: _notice,
    OpKind.SUPPLEMENT: _supplement,
    OpKind.REFUSE_ACCEPTANCE: _refuse,
    OpKind.FORWARD: _forward,
    OpKind.RECALL: _recall,
    OpKind.TAKE: _take,
    OpKind.RETURN: _return,
    OpKind.START: _start,
    OpKind.EXAMINE: _examine,
    OpKind.DECIDE: _decide,
    OpKind.EXTEND: _extend,
    OpKind.SUSPEND: _suspend,
    OpKind.RESUME: _resume,
    OpKind.CONCLUDE: _conclude,
    OpKind.DELIVER: _deliver,
    OpKind.WITHDRAW: _withdraw,
    OpKind.VOID: _void,
    OpKind.LINK_DUPLICATE: _link,
    OpKind.ENTRUST: _entrust,
    OpKind.REHOME: _rehome,
}


def to_plain(state: State) -> dict[str, Any]:
    """The state as canonical values; `from_plain` gives it back."""
    tenures = []
    tenure = state.tenure
    while tenure is not None:
        tenures.append([tenure.op, tenure.sender])
        tenure = tenure.below
    return {
        "status": state.status.value,
        "opener": state.opener,
        "holder": state.holder,
        "handover": list(state.handover) if state.handover else None,
        "tenures": tenures,
        "members": sorted(state.members),
        "notices": list(state.notices),
        "noticed": sorted(state.noticed),
        "examined": sorted(state.examined),
        "suspensions": list(state.suspensions),
        "extended": state.extended,
        "decisions": [list(item) for item in state.decisions],
        "settled": [list(item) for item in state.settled],
        "concluded": state.concluded,
        "entrusted": sorted(state.entrusted),
        "homes": [list(pair) for pair in state.homes],
        "linked": state.linked,
    }


def from_plain(plain: Mapping[str, Any]) -> State:
    """The state that `to_plain` wrote."""
    tenure: Tenure | None = None
    for op_id, sender in reversed(plain["tenures"]):
        tenure = Tenure(op_id, sender, tenure)
    return State(
        status=Status(plain["status"]),
        opener=plain["opener"],
        holder=plain["holder"],
        handover=Handover(*plain["handover"]) if plain["handover"] else None,
        tenure=tenure,
        members=frozenset(plain["members"]),
        notices=tuple(plain["notices"]),
        noticed=frozenset(plain["noticed"]),
        examined=frozenset(plain["examined"]),
        suspensions=tuple(plain["suspensions"]),
        extended=plain["extended"],
        decisions=tuple(Decided(*item) for item in plain["decisions"]),
        settled=tuple(Decided(*item) for item in plain["settled"]),
        concluded=plain["concluded"],
        entrusted=frozenset(plain["entrusted"]),
        homes=tuple((office, parent) for office, parent in plain["homes"]),
        linked=plain["linked"],
    )


def voided_opener(state: State, op: Op) -> State:
    """A case whose opening the hub has vetoed: voided from the start, its office kept for the record."""
    return state._replace(status=Status.VOIDED, opener=op.office, holder=op.office, members=frozenset({op.office}))
