"""Properties of the fold over random histories of several offices that hear of each other only now and then.

Default: a few seconds. LIANDONG_EXAMPLES=2000 is the nightly size (docs/testing.md).
"""

from __future__ import annotations

import dataclasses
import os
import random
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from conflict.explain import explain
from conflict.fold import fold
from conflict.kinds import FINAL, OpKind, Status
from conflict.powers import allowed
from conflict.state import from_plain, to_plain
from conflict.status import UNFINISHED
from conflict.view import CaseView
from protocol import canonical
from protocol.errors import RefusedError
from protocol.op import Op
from tests.unit.conflict.histories import World, proposal
from tests.unit.conflict.support import NOON_MS

EXAMPLES = int(os.environ.get("LIANDONG_EXAMPLES", "50"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=10,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TERMS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["immediate", "committed", "reply", "submit_up", "joint"]),
        "approve_level": st.sampled_from(["village", "township", "county", "city", ""]),
    }
)


SEEDS = st.integers(0, 2**32 - 1)


def step(world: World, rng: random.Random) -> None:
    """Somebody hears of something, or does something."""
    device = world.devices[rng.randrange(len(world.devices))]
    if rng.randrange(10) < 4:
        for _ in range(2):
            world.tell(world.devices[rng.randrange(len(world.devices))], device)
    else:
        world.act(device, rng.randrange, honest=rng.randrange(12) > 0)


def verdicts(view: CaseView) -> dict[bytes, tuple[str, str]]:
    return {entry["op"]: (entry["verdict"], entry["code"]) for entry in view.timeline}


class Offices(RuleBasedStateMachine):
    """Devices act and tell each other; whatever came of it, the fold keeps its promises."""

    @initialize(terms=TERMS)
    def open_case(self, terms: dict[str, Any]) -> None:
        self.world = World(**terms)
        for device in self.world.devices:
            self.world.tell(self.world.devices[0], device)

    @rule(device=st.integers(0, 7), seed=SEEDS)
    def act(self, device: int, seed: int) -> None:
        rng = random.Random(seed)
        self.world.act(self.world.devices[device], rng.randrange, honest=rng.randrange(12) > 0)

    @rule(seed=SEEDS)
    def bustle(self, seed: int) -> None:
        """Several devices act and hear of each other, as it comes."""
        rng = random.Random(seed)
        for _ in range(14):
            step(self.world, rng)

    @rule(source=st.integers(0, 7), listener=st.integers(0, 7))
    def tell(self, source: int, listener: int) -> None:
        self.world.tell(self.world.devices[source], self.world.devices[listener])

    @rule(source=st.integers(0, 7))
    def tell_everybody(self, source: int) -> None:
        for device in self.world.devices:
            self.world.tell(self.world.devices[source], device)

    @precondition(lambda self: len(self.world.ops) > 1)
    @invariant()
    def one_view(self) -> None:
        """The hub's view so far can be built and is well formed."""
        view = fold(self.world.all())
        assert view.status in {status.value for status in Status}
        assert (view.handover is not None) <= (view.status in ("received", "supplementing", "forwarded_up"))
        assert view.holder

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        hold_everything(self.world)


def hold_everything(world: World) -> None:
    """All properties of one history."""
    ops = world.all()
    view = fold(ops)
    hold_any_order(ops, view)
    hold_any_split(world, view)
    hold_causal_verdicts(world, view)
    hold_nothing_lost(ops, view)
    hold_encodings(view)
    hold_explained(view)


