"""Sticks that were written once and lie about: put in where they belong, again, too late, cut off, and elsewhere.

For: `bundle import` at the hub and at an office, with a look at what the file may have changed: nothing if it is cut off
or for somebody else, no document by an older one.
May not: write or open a bundle (the product does); believe the product's report of an import.
Manual: docs/testing.md, "What is checked".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.stick import taking as edge_taking
from hub.stick import taking as hub_taking
from ops.simulate import raw
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.machine import Machine
from protocol.errors import LiandongError

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Stick:
    """A bundle file. device: the name that wrote it, or that it answers. is_cut: its end is missing."""

    file: Path
    device: bytes
    is_answer: bool
    is_cut: bool = False


def cut(stick: Stick, missing: int, to: Path) -> Stick:
    """The stick was pulled out too early: so many bytes are missing at its end."""
    to.write_bytes(stick.file.read_bytes()[:-missing])
    return replace(stick, file=to, is_cut=True)


def put_in_at_hub(sim: Simulation, stick: Stick) -> Stick | None:
    """Import at the hub; the answer that it wrote, if it wrote one."""
    county = sim.hub.county
    answer = sim.new_directory("answer").with_suffix(".ldb")

    def take() -> object:
        return hub_taking.take(
            county,  # type: ignore[arg-type]
            stick.file,
            answer_to=answer,
            now_ms=sim.hub.county_ms,
            random_bytes=sim.world.rng.randbytes,
        )

    if sim.hub.up:
        _watched(sim, sim.hub, stick, take, foreign=stick.is_answer)
    sim.hub.wake()
    if not answer.exists():
        return None
    sim.sticks.append(Stick(answer, stick.device, is_answer=True))
    return sim.sticks[-1]


def put_in_at_office(sim: Simulation, machine: EdgeMachine, stick: Stick) -> None:
    """Import at a device, whether the stick is for it or not."""
    node = machine.node
    if node is None or not machine.up:
        return
    foreign = not stick.is_answer or machine.incarnation != stick.device
    _watched(sim, machine, stick, lambda: edge_taking.take(node, stick.file), foreign=foreign)
    machine.wake()


def _watched(sim: Simulation, machine: Machine, stick: Stick, take: Callable[[], object], *, foreign: bool) -> None:
    """Take it, and see what changed."""
    untouchable = stick.is_cut or foreign
    before = raw.everything(machine.store_path) if untouchable else b""
    versions = raw.document_versions(machine.store_path)
    try:
        machine.do(take)
    except LiandongError as error:
        sim.world.note("stick refused", machine.name, error.code)
    if untouchable and raw.everything(machine.store_path) != before:
        what = "was cut off" if stick.is_cut else "is for somebody else"
        sim.problems.append(f"diverged: {machine.name} was changed by a stick that {what}")
    for kind, version in raw.document_versions(machine.store_path).items():
        if version < versions.get(kind, 0):
            sim.problems.append(f"diverged: {machine.name} has taken an older {kind} from a stick for a newer one")
