"""Offices that may not send as they like: quota reached, lanes closed at this hour, tiny rates; and silence.

For: settings that a person writes into `lanes.json` (docs/operating/lanes.md), and an office that is not heard for weeks.
May not: have an op wait: whoever cannot attach anything must still be able to write.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.attachment import FileToAttach, file_of
from edge.lanes import LANES_NAME, read_lanes
from ops.simulate import raw
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
QUOTA_BYTES = (60_000, 200_000)
SILENCE = (20 * DAY, 80 * DAY)


def _with(choose: Callable[[Simulation], dict[str, Any]]) -> Callable[[Simulation, int], End]:
    """Have an office work under these settings of its lanes; afterwards under none."""

    def begin(sim: Simulation, span_ms: int) -> End:
        victim = one_edge(sim)
        set_lanes(victim, choose(sim))
        busy(sim, [victim], span_ms)
        for _ in range(SCANS):
            sim.world.at(sim.world.between(0, span_ms * 0.6), attach_and_write, sim, victim)
        return lambda: set_lanes(victim, {})

    return begin


def set_lanes(machine: EdgeMachine, lanes: dict[str, Any]) -> None:
    """Write the file as the manual shows it, and start the daemon anew."""
    if machine.gone:
        return
    (machine.directory / LANES_NAME).write_text(json.dumps(lanes), encoding="utf-8")
    if machine.up:
        machine.stop()
        machine.start()


def attach_and_write(sim: Simulation, machine: EdgeMachine) -> FileToAttach | None:
    """Somebody attaches a scan to a new case; whether that is allowed or not, the case itself and a note are saved.

    Returns: the scan, if it was taken.
    """
    if not machine.up or machine.node is None or sim.healing:
        return None
    rng = sim.world.rng
    scan = file_of("扫描件.dat", rng.randbytes(rng.randint(*SCAN_BYTES)), material="扫描件", grade="B")
    try:
        chosen = machine.do(lambda: sim.staff.new_case(machine.node))  # type: ignore[arg-type]
        if chosen is None or not sim.perform(machine, *chosen):
            return None
        case = machine.do(lambda: machine.node.service.list_cases(limit=1)[0]["case"])  # type: ignore[union-attr]
    except LiandongError as error:
        sim.world.note("refused at desk", machine.name, error.code)  # a disk that is full at the same time
        return None
    try:
        saved = sim.perform(machine, "attach", lambda node: node.service.attach_file(CHIEF, case, scan))
        return scan if saved else None
    except LiandongError as error:
        sim.world.note("no scan", machine.name, error.code)
        _still_writes(sim, machine, str(case))
        return None


def _still_writes(sim: Simulation, machine: EdgeMachine, case: str) -> None:
    """What the limit of attachments refused must not keep a note from being saved."""
    try:
        sim.perform(machine, "note", lambda node: node.service.note(CHIEF, case, "附件稍后补交"))
    except LiandongError as error:
        if not (machine.disk.full or machine.disk.read_only):
            sim.problems.append(f"lost: {machine.name} cannot write a note because of an attachment: {error.code}")


def _quota(sim: Simulation, span_ms: int) -> End:
    """An office without a line enters scans until it may not enter more; what it may enter besides is held to that."""
    victim, limit, gap = one_edge(sim), sim.world.between(*QUOTA_BYTES), Weather(cut=True)
    entered: list[FileToAttach] = []
    set_lanes(victim, {"attachments": {"unsent_bytes_max": limit}})
    busy(sim, [victim], span_ms)
    victim.line.put(gap)

    def scan() -> None:
        taken = attach_and_write(sim, victim)
        if taken is not None:
            entered.append(taken)
            _within(sim, victim, entered, limit)

    for _ in range(SCANS + 1):
        sim.world.at(sim.world.between(0, span_ms * 0.6), scan)
    sim.world.at(span_ms * 0.7, victim.line.lift, gap)

    def end() -> None:
        victim.line.lift(gap)
        set_lanes(victim, {})

    return end


def _within(sim: Simulation, machine: EdgeMachine, entered: list[FileToAttach], limit: int) -> None:
    """What waits for the line, and nobody else holds, is not more than the setting allows, while it stands."""
    if read_lanes(machine.directory).unsent_bytes_max != limit:
        entered.clear()  # another fault has set the lanes anew, or brought an older disk
        return
    there = {
        sha256 for other in (sim.hub, *sim.edges) if other is not machine for sha256 in raw.files(other.store_path)
    }
    waits = sum(len(one.data) for one in entered if one.sha256 not in there)
    if waits > limit:
        sim.problems.append(f"silent: {machine.name} has {waits} bytes waiting to be sent, more than it may ({limit})")


def closed(sim: Simulation) -> dict[str, Any]:
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
    Fault("quota_reached", "an office may not enter more attachments", (HOUR, 6 * HOUR), _quota),
    Fault("lane_closed", "attachments and reference data may not travel at this hour", (HOUR, 6 * HOUR), _with(closed)),
    Fault("lane_slow", "ops, reference data and attachments have tiny rates", (HOUR, 6 * HOUR), _with(_slow)),
)
SILENCES = (Fault("silent_months", "an office is not heard for weeks or months", SILENCE, _silent),)