def hold_any_order(ops: list[Op], view: CaseView) -> None:
    """Order and repeats change nothing."""
    for mixed in (ops[::-1], sorted(ops, key=lambda op: op.id), ops[len(ops) // 2 :] + ops + ops[:3]):
        assert fold(mixed).digest() == view.digest()


def hold_any_split(world: World, view: CaseView) -> None:
    """Split over two carriers of which each alone leaves gaps: what lacks its parents waits, together all is there."""
    ops = world.all()
    first, second = ops[::2], ops[1::2]
    assert fold([*second, *first]).digest() == view.digest()
    part = fold(first)
    placed = {entry["op"] for entry in part.timeline if entry["verdict"] != "waiting"}
    known = {op.id for op in first}
    assert placed == {op.id for op in first if past(world.ops, op) <= known}
    without_opener = fold([op for op in ops if op is not world.opener])
    assert without_opener.waiting == len(ops) - 1
    assert without_opener.status == "draft"


def hold_causal_verdicts(world: World, view: CaseView) -> None:
    """What an op's ancestors say about it never changes when more ops arrive; only the hub's veto reaches back."""
    now = verdicts(view)
    vetoed = {op.body["of"] for op in world.all() if op.kind == OpKind.VETO and op.role == "hub"}
    for op in world.all():
        then = verdicts(fold(world.past(op)))[op.id]
        assert then[0] in ("applied", "refused")
        if op.id in vetoed:
            assert now[op.id][0] == "refused" or then[0] == "refused"
        else:
            assert (then[0] == "refused") == (now[op.id][0] == "refused")
            assert then[0] == "applied" or then == now[op.id]


def hold_nothing_lost(ops: list[Op], view: CaseView) -> None:
    """Every op is in the timeline once; every value written is shown, among the losing, or knowingly overwritten."""
    assert sorted(entry["op"] for entry in view.timeline) == sorted(op.id for op in ops)
    void = {entry["op"] for entry in view.timeline if entry["verdict"] == "refused"}
    above = {op.id: op for op in ops}
    for op in ops:
        if op.id in void or op.kind not in ("amend", "supplement"):
            continue
        for field, value in (op.body.get("fields") or {}).items():
            shown = view.fields[field]
            readable = {shown["value"]} | {entry["value"] for entry in shown["losing"]}
            later = [
                other for other in ops if other.id not in void and writes(other, field) and op.id in past(above, other)
            ]
            assert value in readable or later, (field, value)
    attached = {op.id for op in ops if op.kind == "attach" and op.id not in void}
    assert attached <= {entry["op"] for entry in view.materials}


def writes(op: Op, field: str) -> bool:
    if op.kind == "resolve":
        return str(op.body["conflict"]).startswith(f"field:{field}:")
    return field in (op.body.get("fields") or {})


def past(above: dict[bytes, Op], op: Op) -> set[bytes]:
    found: set[bytes] = set()
    stack = list(op.parents)
    while stack:
        op_id = stack.pop()
        if op_id not in found:
            found.add(op_id)
            stack += above[op_id].parents
    return found


def hold_encodings(view: CaseView) -> None:
    """The record is canonical and comes back; so does the state inside it."""
    again = CaseView(canonical.decode(canonical.encode(view.record())))
    assert again.digest() == view.digest()
    assert to_plain(from_plain(view.record()["state"])) == view.record()["state"]


def hold_explained(view: CaseView) -> None:
    """Everything that is not plain sailing has a sentence in both languages."""
    told = explain(view)
    assert all(entry["zh"] and entry["en"] and "None" not in entry["en"] for entry in told)
    odd = {entry["op"].hex() for entry in view.timeline if entry["verdict"] != "applied"}
    assert odd <= {entry["op"] for entry in told if entry["about"] == "op"} | {
        op for entry in told if entry["about"] == "conflict" for op in entry["ops"]
    }
    assert len([entry for entry in told if entry["about"] == "conflict"]) == len(view.conflicts)


def test_random_histories() -> None:
    run_state_machine_as_test(Offices, settings=SETTINGS)


@settings(SETTINGS, max_examples=EXAMPLES)
@given(seed=SEEDS, years=st.integers(-50, 50), terms=TERMS)
def test_a_wrong_clock_changes_no_outcome(seed: int, years: int, terms: dict[str, Any]) -> None:
    """Shift what one device claims by up to fifty years either way: who, what and why stay the same."""
    rng = random.Random(seed)
    world = a_history(rng, terms, steps=25)
    wrong = world.devices[rng.randrange(len(world.devices))].office
    shift = years * 365 * 86_400_000
    ops = [
        dataclasses.replace(op, claimed_ms=op.claimed_ms + shift) if op.office == wrong else op for op in world.all()
    ]
    right, other = fold(world.all()), fold(ops)
    assert verdicts(other) == verdicts(right)
    assert other.record()["state"] == right.record()["state"]
    assert without_times(other.conflicts) == without_times(right.conflicts)
    assert without_times(other.fields) == without_times(right.fields)
    assert without_times(other.materials) == without_times(right.materials)


@settings(SETTINGS, max_examples=EXAMPLES)
@given(seed=SEEDS, years=st.integers(-50, 50), terms=TERMS)
def test_with_evidence_a_wrong_clock_changes_no_deadline_fact(seed: int, years: int, terms: dict[str, Any]) -> None:
    """Where every op carries hub time and elapsed time, the facts that deadlines rest on ignore the claims."""
    rng = random.Random(seed)
    world = a_history(rng, terms, steps=20)
    honest = [
        dataclasses.replace(op, evidence=(NOON_MS, 1000 * at), claimed_ms=NOON_MS + 1000 * at)
        for at, op in enumerate(world.all())
        if op.role != "hub"
    ]
    known = {op.id for op in honest}
    honest = [op for op in honest if set(op.parents) <= known]
    shift = years * 365 * 86_400_000
    assume(abs(shift) > 0)
    wrong = [dataclasses.replace(op, claimed_ms=op.claimed_ms + shift) for op in honest]
    assert fold(wrong).clock == fold(honest).clock


def a_history(rng: random.Random, terms: dict[str, Any], steps: int) -> World:
    world = World(**terms)
    for device in world.devices:
        world.tell(world.devices[0], device)
    for _ in range(steps):
        step(world, rng)
    return world


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key != "at_ms"}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value


@settings(SETTINGS, max_examples=EXAMPLES)
@given(seed=SEEDS, terms=TERMS)
def test_a_final_status_stays(seed: int, terms: dict[str, Any]) -> None:
    """What an author builds upon a final status moves nothing: late facts never move the status back."""
    rng = random.Random(seed)
    world = a_history(rng, terms, steps=12)
    village = world.devices[0]
    village.held |= set(world.ops)
    if world.view(village).status in UNFINISHED:
        world.write(village, "withdraw", {"reason": "r"}, claimed_ms=NOON_MS)
    view = fold(world.all())
    assume(view.status in FINAL and not any(op.kind == "veto" for op in world.all()))
    for _ in range(8):
        for device in world.devices:
            device.held |= set(world.ops)
        world.act(world.devices[rng.randrange(len(world.devices) - 2)], rng.randrange, honest=rng.randrange(2) == 0)
    assert fold(world.all()).status == view.status


@settings(SETTINGS, max_examples=EXAMPLES)
@given(seed=SEEDS, terms=TERMS)
def test_the_early_check_is_the_folds_check(seed: int, terms: dict[str, Any]) -> None:
    """What `allowed` says of an act upon a view, the fold says of the same act once it is signed upon those heads."""
    rng = random.Random(seed)
    world = a_history(rng, terms, steps=18)
    for _ in range(12):
        device = world.devices[rng.randrange(len(world.devices))]
        view = world.view(device)
        kind, body = proposal(view, device, rng.randrange)
        try:
            allowed(view, kind, device.office, device.role, body)
            early = ("applied", "")
        except RefusedError as error:
            early = ("refused", error.code)
        op = world.write(device, kind, body, claimed_ms=NOON_MS)
        assert verdicts(world.view(device))[op.id] == early
