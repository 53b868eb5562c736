"""Offices that may not send as they like: quota reached, lanes closed at this hour, tiny rates; and silence.

For: settings that a person writes into `lanes.json` (docs/operating/lanes.md), and an office that is not heard for weeks.
May not: have an op wait: whoever cannot attach anything must still be able to write.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.attachment import file_of
from edge.lanes import LANES_NAME
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.faults.fault import End, Fault, busy, one_edge
from ops.simulate.network import Weather
from ops.simulate.staff import CHIEF
from ops.simulate.world import DAY, HOUR, ZONE_MS
from protocol.errors import LiandongError

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

SCANS = 3
SCAN_BYTES = (40_000, 150_000)
SILENCE = (20 * DAY, 80 * DAY)


def _with(choose: Callable[[Simulation], dict[str, Any]]) -> Callable[[Simulation, int], End]:
    """Have an office work under these settings of its lanes; afterwards under none."""

    def begin(sim: Simulation, span_ms: int) -> End:
        victim = one_edge(sim)
        _set(victim, choose(sim))
        busy(sim, [victim], span_ms)
        for _ in range(SCANS):
            sim.world.at(sim.world.between(0, span_ms * 0.6), attach_and_write, sim, victim)
        return lambda: _set(victim, {})

    return begin


def _set(machine: EdgeMachine, lanes: dict[str, Any]) -> None:
    """Write the file as the manual shows it, and start the daemon anew."""
    if machine.gone:
        return
    (machine.directory / LANES_NAME).write_text(json.dumps(lanes), encoding="utf-8")
    if machine.up:
        machine.stop()
        machine.start()


def attach_and_write(sim: Simulation, machine: EdgeMachine) -> None:
    """Somebody attaches a scan to a new case; whether that is allowed or not, the case itself and a note are saved."""
    if not machine.up or machine.node is None or sim.healing:
        return
    rng = sim.world.rng
    scan = file_of("扫描件.dat", rng.randbytes(rng.randint(*SCAN_BYTES)), material="扫描件", grade="B")
    try:
        chosen = machine.do(lambda: sim.staff.new_case(machine.node))  # type: ignore[arg-type]
        if chosen is None or not sim.perform(machine, *chosen):
            return
        case = machine.do(lambda: machine.node.service.list_cases(limit=1)[0]["case"])  # type: ignore[union-attr]
    except LiandongError as error:
        sim.world.note("refused at desk", machine.name, error.code)  # a disk that is full at the same time
        return
    try:
        sim.perform(machine, "attach", lambda node: node.service.attach_file(CHIEF, case, scan))
    except LiandongError as error:
        sim.world.note("no scan", machine.name, error.code)
        _still_writes(sim, machine, str(case))


def _still_writes(sim: Simulation, machine: EdgeMachine, case: str) -> None:
    """What the limit of attachments refused must not keep a note from being saved."""
    try:
        sim.perform(machine, "note", lambda node: node.service.note(CHIEF, case, "附件稍后补交"))
    except LiandongError as error:
        if not (machine.disk.full or machine.disk.read_only):
            sim.problems.append(f"lost: {machine.name} cannot write a note because of an attachment: {error.code}")


def _quota(sim: Simulation) -> dict[str, Any]:
    return {"attachments": {"unsent_bytes_max": sim.world.between(10_000, 100_000)}}


def _closed(sim: Simulation) -> dict[str, Any]:
    """For attachments and reference data a window of one hour that began twelve hours ago."""
    hour = int((sim.world.now_ms + ZONE_MS) % DAY // HOUR + 12) % 24
    window = {"from": f"{hour:02d}:00", "to": f"{(hour + 1) % 24:02d}:00"}
    return {"attachments": window, "reference": window}


def _slow(sim: Simulation) -> dict[str, Any]:
    rates = {"attachments": (300, 3_000), "reference": (300, 3_000), "ops": (500, 4_000)}
    return {lane: {"bytes_per_s": sim.world.between(*span)} for lane, span in rates.items()}


def _silent(sim: Simulation, span_ms: int) -> End:
    """An office has no line for weeks or months, in which little happens elsewhere; what it entered waits."""
    victim = one_edge(sim)
    busy(sim, [victim], HOUR, acts=4)
    weather = Weather(cut=True)
    sim.world.at(2 * HOUR, sim.worsen, victim, weather)
    sim.holiday(span_ms)
    for _ in range(4):
        sim.world.at(sim.world.between(3 * HOUR, span_ms), sim.somebody_acts, victim)

    def end() -> None:
        victim.line.lift(weather)
        sim.open_line(victim, HOUR)

    return end


LANES = (
    Fault("quota_reached", "an office may not enter more attachments", (HOUR, 6 * HOUR), _with(_quota)),
    Fault(
        "lane_closed", "attachments and reference data may not travel at this hour", (HOUR, 6 * HOUR), _with(_closed)
    ),
    Fault("lane_slow", "ops, reference data and attachments have tiny rates", (HOUR, 6 * HOUR), _with(_slow)),
)
SILENCES = (Fault("silent_months", "an office is not heard for weeks or months", SILENCE, _silent),)
